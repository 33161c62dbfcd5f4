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
        "all": {"metric": "final.quality.f1", "min": 0.1, "texts": 1, "entities": 1},
        "c": {"metric": "final.quality.f1", "min": 0.1, "set": "c", "texts": 1, "entities": 1},
        "d": {"metric": "final.quality.f1.drop", "max": 0.5, "set": "d", "texts": 1, "entities": 1},
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
            "gold set `c`: the final model lacks DATE (1 entity), ORGANISATION (1 entity), and the set has no LOC, no ORG: gates on \
          it are inconclusive unless `evaluate` is told what is meant, for example `types = { DATE = \"outside\", \
          ORGANISATION = \"ORG\" }`"
        ]
    );
    let outcome = bench.stage(&silent, true).expect("a report");
    assert_eq!(outcomes(&outcome), ["inconclusive", "inconclusive", "pass"]);
    assert_eq!(outcome.at("foreign/unknown/c"), &serde_json::json!({"DATE": 1, "ORGANISATION": 1}));
    assert_eq!(outcome.at("foreign/teacher"), &serde_json::json!({"MISC": 1}));
    assert!(outcome.shown().contains("  of the teacher: MISC (1 entity)"), "{}", outcome.shown());
    assert!(outcome.shown().contains("which the final model lacks"), "{}", outcome.shown());

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
        "c": {"metric": "final.quality.f1.drop", "max": 0.5, "set": "c", "texts": 1, "entities": 1},
        "d": {"metric": "final.quality.f1.drop", "max": 0.5, "set": "d", "texts": 1, "entities": 1},
        "org": {"metric": "final.quality.per_type.ORG.f1", "min": 0.0},
    }));
    let types = [("MISC", "outside")].into_iter().collect();
    let outcome = bench.stage(&Evaluate { types, gates, ..quick() }, true).expect("a report");
    for (gate, word) in [("c", "inconclusive"), ("d", "pass"), ("org", "inconclusive")] {
        assert_eq!(outcome.at(&format!("gates/{gate}/outcome")), word, "{gate}");
    }
    // Both models find an entity there, where gold has none: the drop is a number, and says nothing.
    assert_eq!(outcome.at("gates/c/measured"), &Value::from(0.0));
    assert_eq!(outcome.at("gates/c/entities"), 0);
}

/// The final model knows one type of three; another model knows them all, which makes none of them the final model's.
#[test]
fn a_type_that_only_another_model_has_makes_gates_inconclusive_too() {
    let mut bench = Bench::new(&model(Labels::bio(["ORG"]), &[]));
    bench.gold(vec![gold("c", &[("Anna et la CAF à Paris", "B-PER O O B-ORG O B-LOC")])]);
    let bounds = gates(
        serde_json::json!({"g": {"metric": "final.quality.f1", "min": 0.5, "texts": 1, "entities": 1}}),
    );
    let stage = |types: &[(&str, &str)]| Evaluate {
        types: types.iter().copied().collect(),
        gates: bounds.clone(),
        ..quick()
    };
    let silent = bench.stage(&stage(&[]), true).expect("one type matches");
    assert_eq!(silent.at("foreign/unknown/c"), &serde_json::json!({"LOC": 1, "PER": 1}));
    assert_eq!(silent.at("gates/g/outcome"), "inconclusive");
    let reason = "gold set `c` has LOC (1 entity), PER (1 entity), which the final model lacks";
    assert_eq!(silent.at("gates/g/reason"), reason);
    for meaning in ["outside", "ignore"] {
        let said = bench.stage(&stage(&[("PER", meaning), ("LOC", meaning)]), true).expect("all is said");
        assert_eq!(said.at("gates/g/outcome"), "pass", "{meaning}");
    }
}

#[test]
fn what_the_teacher_finds_and_the_final_model_lacks_makes_gates_on_fidelity_inconclusive_unless_it_is_said() {
    let bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let bounds = gates(serde_json::json!({
        "g": {"metric": "final.fidelity.f1", "min": 0.1, "texts": 1, "entities": 1},
        "size": {"metric": "final.parameters", "min": 1},
    }));
    let stage = Evaluate { gates: bounds, ..quick() };
    let silent = bench.stage(&stage, true).expect("a report");
    assert_eq!(silent.at("foreign/teacher_unknown"), &serde_json::json!({"MISC": 1}));
    assert_eq!(
        (silent.at("gates/g/outcome"), silent.at("gates/size/outcome")),
        (&"inconclusive".into(), &"pass".into())
    );
    let reason = "the teacher finds MISC (1 entity), which the final model lacks";
    assert_eq!(silent.at("gates/g/reason"), reason);
    // As its source says of the teacher.
    let types = serde_json::json!({"types": {"MISC": "outside"}});
    let said = bench.told(&stage, &BTreeMap::from([("teacher".to_owned(), types)])).expect("a report");
    assert_eq!(said.at("foreign/teacher_unknown"), &serde_json::json!({}));
    assert_eq!(said.at("gates/g/outcome"), "pass");
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
