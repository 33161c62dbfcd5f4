//! Timeouts, retries, and that neither changes a key.

use std::fs;

use rustix::process::Signal;

use crate::project::{Project, gone, until};

fn project(run: &str, more: &str) -> Project {
    Project::new(&format!(
        r#"
[sources]
in = {{ path = "data/in.txt", kind = "file" }}
[stage.make]
use = "command"
inputs = {{ data = "sources.in" }}
outputs = {{ out = "out/made.txt" }}
params = {{ run = """echo make >> trace; {run}""" }}
{more}
"#
    ))
}

#[test]
fn a_stage_that_takes_too_long_is_stopped_with_all_that_it_started() {
    let project = project("sleep 600 & echo $! > child; wait", "timeout = \"3s\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("`make` took longer than its timeout of 3s"), "{}", ended.err);
    gone(project.pid("child"));
    assert!(!project.exists("out/made.txt"));
    assert!(project.ok(&["why", "make"]).contains("took longer than its timeout"));
}

#[test]
fn a_stage_that_does_not_listen_is_killed_when_its_grace_is_over() {
    let run = "trap 'echo asked >> asked' TERM; echo $$ > shell; while true; do sleep 0.05; done";
    let project = project(run, "timeout = \"3s\"\ngrace = \"300ms\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    gone(project.pid("shell"));
    assert_eq!(project.read("asked"), "asked\n", "it was asked first, and once");
}

#[test]
fn half_a_result_at_the_timeout_is_no_result_even_if_the_script_says_so() {
    let run = "trap 'exit 0' TERM; echo half > {out}; echo $$ > shell; while true; do sleep 0.05; done";
    let project = project(run, "timeout = \"3s\"");
    assert_eq!(project.run(&[]).1["make"], "failed");
    assert!(!project.exists("out/made.txt") && project.entries().is_empty());
}

#[test]
fn a_failed_process_is_tried_again_and_the_log_has_all_attempts() {
    let run =
        "echo try $(wc -l < trace); test $(wc -l < trace) = 3 || exit 3; test ! -e {out}; cp {data} {out}";
    let project = project(run, "retries = 2\nbackoff = \"10ms\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(project.trace().len(), 3);
    for said in [
        "make: attempt 1 of 3 failed: the command ended with exit code 3; the next one starts in 10ms",
        "make: attempt 2 of 3 failed: the command ended with exit code 3; the next one starts in 20ms",
    ] {
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    let log = project.ok(&["log", "make"]);
    let told = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text}: {log}"));
    assert!(told("try 1") < told("attempt 1 of 3") && told("attempt 2 of 3") < told("try 3"), "{log}");
}

#[test]
fn what_an_attempt_left_is_gone_before_the_next() {
    let run = "echo x >> {out}; echo y >> {out}.part; test $(wc -l < trace) = 2";
    let project = project(run, "retries = 1\nbackoff = \"1ms\"");
    project.ok(&["run"]);
    assert_eq!(project.read("out/made.txt"), "x\n");
}

#[test]
fn after_the_last_attempt_the_stage_fails_and_says_how_often_it_was_tried() {
    let project = project("exit 3", "retries = 1\nbackoff = \"1ms\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("the command ended with exit code 3 (attempt 2 of 2)"), "{}", ended.err);
    assert_eq!(project.trace().len(), 2);
}

#[test]
fn timeouts_and_signals_are_tried_again() {
    let run = "case $(wc -l < trace) in 1) sleep 600;; 2) kill -9 $PPID; sleep 600;; esac; cp {data} {out}";
    let project = project(run, "timeout = \"3s\"\nretries = 6\nbackoff = \"1ms\"");
    project.ok(&["run"]);
    // More where the machine is so busy that a copy takes too long.
    assert!(project.trace().len() >= 3);
}

#[test]
fn what_another_attempt_cannot_help_is_tried_once() {
    let project = project("true", "retries = 5\nbackoff = \"1ms\"");
    let ended = project.ner_pipe(&["run"]);
    assert!(ended.err.contains("output `out` is missing"), "{}", ended.err);
    assert_eq!(project.trace().len(), 1);
}

#[test]
fn ctrl_c_ends_a_backoff_and_is_no_reason_to_try_again() {
    let project = project("exit 3", "retries = 1\nbackoff = \"1h\"");
    let running = project.start(&["run", "--format", "json"]);
    until("the backoff", || {
        let files = walkdir::WalkDir::new(project.path("cache/tmp")).into_iter().flatten();
        let mut logs = files.filter(|file| file.file_name() == "log.txt");
        logs.any(|log| {
            fs::read_to_string(log.path()).is_ok_and(|text| text.contains("attempt 1 of 2 failed"))
        })
    });
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert_eq!(project.trace().len(), 1);
}

#[test]
fn during_a_backoff_others_may_use_what_the_stage_occupied() {
    let more = r#"
mutex = "m"
retries = 12
backoff = "50ms"
[stage.other]
use = "command"
inputs = { data = "sources.in" }
outputs = { out = "out/other.txt" }
params = { run = "touch go; cp {data} {out}" }
mutex = "m"
"#;
    // No attempt succeeds before `other` has had the mutex.
    let project = project("test -e go || exit 3; cp {data} {out}", more);
    project.expect(&["--jobs", "1"], &[("make", "executed"), ("other", "executed")]);
}

#[test]
fn the_terms_of_execution_are_no_part_of_the_key() {
    let project = project("cp {data} {out}", "");
    project.ok(&["run"]);
    let lock = project.read("pipeline.lock");
    let terms = "timeout = \"1h\"\ngrace = \"5s\"\nretries = 3\nbackoff = \"1m\"\nmutex = \"m\"\nresources = { cpu = 1, memory = \"1MiB\" }\n";
    let text = project.read("pipeline.toml");
    project.write("pipeline.toml", &format!("{text}{terms}"));
    project.expect(&["--jobs", "3"], &[("make", "reused")]);
    assert_eq!(project.states()["make"], "fresh");
    assert_eq!(project.read("pipeline.lock"), lock);
    assert_eq!(project.trace().len(), 1);
}
