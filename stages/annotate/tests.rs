use std::{collections::BTreeMap, fs, path::Path};

use stage_contract::Artifact;

use stage_contract::testing::context;

use super::*;
use encoder::{
    arch::{
        post_norm::{ATTENTION_OUTPUT, DOWN},
        roberta::Roberta,
    },
    config::{Config, Decode, LayerShape},
    network::Network,
    testing::tokenizer,
};
use text::labels::Labels;

const WORDS: [(&str, &str); 9] = [
    ("Jean", "I-PER"),
    ("Durand", "I-PER"),
    ("habite", "O"),
    ("Paris", "I-LOC"),
    ("Lyon", "I-LOC"),
    ("et", "O"),
    ("CHU", "I-ORG"),
    ("Noël", "I-MISC"),
    ("travaille", "O"),
];

/// A teacher that knows each word by heart: one dimension a word, layers that add nothing, a classifier that reads it off.
fn teacher(names: &[&str]) -> Model {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let config = Config {
        architecture: &Roberta,
        vocab: 13,
        hidden: 16,
        head_dim: 4,
        layers: vec![LayerShape { heads: 4, ffn: 8, from_teacher_layer: 0, ..LayerShape::default() }],
        positions: 514,
        pad: 1,
        eps: 1e-12,
        settings: encoder::arch::Settings::default(),
        labels: Labels::parse(&names).expect("labels"),
        crf: false,
        decode: Decode::Types,
        stock: Value::Null,
    };
    let device = ::burn::tensor::Device::flex();
    let mut weights = Network::init(&config, 1, &device).weights(&config);
    let mut set = |name: &str, entries: &[(usize, f32)]| {
        let array = weights.get_mut(&format!("{name}.weight")).expect("there");
        array.values.fill(0.0);
        for (place, value) in entries {
            array.values[*place] = *value;
        }
    };
    let tensors = config.architecture.tensors();
    set(tensors.positions.expect("an embedding"), &[]);
    for part in [ATTENTION_OUTPUT, DOWN] {
        set(&tensors.part(0, tensors.parts[part]), &[]);
    }
    set(tensors.word, &(0..13).map(|id| (id * 16 + id, 10.0)).collect::<Vec<_>>());
    let votes = WORDS.iter().enumerate().filter_map(|(word, (_, label))| {
        let label = names.iter().position(|name| name == label)?;
        Some((label * 16 + 4 + word, 3.0))
    });
    set(tensors.head, &votes.collect::<Vec<_>>());
    let network = Network::from_weights(&config, weights, &device).expect("whole");
    Model { config, network, tokenizer: tokenizer(&WORDS.map(|(word, _)| word)) }
}

const IO: [&str; 5] = ["O", "I-LOC", "I-PER", "I-MISC", "I-ORG"];

fn prepare(root: &Path) {
    teacher(&IO).save(&root.join("teacher")).expect("saved");
    fs::create_dir(root.join("text")).expect("a folder");
    let press = "Jean Durand habite Paris Lyon\ntrop court\nJean travaille et Noël travaille CHU\n";
    fs::write(root.join("text/press.txt"), press).expect("written");
    let web: Vec<_> = (0..20).map(|i| "travaille ".repeat(i + 2)).collect();
    fs::write(root.join("text/web.txt"), web.join("\n")).expect("written");
}

fn run(stage: &Annotate, root: &Path, out: &str) -> Result<(Corpus, Value), StageError> {
    let paths = |ports: &[(&str, String)]| -> BTreeMap<_, _> {
        ports.iter().map(|(port, name)| ((*port).to_owned(), root.join(name))).collect()
    };
    let outputs = paths(&[
        ("records", format!("{out}.jsonl")),
        ("report", format!("{out}.json")),
        ("logits", format!("{out}.safetensors")),
    ]);
    stage.run(&Context {
        inputs: &paths(&[("text", "text".to_owned()), ("teacher", "teacher".to_owned())]),
        outputs: &outputs,
        checkpoint: &root.join("checkpoint"),
        seed: 5,
        threads: 2,
        ..context()
    })?;
    Ok((Corpus::load(&outputs["records"])?, Report::load(&outputs["report"])?.0))
}

fn tags(corpus: &Corpus, id: &str) -> Vec<String> {
    corpus.records.iter().find(|record| record.id == id).expect("there").tags.clone()
}

