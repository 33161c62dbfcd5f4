use std::fs;

use crate::project::{Project, TWO};

const BOTH: [&str; 2] = ["sort", "count"];

fn expect(project: &Project, sort: &str, count: &str) {
    project.expect(&[], &[(BOTH[0], sort), (BOTH[1], count)]);
}

#[test]
fn a_second_run_executes_nothing() {
    let project = Project::new(TWO);
    expect(&project, "executed", "executed");
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
    assert_eq!(project.read("out/count.txt").trim(), "3");
    expect(&project, "reused", "reused");
    assert_eq!(project.trace(), BOTH);
}

#[test]
fn a_run_with_nothing_to_do_writes_nothing() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let times = || {
        ["pipeline.lock", "out/sorted.txt", "out", "cache/entries", "cache/locks"]
            .map(|path| fs::metadata(project.path(path)).and_then(|meta| meta.modified()).expect("is there"))
    };
    let before = times();
    project.ok(&["run"]);
    assert_eq!(times(), before);
}

#[test]
fn a_changed_parameter_reruns_only_what_follows() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.replace("pipeline.toml", "wc -l", "wc -c");
    expect(&project, "reused", "executed");
    assert_eq!(project.read("out/count.txt").trim(), "6");
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    expect(&project, "executed", "executed");
    assert_eq!(project.trace(), ["sort", "count", "count", "sort", "count"]);
}

#[test]
fn putting_a_parameter_back_executes_nothing() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let lock = project.read("pipeline.lock");
    project.replace("pipeline.toml", "wc -l", "wc -c");
    project.ok(&["run"]);
    assert_ne!(project.read("pipeline.lock"), lock);
    project.replace("pipeline.toml", "wc -c", "wc -l");
    expect(&project, "reused", "restored");
    assert_eq!(project.read("out/count.txt").trim(), "3");
    assert_eq!(project.read("pipeline.lock"), lock);
}

#[test]
fn an_upstream_that_gives_the_same_bytes_stops_the_wave() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.replace("pipeline.toml", "sort {data}", "cat {data} | sort");
    expect(&project, "executed", "reused");
    project.write("data/in.txt", "c\nb\na\n");
    expect(&project, "executed", "reused");
}

#[test]
fn a_damaged_artifact_is_repaired_and_what_it_was_is_kept() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.write("out/sorted.txt", "a\nB\nc\n");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.err.contains("out/sorted.txt was not a result of ner-pipe; it is now cache/displaced/"),
        "{}",
        ended.err
    );
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
    let displaced = fs::read_dir(project.path("cache/displaced")).expect("is there").next().expect("has one");
    let kept = displaced.expect("is readable").path().join("sorted.txt");
    assert_eq!(fs::read_to_string(kept).expect("is readable"), "a\nB\nc\n");
    assert_eq!(project.trace(), BOTH);
}

#[test]
fn an_edited_artifact_does_not_edit_the_cache() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    // In place: a hard link would carry it into the cache.
    let mut file = fs::File::options().append(true).open(project.path("out/sorted.txt")).expect("opens");
    std::io::Write::write_all(&mut file, b"more").expect("writes");
    drop(file);
    expect(&project, "restored", "reused");
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
    assert!(!project.exists("cache/damaged"));
}

#[test]
fn moving_the_project_executes_nothing() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let elsewhere = Project::new(TWO);
    for name in ["cache", "pipeline.lock", "trace"] {
        fs::rename(project.path(name), elsewhere.path(name)).expect("moves");
    }
    expect(&elsewhere, "restored", "restored");
    assert_eq!(elsewhere.trace(), BOTH);
}

#[test]
fn a_files_name_counts_only_where_it_says_something() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let rename = |from: &str, to: &str| {
        fs::rename(project.path(from), project.path(to)).expect("renames");
        project.replace("pipeline.toml", from, to);
    };
    rename("data/in.txt", "data/other.txt");
    expect(&project, "reused", "reused");
}
