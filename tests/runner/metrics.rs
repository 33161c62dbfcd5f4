use serde_json::Value;

use crate::{
    lock::{commit_all, git_ok},
    project::{Project, TWO},
};

/// The lock of a project whose stages have these metrics: a `command` has none of its own.
fn with_metrics(project: &Project, metrics: &str) {
    let lock = project.read("pipeline.lock");
    let at = lock.find("\n[stage.sort.params]").expect("is in it");
    project.write(
        "pipeline.lock",
        &format!("{}\n[stage.sort.metrics]\n{metrics}\n{}", &lock[..at], &lock[at..]),
    );
}

#[test]
fn metrics_of_another_revision_are_compared() {
    let project = Project::new(TWO);
    let folder = project.path("");
    project.ok(&["run"]);
    assert_eq!(project.ok(&["metrics"]), "no stage has a metric\n");
    let bare = project.read("pipeline.lock");
    with_metrics(&project, "f1 = 0.5\n\"dev.loss\" = 2.25\nold = 1.0");
    commit_all(&project, "before");
    git_ok(&folder, &["tag", "before"]);
    assert_eq!(project.ok(&["metrics", "--against", "before"]), "no metric differs\n");
    project.write("pipeline.lock", &bare);
    with_metrics(&project, "f1 = 0.75\n\"dev.loss\" = 2.25\nnew = 3.0");
    let said = project.ok(&["metrics"]);
    assert_eq!(
        said,
        "stage  metric    value\nsort   dev.loss   2.25\nsort   f1         0.75\nsort   new           3\n"
    );
    let said = project.ok(&["metrics", "--against", "before"]);
    let wanted = "stage  metric  before   now  difference\n\
                  sort   f1         0.5  0.75       +0.25\n\
                  sort   new          -     3         new\n\
                  sort   old          1     -        gone\n";
    assert_eq!(said, wanted);
    assert!(
        project
            .ok(&["metrics", "--against", "before", "--all"])
            .contains("dev.loss    2.25  2.25           0")
    );
    let said = project.ok(&["metrics", "--against", "before", "--format", "markdown"]);
    assert!(
        said.starts_with(
            "| stage | metric | before | now | difference |\n| --- | --- | ---: | ---: | ---: |\n"
        ),
        "{said}"
    );
    assert!(said.contains("| sort | f1 | 0.5 | 0.75 | +0.25 |\n"), "{said}");
    let said = project.ok(&["metrics", "--against", "before", "--format", "json"]);
    let said: Value = serde_json::from_str(&said).expect("is JSON");
    assert_eq!(said["against"], "before");
    assert_eq!(said["metrics"][0]["metric"], "f1");
    assert_eq!(said["metrics"][0]["before"], 0.5);
    assert_eq!(said["metrics"][0]["difference"], 0.25);
    assert_eq!(said["metrics"][0]["measured"], false);
    assert!(said["metrics"][2]["value"].is_null());
    assert_eq!(project.ok(&["metrics", "count"]), "no stage has a metric\n");
}

#[test]
fn metrics_need_no_data_and_no_cache() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    with_metrics(&project, "f1 = 0.5");
    project.remove("cache");
    project.remove("data");
    assert!(project.ok(&["metrics"]).contains("f1"));
    project.remove("pipeline.toml");
    project.remove("pipeline.lock");
    let ended = project.ner_pipe(&["metrics"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("neither pipeline.toml nor its lock"), "{}", ended.err);
}

#[test]
fn a_revision_that_is_none_is_said_with_exit_code_2() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let refused = |revision: &str, message: &str| {
        let ended = project.ner_pipe(&["metrics", &format!("--against={revision}")]);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(message) && ended.err.contains("help: "), "{}", ended.err);
    };
    refused("HEAD", "git finds no commit `HEAD`");
    let lock = project.read("pipeline.lock");
    project.remove("pipeline.lock");
    commit_all(&project, "without a lock");
    project.write("pipeline.lock", &lock);
    refused("HEAD", "pipeline.lock is not in commit `HEAD`");
    refused("nowhere", "git finds no commit `nowhere`");
    refused("--all", "git finds no commit `--all`");
    project.write("pipeline.lock", "format = 1\n<<<<<<< HEAD\n");
    commit_all(&project, "with a conflict");
    project.write("pipeline.lock", &lock);
    refused("HEAD", "has a merge conflict in it");
    let ended = project.ner_pipe(&["metrics", "nobody"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("no stage `nobody`"), "{}", ended.err);
    let without = std::process::Command::new(env!("CARGO_BIN_EXE_ner-pipe"))
        .args(["metrics", "--against", "HEAD"])
        .current_dir(project.path(""))
        .env("PATH", "")
        .output()
        .expect("starts");
    assert_eq!(without.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&without.stderr).contains("cannot start `git`"));
}
