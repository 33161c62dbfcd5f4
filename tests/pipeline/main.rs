//! The whole pipeline through the real binary, on a model so small that it takes seconds.
#![cfg(feature = "ml")]

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
inputs = { teacher = "teach.model", distilled = "distill.model", pruned = "prune.model", final = "finetune.model", test = "split.test", gold = "generate.test" }
params = { rounds = 3 }
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
    let output = ner_pipe(project, &[&["run", "--format", "json", "--device", "cpu"], more].concat());
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("is JSON"));
    let stages = events.filter(|event| event["event"] == "stage");
    let word = |event: &Value, key: &str| event[key].as_str().expect("is text").to_owned();
    stages.map(|event| (word(&event, "stage"), word(&event, "outcome"))).collect()
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
        for number in [
            &model["parameters"],
            &model["bytes"],
            &model["latency"]["p50_ms"],
            &model["latency"]["ratio"],
            &model["fidelity"]["micro"]["f1"],
            &model["quality"]["micro"]["f1"],
        ] {
            assert!(number.is_number(), "{model}");
        }
    }
    assert_eq!(report["models"]["teacher"]["fidelity"]["micro"]["f1"], 1.0);
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
    assert_eq!(stages["split"], "reused");
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
        [("config.json", r#"{"model_type": "bert"}"#), ("model.safetensors", ""), ("tokenizer.json", "")]
    {
        fs::write(folder.path().join(name), text).expect("written");
    }
    let output = command(folder.path(), &["predict", "--model", ".", "Anna"]).output().expect("starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("because: model_type is bert, expected camembert or roberta"), "{errors}");
    assert!(errors.contains("help: use a CamemBERT or RoBERTa token classifier"), "{errors}");
}