#[test]
fn io_labels_become_bio_tags_with_confidences() {
    let root = tempfile::tempdir().expect("a folder");
    prepare(root.path());
    let (corpus, report) = run(&Annotate::default(), root.path(), "out").expect("annotated");
    assert_eq!(tags(&corpus, "press-1"), ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]);
    assert_eq!(tags(&corpus, "press-3"), ["B-PER", "O", "O", "B-MISC", "O", "B-ORG"]);
    let record = &corpus.records[0];
    assert_eq!((record.source.as_str(), &record.words[1]), ("press", &[5, 11]));
    assert!(record.score.iter().all(|score| *score > 0.9 && *score <= 1.0), "{:?}", record.score);
    let digest = blake3::hash(&fs::read(root.path().join("teacher/model.safetensors")).expect("weights"));
    assert_eq!(record.provenance, Provenance::Silver { model: digest.to_hex().to_string() });
    let logits = Logits::load(&root.path().join("out.safetensors")).expect("logits");
    assert_eq!(
        logits.origin,
        Origin { teacher: digest.to_hex().to_string(), labels: IO.map(String::from).to_vec() }
    );
    assert_eq!(logits.texts.len(), corpus.records.len());
    let said = &logits.texts["press-1"];
    assert_eq!(said.shape, [5, 5]);
    assert!(said.values[2] > said.values[0] && said.values[16] > said.values[15], "Jean and Paris: {said:?}");

    assert_eq!(report["cleaning"]["by_source"]["press"]["short"], 1);
    assert_eq!(report["by_source"]["press"]["entities"], json!({"LOC": 1, "MISC": 1, "ORG": 1, "PER": 2}));
    assert_eq!(report["found"]["tags"]["B-PER"], 2);
    assert_eq!(report["found"]["sentences"], corpus.records.len());
    assert_eq!(report["found"]["words_without_piece"], 0);
    assert_eq!(report["teacher"]["types"], json!(["LOC", "PER", "MISC", "ORG"]));
}

#[test]
fn two_runs_write_the_same_bytes() {
    let root = tempfile::tempdir().expect("a folder");
    prepare(root.path());
    for out in ["a", "b"] {
        run(&Annotate { sample: 9, tokens: 40, ..Annotate::default() }, root.path(), out).expect("annotated");
    }
    for kind in ["json", "jsonl"] {
        let bytes = |out: &str| fs::read(root.path().join(format!("{out}.{kind}"))).expect("written");
        assert_eq!(bytes("a"), bytes("b"));
    }
}

#[test]
fn batches_do_not_show_in_tags_and_hardly_in_confidences() {
    let root = tempfile::tempdir().expect("a folder");
    prepare(root.path());
    let (one, _) =
        run(&Annotate { tokens: 1, ..Annotate::default() }, root.path(), "one").expect("annotated");
    let (all, _) = run(&Annotate::default(), root.path(), "all").expect("annotated");
    assert_eq!(one.records.len(), all.records.len());
    for (one, all) in one.records.iter().zip(&all.records) {
        assert_eq!((&one.id, &one.tags), (&all.id, &all.tags));
        assert!(one.score.iter().zip(&all.score).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

#[test]
fn a_sample_keeps_proportions_and_order() {
    let line = |source: &str, number| Line::new(source, number, "");
    let lines: Vec<_> = [("a", 60), ("b", 30), ("c", 10)]
        .into_iter()
        .flat_map(|(source, count)| (1..=count).map(move |number| line(source, number)))
        .collect();
    let drawn = draw(lines.clone(), 25, 7);
    let of = |source: &str| drawn.iter().filter(|line| line.source == source).count();
    // 15, 7.5 and 2.5: the remainders are equal, so the first name gets the one that is left.
    assert_eq!([of("a"), of("b"), of("c")], [15, 8, 2]);
    assert!(
        drawn.windows(2).all(|pair| (&pair[0].source, pair[0].number) < (&pair[1].source, pair[1].number))
    );
    assert_eq!(drawn, draw(lines.clone(), 25, 7));
    assert_ne!(drawn, draw(lines.clone(), 25, 8));
    assert_eq!(draw(lines.clone(), 0, 7).len(), 100);
    assert_eq!(draw(lines, 500, 7).len(), 100);
}

#[test]
fn what_would_fail_later_is_found_before_any_work() {
    let root = tempfile::tempdir().expect("a folder");
    prepare(root.path());
    let wired = |port: &str, name: &str| BTreeMap::from([(port.to_owned(), root.path().join(name))]);
    let preflight =
        |wired: &BTreeMap<_, _>, stage: &Annotate| stage.preflight(&Available::new(wired), Device::CPU);
    let stage = Annotate::default();
    preflight(&wired("teacher", "teacher"), &stage).expect("all well");
    preflight(&wired("text", "text"), &stage).expect("all well");

    fs::write(root.path().join("latin.txt"), b"caf\xe9 au lait du matin\n").expect("written");
    let error = preflight(&wired("text", "latin.txt"), &stage).expect_err("not UTF-8");
    assert_eq!(error.at.as_deref(), Some("text"));
    assert!(!error.message.contains("au lait"), "{}", error.message);
    fs::write(root.path().join("empty.txt"), "\n\n").expect("written");
    preflight(&wired("text", "empty.txt"), &stage).expect_err("empty");

    teacher(&["O", "I-LOC", "I-PER"]).save(&root.path().join("other")).expect("saved");
    preflight(&wired("teacher", "other"), &stage).expect("whatever its types");
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let clean = Rules { shortest: 20, longest: 10, ..Rules::default() };
    let wrong = Annotate { clean, ..Annotate::default() }.check().expect_err("no sense");
    assert_eq!(wrong.at.as_deref(), Some("clean"));
}
