//! Weights by name.

use super::super::*;

#[test]
fn weights_are_known_by_name_and_zeros_mean_nothing() {
    let weights: Weights = serde_json::from_value(json!({"ce": 1.0, "kd": 0.0, "crf": 0.5})).expect("read");
    assert_eq!((weights.get("ce"), weights.get("kd"), weights.get("hidden")), (1.0, 0.0, 0.0));
    assert_eq!(serde_json::to_value(&weights).expect("written"), json!({"ce": 1.0, "crf": 0.5}));
    weights.check("weights").expect("known names");
    for (weights, message) in [
        (Weights::of(&[("kl", 1.0)]), "`weights` names `kl`, which is no loss"),
        (Weights::of(&[("ce", 0.0)]), "all weights of `weights` are 0: nothing would be learnt"),
    ] {
        let wrong = weights.check("weights").expect_err(message);
        assert_eq!((wrong.message.as_str(), wrong.at.as_deref()), (message, Some("weights")));
        assert!(wrong.help.is_some_and(|help| help.contains("ce, kd, hidden, relation, crf")));
    }
}

#[test]
fn the_schema_names_every_loss() {
    let schema = schemars::schema_for!(Weights).to_value();
    for loss in LOSSES {
        assert_eq!(schema["properties"][loss.name()]["description"], loss.doc());
    }
}
