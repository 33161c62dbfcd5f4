//! Gates.

use super::*;

#[test]
fn gates_are_held_against_the_report_told_and_shown() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG"]));
    bench.model("ce_only", &model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG", "PER"]));
    bench.gold(vec![gold("a", &[("Anna vit à Paris", "B-PER O O B-LOC"), ("la CAF", "O B-ORG")])]);
    bench.test(
        (1..40).map(|n| record(if n % 2 == 0 { "notes" } else { "web" }, n, "Anna vit à Paris")).collect(),
    );
    let gates = gates(serde_json::json!({
        "size": { "metric": "final.parameters.ratio", "max": 1.5 },
        "small": { "metric": "final.parameters", "max": 10 },
        "same": { "metric": "final.fidelity.f1.drop", "max": 0.0 },
        "notes": { "metric": "final.fidelity.f1", "min": 0.99, "source": "notes", "texts": 19 },
        "few": { "metric": "final.fidelity.f1", "min": 0.99, "source": "notes" },
        "better": { "metric": "final.fidelity.f1.drop", "max": 0.0, "against": "ce_only" },
        "worse": { "metric": "ce_only.fidelity.f1", "min": 0.99 },
        "gold": { "metric": "final.quality.f1.drop", "max": 0.1, "set": "a" },
        "none": { "metric": "final.fidelity.per_type.ORG.f1", "min": 0.9 },
        "cell": { "metric": "final.latency.512x32.ratio", "max": 0.9 },
        "fast": { "metric": "final.latency.ratio", "max": 1000.0 },
        "slow": { "metric": "final.throughput.ratio", "min": 1000.0 },
    }));
    let stage = Evaluate { gates, ..quick() };
    stage.check().expect("they make sense");
    stage.check_inputs(&["teacher", "final", "ce_only", "test", "gold"]).expect("all is wired");
    let without = stage.check_inputs(&["teacher", "final", "test", "gold"]).expect_err("no ce_only");
    assert_eq!(without.at.as_deref(), Some("gates.better.against"));
    stage.preflight(&Available::new(&bench.inputs), Device::CPU).expect("all is there");

    let outcome = bench.stage(&stage, true).expect("a report");
    let expected = [
        ("better", Word::Pass),
        ("cell", Word::Inconclusive),
        ("fast", Word::Pass),
        ("few", Word::Inconclusive),
        ("gold", Word::Inconclusive),
        ("none", Word::Inconclusive),
        ("notes", Word::Pass),
        ("same", Word::Pass),
        ("size", Word::Pass),
        ("slow", Word::Fail),
        ("small", Word::Fail),
        ("worse", Word::Fail),
    ];
    for (name, word) in expected {
        assert_eq!(outcome.at(&format!("gates/{name}/outcome")), word.name(), "{name}");
    }
    let sent = outcome.events.iter().filter_map(|event| match event {
        Event::Gate { name, outcome } => Some((name.as_str(), outcome.as_str())),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), expected.map(|(name, word)| (name, word.name())));
    assert_eq!(outcome.at("gates/small/interval"), &Value::Null, "a count is exact");
    assert_eq!(outcome.at("gates/cell/measured"), &Value::Null);
    assert_eq!(
        outcome.at("gates/few/reason"),
        "38 entities in 19 texts, and it needs 20 in 20 (`entities`, `texts`)"
    );
    assert_eq!(
        outcome.at("gates/gold/reason"),
        "3 entities in 2 texts, and it needs 20 in 20 (`entities`, `texts`)"
    );
    assert_eq!(outcome.at("gates/cell/reason"), "it was not measured: no time, or no room in a model");
    assert_eq!(
        (outcome.at("gates/notes/texts"), outcome.at("gates/notes/entities")),
        (&19.into(), &38.into())
    );
    assert_eq!(outcome.at("gates/fast/rounds"), 3);
    assert_eq!(outcome.at("gates/better/against"), "ce_only");
    assert_eq!(outcome.at("gates/notes/slice"), "source notes");
    same([outcome.number("gates/gold/measured"), 0.1, 0.0, 0.0], [1.0 - 0.8, 0.1, 0.0, 0.0]);
    let shown = outcome.shown();
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let row = |name: &str| -> Vec<&str> {
        let lines = shown.lines().skip_while(|line| *line != "gates");
        let mut rows = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.find(|row| row.first() == Some(&name)).expect("a row")
    };
    assert_eq!(row("same"), ["same", "0", "<=", "0", "[0,", "0]", "pass"]);
    assert_eq!(row("none"), ["none", "-", ">=", "0.9", "inconclusive"]);

    let mistaken = |value: Value| bench.stage(&Evaluate { gates: self::gates(value), ..quick() }, true).err();
    let error =
        mistaken(serde_json::json!({ "g": { "metric": "final.fidelity.f1", "min": 0.9, "source": "n" } }));
    assert_eq!(error.expect("no source n").to_string(), "gate `g`: there is no source `n`");
}
