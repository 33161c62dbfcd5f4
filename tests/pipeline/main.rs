//! The whole pipeline through the real binary, on a model so small that it takes seconds.
#![cfg(feature = "ml")]

mod audit;
mod types;
mod whole;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

const PIPELINE: &str = r#"
[stage.generate]
params = { sentences = 150, train = 120, dev = 30, test = 30 }
[stage.teach]
inputs = { train = "generate.train", dev = "generate.dev", text = "generate.text" }
params = { vocab = 600, hidden = 16, layers = 4, heads = 4, ffn = 32, epochs = 2, batch_tokens = 256 }
[stage.annotate]
inputs = { text = "generate.text", teacher = "teach.model" }
[stage.split]
inputs = { records = "annotate.records", exclude = "generate.test" }
[stage.distill]
inputs = { train = "split.train", dev = "split.dev", teacher = "teach.model", logits = "annotate.logits" }
params = { keep_layers = 3, epochs = 2, batch_tokens = 64, lr = 1e-3 }
[stage.prune]
inputs = { model = "distill.model", train = "split.train" }
params = { heads = 0.25, ffn = 0.25 }
[stage.finetune]
inputs = { model = "prune.model", train = "split.train", dev = "split.dev", teacher = "teach.model" }
params = { epochs = 1, batch_tokens = 256, lr = 1e-3 }
[stage.evaluate]
inputs = { teacher = "teach.model", distilled = "distill.model", pruned = "prune.model", final = "finetune.model", test = "split.test", gold = "generate.test", train = "split.train" }
params = { rounds = 3, seconds = 0.5 }
"#;

fn project() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("pipeline.toml"), PIPELINE).expect("written");
    folder
}

fn command(project: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ner-pipe"));
    command.current_dir(project).args(arguments).env_remove("CI");
    command
}

fn ner_pipe(project: &Path, arguments: &[&str]) -> Output {
    let output = command(project, arguments).output().expect("starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}\n{}", String::from_utf8_lossy(&output.stdout));
    output
}

/// Outcome of each stage.
fn run(project: &Path, more: &[&str]) -> BTreeMap<String, String> {
    let (code, outcomes, errors) = ended(project, more);
    assert_eq!(code, Some(0), "{more:?}: {errors}");
    outcomes
}

/// Exit code and outcomes of a run that may end in any way, and what it said of what went wrong.
fn ended(project: &Path, more: &[&str]) -> (Option<i32>, BTreeMap<String, String>, String) {
    let arguments = [&["run", "--format", "json", "--device", "cpu"], more].concat();
    let output = command(project, &arguments).output().expect("starts");
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("is JSON"));
    let stages = events.filter(|event| event["event"] == "stage");
    let word = |event: &Value, key: &str| event[key].as_str().expect("is text").to_owned();
    let outcomes = stages.map(|event| (word(&event, "stage"), word(&event, "outcome"))).collect();
    (output.status.code(), outcomes, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn with_outcome(stages: &BTreeMap<String, String>, outcome: &str) -> Vec<String> {
    stages.iter().filter(|(_, found)| *found == outcome).map(|(stage, _)| stage.clone()).collect()
}

/// Every published file but the measured report, by name.
fn artifacts(project: &Path) -> BTreeMap<String, Vec<u8>> {
    let root = project.join("artifacts");
    let files = walkdir::WalkDir::new(&root).into_iter().map(|entry| entry.expect("is readable"));
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            (entry.path().strip_prefix(&root).expect("is below").display().to_string(), entry.into_path())
        })
        .filter(|(name, _)| name != "evaluate/report.json")
        .map(|(name, path)| (name, fs::read(path).expect("is readable")))
        .collect()
}

