use serde_json::json;

use super::*;
use measure::bootstrap::{Evidence, Interval, Part};

fn gate(value: serde_json::Value) -> Gate {
    serde_json::from_value(value).expect("is a gate")
}

/// Enough of everything.
fn support(rule: &Rule) -> Support {
    match rule.metric {
        Metric::Size(..) => Support::Exact,
        Metric::Latency(..) | Metric::Throughput(..) => Support::Rounds(50),
        Metric::Score(..) => Support::Entities(Evidence { texts: 100, entities: 300 }),
    }
}

fn judged(gate: &Gate, estimate: Option<Estimate>, support: Support) -> Verdict {
    gate.rule("g").expect("makes sense").verdict(gate, Measured { estimate, support }, &Foreign::default())
}

fn verdict(gate: &Gate, value: f64, interval: Option<Interval>) -> Outcome {
    let rule = gate.rule("g").expect("makes sense");
    judged(gate, Some(Estimate { value, interval }), support(&rule)).outcome
}

#[test]
fn a_bound_is_met_by_the_worse_end_missed_by_the_better_one_or_left_open() {
    let most = gate(json!({ "metric": "final.quality.f1.drop", "max": 0.01 }));
    for (interval, outcome) in [
        ([0.0, 0.01], Outcome::Pass),
        ([-0.02, 0.005], Outcome::Pass),
        ([0.005, 0.02], Outcome::Inconclusive),
        ([0.01, 0.02], Outcome::Inconclusive),
        ([0.011, 0.02], Outcome::Fail),
    ] {
        assert_eq!(verdict(&most, 0.01, Some(interval)), outcome, "{interval:?}");
    }
    let least = gate(json!({ "metric": "final.throughput.ratio", "min": 1.38 }));
    for (interval, outcome) in
        [([1.38, 1.5], Outcome::Pass), ([1.3, 1.5], Outcome::Inconclusive), ([1.2, 1.37], Outcome::Fail)]
    {
        assert_eq!(verdict(&least, 1.4, Some(interval)), outcome, "{interval:?}");
    }
    let nothing = judged(&least, None, Support::Rounds(0));
    assert_eq!((nothing.outcome, nothing.measured), (Outcome::Inconclusive, None));
}

#[test]
fn too_little_evidence_is_inconclusive_whatever_the_interval_and_says_what_is_missing() {
    let sure = Some(Estimate { value: 1.0, interval: Some([1.0, 1.0]) });
    let entities = |texts, entities| Support::Entities(Evidence { texts, entities });
    let least = gate(json!({ "metric": "final.quality.f1", "min": 0.9 }));
    let most = gate(json!({ "metric": "final.quality.f1", "max": 0.1 }));
    for (texts, found, right) in
        [(20, 20, true), (19, 500, false), (20, 19, false), (1, 1, false), (0, 0, false)]
    {
        for (gate, proven) in [(&least, Outcome::Pass), (&most, Outcome::Fail)] {
            let verdict = judged(gate, sure, entities(texts, found));
            assert_eq!(
                verdict.outcome,
                if right { proven } else { Outcome::Inconclusive },
                "{found} in {texts}"
            );
            assert_eq!(verdict.reason.is_none(), right);
            assert_eq!((verdict.texts, verdict.entities), (Some(texts), Some(found)));
        }
    }
    let said = judged(&least, sure, entities(1, 1)).reason;
    assert_eq!(said.as_deref(), Some("1 entity in 1 text, and it needs 20 in 20 (`entities`, `texts`)"));
    let few = gate(json!({ "metric": "final.quality.f1", "min": 0.9, "texts": 2, "entities": 3 }));
    assert_eq!(judged(&few, sure, entities(2, 3)).outcome, Outcome::Pass);

    let wide = |gate: &Gate| {
        judged(gate, Some(Estimate { value: 0.9, interval: Some([0.3, 0.95]) }), entities(30, 30))
    };
    let low = gate(json!({ "metric": "final.quality.f1", "min": 0.2 }));
    assert_eq!(wide(&low).reason.as_deref(), Some("the interval is 0.65 wide, and may be 0.50 (`width`)"));
    let patient = gate(json!({ "metric": "final.quality.f1", "min": 0.2, "width": 0.7 }));
    assert_eq!(wide(&patient).outcome, Outcome::Pass);
    let without = judged(&low, Some(Estimate { value: 0.9, interval: None }), entities(30, 30));
    assert_eq!(without.outcome, Outcome::Inconclusive, "no draw says anything");

    let fast = gate(json!({ "metric": "final.latency.ratio", "max": 2.0 }));
    for (rounds, outcome) in [(3, Outcome::Pass), (2, Outcome::Inconclusive), (1, Outcome::Inconclusive)] {
        assert_eq!(judged(&fast, sure, Support::Rounds(rounds)).outcome, outcome, "{rounds}");
    }
    let reason = judged(&fast, sure, Support::Rounds(1)).reason;
    assert_eq!(reason.as_deref(), Some("measured in 1 round, and it needs 3 (`rounds`)"));
    for key in ["texts", "entities", "width"] {
        let mut nothing = json!({ "metric": "final.quality.f1", "min": 0.2 });
        nothing[key] = json!(0);
        let wrong = gate(nothing).rule("g").err().expect("no evidence at all");
        assert_eq!(wrong.at.as_deref(), Some(format!("gates.g.{key}").as_str()));
    }
}

