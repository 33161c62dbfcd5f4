//! A change of code: named, and accepted where it changes no result.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::project::{Ended, Project, program, text};

/// Each with the name it is asked for by.
pub const TESTS: [(&str, fn()); 9] = [
    ("a_change_of_code_is_named_by_its_parts", a_change_of_code_is_named_by_its_parts),
    (
        "a_change_of_code_touches_only_the_stage_that_has_it",
        a_change_of_code_touches_only_the_stage_that_has_it,
    ),
    ("an_accepted_result_is_fresh_and_says_so", an_accepted_result_is_fresh_and_says_so),
    ("a_dry_run_of_accept_writes_nothing", a_dry_run_of_accept_writes_nothing),
    ("accept_refuses_what_is_more_than_code", accept_refuses_what_is_more_than_code),
    ("accept_refuses_a_damaged_result", accept_refuses_a_damaged_result),
    ("several_stages_are_accepted_in_order", several_stages_are_accepted_in_order),
    ("a_record_of_an_older_ner_pipe_is_still_read", a_record_of_an_older_ner_pipe_is_still_read),
    ("the_code_of_a_stage_can_be_listed", the_code_of_a_stage_can_be_listed),
];

/// One probe, one clock that reads what the probe made, and a command after that.
fn chain() -> Project {
    let project = Project::new(
        r#"
[sources]
in = { path = "data/in.txt", kind = "file" }
[stage.probe]
inputs = { text = "sources.in" }
[stage.second]
use = "probe"
inputs = { text = "probe.report" }
[stage.after]
use = "command"
inputs = { report = "second.report" }
outputs = { copy = "out/copy.json" }
params = { run = "echo after >> trace; cp {report} {copy}" }
"#,
    );
    project.write("calm", "");
    project
}

/// With other code in this part.
const CHANGED: &str = "probe ml/losses.rs 2";

fn with(project: &Project, code: &str, arguments: &[&str]) -> Ended {
    let mut command = program();
    command.args(arguments).current_dir(project.path(".")).env("NER_PIPE_TEST_CODE", code);
    let output = command.output().expect("starts");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("is UTF-8"),
        err: String::from_utf8(output.stderr).expect("is UTF-8"),
    }
}

fn ok(project: &Project, code: &str, arguments: &[&str]) -> String {
    let ended = with(project, code, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}\n{}\n{}", ended.out, ended.err);
    ended.out
}

fn status(project: &Project, code: &str) -> Vec<Value> {
    let status: Value =
        serde_json::from_str(&ok(project, code, &["status", "--format", "json"])).expect("is JSON");
    status["stages"].as_array().expect("is a list").clone()
}

fn states(project: &Project, code: &str) -> Vec<String> {
    status(project, code).iter().map(|stage| text(&stage["state"])).collect()
}

/// How often stages and commands executed: one entry each.
fn entries(project: &Project) -> usize {
    project.entries().len()
}

fn a_change_of_code_is_named_by_its_parts() {
    let project = chain();
    project.ok(&["run"]);
    assert_eq!(states(&project, ""), ["fresh", "fresh", "fresh"]);
    let stages = status(&project, CHANGED);
    assert_eq!(stages[0]["reasons"][0], "code changed: ml/losses.rs");
    assert_eq!(stages[0]["root"], "probe: code changed: ml/losses.rs");
    assert_eq!(stages[0]["certain"][0], "code changed: ml/losses.rs");
    let below = stages[1]["reasons"].as_array().expect("is a list");
    assert_eq!(below[0], "code changed: ml/losses.rs");
    assert_eq!(below[1], "input probe.report may change (probe: code changed: ml/losses.rs)");
    assert_eq!(stages[1]["maybe"].as_array().map(Vec::len), Some(1));
    assert!(ok(&project, CHANGED, &["why", "after"]).contains("(second: code changed: ml/losses.rs)"));
    assert!(ok(&project, "probe new.rs 1", &["why", "probe"]).contains("  code changed: new.rs (new)\n"));
    let run = ok(&project, CHANGED, &["run"]);
    assert!(run.contains("(code changed: ml/losses.rs)"), "{run}");
    let lock = project.read("pipeline.lock");
    project.remove("cache");
    assert_eq!(status(&project, "")[0]["reasons"][0], "code changed", "the lock alone knows no parts");
    assert!(!lock.contains("losses.rs"), "{lock}");
}

fn a_change_of_code_touches_only_the_stage_that_has_it() {
    let project = chain();
    project.ok(&["run"]);
    assert_eq!(states(&project, "clock ml/losses.rs 2"), ["fresh", "fresh", "fresh"]);
    let before = entries(&project);
    ok(&project, CHANGED, &["run"]);
    // The probe gives the same bytes again, so the command below it is not asked.
    assert_eq!(entries(&project), before + 2);
    assert_eq!(project.trace(), ["after"]);
}