#[test]
fn two_runs_into_two_empty_caches_publish_the_same_bytes_and_a_second_run_does_nothing() {
    let (one, two) = (project(), project());
    assert_eq!(with_outcome(&run(one.path(), &[]), "executed").len(), 8);
    assert_eq!(with_outcome(&run(two.path(), &["--threads", "1"]), "executed").len(), 8);
    let (first, second) = (artifacts(one.path()), artifacts(two.path()));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(*bytes == second[name], "{name} differs between two runs");
    }
    assert_eq!(with_outcome(&run(one.path(), &[]), "reused").len(), 8);

    let report = fs::read_to_string(one.path().join("artifacts/evaluate/report.json")).expect("is readable");
    let report: Value = serde_json::from_str(&report).expect("is JSON");
    for model in ["teacher", "distilled", "pruned", "final"] {
        let model = &report["models"][model];
        for number in
            [&model["parameters"], &model["bytes"], &model["latency"]["p50_ms"], &model["latency"]["ratio"]]
        {
            assert!(number.is_number(), "{model}");
        }
        // So small a teacher may find nothing, and then no score of agreement is defined.
        for micro in [&model["fidelity"]["micro"], &model["quality"]["micro"]] {
            let none = micro["found"] == 0 && micro["support"] == 0;
            assert_eq!(micro["f1"].is_null(), none, "{micro}");
        }
    }
    let parameters = |model: &str| report["models"][model]["parameters"].as_u64().expect("is a count");
    assert!(parameters("final") == parameters("pruned") && parameters("pruned") < parameters("distilled"));
}

#[test]
fn a_changed_temperature_reruns_distill_and_what_follows_and_taking_it_back_nothing() {
    let project = project();
    run(project.path(), &[]);
    let changed = run(project.path(), &["--set", "distill.temperature=3.0"]);
    assert_eq!(with_outcome(&changed, "executed"), ["distill", "evaluate", "finetune", "prune"]);
    let why = ner_pipe(project.path(), &["why", "distill"]).stdout;
    assert!(String::from_utf8_lossy(&why).contains("params.temperature 3.0 -> 2.5"), "{why:?}");
    assert!(with_outcome(&run(project.path(), &[]), "executed").is_empty());
}

#[test]
fn gates_of_evaluate_decide_how_a_run_ends_also_when_all_is_reused() {
    let project = project();
    let gated = |bound: &str, gate: &str| {
        let text = PIPELINE.replace("seconds = 0.5 }", &format!("seconds = 0.5, gates = {{ {gate} }} }}"));
        let text = text.replace("BOUND", bound);
        assert_ne!(text, PIPELINE);
        fs::write(project.path().join("pipeline.toml"), text).expect("written");
    };
    let small = "small = { metric = \"final.parameters.ratio\", max = BOUND }";
    // A name that is not there is found before any work.
    gated("", "g = { metric = \"p60.parameters\", max = 1 }");
    let (code, outcomes, errors) = ended(project.path(), &[]);
    assert!(code == Some(2) && outcomes.is_empty(), "{errors}");
    assert!(
        errors.contains("gate `g`: there is no model `p60`") && errors.contains("`distilled`"),
        "{errors}"
    );
    gated("", "g = { metric = \"final.f1\", max = 1 }");
    let (code, _, errors) = ended(project.path(), &[]);
    assert!(code == Some(2) && errors.contains("there is no metric `final.f1`"), "{errors}");

    gated("0.01", small);
    let (code, outcomes, _) = ended(project.path(), &[]);
    assert_eq!((code, with_outcome(&outcomes, "executed").len()), (Some(6), 8), "a verdict fails no stage");
    let report =
        fs::read_to_string(project.path().join("artifacts/evaluate/report.json")).expect("published");
    let report: Value = serde_json::from_str(&report).expect("is JSON");
    assert_eq!(report["gates"]["small"]["outcome"], "fail");
    let said = ner_pipe(project.path(), &["schema", "evaluate.report"]).stdout;
    let schema: Value = serde_json::from_slice(&said).expect("is JSON");
    let (mut compiler, mut schemas) = (boon::Compiler::new(), boon::Schemas::new());
    compiler.add_resource("report.json", schema).expect("is JSON");
    let index = compiler.compile("report.json", &mut schemas).expect("is a schema");
    schemas.validate(&report, index).unwrap_or_else(|error| panic!("{error:#}"));

    let (code, outcomes, _) = ended(project.path(), &[]);
    assert_eq!((code, with_outcome(&outcomes, "reused").len()), (Some(6), 8));
    assert_eq!(ended(project.path(), &["split"]).0, Some(0), "it is not in the requested graph");
    gated("0.99", small);
    let (code, outcomes, _) = ended(project.path(), &[]);
    assert_eq!((code, with_outcome(&outcomes, "executed")), (Some(0), vec!["evaluate".to_owned()]));
    // What cannot be measured is open, and only `--strict` minds.
    gated("0.9", "cell = { metric = \"final.latency.7x7.ratio\", max = BOUND }");
    assert_eq!(ended(project.path(), &[]).0, Some(0));
    assert_eq!(ended(project.path(), &["--strict"]).0, Some(6));
}

