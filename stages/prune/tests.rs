use std::{collections::BTreeMap, path::Path};

use stage_contract::Artifact;

use stage_contract::testing::context;

use super::*;
use encoder::{
    arch::{post_norm::UP, roberta::Roberta},
    config::{Decode, LayerShape},
    testing::tokenizer,
};
use text::{
    corpus::{Provenance, Record, Report},
    labels::Labels,
};

fn model(crf: bool) -> Model {
    let config = Config {
        architecture: &Roberta,
        vocab: 10,
        hidden: 16,
        head_dim: 4,
        layers: (0..2)
            .map(|i| LayerShape { heads: 4, ffn: 32, from_teacher_layer: 2 * i, ..LayerShape::default() })
            .collect(),
        positions: 40,
        pad: 1,
        eps: 1e-5,
        settings: encoder::arch::Settings::default(),
        labels: Labels::bio(["PER", "LOC", "ORG"]),
        crf,
        decode: if crf { Decode::Crf } else { Decode::Types },
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
            threads: 2,
            ..context()
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
fn the_controls_need_no_batches_without_means() {
    let root = tempfile::tempdir().expect("a folder");
    for criterion in [Criterion::Magnitude, Criterion::Random] {
        let stage = Prune { criterion, means: false, ..Prune::default() };
        let (pruned, report) = run(&stage, root.path(), &format!("{criterion:?}"), false);
        assert!(pruned.config.layers.iter().all(|layer| layer.heads == 3 && layer.ffn == 32));
        assert_eq!(report["measured_on"], Value::Null);
    }
}

#[test]
fn shares_are_rounded_down_to_whole_heads_and_never_take_the_last() {
    assert_eq!([12, 10, 8, 4, 2].map(|heads| goal::keeps_heads(0.25, heads)), [9, 8, 6, 3, 2]);
    assert_eq!(goal::keeps_heads(0.29, 100), 71);
    assert_eq!(goal::keeps_heads(0.99, 1), 1);
    assert_eq!([1536, 100, 7].map(|neurons| Prune::default().keeps_neurons(0.375, neurons)), [960, 64, 7]);
}

#[test]
fn what_makes_no_sense_is_found_before_any_work() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("model");
    model(false).save(&path).expect("saved");
    let wired = BTreeMap::from([("model".to_owned(), path.clone())]);
    let preflight = |stage: &Prune| stage.preflight(&Available::new(&wired), Device::CPU);
    preflight(&Prune::default()).expect("all well");
    let few = preflight(&Prune { heads: 0.2, ..Prune::default() }).expect_err("less than a head");
    assert_eq!(few.message, "heads = 0.2 of 4 is less than one head");
    std::fs::remove_file(path.join("tokenizer.json")).expect("removed");
    let missing = preflight(&Prune::default()).expect_err("no tokenizer");
    assert_eq!(missing.at.as_deref(), Some("model"));
    assert!(missing.message.contains("tokenizer.json"), "{}", missing.message);
}

/// A teacher and a student of its kind, records, and the ports of a run with all of them.
fn project(root: &Path) -> BTreeMap<String, std::path::PathBuf> {
    let path = |name: &str| root.join(name);
    let student = model(true);
    student.save(&path("model")).expect("saved");
    let config = Config {
        labels: encoder::testing::fixture::teacher_labels(),
        crf: false,
        decode: Decode::Types,
        ..student.config.clone()
    };
    let config = Config {
        layers: (0..3)
            .map(|i| LayerShape { heads: 4, ffn: 32, from_teacher_layer: i, ..LayerShape::default() })
            .collect(),
        ..config
    };
    let network = Network::init(&config, 5, &::burn::tensor::Device::flex());
    Model { config, network, tokenizer: student.tokenizer }.save(&path("teacher")).expect("saved");
    let mut records = records();
    for record in &mut records.records {
        record.provenance = Provenance::Silver { model: "12ab".to_owned() };
    }
    records.save(&path("train.jsonl")).expect("saved");
    [("model", "model"), ("teacher", "teacher"), ("train", "train.jsonl"), ("dev", "train.jsonl")]
        .map(|(port, name)| (port.to_owned(), path(name)))
        .into()
}

/// What the stage says when it is asked to stop after so many looks at whether it should; 0 = never.
fn prune(
    stage: &Prune,
    inputs: &BTreeMap<String, std::path::PathBuf>,
    root: &Path,
    out: &str,
) -> Result<(Model, Value), StageError> {
    let outputs = BTreeMap::from(
        [("model", out.to_owned()), ("report", format!("{out}.json"))]
            .map(|(port, name)| (port.to_owned(), root.join(name))),
    );
    stage.run(&Context {
        inputs,
        outputs: &outputs,
        checkpoint: &root.join("checkpoint"),
        seed: 5,
        threads: 2,
        ..context()
    })?;
    let pruned = Model::load(&outputs["model"], &::burn::tensor::Device::flex())?;
    Ok((pruned, Report::load(&outputs["report"])?.0))
}

fn in_rounds() -> Prune {
    Prune {
        allocation: Allocation::Budget,
        params: Size::Number(0.6),
        rounds: 3,
        recovery: 0.5,
        batches: 3,
        tokens: 24,
        training: Training { batch_tokens: 24, lr: 1e-3, ..Training::default() },
        ..Prune::default()
    }
}

#[test]
fn a_budget_is_met_in_rounds_with_recovery_between_them() {
    let root = tempfile::tempdir().expect("a folder");
    let inputs = project(root.path());
    let stage = in_rounds();
    stage.check().expect("makes sense");
    stage.check_inputs(&["model", "teacher", "train", "dev"]).expect("all wired");
    let (pruned, report) = prune(&stage, &inputs, root.path(), "pruned").expect("pruned");
    let teacher = Config::load(&inputs["teacher"]).expect("a teacher");
    let limit = (6 * teacher.all_parameters()) / 10;
    assert!(pruned.config.all_parameters() <= limit, "{} of {limit}", pruned.config.all_parameters());
    let rounds = report["rounds"].as_array().expect("a list");
    let sizes: Vec<u64> = rounds.iter().map(|round| round["parameters"].as_u64().expect("a count")).collect();
    assert!(sizes.len() == 3 && sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
    assert_eq!(report["budget"]["params"]["after"].as_f64(), report["parameters"]["after"].as_f64());
    for (layer, shape) in report["layers"].as_array().expect("a list").iter().zip(&pruned.config.layers) {
        assert_eq!(layer["heads"]["kept"].as_array().expect("a list").len(), shape.heads);
        assert_eq!(layer["heads"]["scores"].as_array().expect("a list").len(), 4);
    }
    let uniform = Prune {
        allocation: Allocation::Uniform,
        params: Size::Number(0.7),
        rounds: 1,
        recovery: 0.0,
        ..stage
    };
    let (pruned, _) = prune(&uniform, &inputs, root.path(), "uniform").expect("pruned");
    assert!(pruned.config.layers.iter().all(|layer| *layer
        == LayerShape { from_teacher_layer: layer.from_teacher_layer, ..pruned.config.layers[0] }));
    assert_eq!(pruned.config.layers[0].heads, 4);
}

#[test]
fn a_pruning_that_was_stopped_between_rounds_goes_on_to_the_same_bytes() {
    let (whole, stopped) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let stage = in_rounds();
    let inputs = project(whole.path());
    prune(&stage, &inputs, whole.path(), "pruned").expect("pruned");
    // What the first two rounds left is all that a killed run leaves.
    let inputs = project(stopped.path());
    std::fs::create_dir(stopped.path().join("checkpoint")).expect("made");
    copy(&whole.path().join("checkpoint/round-2"), &stopped.path().join("checkpoint/round-2"));
    let (_, report) = prune(&stage, &inputs, stopped.path(), "pruned").expect("pruned");
    assert_eq!(report["rounds"].as_array().map(Vec::len), Some(3));
    for file in ["pruned/model.safetensors", "pruned/config.json", "pruned.json"] {
        let of = |root: &tempfile::TempDir| std::fs::read(root.path().join(file)).expect("there");
        assert!(of(&whole) == of(&stopped), "{file} differs");
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.expect("readable");
        let place = to.join(entry.path().strip_prefix(from).expect("below"));
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(place).expect("made");
        } else {
            std::fs::copy(entry.path(), place).expect("copied");
        }
    }
}

#[test]
fn every_layer_may_lose_another_share_when_the_model_loses_one() {
    let root = tempfile::tempdir().expect("a folder");
    let inputs = project(root.path());
    let stage = Prune {
        allocation: Allocation::Global,
        heads: 0.5,
        ffn: 0.5,
        batches: 2,
        tokens: 24,
        ..Prune::default()
    };
    let (pruned, _) = prune(&stage, &inputs, root.path(), "pruned").expect("pruned");
    let sum = |of: fn(&LayerShape) -> usize| pruned.config.layers.iter().map(of).sum::<usize>();
    assert_eq!((sum(|layer| layer.heads), sum(|layer| layer.ffn)), (4, 32));
}

#[test]
fn a_smaller_vocabulary_is_counted_and_saved() {
    let root = tempfile::tempdir().expect("a folder");
    let fixture = encoder::testing::fixture::model(Labels::bio(["PER", "LOC", "ORG"]), &[]);
    fixture.save(&root.path().join("model")).expect("saved");
    let mut inputs = project(&root.path().join("other"));
    inputs.insert("model".to_owned(), root.path().join("model"));
    let vocabulary = fixture.config.vocab - 2;
    let stage = Prune { vocabulary, heads: 0.5, batches: 2, tokens: 64, ..Prune::default() };
    let (pruned, report) = prune(&stage, &inputs, root.path(), "pruned").expect("pruned");
    assert_eq!((pruned.config.vocab, pruned.tokenizer.vocab_size()), (vocabulary, vocabulary));
    assert_eq!(report["vocabulary"]["after"]["size"], vocabulary);
    let words = &report["vocabulary"]["before"]["pieces_per_word"];
    assert!(words.as_f64().expect("a number") > 1.0);
}

#[test]
fn layers_go_before_all_else_and_the_report_keeps_their_numbers() {
    let root = tempfile::tempdir().expect("a folder");
    let four = (0..4)
        .map(|i| LayerShape { heads: 4, ffn: 32, from_teacher_layer: 3 * i, ..LayerShape::default() })
        .collect();
    let config = Config { layers: four, ..model(false).config };
    let network = Network::init(&config, 11, &::burn::tensor::Device::flex());
    let given = Model { config, network, ..model(false) };
    given.save(&root.path().join("model")).expect("saved");
    records().save(&root.path().join("train.jsonl")).expect("saved");
    let stage = Prune { layers: 3, rounds: 2, batches: 2, tokens: 64, ..Prune::default() };
    let (pruned, report) = run(&stage, root.path(), "pruned", false);
    assert_eq!(pruned.config.layers.len(), 3);
    assert!(pruned.config.layers.iter().all(|layer| layer.heads == 3));
    let rows = report["layers"].as_array().expect("a list");
    let heads = |row: &Value| row["heads"]["kept"].as_array().expect("a list").len();
    let stay: Vec<usize> = (0..4).filter(|&layer| heads(&rows[layer]) == 3).collect();
    assert_eq!((stay.len(), stay[0], stay[2]), (3, 0, 3), "the first and the last stay");
    let from = |layer: &usize| 3 * layer;
    assert!(pruned.config.layers.iter().map(|layer| layer.from_teacher_layer).eq(stay.iter().map(from)));
    let gone = (0..4).find(|layer| !stay.contains(layer)).expect("one went");
    assert_eq!((heads(&rows[gone]), &rows[gone]["ffn"]["after"]), (0, &Value::from(0)));
    assert_eq!(rows[3]["heads"]["scores"].as_array().expect("a list").len(), 4);
    // What did not change is what the given model has.
    let (last, theirs) = (&pruned.network.layers[2], &given.network.layers[3]);
    let up = |layer: &encoder::layer::Layer| encoder::backend::readback::host(layer.linear(UP).weight.val());
    assert_eq!(up(last), up(theirs));

    let wrong = Prune { layers: 1, ..Prune::default() }.check().expect_err("the ends stay");
    assert_eq!(wrong.at.as_deref(), Some("layers"));
    let wired = BTreeMap::from([("model".to_owned(), root.path().join("model"))]);
    let many = Prune { layers: 5, ..Prune::default() };
    let wrong = many.preflight(&Available::new(&wired), Device::CPU).expect_err("more than there are");
    assert_eq!(wrong.message, "`layers` is 5, but the model has 4");
}

#[test]
fn a_budget_without_what_it_is_compared_with_or_out_of_reach_is_refused_before_any_work() {
    let budget = |params| Prune { allocation: Allocation::Budget, params, ..Prune::default() };
    let at = |wrong: Result<(), Invalid>| wrong.expect_err("refused").at;
    assert_eq!(
        at(Prune { params: Size::Number(0.5), ..Prune::default() }.check()).as_deref(),
        Some("params")
    );
    assert_eq!(at(budget(Size::Number(0.0)).check()).as_deref(), Some("allocation"));
    assert_eq!(at(budget(Size::Text("many".into())).check()).as_deref(), Some("params"));
    budget(Size::Text("60M".into())).check().expect("a number");
    let share = budget(Size::Number(0.5));
    assert_eq!(at(share.check_inputs(&["model", "train"])).as_deref(), Some("params"));
    let latency = Prune { latency: 0.6, ..budget(Size::Number(0.0)) };
    let missing = latency.check_inputs(&["model", "train", "teacher"]).expect_err("no table");
    assert!(missing.help.is_some_and(|help| help.contains("profile.table")));
    let recovery = Prune { rounds: 2, recovery: 0.1, ..Prune::default() };
    assert_eq!(at(recovery.check_inputs(&["model", "train", "dev"])).as_deref(), Some("recovery"));
    assert_eq!(at(Prune { rounds: 1, ..recovery }.check()).as_deref(), Some("recovery"));

    let root = tempfile::tempdir().expect("a folder");
    let inputs = project(root.path());
    let refused =
        |stage: &Prune| stage.preflight(&Available::new(&inputs), Device::CPU).expect_err("refused");
    let wrong = refused(&budget(Size::Number(0.05)));
    assert_eq!(wrong.at.as_deref(), Some("params"));
    assert!(wrong.message.contains("the smallest shape of this model costs"), "{wrong}");
    let wrong = refused(&Prune { vocabulary: 11, ..Prune::default() });
    assert_eq!(wrong.at.as_deref(), Some("vocabulary"));
}
