//! Every file in the cache is damaged in place: one bit, with mode and time put back.

use std::{
    fs::{self, File, FileTimes, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::project::Project;

const PIPELINE: &str = r#"
[sources]
in = { path = "data/in.txt", kind = "file" }

[stage.many]
use = "command"
inputs = { data = "sources.in" }
outputs = { out = "out/many/" }
params = { run = "echo many; mkdir -p {out}/below; cp {data} {out}/a; cp {data} {out}/below/b" }

[stage.last]
use = "command"
inputs = { many = "many.out" }
outputs = { out = "out/last.txt" }
params = { run = "echo last; cat {many}/a {many}/below/b > {out}" }
"#;

/// A byte of a file.
#[derive(Clone, Copy, Debug)]
enum Place {
    First,
    Middle,
    Last,
}

fn flip(path: &Path, place: Place) {
    let meta = fs::metadata(path).expect("is there");
    let mut bytes = fs::read(path).expect("is readable");
    let at = match place {
        Place::First => 0,
        Place::Middle => bytes.len() / 2,
        Place::Last => bytes.len() - 1,
    };
    bytes[at] ^= 1;
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("can be set");
    fs::write(path, bytes).expect("writes");
    let file = File::options().append(true).open(path).expect("opens");
    file.set_times(FileTimes::new().set_modified(meta.modified().expect("is known"))).expect("can be set");
    fs::set_permissions(path, meta.permissions()).expect("can be set");
}

fn objects(project: &Project) -> Vec<PathBuf> {
    let mut found: Vec<_> = walkdir::WalkDir::new(project.path("cache/entries"))
        .into_iter()
        .map(|entry| entry.expect("is readable"))
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(project.path("")).expect("is below").to_owned())
        .collect();
    found.sort();
    found
}

fn is_right(project: &Project, case: &str) {
    assert_eq!(project.read("out/many/below/b"), "b\na\nc\n", "{case}");
    assert_eq!(project.read("out/last.txt"), "b\na\nc\nb\na\nc\n", "{case}");
}

fn ran() -> Project {
    let project = Project::new(PIPELINE);
    project.ok(&["run"]);
    project
}

#[test]
fn a_flipped_bit_anywhere_in_the_cache_is_found_on_use_reported_and_repaired() {
    let objects_of_all = objects(&ran());
    assert_eq!(objects_of_all.len(), 9, "{objects_of_all:?}");
    for place in [Place::First, Place::Middle, Place::Last] {
        let project = ran();
        let lock = project.read("pipeline.lock");
        for object in objects(&project) {
            let case = format!("{place:?} of {}", object.display());
            flip(&project.path(&object.to_string_lossy()), place);
            project.remove("out");
            let ended = project.ner_pipe(&["run", "--format", "json"]);
            assert_eq!(ended.code, Some(0), "{case}: {}", ended.err);
            let events = ended.events();
            let run = events.last().expect("has one");
            let noted =
                ended.out.contains("the result in the cache was damaged; it is now in cache/damaged/");
            if object.ends_with("log.txt") {
                assert_eq!((run["restored"].as_u64(), noted), (Some(2), false), "{case}: no run uses a log");
            } else {
                assert_eq!(
                    (run["restored"].as_u64(), run["executed"].as_u64(), noted),
                    (Some(1), Some(1), true),
                    "{case}"
                );
            }
            is_right(&project, &case);
            assert_eq!(project.read("pipeline.lock"), lock, "{case}");
        }
        let logs = ["many", "last"].map(|stage| project.ner_pipe(&["log", stage]));
        // The flips of other objects made their stage execute again; the log, flipped last or not, tells.
        assert!(logs.iter().all(|ended| ended.code == Some(0)));
    }
}

#[test]
fn a_flipped_bit_behind_artifacts_that_are_right_changes_nothing() {
    for place in [Place::First, Place::Middle, Place::Last] {
        let project = ran();
        let lock = project.read("pipeline.lock");
        for object in objects(&project) {
            let case = format!("{place:?} of {}", object.display());
            flip(&project.path(&object.to_string_lossy()), place);
            let ended = project.ner_pipe(&["run", "--format", "json"]);
            assert_eq!(ended.code, Some(0), "{case}: {}", ended.err);
            let events = ended.events();
            let executed = &events.last().expect("has one")["executed"];
            let read = object.ends_with("entry.json") || object.ends_with("manifest.json");
            assert_eq!(executed, u32::from(read), "{case}: only records are read");
            assert_eq!(ended.out.contains("was damaged"), read, "{case}");
            is_right(&project, &case);
            assert_eq!(project.read("pipeline.lock"), lock, "{case}");
            assert_eq!(project.ner_pipe(&["status", "--check"]).code, Some(0), "{case}");
        }
    }
}

#[test]
fn a_damaged_log_is_shown_with_a_warning() {
    let project = ran();
    assert!(!project.ner_pipe(&["log", "last"]).err.contains("damaged"));
    for object in objects(&project).iter().filter(|object| object.ends_with("log.txt")) {
        flip(&project.path(&object.to_string_lossy()), Place::Middle);
    }
    let ended = project.ner_pipe(&["log", "last"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains("last: the log in the cache was damaged"), "{}", ended.err);
}

#[test]
fn everything_in_the_cache_damaged_at_once_is_made_anew() {
    let project = ran();
    for object in objects(&project) {
        flip(&project.path(&object.to_string_lossy()), Place::Last);
    }
    project.remove("out");
    project.expect(&[], &[("many", "executed"), ("last", "executed")]);
    is_right(&project, "all");
    project.remove("out");
    project.expect(&[], &[("many", "restored"), ("last", "restored")]);
    is_right(&project, "all");
}

#[test]
fn a_part_of_an_entry_that_was_removed_is_made_anew() {
    let count = objects(&ran()).len();
    for at in 0..count {
        let project = ran();
        let object = objects(&project)[at].display().to_string();
        project.remove(&object);
        project.remove("out");
        let (code, outcomes) = project.run(&[]);
        let executed = outcomes.values().filter(|outcome| *outcome == "executed").count();
        assert_eq!((code, executed), (0, usize::from(!object.ends_with("log.txt"))), "{object}");
        is_right(&project, &object);
    }
}
