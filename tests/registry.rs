//! What the runner promises to stages of a registry, with stages made for that. The binary is its own
//! program under test: with `NER_PIPE_UNDER_TEST` set it is `ner-pipe` with these stages, and so are the
//! child processes that it starts.

#[path = "registry/accept.rs"]
mod accept;
#[path = "registry/ends.rs"]
mod ends;
#[path = "registry/fake.rs"]
mod fake;
#[path = "registry/report.rs"]
mod page;
#[path = "runner/project.rs"]
#[expect(dead_code, reason = "shared with tests/runner, which uses the rest")]
mod project;
#[path = "registry/shares.rs"]
mod shares;
#[path = "registry/sources.rs"]
mod sources;
#[path = "registry/toy.rs"]
mod toy;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};
use project::{Project, text};
use shares::report;

fn main() -> ExitCode {
    if env::var_os(fake::UNDER_TEST).is_some() {
        let registry = fake::registry().stage::<toy::Halve>().source(toy::EITHER, |_, _| Ok(()));
        let registry = sources::with(registry);
        return ner_pipe::cli::main(&registry.show(toy::sections));
    }
    let tests: [(&str, fn()); 10] = [
        ("a_stage_gets_what_its_context_promises", a_stage_gets_what_its_context_promises),
        (
            "metrics_go_into_the_lock_and_measured_values_do_not",
            metrics_go_into_the_lock_and_measured_values_do_not,
        ),
        ("a_stage_is_executed_again_and_compared", a_stage_is_executed_again_and_compared),
        ("tools_have_completions_and_manual_pages_too", tools_have_completions_and_manual_pages_too),
        ("every_event_is_passed_on_with_its_stage", every_event_is_passed_on_with_its_stage),
        ("further_inputs_come_under_their_names", further_inputs_come_under_their_names),
        ("what_an_output_holds_is_described", what_an_output_holds_is_described),
        (
            "the_name_of_a_file_counts_where_it_could_be_a_folder",
            the_name_of_a_file_counts_where_it_could_be_a_folder,
        ),
        ("a_measuring_stage_belongs_to_its_machine", a_measuring_stage_belongs_to_its_machine),
        ("a_changed_default_is_named_exactly", a_changed_default_is_named_exactly),
    ];
    let trials = tests
        .into_iter()
        .chain(accept::TESTS)
        .chain(ends::TESTS)
        .chain(page::TESTS)
        .chain(shares::TESTS)
        .chain(sources::TESTS);
    let trials = trials.map(|(name, test)| {
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
    assert!(project.ok(&["verify", "--rerun", "probe"]).contains("probe reproduces its recorded result"));
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

fn the_name_of_a_file_counts_where_it_could_be_a_folder() {
    let outcome = |kind: &str| {
        let project = Project::new(&project::TWO.replace("kind = \"file\"", &format!("kind = \"{kind}\"")));
        project.ok(&["run"]);
        std::fs::rename(project.path("data/in.txt"), project.path("data/other.txt")).expect("renames");
        project.replace("pipeline.toml", "data/in.txt", "data/other.txt");
        let (_, outcomes) = project.run(&[]);
        (outcomes["sort"].clone(), outcomes["count"].clone())
    };
    let pair = |sort: &str, count: &str| (sort.to_owned(), count.to_owned());
    assert_eq!(outcome("file"), pair("reused", "reused"));
    // As a folder it would be the name of what is in it.
    assert_eq!(outcome("either"), pair("executed", "reused"));
}