#[test]
fn a_part_that_is_left_empty_is_refused_before_any_work_where_it_is_needed() {
    let project = project();
    for (part, stages) in [("test", &["evaluate"][..]), ("dev", &["distill", "finetune"])] {
        let (code, outcomes, errors) = ended(project.path(), &["--set", &format!("split.{part}=0")]);
        assert!(code == Some(2) && outcomes.is_empty(), "{errors}");
        for stage in stages {
            let message = format!("`{stage}` needs something in `{part}`, and `split.{part}` is empty");
            assert!(errors.contains(&message), "{errors}");
        }
        assert!(errors.contains(&format!("raise `{part}` of `split`")), "{errors}");
    }
}

#[test]
fn the_gates_of_configs_fit_a_pipeline_with_baselines() {
    for name in ["gates-p70.toml", "gates-p60.toml"] {
        let project = project();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
        fs::copy(config, project.path().join("gates.toml")).expect("copied");
        let text = PIPELINE.replace("params = { rounds = 3, seconds = 0.5 }", "config = \"gates.toml\"");
        let gold = "gold = \"generate.test\",";
        let baselines = format!("{gold} ce_only = \"distill.model\", random_pruned = \"prune.model\",");
        let wired = text.replace(gold, &baselines);
        assert!(text != PIPELINE && wired != text);
        fs::write(project.path().join("pipeline.toml"), text).expect("written");
        let output = command(project.path(), &["run", "--dry-run"]).output().expect("starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2) && errors.contains("there is no model `ce_only`"),
            "{errors}"
        );
        fs::write(project.path().join("pipeline.toml"), wired).expect("written");
        ner_pipe(project.path(), &["run", "--dry-run"]);
    }
}

#[test]
fn a_training_that_was_killed_goes_on_to_the_same_bytes() {
    let (whole, killed) = (project(), project());
    run(whole.path(), &["distill"]);
    run(killed.path(), &["split"]);
    let mut runner = command(killed.path(), &["run", "distill", "--device", "cpu"]).spawn().expect("starts");
    let begun = Instant::now();
    // The first checkpoint comes with the end of the first epoch.
    let checkpoint = || {
        walkdir::WalkDir::new(killed.path().join("cache/checkpoints"))
            .into_iter()
            .any(|entry| entry.is_ok_and(|entry| entry.path().ends_with("whole/state.json")))
    };
    while !checkpoint() && begun.elapsed() < Duration::from_mins(2) && matches!(runner.try_wait(), Ok(None)) {
        thread::sleep(Duration::from_millis(2));
    }
    runner.kill().expect("can be killed");
    runner.wait().expect("has ended");
    let stages = run(killed.path(), &["distill"]);
    assert_eq!((&*stages["split"], &*stages["distill"]), ("reused", "executed"));
    let (whole, killed) = (artifacts(whole.path()), artifacts(killed.path()));
    for (name, bytes) in whole.iter().filter(|(name, _)| name.starts_with("distill/")) {
        assert!(*bytes == killed[name], "{name} differs after a kill");
    }
}

#[test]
fn predict_gives_an_object_a_line_with_offsets_in_characters() {
    let project = project();
    run(project.path(), &["teach"]);
    fs::write(project.path().join("lines.txt"), "Mme Éloïse Durand habite à Angers.\n\nRien.\n")
        .expect("written");
    let output =
        ner_pipe(project.path(), &["predict", "--model", "artifacts/teach/model", "--input", "lines.txt"]);
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
    assert_eq!(objects.len(), 3, "{text}");
    for object in &objects {
        let characters: Vec<char> = object["text"].as_str().expect("is text").chars().collect();
        for entity in object["entities"].as_array().expect("is a list") {
            let place = |key: &str| usize::try_from(entity[key].as_u64().expect("is a count")).expect("fits");
            let found: String = characters[place("start")..place("end")].iter().collect();
            assert_eq!(entity["text"], found.as_str());
        }
    }
}

#[test]
fn predict_says_what_to_do_about_a_model_that_it_cannot_use() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in
        [("config.json", r#"{"model_type": "t5"}"#), ("model.safetensors", ""), ("tokenizer.json", "")]
    {
        fs::write(folder.path().join(name), text).expect("written");
    }
    let output = command(folder.path(), &["predict", "--model", ".", "Anna"]).output().expect("starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("because: model_type is t5, expected one of camembert, roberta"), "{errors}");
    assert!(errors.contains("help: use a token classifier of one of these encoders"), "{errors}");
}
