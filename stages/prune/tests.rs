use std::{collections::BTreeMap, path::Path, sync::atomic::AtomicBool};

use stage_contract::Artifact;

use super::*;
use crate::ml::{
    config::LayerShape,
    corpus::{Provenance, Record},
    labels::Labels,
    model::tests::{Quiet, tokenizer},
};

fn model(crf: bool) -> Model {
    let config = Config {
        vocab: 10,
        hidden: 16,
        head_dim: 4,
        layers: (0..2).map(|i| LayerShape { heads: 4, ffn: 32, from_teacher_layer: 2 * i }).collect(),
        positions: 40,
        pad: 1,
        eps: 1e-5,
        labels: Labels::student(false),
        crf,
        stock: Value::Null,
    };
    let network = Network::init(&config, 11, &::burn::tensor::Device::flex());
    Model { config, network, tokenizer: tokenizer(&["Jean", "Durand", "habite", "Paris", "Lyon", "et"]) }
}

fn records() -> Corpus {
    let record = |index: usize, words: &[(&str, &str)]| {
        let mut text = String::new();
        let mut places = Vec::new();
        for (word, _) in words {
            places.push([text.len(), text.len() + word.len()]);
            text = format!("{text}{word} ");
        }
        Record {
            id: format!("test-{index}"),
            text,
            source: "test".to_owned(),
            group: format!("test-{index}"),
            words: places,
            tags: words.iter().map(|(_, tag)| (*tag).to_owned()).collect(),
            score: vec![1.0; words.len()],
            provenance: Provenance::Gold,
        }
    };
    let one = [("Jean", "B-PER"), ("Durand", "I-PER"), ("habite", "O"), ("Paris", "B-LOC")];
    let two = [("Lyon", "B-LOC"), ("et", "O"), ("Paris", "B-LOC")];
    Corpus { records: (0..20).map(|i| if i % 3 == 0 { record(i, &two) } else { record(i, &one) }).collect() }
}

fn run(stage: &Prune, root: &Path, out: &str, crf: bool) -> (Model, Value) {
    let path = |name: &str| root.join(name);
    if !path("model").exists() {
        model(crf).save(&path("model")).expect("saved");
        records().save(&path("train.jsonl")).expect("saved");
    }
    let ports = |ports: &[(&str, &str)]| -> BTreeMap<_, _> {
        ports.iter().map(|(port, name)| ((*port).to_owned(), path(name))).collect()
    };
    let outputs = ports(&[("model", out), ("report", &format!("{out}.json"))]);
    stage
        .run(&Context {
            inputs: &ports(&[("model", "model"), ("train", "train.jsonl"), ("dev", "train.jsonl")]),
            outputs: &outputs,
            checkpoint: &path("checkpoint"),
            seed: 5,
            device: Device::Cpu,
            threads: 2,
            show_text: false,
            cancelled: &AtomicBool::new(false),
            sink: &Quiet,
            measures: false,
        })
        .expect("pruned");
    let pruned = Model::load(&outputs["model"], &::burn::tensor::Device::flex()).expect("a whole model");
    (pruned, Report::load(&outputs["report"]).expect("a report").0)
}

#[test]
fn a_quarter_of_the_heads_goes_and_the_report_says_which() {
    let root = tempfile::tempdir().expect("a folder");
    for crf in [true, false] {
        let root = root.path().join(crf.to_string());
        std::fs::create_dir(&root).expect("a folder");
        let stage = Prune { ffn: 0.3, batches: 4, tokens: 24, ..Prune::default() };
        let (pruned, report) = run(&stage, &root, "pruned", crf);
        assert!(pruned.config.layers.iter().all(|layer| layer.heads == 3 && layer.ffn == 24));
        assert_eq!(pruned.config.layers[1].from_teacher_layer, 2);
        let held = |model: &Model| model.network.weights(&model.config).parameters();
        assert_eq!(report["parameters"]["before"], held(&self::model(crf)));
        assert_eq!(report["parameters"]["after"], held(&pruned));
        assert_eq!(report["layers"][1]["heads"]["kept"].as_array().expect("a list").len(), 3);
        assert_eq!(report["measured_on"]["batches"], 4);
        assert!(report["dev"]["f1"]["after"].is_number());

        let again = run(&stage, &root, "again", crf);
        assert_eq!(report, again.1);
        let bytes = |name: &str| std::fs::read(root.join(name).join("model.safetensors")).expect("weights");
        assert_eq!(bytes("pruned"), bytes("again"));
    }
}

#[test]
fn the_controls_need_no_batches() {
    let root = tempfile::tempdir().expect("a folder");
    for criterion in [Criterion::Magnitude, Criterion::Random] {
        let stage = Prune { criterion, ..Prune::default() };
        let (pruned, report) = run(&stage, root.path(), &format!("{criterion:?}"), false);
        assert!(pruned.config.layers.iter().all(|layer| layer.heads == 3 && layer.ffn == 32));
        assert_eq!(report["measured_on"], Value::Null);
    }
}

#[test]
fn shares_are_rounded_down_to_whole_heads_and_never_take_the_last() {
    let stage = |heads, ffn| Prune { heads, ffn, ..Prune::default() };
    assert_eq!([12, 10, 8, 4, 2].map(|heads| stage(0.25, 0.0).keeps_heads(heads)), [9, 8, 6, 3, 2]);
    assert_eq!(stage(0.29, 0.0).keeps_heads(100), 71);
    assert_eq!(stage(0.99, 0.0).keeps_heads(1), 1);
    assert_eq!([1536, 100, 7].map(|neurons| stage(0.0, 0.375).keeps_neurons(neurons)), [960, 64, 7]);
}

#[test]
fn what_makes_no_sense_is_found_before_any_work() {
    let wrong = Prune { heads: 1.0, ..Prune::default() }.check().expect_err("everything");
    assert_eq!((wrong.at.as_deref(), wrong.help.as_deref()), (Some("heads"), Some("heads = 0.25")));
    assert!(Prune { batches: 0, ..Prune::default() }.check().is_err());
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("model");
    model(false).save(&path).expect("saved");
    let wired = BTreeMap::from([("model".to_owned(), path.clone())]);
    let preflight = |stage: &Prune| stage.preflight(&Available::new(&wired), Device::Cpu);
    preflight(&Prune::default()).expect("all well");
    let few = preflight(&Prune { heads: 0.2, ..Prune::default() }).expect_err("less than a head");
    assert_eq!(few.message, "heads = 0.2 of 4 is less than one head");
    std::fs::remove_file(path.join("tokenizer.json")).expect("removed");
    let missing = preflight(&Prune::default()).expect_err("no tokenizer");
    assert_eq!(missing.at.as_deref(), Some("model"));
    assert!(missing.message.contains("tokenizer.json"), "{}", missing.message);
}
