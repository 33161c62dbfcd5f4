use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use crate::project::{Project, TWO, cached};

#[test]
fn a_damaged_result_in_the_cache_is_set_aside_and_made_again() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    // Same size: only its bytes tell.
    fs::write(cached(&project, "a\nb\nc\n"), "a\nX\nc\n").expect("writes");
    project.remove("out");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.err.contains("the result in the cache was damaged; it is now in cache/damaged/"),
        "{}",
        ended.err
    );
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
    assert_eq!(project.trace(), ["sort", "count", "sort"]);
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn a_result_with_a_missing_part_or_unreadable_record_is_made_again() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    fs::remove_file(cached(&project, "a\nb\nc\n")).expect("removes");
    assert_eq!(project.states()["sort"], "stale");
    project.expect(&[], &[("sort", "executed"), ("count", "reused")]);
    for entry in project.entries() {
        fs::write(entry.join("entry.json"), "{ not json").expect("writes");
    }
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
}

#[test]
fn without_a_cache_everything_executes_and_with_it_no_lock_is_needed() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.remove("cache");
    let stages = project.stages();
    assert_eq!(stages[0]["reasons"][0], "result not in the cache");
    assert_eq!(stages[0]["next"], "execute");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    project.remove("pipeline.lock");
    assert_eq!(project.states()["sort"], "never-run");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    assert_eq!(project.states()["sort"], "fresh");
}

#[test]
fn an_unreadable_lock_says_how_to_go_on() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let lock = project.read("pipeline.lock");
    for (damaged, message) in [
        (
            lock.replace("[stage.sort]", "<<<<<<< HEAD\n[stage.sort]"),
            "has a merge conflict in it\n  help: type `ner-pipe lock resolve`",
        ),
        (lock.replace("key = ", "key : "), "is damaged"),
        (lock.replace("format = 1", "format = 2"), "has format 2"),
    ] {
        project.write("pipeline.lock", &damaged);
        for command in ["run", "status"] {
            let ended = project.ner_pipe(&[command]);
            assert_eq!(ended.code, Some(2), "{}", ended.err);
            assert!(ended.err.contains(message) && ended.err.contains("help: "), "{}", ended.err);
        }
    }
    project.remove("pipeline.lock");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    assert_eq!(project.read("pipeline.lock"), lock);
}

#[test]
fn a_newer_cache_is_left_alone() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.write("cache/version", "2\n");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("format `2`") && ended.err.contains("help: "), "{}", ended.err);
}

#[test]
fn the_lock_holds_no_time_and_no_place() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let lock = project.read("pipeline.lock");
    let place = project.path("").display().to_string();
    assert!(!lock.contains(&place) && !lock.contains("seconds"), "{lock}");
    for gone in ["cache", "pipeline.lock", "out"] {
        project.remove(gone);
    }
    project.ok(&["run"]);
    assert_eq!(project.read("pipeline.lock"), lock, "the same again");
}

#[test]
fn the_cache_is_for_its_owner_alone() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    for entry in walkdir::WalkDir::new(project.path("cache")) {
        let entry = entry.expect("is readable");
        let mode = entry.metadata().expect("is readable").permissions().mode() & 0o777;
        let wanted = if entry.file_type().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", entry.path().display());
    }
}

#[test]
fn two_projects_that_share_a_cache_by_a_link_know_nothing_else_of_each_other() {
    let project = Project::new("");
    for name in ["a", "b"] {
        project.write(&format!("{name}/data/in.txt"), "b\na\nc\n");
        project.write(&format!("{name}/pipeline.toml"), TWO);
        fs::create_dir_all(project.path("shared")).expect("creates");
        symlink("../shared", project.path(&format!("{name}/cache"))).expect("links");
    }
    project.ok(&["-C", "a", "run"]);
    project.write("b/out/sorted.txt", "the user's");
    let ended = project.ner_pipe(&["-C", "b", "run"]);
    assert_eq!(ended.code, Some(2), "only the other one published there");
    project.remove("b/out");
    project.expect(&["-C", "b"], &[("sort", "restored"), ("count", "restored")]);
    project.replace("a/pipeline.toml", "wc -l < {data} > {n}", "exit 3");
    assert_eq!(project.ner_pipe(&["-C", "a", "run"]).code, Some(1));
    assert!(project.ner_pipe(&["-C", "a", "log", "count"]).err.contains("count failed"));
    let ended = project.ner_pipe(&["-C", "b", "log", "count"]);
    assert!(!ended.err.contains("failed") && ended.out.contains("wc -l"), "{}{}", ended.err, ended.out);
}

#[test]
fn two_pipeline_files_share_the_cache_and_nothing_else() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.write("autre/pipeline.toml", &TWO.replace("out/", "autre/out/"));
    project.expect(&["--file", "autre/pipeline.toml"], &[("sort", "restored"), ("count", "restored")]);
    assert_eq!(project.read("autre/out/sorted.txt"), "a\nb\nc\n");
    assert!(project.exists("autre/pipeline.lock"));
    assert_eq!(project.trace(), ["sort", "count"]);
}
