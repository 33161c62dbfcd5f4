//! What the workflow in docs/guide.md ("GitHub Actions") does, done here: a first checkout fills a cache folder, a
//! second one gets it, and only what changed executes.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crate::{
    lock::{commit_all, git, git_ok},
    project::{Project, TWO, text},
};

/// A job on a machine of its own: a fresh clone, the cache folder restored into it, a run, the checks of the
/// workflow, and the cache folder saved again.
fn job(origin: &Path, branch: &str, saved: &Path) -> (BTreeMap<String, String>, tempfile::TempDir) {
    let machine = tempfile::tempdir().expect("a folder");
    let clone = machine.path().join("checkout");
    let arguments = ["clone", "-q", "--depth", "1", "--branch", branch];
    let origin = format!("file://{}", origin.display());
    let clone_path = clone.display().to_string();
    git_ok(machine.path(), &[&arguments as &[&str], &[&origin, &clone_path]].concat());
    if saved.exists() {
        // `actions/cache` packs and unpacks with tar.
        copy(saved, &clone.join("cache"));
    }
    let ner_pipe = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ner-pipe"))
            .args(arguments)
            .current_dir(&clone)
            .env("CI", "true")
            .output()
            .expect("starts");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {err}");
        String::from_utf8(output.stdout).expect("is UTF-8")
    };
    let events = ner_pipe(&["run", "--format", "json"]);
    ner_pipe(&["status", "--check"]);
    ner_pipe(&["gc", "--keep-age", "30d", "--keep-size", "5GB"]);
    if saved.exists() {
        fs::remove_dir_all(saved).expect("removes");
    }
    copy(&clone.join("cache"), saved);
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("is JSON"));
    let stages = events.filter(|event| event["event"] == "stage");
    (stages.map(|event| (text(&event["stage"]), text(&event["outcome"]))).collect(), machine)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("has one")).expect("creates");
    let archive =
        Command::new("tar").args(["-cf", "-", "-C"]).arg(from).arg(".").output().expect("tar is installed");
    assert!(archive.status.success());
    fs::create_dir_all(to).expect("creates");
    let mut unpack = Command::new("tar")
        .args(["-xf", "-", "-C"])
        .arg(to)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    std::io::Write::write_all(&mut unpack.stdin.take().expect("is piped"), &archive.stdout).expect("writes");
    assert!(unpack.wait().expect("ends").success());
}

#[test]
fn a_second_checkout_with_the_cache_folder_executes_only_what_changed() {
    let project = Project::new(TWO);
    let folder = project.path("");
    project.ok(&["run"]);
    commit_all(&project, "as the user has it");
    let saved = tempfile::tempdir().expect("a folder");
    let saved = saved.path().join("cache");
    let outcomes = |sort: &str, count: &str| {
        BTreeMap::from([("sort".to_owned(), sort.to_owned()), ("count".to_owned(), count.to_owned())])
    };
    let (first, machine) = job(&folder, "main", &saved);
    assert_eq!(first, outcomes("executed", "executed"), "nothing is saved yet");
    let clone = machine.path().join("checkout");
    assert_eq!(
        git_ok(&clone, &["status", "--short", "pipeline.lock"]),
        "",
        "the lock that the user committed"
    );
    let (second, _machine) = job(&folder, "main", &saved);
    assert_eq!(second, outcomes("restored", "restored"));
    git_ok(&folder, &["checkout", "-q", "-b", "feature"]);
    project.replace("pipeline.toml", "wc -l", "wc -c");
    commit_all(&project, "one stage changed");
    let (third, machine) = job(&folder, "feature", &saved);
    assert_eq!(third, outcomes("restored", "executed"));
    let clone = machine.path().join("checkout");
    assert_eq!(fs::read_to_string(clone.join("out/count.txt")).expect("is published").trim(), "6");
    assert!(!git(&clone, &["diff", "--quiet", "pipeline.lock"]).status.success(), "to be committed");
    let (fourth, _machine) = job(&folder, "main", &saved);
    assert_eq!(fourth, outcomes("restored", "restored"), "both branches live in one cache");
}
