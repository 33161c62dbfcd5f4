use std::{
    fs,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{
    lock::{commit_all, git_ok},
    project::{Project, TWO},
};

/// A project with three results of `count`, of which the lock names the last; used 30, 20 and 10 days ago.
fn with_old_results() -> Project {
    let project = Project::new(TWO);
    for (run, days) in [("wc -l", 30), ("wc -c", 20), ("wc -w", 10)] {
        let before = project.entries_if_any();
        project.write("pipeline.toml", &TWO.replace("wc -l", run));
        project.ok(&["run"]);
        for entry in project.entries().into_iter().filter(|entry| !before.contains(entry)) {
            age(&entry, days);
        }
    }
    project
}

pub fn age(folder: &std::path::Path, days: u64) {
    let then = SystemTime::now() - Duration::from_hours(24 * days);
    fs::File::open(folder).expect("is there").set_modified(then).expect("is ours");
}

pub fn gc(project: &Project, arguments: &[&str]) -> Value {
    let said = project.ok(&[&["gc", "--format", "json"], arguments].concat());
    serde_json::from_str(&said).expect("is JSON")
}

pub fn taken(said: &Value) -> usize {
    said["taken"].as_array().expect("is a list").len()
}

#[test]
fn results_go_by_age_and_never_what_the_lock_names() {
    let project = with_old_results();
    assert_eq!(project.entries().len(), 4);
    assert_eq!(taken(&gc(&project, &[])), 0, "without a limit results stay");
    assert_eq!(taken(&gc(&project, &["--keep-age", "25d", "--dry-run"])), 1);
    assert_eq!(project.entries().len(), 4, "a dry run takes nothing");
    let said = project.ok(&["gc", "--keep-age", "25d"]);
    assert!(said.contains("result count ") && said.contains("last used 30 d ago"), "{said}");
    assert!(said.contains("took 1 thing away"), "{said}");
    assert!(said.contains("3 things stay") && said.contains("2 named by a lock"), "{said}");
    assert_eq!(taken(&gc(&project, &["--keep-age", "0s"])), 1);
    assert_eq!(project.entries().len(), 2);
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    assert!(fs::read_dir(project.path("cache/tmp")).expect("is there").next().is_none());
}

#[test]
fn results_go_by_size_the_one_that_was_not_used_for_longest_first() {
    let project = with_old_results();
    let all = gc(&project, &["--dry-run"])["kept_bytes"].as_u64().expect("is a number");
    let said = gc(&project, &["--keep-size", &format!("{}B", all - 1)]);
    assert_eq!(taken(&said), 1);
    assert_eq!(said["taken"][0]["idle_seconds"].as_u64().expect("is a number") / 86400, 30);
    // An old result that is used again is young again.
    project.write("pipeline.toml", &TWO.replace("wc -l", "wc -c"));
    project.expect(&[], &[("sort", "reused"), ("count", "restored")]);
    project.write("pipeline.toml", &TWO.replace("wc -l", "wc -w"));
    project.ok(&["run"]);
    assert_eq!(taken(&gc(&project, &["--keep-age", "15d", "--dry-run"])), 0);
    let said = project.ok(&["gc", "--keep-size", "1B"]);
    assert!(said.contains("that is more than 1 B"), "{said}");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    for wrong in [&["gc", "--keep-size", "much"] as &[&str], &["gc", "--keep-age", "30"]] {
        assert_eq!(project.ner_pipe(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn what_any_lock_of_the_project_names_stays_also_one_in_conflict() {
    let project = with_old_results();
    project.write("autre/p.toml", &TWO.replace("out/", "autre/out/").replace("wc -l", "wc -c"));
    project.ok(&["run", "--file", "autre/p.toml"]);
    project.replace("autre/p.lock", "[stage.sort]", "<<<<<<< HEAD\n[stage.sort]");
    for entry in project.entries() {
        age(&entry, 40);
    }
    assert_eq!(taken(&gc(&project, &["--keep-age", "1d"])), 1, "the one that no lock names");
}

#[test]
fn what_a_lock_in_a_folder_of_any_name_names_stays() {
    let project = Project::new(TWO);
    for folder in [".ci", "target", "artifacts"] {
        let text =
            TWO.replace("out/", &format!("{folder}/out/")).replace("wc -l", &format!("echo {folder}; wc -l"));
        project
            .write(&format!("{folder}/p.toml"), &format!("[pipeline]\nname = \"p{}\"\n{text}", folder.len()));
        project.ok(&["run", "--file", &format!("{folder}/p.toml")]);
    }
    for entry in project.entries() {
        age(&entry, 40);
    }
    assert_eq!(taken(&gc(&project, &["--keep-age", "30d"])), 0);
}

#[test]
fn what_other_branches_name_stays_if_asked_for() {
    let project = with_old_results();
    let folder = project.path("");
    let ended = project.ner_pipe(&["gc", "--branches", "--keep-age", "0s"]);
    assert_eq!(ended.code, Some(2), "no repository: {}", ended.err);
    commit_all(&project, "wc -w");
    git_ok(&folder, &["checkout", "-q", "-b", "old"]);
    project.write("pipeline.toml", TWO);
    project.ok(&["run"]);
    commit_all(&project, "wc -l");
    git_ok(&folder, &["checkout", "-q", "main"]);
    project.ok(&["run"]);
    assert_eq!(taken(&gc(&project, &["--branches", "--keep-age", "0s"])), 1, "wc -c");
    git_ok(&folder, &["checkout", "-q", "old"]);
    project.ok(&["run"]);
    assert_eq!(project.trace().len(), 4, "its result was kept");
}

#[test]
fn what_a_running_stage_needs_stays() {
    let project = Project::new(
        &TWO.replace("echo count >> trace;", "echo count >> trace; while [ ! -e go ]; do sleep 0.02; done;"),
    );
    let running = project.start(&["run"]);
    until_executing(&project, "count");
    let said = gc(&project, &["--keep-age", "0s", "--keep-size", "0B"]);
    assert_eq!(taken(&said), 0, "{said}");
    let sorts: Vec<_> =
        said["kept"].as_array().expect("is a list").iter().map(|item| item["sort"].clone()).collect();
    assert!(sorts.contains(&"half-made result".into()), "{said}");
    project.write("go", "");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

fn until_executing(project: &Project, stage: &str) {
    crate::project::until(stage, || project.trace().iter().any(|name| name == stage));
}

#[test]
fn a_result_that_was_just_made_or_used_stays_as_a_run_may_be_about_to_publish_it() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.remove("pipeline.lock");
    assert_eq!(taken(&gc(&project, &["--keep-age", "0s", "--keep-size", "0B"])), 0);
    for entry in project.entries() {
        age(&entry, 1);
    }
    project.ok(&["run", "sort"]);
    project.remove("pipeline.lock");
    let said = gc(&project, &["--keep-age", "0s"]);
    assert_eq!((taken(&said), &said["taken"][0]["stage"]), (1, &"count".into()), "{said}");
}

#[test]
fn runs_and_gc_at_once_disturb_each_other_in_nothing() {
    let project = Project::new(TWO);
    let set = |run: &str| format!("count.run=echo count >> trace; {run} < {{data}} > {{n}}");
    for round in 0..6 {
        let run = ["wc -l", "wc -c", "wc -w"][round % 3];
        for entry in project.entries_if_any() {
            age(&entry, 3);
        }
        // Each run wants a result that gc takes in the same moment, or a moment before or after.
        let runs =
            [project.start(&["run", "--set", &set(run)]), project.start(&["run", "--set", &set("wc -L")])];
        let others = [0, 1].map(|_| project.start(&["gc", "--keep-age", "0s"]));
        for process in runs.into_iter().chain(others) {
            let ended = process.end();
            assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
        }
    }
    project.expect(&["sort"], &[("sort", "reused")]);
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
    assert_eq!(project.ner_pipe(&["verify"]).code, Some(0));
}

#[test]
fn leftovers_go_and_what_is_the_users_only_when_asked_for() {
    let project = Project::new(TWO);
    assert!(project.ok(&["gc"]).contains("there is no cache here"));
    project.ok(&["run"]);
    project.write("out/sorted.txt", "mine");
    project.ok(&["run"]);
    let key = project.entries()[0].file_name().expect("has one").to_string_lossy().into_owned();
    project.write(&format!("cache/damaged/{key}.1/entry.json"), "{}");
    project.write(&format!("cache/tmp/{key}.abc/out/x"), "half");
    project.write(&format!("cache/checkpoints/{key}/weights"), "of what is finished");
    project.write(&format!("cache/checkpoints/{}/weights", "0".repeat(64)), "of what may go on");
    project.write(&format!("cache/locks/{key}"), "");
    let said = gc(&project, &[]);
    assert_eq!(taken(&said), 3, "{said}");
    assert!(
        !project.exists("cache/damaged/")
            || fs::read_dir(project.path("cache/damaged")).expect("is there").next().is_none()
    );
    assert!(project.exists(&format!("cache/checkpoints/{}", "0".repeat(64))));
    assert!(!project.exists(&format!("cache/locks/{key}")));
    assert!(project.ok(&["gc"]).contains("1 in cache/displaced: yours"));
    let said = gc(&project, &["--keep-age", "0s"]);
    assert_eq!(taken(&said), 1, "the checkpoint, by its age: {said}");
    let said = gc(&project, &["--displaced"]);
    assert_eq!(said["taken"][0]["sort"], "displaced file");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn a_failed_attempt_stays_until_it_is_old() {
    let project = Project::new(&TWO.replace("wc -l < {data} > {n}", "echo broken; exit 3"));
    assert_eq!(project.run(&[]).0, 1);
    assert_eq!(taken(&gc(&project, &["--keep-age", "1h"])), 0);
    assert!(project.ok(&["log", "count"]).contains("broken"));
    assert_eq!(taken(&gc(&project, &["--keep-age", "0s"])), 1);
    assert_eq!(project.ner_pipe(&["log", "count"]).code, Some(2));
}

#[test]
fn a_lock_that_is_damaged_or_holds_a_strange_byte_loses_no_result() {
    let project = with_old_results();
    let lock = project.path("pipeline.lock");
    let good = std::fs::read(&lock).expect("a lock");
    let results = project.ok(&["gc", "--dry-run", "--keep-age", "0s"]);
    std::fs::write(&lock, [good.as_slice(), b"# \xff\n"].concat()).expect("written");
    assert_eq!(project.ner_pipe(&["gc", "--dry-run", "--keep-age", "0s"]).out, results);
    std::fs::write(&lock, "garbage").expect("written");
    let refused = project.ner_pipe(&["gc", "--keep-age", "0s"]);
    assert_eq!(refused.code, Some(2), "{}", refused.out);
    assert!(
        refused.err.contains("pipeline.lock is damaged, so what it names is not known"),
        "{}",
        refused.err
    );
    std::fs::write(&lock, good).expect("written");
    let (_, outcomes) = project.run(&[]);
    assert!(outcomes.values().all(|outcome| outcome != "executed"), "{outcomes:?}");
}
