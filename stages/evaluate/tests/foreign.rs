//! Types of gold that the models lack.

use super::*;
use crate::evaluate::foreign;

#[test]
fn types_of_gold_that_no_model_has_are_said_and_mean_what_types_says() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    bench.gold(vec![
        gold("c", &[("Anna et la CAF", "B-PER O O B-ORGANISATION"), ("joyeux Noël", "O B-DATE")]),
        gold("d", &[("Paris", "B-LOC")]),
    ]);
    let bounds = gates(serde_json::json!({
        "all": {"metric": "final.quality.f1", "min": 0.1},
        "c": {"metric": "final.quality.f1", "min": 0.1, "set": "c"},
        "d": {"metric": "final.quality.f1.drop", "max": 0.5, "set": "d"},
    }));
    let stage = |types: &[(&str, &str)]| Evaluate {
        types: types.iter().copied().collect(),
        gates: bounds.clone(),
        ..quick()
    };
    let notes = |stage: &Evaluate| {
        let inputs = Available::new(&bench.inputs);
        stage.preflight(&inputs, Device::CPU).map(|()| inputs.into_notes())
    };
    let outcomes = |outcome: &Outcome| {
        ["all", "c", "d"]
            .map(|gate| outcome.at(&format!("gates/{gate}/outcome")).as_str().expect("a word").to_owned())
    };
    let silent = stage(&[]);
    let said = notes(&silent).expect("one type matches");
    assert_eq!(
        said,
        [
            "gold set `c`: no model has DATE (1 entity), ORGANISATION (1 entity), and the set has no LOC, no ORG: gates on \
          it are inconclusive unless `evaluate` is told what is meant, for example `types = { DATE = \"outside\", \
          ORGANISATION = \"ORG\" }`"
        ]
    );
    let outcome = bench.stage(&silent, true).expect("a report");
    assert_eq!(outcomes(&outcome), ["inconclusive", "inconclusive", "pass"]);
    assert_eq!(outcome.at("foreign/unknown/c"), &serde_json::json!({"DATE": 1, "ORGANISATION": 1}));
    assert_eq!(outcome.at("foreign/teacher"), &serde_json::json!({"MISC": 1}));
    assert!(outcome.shown().contains("  of the teacher: MISC (1 entity)"), "{}", outcome.shown());
    assert!(outcome.shown().contains("which no model has"), "{}", outcome.shown());

    let told = stage(&[("ORGANISATION", "ORG"), ("DATE", "outside")]);
    assert_eq!(notes(&told).expect("all is said"), Vec::<String>::new());
    let outcome = bench.stage(&told, true).expect("a report");
    assert_eq!(outcomes(&outcome), ["pass", "pass", "pass"]);
    same(outcome.score("models/final/quality/sets/c/micro"), perfect(2.0));
    assert_eq!(outcome.at("foreign/gold"), &serde_json::json!({"c": {"DATE": 1}}), "outside, and counted");

    for (types, message) in [
        (("ORGANIZATION", "ORG"), "`types` names ORGANIZATION, of which gold has no entity"),
        (("ORGANISATION", "ORGA"), "`types` makes ORGANISATION a ORGA, which no model has"),
    ] {
        let wrong = notes(&stage(&[types])).expect_err(message);
        assert_eq!((wrong.at.as_deref(), wrong.message.as_str()), (Some("types"), message));
    }
    let wrong = told.check_inputs(&["teacher", "final", "test"]).expect_err("no gold");
    assert_eq!(wrong.at.as_deref(), Some("types"));
}

#[test]
fn a_gate_on_gold_without_an_entity_that_counts_is_inconclusive() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    bench.gold(vec![gold("c", &[("Anna fête Noël", "O O B-MISC")]), gold("d", &[("Paris", "B-LOC")])]);
    let gates = gates(serde_json::json!({
        "c": {"metric": "final.quality.f1.drop", "max": 0.5, "set": "c"},
        "d": {"metric": "final.quality.f1.drop", "max": 0.5, "set": "d"},
        "org": {"metric": "final.quality.per_type.ORG.f1", "min": 0.0},
    }));
    let types = [("MISC", "outside")].into_iter().collect();
    let outcome = bench.stage(&Evaluate { types, gates, ..quick() }, true).expect("a report");
    for (gate, word) in [("c", "inconclusive"), ("d", "pass"), ("org", "inconclusive")] {
        assert_eq!(outcome.at(&format!("gates/{gate}/outcome")), word, "{gate}");
    }
    assert_eq!(outcome.at("gates/c/measured"), &Value::Null);
}

#[test]
fn what_is_suggested_is_what_toml_takes_and_no_guess_by_the_first_letters() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let types = set(&["PER", "LOC", "ORG"]);
    assert_eq!(
        foreign::suggestion(&set(&["Person", "PERCENT", "loc.adm.town", "ORGANISM", "organisation"]), &types),
        "`types = { ORGANISM = \"outside\", PERCENT = \"outside\", Person = \"PER\", \"loc.adm.town\" = \"outside\", \
         organisation = \"ORG\" }`"
    );
}
