use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::Deserialize;
use stage_contract::Artifact;

use super::*;
use encoder::{
    backend::prepacked::WeightFormat,
    decode::{Decoding, decode},
    infer::{WordLogits, encode, word_logits},
    model::Model,
};
use text::{
    corpus::Gold,
    labels::{Scheme, spans},
};

/// Cases whose scores the Python package seqeval computed once; `made_with` in the file says how.
#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    gold: Vec<String>,
    found: Vec<String>,
    micro: (f64, f64, f64, usize),
    #[serde(rename = "macro")]
    macro_: (f64, f64, f64, usize),
    per_type: BTreeMap<String, (f64, f64, f64, usize)>,
}

fn read(sentences: &[String]) -> Vec<Vec<Span>> {
    let tags = |sentence: &String| sentence.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    sentences.iter().map(|sentence| spans(&tags(sentence), Scheme::Bio)).collect()
}

/// seqeval says 0 of what is undefined.
fn close(found: Score, right: (f64, f64, f64, usize)) -> bool {
    let near = |a: Option<f64>, b: f64| (a.unwrap_or(0.0) - b).abs() < 1e-12;
    near(found.precision, right.0)
        && near(found.recall, right.1)
        && near(found.f1, right.2)
        && found.support == right.3
}

#[test]
fn scores_equal_seqeval_in_strict_mode() {
    let golden: Golden =
        serde_json::from_str(include_str!("../../../testdata/seqeval.json")).expect("golden cases");
    assert!(golden.cases.len() >= 40);
    for case in golden.cases {
        let scores = score(&read(&case.gold), &read(&case.found));
        assert!(
            close(scores.micro, case.micro),
            "{}: micro {:?}, not {:?}",
            case.name,
            scores.micro,
            case.micro
        );
        assert!(close(scores.macro_, case.macro_), "{}: macro {:?}", case.name, scores.macro_);
        assert!(scores.per_type.keys().eq(case.per_type.keys()), "{}: {:?}", case.name, scores.per_type);
        for (kind, found) in scores.per_type {
            assert!(close(found, case.per_type[&kind]), "{}: {kind} {found:?}", case.name);
        }
    }
}

#[test]
fn a_report_calls_the_mean_over_types_macro() {
    let scores = score(&read(&["B-PER O".to_owned()]), &read(&["B-PER B-LOC".to_owned()]));
    let json = serde_json::to_value(&scores).expect("json");
    assert_eq!(json["macro"]["f1"], 0.5);
    assert_eq!(json["per_type"]["PER"]["support"], 1);
    assert_eq!(serde_json::from_value::<Scores>(json).expect("scores"), scores);
}

#[test]
fn what_is_undefined_is_null_and_neither_0_nor_1() {
    let of = |gold: &str, found: &str| {
        let Score { precision, recall, f1, support, found } =
            score(&read(&[gold.to_owned()]), &read(&[found.to_owned()])).micro;
        (precision, recall, f1, support, found)
    };
    assert_eq!(of("O O", "O O"), (None, None, None, 0, 0));
    assert_eq!(of("B-PER O", "O O"), (None, Some(0.0), Some(0.0), 1, 0));
    assert_eq!(of("O O", "B-PER O"), (Some(0.0), None, Some(0.0), 0, 1));
    assert_eq!(of("B-PER O", "O B-PER"), (Some(0.0), Some(0.0), Some(0.0), 1, 1));
    let json = serde_json::to_value(score(&read(&["O".to_owned()]), &read(&["O".to_owned()]))).expect("JSON");
    assert!(json["micro"]["f1"].is_null() && json["macro"]["f1"].is_null(), "{json}");
}

#[test]
fn an_entity_listed_twice_counts_once() {
    let one = Span { start: 0, end: 1, kind: "PER".to_owned() };
    let scores = score(&[vec![one.clone()]], &[vec![one.clone(), one]]);
    assert!(close(scores.micro, (1.0, 1.0, 1.0, 1)));
}

/// README of the real case: the teacher reaches 91.1 on the whole of this set.
#[test]
fn the_real_teacher_finds_what_it_is_known_to_find_and_in_8_bits_too() {
    let Some(real) = encoder::testing::real("") else { return };
    let device = Device::flex();
    let mut model = Model::load(&real.join("teacher"), &device).expect("the teacher");
    let gold = Gold::load(&real.join("gold/encyclopedia_dev.bio")).expect("gold").sets.remove(0).records;
    let gold = &gold[..400];
    let encoded = encode(&model, gold.iter().map(|r| (r.text.as_str(), r.words.as_slice()))).expect("tokens");
    let entities = |tags: &[String]| {
        spans(tags, Scheme::Bio).into_iter().filter(|span| span.kind != "MISC").collect::<Vec<_>>()
    };
    let f1 = |model: &Model| {
        let logits = word_logits(model, &encoded, 2048, &device, None).expect("finite");
        let tags =
            |logits: &WordLogits| decode(&model.config.labels, &Decoding::Types, logits, &["MISC"]).tags;
        let found: Vec<_> = logits.iter().map(|logits| spans(&tags(logits), Scheme::Bio)).collect();
        let gold: Vec<_> = gold.iter().map(|record| entities(&record.tags)).collect();
        score(&gold, &found).micro.f1.expect("entities")
    };
    let exact = f1(&model);
    assert!(exact > 0.90, "{exact}");
    model = model.prepack(WeightFormat::Int8);
    let packed = f1(&model);
    assert!(packed > exact - 0.003, "{packed} in 8 bits, {exact} in f32");
}
