//! How it ends: every exit code of docs/formats.md, and output that cannot be written. 3 is in `status`, 4 in
//! `together`, 5 in `verify`, 6 and 101 in tests/registry.rs, 130 in `crash`; here they stand together.

use std::{fs::OpenOptions, process::Command};

use rustix::process::Signal;

use crate::project::{Project, TWO, cached};

/// Runs with standard output on a device that is always full.
fn into_a_full_disk(project: &Project, arguments: &[&str]) -> (Option<i32>, String) {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let output = Command::new(env!("CARGO_BIN_EXE_ner-pipe"))
        .args(arguments)
        .current_dir(project.path(""))
        .stdout(full)
        .output()
        .expect("starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn events_that_cannot_be_written_are_an_error_and_the_stages_are_done() {
    for format in ["json", "text"] {
        let project = Project::new(TWO);
        let (code, err) = into_a_full_disk(&project, &["run", "--format", format]);
        assert_eq!(code, Some(1), "{format}: {err}");
        assert!(err.contains("all stages are done, but the output is incomplete"), "{format}: {err}");
        assert!(err.contains("No space left on device"), "{format}: {err}");
        project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
        let project = Project::new(&TWO.replace("wc -l < {data} > {n}", "exit 3"));
        let (code, err) = into_a_full_disk(&project, &["run", "--format", format]);
        assert_eq!(code, Some(1));
        assert!(err.contains("the output is incomplete: No space left"), "{format}: {err}");
    }
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let others = [
        "status",
        "metrics",
        "verify",
        "schema",
        "man",
        "gc",
        "completions bash",
        "stages",
        "log sort",
        "why sort",
    ];
    for command in others {
        let (code, err) = into_a_full_disk(&project, &command.split(' ').collect::<Vec<_>>());
        assert_eq!(code, Some(1), "{command}: {err}");
        assert!(err.contains("No space left on device"), "{command}: {err}");
    }
}

#[test]
fn every_end_has_its_code() {
    let project = Project::new(TWO);
    let code = |arguments: &[&str]| project.ner_pipe(arguments).code.expect("was not killed");
    assert_eq!(code(&["status", "--check"]), 3);
    assert_eq!(code(&["run"]), 0);
    assert_eq!(code(&["status", "--check"]), 0);
    assert_eq!(code(&["run", "nobody"]), 2);
    std::fs::write(cached(&project, "a\nb\nc\n"), "a\nX\nc\n").expect("writes");
    assert_eq!(code(&["verify"]), 5);
    project.write("pipeline.toml", &TWO.replace("wc -l", "exit 7; wc -l"));
    assert_eq!(code(&["run"]), 1);
    project.write("pipeline.toml", "not toml");
    assert_eq!(code(&["run"]), 2);
    let slow = TWO.replace("wc -l", "echo $$ > shell; while [ ! -e go ]; do sleep 0.02; done; wc -l");
    project.write("pipeline.toml", &slow);
    let running = project.start(&["run"]);
    project.wait_for("shell");
    assert_eq!(code(&["run", "--no-wait"]), 4);
    running.signal(Signal::INT);
    assert_eq!(running.end().code, Some(130));
    // 6 and 101 need stages of a registry: tests/registry.rs.
}