#[test]
fn what_is_exact_is_never_left_open() {
    let most = gate(json!({ "metric": "final.parameters", "max": 70e6 }));
    assert_eq!(verdict(&most, 70e6, None), Outcome::Pass);
    assert_eq!(verdict(&most, 70e6 + 1.0, None), Outcome::Fail);
}

#[test]
fn a_metric_is_a_model_and_a_number_of_it() {
    let read = |metric: &str| {
        gate(json!({ "metric": metric, "max": 1.0 })).rule("g").map(|rule| (rule.model, rule.metric)).ok()
    };
    let of = |model: &str, metric| Some((model.to_owned(), metric));
    let score = |table, types, part, relation| Metric::Score(table, types, part, relation);
    let only = Types::Only("PER".to_owned());
    for (text, right) in [
        ("final.parameters", of("final", Metric::Size(Size::Parameters, Relation::Alone))),
        ("p60.bytes.ratio", of("p60", Metric::Size(Size::Bytes, Relation::Ratio))),
        ("final.latency.ratio", of("final", Metric::Latency(None, 50, Relation::Ratio))),
        ("final.latency.512x8.p99_ms", of("final", Metric::Latency(Some((512, 8)), 99, Relation::Alone))),
        ("final.throughput.ratio", of("final", Metric::Throughput(Rate::Sentences, Relation::Ratio))),
        ("final.quality.f1.drop", of("final", score(Table::Quality, Types::Micro, Part::F1, Relation::Drop))),
        (
            "final.fidelity.macro.recall",
            of("final", score(Table::Fidelity, Types::Macro, Part::Recall, Relation::Alone)),
        ),
        (
            "x@heads=0.25,t=2.5.fidelity.per_type.PER.f1.drop",
            of("x@heads=0.25,t=2.5", score(Table::Fidelity, only, Part::F1, Relation::Drop)),
        ),
    ] {
        assert_eq!(read(text), right, "{text}");
    }
    for text in [
        "",
        "final",
        "parameters",
        ".parameters",
        "final.parameter",
        "final.parameters.drop",
        "final.latency",
        "final.latency.512.p50_ms",
        "final.latency.ratio.ratio",
        "final.throughput.drop",
        "final.quality",
        "final.quality.f1.ratio",
        "final.quality.per_type.f1",
        "final.quality.micro.f1",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_gate_that_makes_no_sense_is_refused_with_what_to_type() {
    let refused = |value: serde_json::Value| {
        let invalid = gate(value).rule("g").err().expect("makes no sense");
        (invalid.at.expect("a place"), invalid.message, invalid.help.expect("help"))
    };
    let (at, message, help) = refused(json!({ "metric": "final.f1", "max": 1.0 }));
    assert_eq!(
        (at.as_str(), message.as_str()),
        ("gates.g.metric", "gate `g`: there is no metric `final.f1`")
    );
    assert!(help.contains("`quality.f1`") && help.contains("`latency.ratio`"), "{help}");
    for (value, place, said) in [
        (json!({ "max": 1.0 }), "gates.g.metric", "it has no `metric`"),
        (json!({ "metric": "final.parameters" }), "gates.g", "one of `max` and `min`"),
        (
            json!({ "metric": "final.parameters", "max": 1.0, "min": 0.0 }),
            "gates.g",
            "one of `max` and `min`",
        ),
        (
            json!({ "metric": "final.parameters", "max": 1.0, "against": "pruned" }),
            "gates.g.against",
            "compares with nothing",
        ),
        (
            json!({ "metric": "final.bytes.ratio", "max": 1.0, "against": "final" }),
            "gates.g.against",
            "compared with itself",
        ),
        (json!({ "metric": "teacher.bytes.ratio", "max": 1.0 }), "gates.g.metric", "compared with itself"),
        (
            json!({ "metric": "final.quality.f1", "min": 0.9, "source": "x" }),
            "gates.g.source",
            "of fidelity alone",
        ),
        (json!({ "metric": "final.fidelity.f1", "min": 0.9, "set": "x" }), "gates.g.set", "of quality alone"),
        (
            json!({ "metric": "final.latency.ratio", "max": 0.9, "length": "short" }),
            "gates.g.length",
            "of fidelity and quality alone",
        ),
        (
            json!({ "metric": "final.fidelity.f1", "min": 0.9, "source": "x", "mention": "seen" }),
            "gates.g.mention",
            "two slices",
        ),
    ] {
        let (at, message, _) = refused(value);
        assert!(at == place && message.contains(said), "{at}: {message}");
    }
}

#[test]
fn what_a_gate_names_must_be_there() {
    let gates = |value: serde_json::Value| Gates::from([("g".to_owned(), gate(value))]);
    let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let world = || Names {
        models: Some(["teacher", "final", "x"].into()),
        sources: set(&["notes", "web"]),
        sets: set(&["press"]),
        types: set(&["PER"]),
        gold: true,
        train: true,
    };
    let refused = |value: serde_json::Value, names: &Names<'_>| check(&gates(value), names).err();
    for fine in [
        json!({ "metric": "x@a.quality.f1.drop", "against": "x@b", "max": 0.0 }),
        json!({ "metric": "final.fidelity.f1", "min": 0.9, "source": "web" }),
        json!({ "metric": "final.quality.per_type.PER.f1", "min": 0.9, "set": "press" }),
        json!({ "metric": "final.fidelity.f1", "min": 0.9, "mention": "unseen" }),
    ] {
        assert_eq!(refused(fine, &world()), None);
    }
    for (value, place, help) in [
        (json!({ "metric": "last.quality.f1", "min": 0.9 }), "gates.g.metric", "`final`, `teacher`, `x`"),
        (
            json!({ "metric": "final.quality.f1.drop", "max": 0.0, "against": "ce_only" }),
            "gates.g.against",
            "`final`, `teacher`, `x`",
        ),
        (
            json!({ "metric": "final.fidelity.f1", "min": 0.9, "source": "n" }),
            "gates.g.source",
            "`notes`, `web`",
        ),
        (json!({ "metric": "final.quality.f1", "min": 0.9, "set": "n" }), "gates.g.set", "`press`"),
        (json!({ "metric": "final.quality.per_type.X.f1", "min": 0.9 }), "gates.g.metric", "`PER`"),
    ] {
        let invalid = refused(value, &world()).expect("it is not there");
        assert_eq!(invalid.at.as_deref(), Some(place));
        assert!(invalid.help.clone().expect("help").contains(help), "{invalid:?}");
    }
    let quality = json!({ "metric": "final.quality.f1", "min": 0.9 });
    let without = Names { gold: false, ..world() };
    assert!(refused(quality, &without).expect("no gold").help.expect("help").contains("gold = "));
    let unseen = json!({ "metric": "final.fidelity.f1", "min": 0.9, "mention": "unseen" });
    let without = Names { train: false, ..world() };
    assert!(refused(unseen, &without).expect("no train").help.expect("help").contains("train = "));
}

#[test]
fn a_gate_on_gold_whose_types_nobody_has_is_inconclusive() {
    let counts = |kind: &str| BTreeMap::from([(kind.to_owned(), 2)]);
    let foreign =
        Foreign { unknown: BTreeMap::from([("a".to_owned(), counts("PERSON"))]), ..Foreign::default() };
    let verdict = |metric: &str, set: Option<&str>| {
        let gate = Gate {
            metric: metric.to_owned(),
            min: Some(0.0),
            set: set.map(str::to_owned),
            ..Gate::default()
        };
        let estimate = Some(Estimate { value: 0.9, interval: Some([0.8, 0.95]) });
        let rule = gate.rule("g").expect("makes sense");
        rule.verdict(&gate, Measured { estimate, support: support(&rule) }, &foreign)
    };
    for set in [None, Some("a")] {
        let verdict = verdict("final.quality.f1", set);
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        let reason = "gold set `a` has PERSON (2 entities), which the final model lacks";
        assert_eq!(verdict.reason.as_deref(), Some(reason));
    }
    assert_eq!(verdict("final.quality.f1", Some("b")).outcome, Outcome::Pass);
    assert_eq!(verdict("final.fidelity.f1", None).outcome, Outcome::Pass);
    assert_eq!(verdict("final.parameters", None).outcome, Outcome::Pass);
}
