//! What is said, to people and to programs.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::project::{Project, TWO};

#[test]
fn text_has_one_closing_line_per_stage_and_a_summary() {
    let project = Project::new(TWO);
    let said = project.ok(&["run"]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].starts_with("sort   executed   ") && lines[0].ends_with("(never run)"), "{said}");
    assert!(lines[2].starts_with("2 stages: 2 executed in "), "{said}");
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    let said = project.ok(&["run", "count"]);
    let count = said.lines().nth(1).expect("has one");
    assert!(count.contains("(input sort.out ") && count.contains("(sort: params.run "), "{said}");
}

#[test]
fn numbers_that_are_none_are_told_with_what_to_type() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    for (arguments, said) in [
        (["run", "--jobs", "0"], "type a whole number from 1 up"),
        (["run", "--threads", "0"], "type a whole number from 1 up"),
        (["status", "--threads", "many"], "type a whole number from 1 up"),
        (["gc", "--keep-size", "x"], "type a number and its unit, like `20GB`"),
        (["gc", "--keep-age", "30"], "type a number and its unit, like `30days`"),
    ] {
        let ended = project.ner_pipe(&arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(ended.err.contains(said), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn a_file_where_the_cache_should_be_is_called_one() {
    let project = Project::new(TWO);
    project.write("cache", "");
    for command in ["run", "status", "metrics"] {
        let ended = project.ner_pipe(&[command]);
        assert_eq!(ended.code, Some(1), "{command}");
        assert!(ended.err.contains("cache is a file"), "{}", ended.err);
        assert!(ended.err.contains("help: move it away: `mv cache another-name`"), "{}", ended.err);
    }
}

#[test]
fn json_ends_with_a_line_for_each_stage_and_one_for_the_run() {
    let project = Project::new(&TWO.replace("wc -l < {data} > {n}", "exit 3"));
    let ended = project.ner_pipe(&["run", "--format", "json"]);
    assert_eq!(ended.code, Some(1));
    let events = ended.events();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().expect("is named")).collect();
    assert_eq!(names, ["start", "start", "stage", "stage", "run"]);
    assert_eq!(events[2]["outcome"], "executed");
    assert!(events[2]["seconds"].is_f64() && events[2]["key"].as_str().is_some_and(|key| key.len() == 64));
    assert_eq!(events[3]["outcome"], "failed");
    assert_eq!(events[3]["fault"]["message"], "the command ended with exit code 3");
    let run = &events[4];
    assert_eq!(run["outcome"], "failed");
    for (name, count) in
        [("executed", 1), ("reused", 0), ("restored", 0), ("failed", 1), ("skipped", 0), ("cancelled", 0)]
    {
        assert_eq!(run[name], count, "{name}");
    }
    assert!(ended.err.is_empty(), "all of it is JSON: {}", ended.err);
}

#[test]
fn a_log_is_kept_of_a_result_and_of_a_failure() {
    let project = Project::new(&TWO.replace("echo count >> trace;", "echo counting; echo twice >&2;"));
    assert_eq!(project.ner_pipe(&["log", "count"]).code, Some(2), "no result yet");
    project.ok(&["run"]);
    let log = project.ok(&["log", "count"]);
    assert!(log.starts_with("$ echo counting; ") && log.ends_with("counting\ntwice\n"), "{log}");
    project.replace("pipeline.toml", "wc -l", "echo broken; exit 4; wc -l");
    assert_eq!(project.run(&[]).0, 1);
    let ended = project.ner_pipe(&["log", "count"]);
    assert!(ended.out.ends_with("broken\n"), "{}", ended.out);
    assert!(ended.err.contains("count failed: the command ended with exit code 4"), "{}", ended.err);
    assert!(project.ok(&["why", "count"]).contains("its last attempt failed: the command ended"));
    project.replace("pipeline.toml", "echo broken; exit 4; wc -l", "wc -l");
    project.ok(&["run"]);
    assert_eq!(project.ok(&["log", "count"]), log, "back to the result's");
}

#[test]
fn mistakes_in_the_file_stop_everything_before_it_begins() {
    let project = Project::new(&TWO.replace("sort.out", "sort.oot"));
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("nothing was done"), "{}", ended.err);
    assert!(!project.exists("cache") && project.trace().is_empty());
    assert_eq!(project.ner_pipe(&["status"]).code, Some(2));
}

#[test]
fn a_run_that_cannot_begin_says_so_in_its_events_too() {
    let project = Project::new(&TWO.replace("sort.out", "sort.oot"));
    let ended = project.ner_pipe(&["run", "--format", "json"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    let events: Vec<serde_json::Value> =
        ended.out.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
    let [problem, run] = events.as_slice() else { panic!("{}", ended.out) };
    assert_eq!(problem["event"], "problem");
    assert!(problem["message"].to_string().contains("oot") && problem["help"].is_string(), "{problem}");
    assert_eq!((run["event"].as_str(), run["outcome"].as_str()), (Some("run"), Some("failed")));
    assert_eq!(run["executed"], 0);
}

#[test]
fn help_names_the_pipeline_file_that_is_meant() {
    let project = Project::new(TWO);
    project
        .write("autre/pipeline.toml", &TWO.replace("out/", "autre/out/").replace("wc -l", "exit 3; wc -l"));
    let ended = project.ner_pipe(&["run", "--file", "autre/pipeline.toml"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("resume with: `ner-pipe run --file autre/pipeline.toml`"), "{}", ended.err);
}

#[test]
fn an_input_that_cannot_be_hashed_is_named() {
    let project = Project::new(&TWO.replace(
        r#"in = { path = "data/in.txt", kind = "file" }"#,
        r#"in = { path = "data", kind = "folder" }"#,
    ));
    std::os::unix::fs::symlink(project.path("data"), project.path("data/encore")).expect("links");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("leads back to a folder above it"), "{}", ended.err);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    for arguments in [&["status"] as &[&str], &["log", "sort"], &["why", "sort"], &["stages"], &["run"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ner-pipe"))
            .args(arguments)
            .current_dir(project.path(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("ends");
        assert!(ended.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn events_come_while_the_run_goes_on() {
    let project =
        Project::new(&TWO.replace("echo count", "while [ ! -e go ]; do sleep 0.02; done; echo count"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_ner-pipe"))
        .args(["run", "--format", "json"])
        .current_dir(project.path(""))
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
    let mut next = || lines.next().expect("has one").expect("is text");
    assert!(next().contains(r#""event":"start","stage":"sort""#));
    assert!(next().contains(r#""event":"start","stage":"count""#));
    project.write("go", "");
    assert!(child.wait().expect("ends").success());
}

#[test]
fn version_and_usage() {
    let project = Project::new(TWO);
    assert!(project.ok(&["--version"]).starts_with("ner-pipe 0."));
    assert!(project.ok(&["run", "--help"]).contains("--dry-run"));
    for wrong in [&["rnu"] as &[&str], &["run", "--device", "tpu"], &["run", "--threads", "0"], &[]] {
        assert_eq!(project.ner_pipe(wrong).code, Some(2), "{wrong:?}");
    }
}
