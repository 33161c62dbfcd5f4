//! What the runner promises to stages of a registry, with stages made for that. The binary is its own
//! program under test: with `NER_PIPE_UNDER_TEST` set it is `ner-pipe` with these stages, and so are the
//! child processes that it starts.

#[path = "registry/accept.rs"]
mod accept;
#[path = "registry/fake.rs"]
mod fake;
#[path = "runner/project.rs"]
#[expect(dead_code, reason = "shared with tests/runner, which uses the rest")]
mod project;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};
use project::{Project, gone, text};
use rustix::process::Signal;

fn main() -> ExitCode {
    if env::var_os(fake::UNDER_TEST).is_some() {
        return ner_pipe::cli::main(&fake::registry());
    }
    let tests: [(&str, fn()); 24] = [
        ("a_stage_gets_what_its_context_promises", a_stage_gets_what_its_context_promises),
        (
            "metrics_go_into_the_lock_and_measured_values_do_not",
            metrics_go_into_the_lock_and_measured_values_do_not,
        ),
        ("a_stage_is_executed_again_and_compared", a_stage_is_executed_again_and_compared),
        ("tools_have_completions_and_manual_pages_too", tools_have_completions_and_manual_pages_too),
        ("every_event_is_passed_on_with_its_stage", every_event_is_passed_on_with_its_stage),
        ("a_failed_gate_ends_with_6_also_when_reused", a_failed_gate_ends_with_6_also_when_reused),
        ("an_inconclusive_gate_fails_only_when_strict", an_inconclusive_gate_fails_only_when_strict),
        ("further_inputs_come_under_their_names", further_inputs_come_under_their_names),
        ("what_an_output_holds_is_described", what_an_output_holds_is_described),
        ("an_error_comes_with_its_causes_and_help", an_error_comes_with_its_causes_and_help),
        ("a_panic_is_our_fault_and_ends_with_101", a_panic_is_our_fault_and_ends_with_101),
        ("a_checkpoint_is_kept_until_the_stage_succeeds", a_checkpoint_is_kept_until_the_stage_succeeds),
        ("a_cancelled_stage_writes_its_checkpoint", a_cancelled_stage_writes_its_checkpoint),
        ("a_killed_runner_leaves_no_stage", a_killed_runner_leaves_no_stage),
        ("preflight_stops_everything_before_it_begins", preflight_stops_everything_before_it_begins),
        ("a_changed_default_is_named_exactly", a_changed_default_is_named_exactly),
        ("a_measuring_stage_belongs_to_its_machine", a_measuring_stage_belongs_to_its_machine),
        (
            "instances_draw_alike_and_differ_by_their_values_alone",
            instances_draw_alike_and_differ_by_their_values_alone,
        ),
        ("a_stage_may_have_seeds_of_its_own", a_stage_may_have_seeds_of_its_own),
        ("stages_take_all_cpus_unless_they_say_how_many", stages_take_all_cpus_unless_they_say_how_many),
        (
            "no_two_stages_share_a_gpu_unless_the_file_says_so",
            no_two_stages_share_a_gpu_unless_the_file_says_so,
        ),
        ("every_gpu_has_a_stage_of_its_own", every_gpu_has_a_stage_of_its_own),
        (
            "the_number_of_jobs_does_not_change_what_is_measured",
            the_number_of_jobs_does_not_change_what_is_measured,
        ),
        (
            "a_fault_of_ours_is_not_tried_again_and_an_error_is",
            a_fault_of_ours_is_not_tried_again_and_an_error_is,
        ),
    ];
    let trials = tests.into_iter().chain(accept::TESTS).map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A pipeline of one probe with these parameters, and a stage after it.
fn probe(params: &str) -> Project {
    Project::new(&format!(
        r#"
seed = 7
[sources]
in = {{ path = "data/in.txt", kind = "file" }}
[stage.probe]
inputs = {{ text = "sources.in" }}
params = {{ {params} }}
[stage.after]
use = "command"
inputs = {{ report = "probe.report" }}
outputs = {{ copy = "out/copy.json" }}
params = {{ run = "cp {{report}} {{copy}}" }}
"#
    ))
}

fn a_stage_gets_what_its_context_promises() {
    let project = probe("");
    project.ok(&["run", "--threads", "3"]);
    let report: serde_json::Value =
        serde_json::from_str(&project.read("artifacts/probe/report.json")).expect("is JSON");
    assert_eq!(report["text"], "b\na\nc\n");
    assert_eq!(report["seed"], ner_pipe::fingerprint::node_seed(7, "probe"));
    assert_eq!(report["threads"], 3);
    assert_eq!(report["rayon"], "3");
    assert_eq!(report["device"], "cpu");
    assert_eq!(report["clock"], false);
    let (_, outcomes) = project.run(&["--threads", "1"]);
    assert_eq!(outcomes["probe"], "reused", "threads are no part of its key");
    project.replace("pipeline.toml", "seed = 7", "seed = 8");
    assert_eq!(project.stages()[0]["reasons"][0], "seed 7 -> 8");
}

fn metrics_go_into_the_lock_and_measured_values_do_not() {
    let project = probe("");
    project.ok(&["run"]);
    let lock = project.read("pipeline.lock");
    assert!(lock.contains("\"dev.f1\" = 0.5"), "{lock}");
    assert!(!lock.contains("latency"), "{lock}");
    assert!(!lock.contains("dev.loss"), "what is no number is in no lock: {lock}");
    let log = project.ok(&["log", "probe"]);
    assert!(log.contains("`dev.loss` is NaN and so was not recorded") && !log.contains('{'), "{log}");
    assert!(lock.contains("seed = 7\n") && lock.contains("code = "), "{lock}");
    let entries = project.entries();
    let recorded =
        entries.iter().map(|entry| std::fs::read_to_string(entry.join("entry.json")).expect("is there"));
    assert!(recorded.into_iter().any(|entry| entry.contains("latency")), "but beside the result");
    let said = project.ok(&["metrics"]);
    assert!(said.contains("probe  dev.f1                0.5\n"), "{said}");
    assert!(said.contains("probe  latency (measured)    1.5\n"), "{said}");
    project.remove("cache");
    assert!(!project.ok(&["metrics"]).contains("latency"), "it was there alone");
}

fn a_stage_is_executed_again_and_compared() {
    let project = probe("");
    project.ok(&["run"]);
    let said = project.ok(&["verify", "--rerun", "probe"]);
    assert!(said.contains("probe.report is the same, byte for byte\n"), "{said}");
    // Another code is no reason not to compare: whether it changes the result is the question.
    let lock = project.read("pipeline.lock");
    let at = lock.find("code = \"").expect("has one");
    project.write("pipeline.lock", &format!("{}code = \"another{}", &lock[..at], &lock[at + 8..]));
    assert_eq!(project.stages()[0]["reasons"][0], "code changed");
    assert!(project.ok(&["verify", "--rerun", "probe"]).contains("probe gives again what was recorded"));
    assert!(
        !project.exists("cache/checkpoints")
            || std::fs::read_dir(project.path("cache/checkpoints")).expect("is there").next().is_none()
    );
}

fn tools_have_completions_and_manual_pages_too() {
    let project = probe("");
    assert!(project.ok(&["completions", "fish"]).contains("greet"));
    project.ok(&["man", "--output", "pages"]);
    assert!(project.read("pages/ner-pipe-greet.1").contains("Says hello"));
}

fn every_event_is_passed_on_with_its_stage() {
    let project = probe("");
    let ended = project.ner_pipe(&["run", "--format", "json"]);
    let events = ended.events();
    let find =
        |name: &str| events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("{name}"));
    assert_eq!(find("progress")["stage"], "probe");
    assert_eq!(find("progress")["step"], "reading");
    assert_eq!(find("metric")["name"], "dev.f1");
    assert_eq!(find("show")["text"], "a table");
    assert_eq!(find("gate")["outcome"], "pass");
    let names: Vec<_> = events.iter().map(|event| text(&event["event"])).collect();
    assert_eq!(names[names.len() - 3..], ["stage", "stage", "run"]);
    let said = probe("").ok(&["run"]);
    assert!(said.starts_with("a table\n"), "{said}");
    assert!(project.ok(&["log", "probe"]).contains("a table"), "and again later");
}

