//! How stages end, and what is said then.

use rustix::process::Signal;

use super::{probe, project::gone};

/// Each with the name it is asked for by.
pub const TESTS: [(&str, fn()); 9] = [
    ("a_failed_gate_ends_with_6_also_when_reused", a_failed_gate_ends_with_6_also_when_reused),
    ("an_inconclusive_gate_fails_only_when_strict", an_inconclusive_gate_fails_only_when_strict),
    ("an_error_comes_with_its_causes_and_help", an_error_comes_with_its_causes_and_help),
    ("a_panic_is_our_fault_and_ends_with_101", a_panic_is_our_fault_and_ends_with_101),
    ("a_checkpoint_is_kept_until_the_stage_succeeds", a_checkpoint_is_kept_until_the_stage_succeeds),
    ("a_cancelled_stage_writes_its_checkpoint", a_cancelled_stage_writes_its_checkpoint),
    ("a_killed_runner_leaves_no_stage", a_killed_runner_leaves_no_stage),
    ("preflight_stops_everything_before_it_begins", preflight_stops_everything_before_it_begins),
    (
        "a_fault_of_ours_is_not_tried_again_and_an_error_is",
        a_fault_of_ours_is_not_tried_again_and_an_error_is,
    ),
];

fn a_failed_gate_ends_with_6_also_when_reused() {
    let project = probe("gate = \"fail\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(6), "{}", ended.err);
    assert!(ended.out.contains("failed gates: probe.size"), "{}", ended.out);
    assert!(project.exists("out/copy.json"), "a verdict is a result: it is published, and the rest runs");
    let (code, outcomes) = project.run(&[]);
    assert_eq!((code, outcomes["probe"].as_str()), (6, "reused"));
    let ended = project.ner_pipe(&["run"]);
    assert!(ended.out.contains("`ner-pipe log probe` shows the numbers"), "{}", ended.out);
    project.write("b.toml", &project.read("pipeline.toml").replace("out/", "b/"));
    project.ner_pipe(&["run", "--file", "b.toml"]);
    let ended = project.ner_pipe(&["run", "--file", "b.toml"]);
    assert!(ended.out.contains("`ner-pipe log probe --file b.toml` shows the numbers"), "{}", ended.out);
    assert!(project.ok(&["why", "probe", "--file", "b.toml"]).contains("`ner-pipe run --file b.toml` would"));
    assert!(project.ok(&["clean", "--file", "b.toml"]).contains("`ner-pipe run --file b.toml` places them"));
    assert_eq!(project.run(&["after"]).0, 6, "it is in the requested graph");
}

fn an_inconclusive_gate_fails_only_when_strict() {
    let project = probe("gate = \"inconclusive\"");
    assert_eq!(project.run(&[]).0, 0);
    assert_eq!(project.run(&["--strict"]).0, 6);
}

fn an_error_comes_with_its_causes_and_help() {
    let project = probe("end = \"error\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1));
    for line in [
        "  cannot read the corpus",
        "  because: no such line",
        "  help: write the line",
        "  | on standard error",
    ] {
        assert!(ended.err.contains(line), "{}", ended.err);
    }
}

fn a_panic_is_our_fault_and_ends_with_101() {
    let project = probe("end = \"panic\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(101), "{}", ended.err);
    assert!(ended.err.contains("the stage's code is wrong: it panicked at "), "{}", ended.err);
    assert!(ended.err.contains("fake.rs:"), "{}", ended.err);
    let log = project.ok(&["log", "probe"]);
    assert!(log.contains("fake.rs:"), "{log}");
    assert!(!(ended.err + &log).contains("not so"), "what a panic says may quote the corpus");
    let ended = project.ner_pipe(&["run", "--show-text"]);
    assert!(ended.err.contains("the stage's code is wrong: not so"), "{}", ended.err);
    let project = probe("end = \"exit\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(101), "{}", ended.err);
    assert!(ended.err.contains("its process ended with exit code 9 without reporting how"), "{}", ended.err);
}

fn a_checkpoint_is_kept_until_the_stage_succeeds() {
    let project = probe("end = \"kill\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("killed by SIGKILL: often the kernel's out-of-memory killer"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("kept: its checkpoint, from which the next run resumes"), "{}", ended.err);
    project.write("calm", "");
    project.expect(&[], &[("probe", "executed"), ("after", "executed")]);
    assert!(project.read("out/copy.json").contains("\"resumed\": true"));
    let left = std::fs::read_dir(project.path("cache/checkpoints")).expect("is there").count();
    assert_eq!(left, 0);
}

fn a_cancelled_stage_writes_its_checkpoint() {
    let project = probe("end = \"wait\"");
    let running = project.start(&["run"]);
    let stage = project.pid("stage");
    running.signal(Signal::INT);
    assert_eq!(running.end().code, Some(130));
    gone(stage);
    project.write("calm", "");
    project.ok(&["run"]);
    assert!(project.read("out/copy.json").contains("\"resumed\": true"));
}

fn a_killed_runner_leaves_no_stage() {
    let project = probe("end = \"hang\"");
    let running = project.start(&["run"]);
    let stage = project.pid("stage");
    running.kill_group();
    gone(stage);
    drop(running.end());
    project.write("calm", "");
    project.expect(&[], &[("probe", "executed"), ("after", "executed")]);
}

fn preflight_stops_everything_before_it_begins() {
    let project = probe("");
    project.write("data/in.txt", "");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("the text is empty") && ended.err.contains("pipeline.toml"), "{}", ended.err);
    assert_eq!(project.entries().len(), 0);
    let second = "[stage.again]\nuse = \"probe\"\ninputs = { text = \"sources.in\" }\n[stage.after]";
    project.replace("pipeline.toml", "[stage.after]", second);
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.err.matches("the text is empty").count(), 1, "one source, told once: {}", ended.err);
    let ended = project.ner_pipe(&["run", "--dry-run"]);
    assert_eq!(ended.code, Some(2), "a dry run looks as well: {}", ended.out);
    assert!(ended.err.contains("the text is empty"), "{}", ended.err);
    let ended = probe("").ner_pipe(&["run", "--device", "cuda:1"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("no CUDA driver") && ended.err.contains("help: "), "{}", ended.err);
}

fn a_fault_of_ours_is_not_tried_again_and_an_error_is() {
    let with_retries = |end: &str| {
        let project = probe(&format!("end = \"{end}\""));
        project.replace("pipeline.toml", "[stage.probe]", "[stage.probe]\nretries = 1\nbackoff = \"1ms\"");
        project.ner_pipe(&["run"])
    };
    let ended = with_retries("panic");
    assert_eq!(ended.code, Some(101));
    assert!(!ended.err.contains("attempt"), "{}", ended.err);
    let ended = with_retries("error");
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("cannot read the corpus (attempt 2 of 2)"), "{}", ended.err);
}
