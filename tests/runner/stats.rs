//! `cache/stats`: what files contain, by what the file system says about them.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    thread,
    time::{Duration, SystemTime},
};

use crate::project::{Project, TWO};

/// Long enough for every file's times to prove something.
fn settle() {
    thread::sleep(Duration::from_millis(30));
}

fn modified(project: &Project, path: &str) -> SystemTime {
    fs::metadata(project.path(path)).and_then(|meta| meta.modified()).expect("is there")
}

fn set_modified(project: &Project, path: &str, time: SystemTime) {
    let file = File::options().append(true).open(project.path(path)).expect("opens");
    file.set_modified(time).expect("sets the time");
}

/// Runs until everything is remembered.
fn remembered() -> Project {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    settle();
    project.ok(&["run"]);
    project
}

#[test]
fn an_edit_of_the_same_size_and_time_is_noticed() {
    let project = remembered();
    for (path, text, outcomes) in [
        ("data/in.txt", "b\na\nd\n", [("sort", "executed"), ("count", "executed")]),
        ("out/sorted.txt", "a\nb\nX\n", [("sort", "restored"), ("count", "reused")]),
    ] {
        let before = modified(&project, path);
        project.write(path, text);
        set_modified(&project, path, before);
        assert_ne!(project.states()["sort"], "fresh", "{path}");
        project.expect(&[], &outcomes);
        settle();
        project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    }
}

#[test]
fn files_from_the_future_are_read_each_time() {
    let project = remembered();
    let tomorrow = SystemTime::now() + Duration::from_hours(24);
    for text in ["b\na\nd\n", "b\na\ne\n", "b\na\nf\n"] {
        project.write("data/in.txt", text);
        set_modified(&project, "data/in.txt", tomorrow);
        project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
        project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    }
}

#[test]
fn it_is_private_and_a_run_with_nothing_new_leaves_it_alone() {
    let project = remembered();
    let mode = fs::metadata(project.path("cache/stats")).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    settle();
    let before = modified(&project, "cache/stats");
    project.ok(&["run"]);
    project.ok(&["status"]);
    assert_eq!(modified(&project, "cache/stats"), before);
    assert_eq!(fs::read_dir(project.path("cache/tmp")).expect("is there").count(), 0);
}

#[test]
fn whatever_lies_in_its_place_is_no_error_and_is_rewritten() {
    let project = remembered();
    let whole = fs::read(project.path("cache/stats")).expect("is there");
    for bytes in [&whole[..whole.len() / 2], b"", b"something else entirely, and rather longer than the head"]
    {
        fs::write(project.path("cache/stats"), bytes).expect("writes");
        assert_eq!(project.states()["count"], "fresh");
        assert_eq!(fs::read(project.path("cache/stats")).expect("is there").len(), whole.len());
    }
    project.remove("cache/stats");
    fs::create_dir_all(project.path("cache/stats/mine")).expect("creates");
    assert_eq!(project.states()["count"], "fresh");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    assert!(project.exists("cache/stats/mine"));
}

#[test]
fn a_cache_that_cannot_be_written_does_not_stop_status() {
    let project = remembered();
    project.remove("cache/stats");
    project.remove("cache/tmp");
    // In the way of every new file, also for root.
    project.write("cache/tmp", "");
    assert_eq!(project.states()["sort"], "fresh");
    assert!(!project.exists("cache/stats"));
}

#[test]
fn status_remembers_but_makes_no_cache() {
    let project = Project::new(TWO);
    settle();
    project.ok(&["status"]);
    assert!(!project.exists("cache"));
    project.ok(&["run"]);
    project.write("data/in.txt", "z\n");
    settle();
    let before = fs::read(project.path("cache/stats")).expect("is there");
    project.ok(&["status"]);
    assert_ne!(fs::read(project.path("cache/stats")).expect("is there"), before);
}

#[test]
fn what_a_killed_run_left_of_it_is_swept() {
    let project = remembered();
    project.write("cache/tmp/stats.a1b2c3d4e5f6a7b8", "half");
    project.ok(&["run"]);
    assert!(!project.exists("cache/tmp/stats.a1b2c3d4e5f6a7b8"));
}