fn a_failed_gate_ends_with_6_also_when_reused() {
    let project = probe("gate = \"fail\"");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(6), "{}", ended.err);
    assert!(ended.out.contains("gates that say fail: probe.size"), "{}", ended.out);
    assert!(project.exists("out/copy.json"), "a verdict is a result: it is published, and the rest runs");
    let (code, outcomes) = project.run(&[]);
    assert_eq!((code, outcomes["probe"].as_str()), (6, "reused"));
    let ended = project.ner_pipe(&["run"]);
    assert!(ended.out.contains("`ner-pipe log probe` shows the numbers"), "{}", ended.out);
    assert_eq!(project.run(&["after"]).0, 6, "it is in the requested graph");
}

fn an_inconclusive_gate_fails_only_when_strict() {
    let project = probe("gate = \"inconclusive\"");
    assert_eq!(project.run(&[]).0, 0);
    assert_eq!(project.run(&["--strict"]).0, 6);
}

fn further_inputs_come_under_their_names() {
    let project = Project::new(
        r#"
[sources]
in = { path = "data/in.txt", kind = "file" }
[stage.probe]
foreach = [1.0, 2.0]
inputs = { text = "sources.in" }
params = { temperature = "{item}" }
[stage.gather]
inputs = { first = "sources.in", p60 = "sources.in", a-b = "sources.in", study = "probe@*.report" }
"#,
    );
    project.ok(&["run"]);
    let names = |project: &Project| -> Vec<String> {
        let others = report(project, "gather")["others"].as_array().expect("a list").clone();
        others.iter().map(|pair| text(&pair[0])).collect()
    };
    assert_eq!(names(&project), ["a-b", "p60", "study@1.0", "study@2.0"]);
    assert!(report(&project, "gather")["first"].is_string(), "a port of that name goes first");
    // The name is a part of the result.
    project.replace("pipeline.toml", "p60 =", "p70 =");
    let (_, outcomes) = project.run(&[]);
    assert_eq!((outcomes["gather"].as_str(), outcomes["probe@1.0"].as_str()), ("executed", "reused"));
    assert_eq!(names(&project), ["a-b", "p70", "study@1.0", "study@2.0"]);
    let said = project.ok(&["stages", "gather"]);
    assert!(said.contains("<text>  file, any number  what else there is"), "{said}");
    project.write("data/in.txt", "");
    let ended = project.ner_pipe(&["run", "gather"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("the text is empty"), "{}", ended.err);
    project.replace("pipeline.toml", ", study = \"probe@*.report\"", "");
    let ended = project.ner_pipe(&["run", "gather"]);
    assert!(ended.code == Some(2) && ended.err.contains("a text is empty"), "{}", ended.err);
}

fn what_an_output_holds_is_described() {
    let project = probe("");
    assert_eq!(project.ok(&["schema", "probe.report"]), "{\n  \"type\": \"object\"\n}\n");
    let said = project.ok(&["stages", "probe"]);
    assert!(said.contains("`ner-pipe schema probe.report` describes what is in `report`"), "{said}");
    let ended = project.ner_pipe(&["schema", "probe.reprt"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("no output `probe.reprt` has a schema"), "{}", ended.err);
    assert!(ended.err.contains("write `probe.report`"), "{}", ended.err);
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
    assert!(ended.err.contains("its process ended with exit code 9 without saying why"), "{}", ended.err);
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
    assert!(ended.err.contains("kept: its checkpoint, from which the next run goes on"), "{}", ended.err);
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

fn a_measuring_stage_belongs_to_its_machine() {
    let project = probe("");
    project.replace(
        "pipeline.toml",
        "[stage.probe]",
        "[stage.clock]\ninputs = { text = \"sources.in\" }\n[stage.probe]",
    );
    project.ok(&["run", "--threads", "2"]);
    assert!(project.read("artifacts/clock/report.json").contains("true"), "it may look at the clock");
    let lock = project.read("pipeline.lock");
    assert!(!lock.contains("[stage.clock.outputs]"), "what it measured is another each time: {lock}");
    let ended = project.ner_pipe(&["verify", "--rerun", "clock", "--threads", "2"]);
    assert!(ended.code == Some(2) && ended.err.contains("`clock` measures"), "{}", ended.err);
    let (_, outcomes) = project.run(&["--threads", "1"]);
    assert_eq!((outcomes["clock"].as_str(), outcomes["probe"].as_str()), ("executed", "reused"));
    let said = project.ok(&["why", "clock", "--threads", "2"]);
    assert!(said.contains("threads 1 -> 2"), "{said}");
    assert!(project.ok(&["why", "clock", "--threads", "1"]).contains("is fresh"));
}

fn a_changed_default_is_named_exactly() {
    let project = probe("");
    project.ok(&["run"]);
    let first = |project: &Project| project.stages()[0]["reasons"].as_array().expect("is a list").clone();
    project.replace("pipeline.toml", "params = {  }", "params = { temperature = 3.0 }");
    assert_eq!(first(&project), ["params.temperature 2.5 -> 3.0"]);
    assert!(
        project
            .ok(&["why", "after"])
            .contains("input probe.report may change (probe: params.temperature 2.5 -> 3.0)")
    );
    assert!(project.ok(&["run"]).contains("(params.temperature 2.5 -> 3.0)"));
    let (_, outcomes) = project.run(&["--set", "probe.temperature=2.5"]);
    assert_eq!(outcomes["probe"], "restored", "that was made before");
    project.remove("cache");
    assert_eq!(first(&project)[0], "params.temperature 2.5 -> 3.0", "the lock alone knows");
}

/// The report of a probe, as JSON.
fn report(project: &Project, id: &str) -> serde_json::Value {
    serde_json::from_str(&project.read(&format!("artifacts/{id}/report.json"))).expect("is JSON")
}

fn instances_draw_alike_and_differ_by_their_values_alone() {
    let project = probe("temperature = 3.0");
    project.ok(&["run", "probe"]);
    project.replace("pipeline.toml", "[stage.probe]", "[stage.probe]\nmatrix.t = [2.0, 3.0]");
    project.replace("pipeline.toml", "temperature = 3.0", "temperature = \"{matrix.t}\"");
    project.replace("pipeline.toml", "probe.report", "probe@t=3.0.report");
    let (_, outcomes) = project.run(&[]);
    assert_eq!(outcomes["probe@t=2.0"], "executed");
    assert_eq!(outcomes["probe@t=3.0"], "restored", "it is what `probe` was");
    for (id, temperature) in [("probe@t=2.0", 2.0), ("probe@t=3.0", 3.0)] {
        assert_eq!(report(&project, id)["seed"], ner_pipe::fingerprint::node_seed(7, "probe"));
        assert_eq!(report(&project, id)["temperature"], temperature, "a number stays a number");
    }
    project.ok(&["run", "--set", "probe@t=2.0.temperature=1.5", "--set", "probe.gate=inconclusive"]);
    assert_eq!(report(&project, "probe@t=2.0")["temperature"], 1.5);
    assert_eq!(report(&project, "probe@t=3.0")["temperature"], 3.0);
}

fn a_stage_may_have_seeds_of_its_own() {
    let project = probe("");
    project.ok(&["run"]);
    project.replace("pipeline.toml", "[stage.probe]", "[stage.probe]\nforeach = [7, 8]\nseed = \"{item}\"");
    project.replace("pipeline.toml", "probe.report", "probe@8.report");
    let (_, outcomes) = project.run(&[]);
    assert_eq!((outcomes["probe@7"].as_str(), outcomes["probe@8"].as_str()), ("restored", "executed"));
    assert_eq!(report(&project, "probe@8")["seed"], ner_pipe::fingerprint::node_seed(8, "probe"));
    project.replace("pipeline.toml", "foreach = [7, 8]", "foreach = { 7 = 9, 8 = 8 }");
    assert!(project.ok(&["why", "probe@7"]).contains("seed 7 -> 9"));
    assert_eq!(project.states()["probe@8"], "fresh");
}

/// Two instances of a probe that end so, with these resources each, on a machine of so many cpus.
fn pair(end: &str, resources: &str, cpus: usize) -> Project {
    Project::new(&format!(
        r#"
resources = {{ cpu = {cpus} }}
[sources]
in = {{ path = "data/in.txt", kind = "file" }}
[stage.probe]
foreach = [1.0, 2.0]
inputs = {{ text = "sources.in" }}
params = {{ end = "{end}", temperature = "{{item}}" }}
{resources}
"#
    ))
}

const BOTH: [(&str, &str); 2] = [("probe@1.0", "executed"), ("probe@2.0", "executed")];

fn stages_take_all_cpus_unless_they_say_how_many() {
    pair("alone", "", 4).expect(&["--jobs", "4"], &BOTH);
    let project = pair("together", "resources = { cpu = 2 }", 4);
    project.expect(&["--jobs", "4"], &BOTH);
    for (id, _) in BOTH {
        assert_eq!(report(&project, id)["threads"], 2);
        assert_eq!(report(&project, id)["rayon"], "2");
    }
    let project = pair("alone", "resources = { cpu = 3 }", 4);
    project.expect(&["--jobs", "4"], &BOTH);
}

fn with_gpus(project: &Project, gpus: &str, device: &str) -> Vec<String> {
    let list = (0..gpus.parse().expect("is a number")).map(|n: usize| n.to_string()).collect::<Vec<_>>();
    let environment = [("FAKE_GPUS", gpus), ("CUDA_VISIBLE_DEVICES", &list.join(","))];
    let ended = project.with(&environment, &["run", "--jobs", "4", "--device", device]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    let mut devices: Vec<_> = BOTH.iter().map(|(id, _)| text(&report(project, id)["device"])).collect();
    devices.sort();
    devices
}

fn no_two_stages_share_a_gpu_unless_the_file_says_so() {
    let cpu = "cpu = 1";
    let alone = pair("alone", &format!("resources = {{ {cpu} }}"), 4);
    assert_eq!(with_gpus(&alone, "1", "auto"), ["cuda:0", "cuda:0"]);
    let shared = pair("together", &format!("resources = {{ {cpu}, gpu = 0 }}"), 4);
    assert_eq!(with_gpus(&shared, "1", "cuda"), ["cuda:0", "cuda:0"]);
    let two_on_one = pair("together", &format!("resources = {{ {cpu} }}"), 4);
    two_on_one.replace("pipeline.toml", "{ cpu = 4 }", "{ cpu = 4, gpu = 2 }");
    assert_eq!(with_gpus(&two_on_one, "1", "auto"), ["cuda:0", "cuda:0"]);
    let on_cpu = pair("together", &format!("resources = {{ {cpu}, gpu = 1 }}"), 4);
    assert_eq!(with_gpus(&on_cpu, "0", "auto"), ["cpu", "cpu"], "without a GPU none is needed");
}

fn every_gpu_has_a_stage_of_its_own() {
    let project = pair("together", "resources = { cpu = 1, gpu = 1 }", 4);
    assert_eq!(with_gpus(&project, "2", "auto"), ["cuda:0", "cuda:1"]);
    let project = pair("alone", "resources = { cpu = 1 }", 4);
    assert_eq!(with_gpus(&project, "2", "cuda:1"), ["cuda:1", "cuda:1"], "that one was asked for");
}

fn the_number_of_jobs_does_not_change_what_is_measured() {
    let project = probe("");
    project.replace(
        "pipeline.toml",
        "[stage.probe]",
        "[stage.clock]\ninputs = { text = \"sources.in\" }\nresources.cpu = 1\n[stage.probe]",
    );
    project.ok(&["run", "--jobs", "1"]);
    let (_, outcomes) = project.run(&["--jobs", "3"]);
    assert_eq!((outcomes["clock"].as_str(), outcomes["probe"].as_str()), ("reused", "reused"));
    let (_, outcomes) = project.run(&["--threads", "7"]);
    assert_eq!(outcomes["clock"], "reused", "its share is one thread whatever there is");
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
