use std::process::Command;

use serde_json::Value;

use crate::project::{Project, TWO};

fn git(project: &Project, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]);
    let output = command.args(arguments).current_dir(project.path(".")).output().expect("git is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn commit(project: &Project, tag: &str) {
    git(project, &["add", "-A", "."]);
    git(project, &["commit", "-q", "--allow-empty", "-m", tag]);
    git(project, &["tag", tag]);
}

/// A repository with the commits `empty` (no lock), `first` and `second` (other words in `sort`).
fn history() -> Project {
    let project = Project::new(TWO);
    git(&project, &["init", "-q"]);
    project.write(".gitignore", "cache\nout\ntrace\n");
    commit(&project, "empty");
    project.ok(&["run"]);
    commit(&project, "first");
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    project.ok(&["run"]);
    commit(&project, "second");
    project
}

#[test]
fn why_compares_with_the_lock_of_a_revision() {
    let project = history();
    let said = project.ok(&["why", "sort", "--against", "second"]);
    assert!(said.starts_with("sort: pipeline.lock at second (") && said.contains("had the same"), "{said}");
    let said = project.ok(&["why", "sort", "--against", "first"]);
    assert!(said.contains(" was different:\n  params.run \"echo sort >> trace; sort {data}"), "{said}");
    let said = project.ok(&["why", "count", "--against", "HEAD~1"]);
    let root = "(sort: params.run \"echo sort >> trace; sort {data} > {out}\" -> ";
    assert!(said.contains("\n  input sort.out ") && said.contains(root), "{said}");
    assert!(project.ok(&["why", "count"]).starts_with("count is fresh"), "the lock itself was left alone");
    let json = project.ok(&["why", "count", "--against", "first", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).expect("is JSON");
    assert_eq!(json["against"]["revision"], "first");
    assert_eq!(json["against"]["commit"].as_str().map(str::len), Some(40));
    assert!(json["root"].as_str().is_some_and(|root| root.starts_with("sort: params.run ")), "{json}");
}

#[test]
fn why_against_a_revision_works_in_a_folder_of_a_repository_and_for_another_file() {
    let project = Project::new("");
    git(&project, &["init", "-q"]);
    project.write("sub/other.toml", &format!("[pipeline]\nname = \"o\"\n{TWO}"));
    project.write("sub/data/in.txt", "b\na\n");
    project.ok(&["-C", "sub", "run", "--file", "other.toml"]);
    git(&project, &["add", "sub/other.lock"]);
    commit(&project, "first");
    project.replace("sub/other.toml", "wc -l", "wc -c");
    let arguments = ["-C", "sub", "why", "count", "--file", "other.toml", "--against", "HEAD"];
    let said = project.ok(&arguments);
    assert!(said.starts_with("count: other.lock at HEAD (") && said.contains("\n  params.run "), "{said}");
}

#[test]
fn what_git_does_not_have_is_told() {
    let project = history();
    let refused = |project: &Project, revision: &str, why: &str| {
        let ended = project.ner_pipe(&["why", "sort", &format!("--against={revision}")]);
        assert_eq!(ended.code, Some(2), "{}", ended.out);
        assert!(ended.err.contains(why) && ended.err.contains("help: "), "{why}\n{}", ended.err);
    };
    refused(&project, "nowhere", "git finds no commit `nowhere`");
    refused(&project, "--help", "git finds no commit `--help`");
    refused(&project, "empty", "pipeline.lock is not in commit `empty`");
    project.write("pipeline.lock", "format = 1\nx = 2\n");
    commit(&project, "broken");
    git(&project, &["checkout", "-q", "second", "--", "pipeline.lock"]);
    refused(&project, "broken", "in commit `broken`: ");
    let outside = Project::new(TWO);
    refused(&outside, "HEAD", "not a git repository");
}

#[test]
fn a_stage_that_a_revision_did_not_have_is_told_as_such() {
    let project = history();
    let more =
        TWO.replace("stage.sort", "stage.other").replace("out/", "other/").replace("sort.out", "other.out");
    project.write("pipeline.toml", &more.replace("stage.count", "stage.tally"));
    let said = project.ok(&["why", "tally", "--against", "first"]);
    assert!(said.contains(") did not have it\n") && !said.contains("never run"), "{said}");
}

#[test]
fn a_stage_that_ran_again_earlier_is_explained_by_what_it_changed() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    project.ok(&["run", "sort"]);
    let said = project.ok(&["why", "count"]);
    assert!(said.contains("(sort re-ran: params.run \"echo sort"), "{said}");
    project.remove("cache/entries");
    project.ok(&["run", "sort"]);
    assert!(project.ok(&["why", "count"]).contains("(sort re-ran)"), "the cache no longer has what it was");
}

fn keys(project: &Project) -> Vec<String> {
    project.stages().iter().map(|stage| crate::project::text(&stage["key"])).collect()
}

#[test]
fn diff_tells_two_results_apart() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let before = keys(&project);
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    project.ok(&["run"]);
    let after = keys(&project);
    let said = project.ok(&["diff", &before[0][..10], &after[0][..10].to_uppercase()]);
    assert!(said.starts_with(&format!("{} sort -> {} sort\n", &before[0][..12], &after[0][..12])), "{said}");
    assert!(said.contains("  params.run \"echo sort >> trace; sort {data} > {out}\" -> "), "{said}");
    assert!(said.contains("  outputs.out.digest ") && said.contains("  seconds "), "{said}");
    assert!(!said.contains("device"), "that is the same: {said}");
    let json = project.ok(&["diff", &before[1], &after[1], "--format", "json"]);
    let json: Value = serde_json::from_str(&json).expect("is JSON");
    let names: Vec<_> =
        json["differences"].as_array().expect("is a list").iter().map(|row| &row["name"]).collect();
    assert!(names.contains(&&"inputs.data".into()), "{json}");
    assert_eq!(json["before"], before[1].as_str());
    let same = project.ok(&["diff", &before[0], &before[0]]);
    assert!(same.ends_with("  nothing differs\n"), "{same}");
}

#[test]
fn a_key_that_means_nothing_or_too_much_is_told() {
    let project = Project::new(TWO);
    let refused = |one: &str, why: &str| {
        let ended = project.ner_pipe(&["diff", one, one]);
        assert_eq!(ended.code, Some(2), "{}", ended.out);
        assert!(ended.err.contains(why) && ended.err.contains("help: "), "{}", ended.err);
    };
    refused("ab", "no result in the cache has a key that begins with `ab`");
    project.ok(&["run"]);
    refused("xyz", "no result in the cache has a key that begins with `xyz`");
    refused("", "`` is the beginning of 2 keys");
    let key = keys(&project).remove(0);
    project.write(&format!("cache/entries/{key}/entry.json"), "{}");
    refused(&key, "is damaged");
}