fn an_accepted_result_is_fresh_and_says_so() {
    let project = chain();
    project.ok(&["run"]);
    let old = text(&status(&project, "")[0]["key"]);
    let said = ok(&project, CHANGED, &["accept", "probe"]);
    assert!(said.starts_with("probe  accepted: ") && said.contains("(code changed: ml/losses.rs)"), "{said}");
    let stages = status(&project, CHANGED);
    assert_eq!((&stages[0]["state"], &stages[0]["next"]), (&"fresh".into(), &"reuse".into()));
    assert_eq!(stages[0]["accepted_from"], old.as_str());
    assert!(ok(&project, CHANGED, &["status"]).contains("its result was accepted from "));
    assert!(ok(&project, CHANGED, &["why", "probe"]).contains("its result was accepted from "));
    assert_eq!(
        stages[1]["reasons"].as_array().map(Vec::len),
        Some(1),
        "its own code alone: its input is known"
    );
    assert_eq!(states(&project, "")[0], "stale", "the lock now has the new key");
    // Once more, to code that is yet another: it still says what it was really made for.
    ok(&project, "probe ml/losses.rs 3", &["accept", "probe"]);
    assert_eq!(status(&project, "probe ml/losses.rs 3")[0]["accepted_from"], old.as_str());
    assert!(status(&project, "probe ml/losses.rs 3")[2]["accepted_from"].is_null());
    project.remove("artifacts");
    ok(&project, "probe ml/losses.rs 3", &["run", "probe"]);
    assert!(project.exists("artifacts/probe/report.json"), "it is a result like others");
    assert!(ok(&project, "probe ml/losses.rs 3", &["log", "probe"]).contains("a table"));
}

fn a_dry_run_of_accept_writes_nothing() {
    let project = chain();
    project.ok(&["run"]);
    let before = (entries(&project), project.read("pipeline.lock"));
    let said = ok(&project, CHANGED, &["accept", "--all", "--dry-run"]);
    assert_eq!(said.matches("would be accepted").count(), 2, "{said}");
    assert_eq!((entries(&project), project.read("pipeline.lock")), before);
}

fn accept_refuses_what_is_more_than_code() {
    let project = chain();
    let refused = |code: &str, arguments: &[&str], why: &str| {
        let ended = with(&project, code, &[&["accept"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.out);
        assert!(ended.err.contains(why) && ended.err.contains("help: "), "{why}\n{}", ended.err);
    };
    refused("", &["probe"], "`probe` cannot be accepted: it has no recorded result");
    project.ok(&["run"]);
    refused("", &["probe"], "its code did not change");
    refused("", &["after"], "its code did not change");
    refused(CHANGED, &["second"], "its input `text` is not known yet");
    refused(CHANGED, &["nobody"], "no stage `nobody`");
    let before = (entries(&project), project.read("pipeline.lock"));
    refused(CHANGED, &["probe", "after"], "`after` cannot be accepted");
    assert_eq!((entries(&project), project.read("pipeline.lock")), before, "all or none");
    project.write("data/in.txt", "other\n");
    refused(CHANGED, &["probe"], "more than its code differs: input `text` changed");
    project.write("data/in.txt", "b\na\nc\n");
    project.replace("pipeline.toml", "[stage.second]", "params = { temperature = 3.0 }\n[stage.second]");
    refused(CHANGED, &["probe"], "more than its code differs: params.temperature 2.5 -> 3.0");
    project.replace("pipeline.toml", "params = { temperature = 3.0 }\n", "");
    assert_eq!(
        ok(&project, "", &["accept", "--all"]),
        "nothing to accept: no stage changed in its code alone\n"
    );
    project.remove("cache/entries");
    refused(CHANGED, &["probe"], "its last result is not in the cache");
}

fn accept_refuses_a_damaged_result() {
    let project = chain();
    project.ok(&["run"]);
    for entry in project.entries() {
        let output: PathBuf = entry.join("out/report/report.json");
        if output.exists() {
            let bytes = fs::read_to_string(&output).expect("is readable");
            fs::write(&output, bytes.replace("temperature", "temperaturf")).expect("writes");
        }
    }
    let ended = with(&project, CHANGED, &["accept", "probe"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("its result is damaged in the cache: output `report`"), "{}", ended.err);
}

fn several_stages_are_accepted_in_order() {
    for arguments in [["accept", "second", "probe"].as_slice(), &["accept", "--all"]] {
        let project = chain();
        project.ok(&["run"]);
        let said = ok(&project, CHANGED, arguments);
        let order: Vec<_> = said.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(order, ["probe", "second"]);
        assert_eq!(states(&project, CHANGED), ["fresh", "fresh", "fresh"]);
        let before = entries(&project);
        let run = ok(&project, CHANGED, &["run"]);
        assert!(run.contains("3 stages: 3 reused"), "{run}");
        assert_eq!(entries(&project), before);
        assert_eq!(project.trace(), ["after"]);
    }
}

fn a_record_of_an_older_ner_pipe_is_still_read() {
    let project = chain();
    project.ok(&["run"]);
    for entry in project.entries() {
        let path = entry.join("entry.json");
        let mut record: Value = serde_json::from_slice(&fs::read(&path).expect("is there")).expect("is JSON");
        record
            .as_object_mut()
            .expect("is an object")
            .retain(|name, _| !["code", "accepted_from", "seal", "log"].contains(&name.as_str()));
        fs::write(&path, record.to_string()).expect("writes");
    }
    assert_eq!(states(&project, ""), ["fresh", "fresh", "fresh"]);
    assert_eq!(status(&project, CHANGED)[0]["reasons"][0], "code changed", "its parts were not recorded");
    ok(&project, CHANGED, &["accept", "--all"]);
    assert_eq!(states(&project, CHANGED), ["fresh", "fresh", "fresh"]);
}

fn the_code_of_a_stage_can_be_listed() {
    let project = chain();
    let said = project.ok(&["stages", "probe"]);
    assert!(said.contains("  code that a result depends on\n    ml/corpus.rs\n    ml/losses.rs\n"), "{said}");
    let json: Value =
        serde_json::from_str(&project.ok(&["stages", "probe", "--format", "json"])).expect("is JSON");
    assert_eq!(json["stages"][0]["code"]["ml/losses.rs"], "1");
}
