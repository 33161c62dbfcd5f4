use std::{collections::BTreeMap, path::Path};

use super::*;
use encoder::{
    model::Model,
    testing::fixture::{model, teacher_labels},
};
use stage_contract::{Artifact, testing::context};
use text::labels::Labels;

fn run(stage: &Export, model: &Path, folder: &Path) -> Result<Report, StageError> {
    let inputs = BTreeMap::from([("model".to_owned(), model.to_owned())]);
    let outputs = ["model", "report"].map(|name| (name.to_owned(), folder.join(name)));
    let outputs = BTreeMap::from(outputs);
    stage.run(&Context { inputs: &inputs, outputs: &outputs, ..context() })?;
    Report::load(&folder.join("report"))
}

fn saved(model: &Model, folder: &Path) -> std::path::PathBuf {
    let path = folder.join("given");
    model.save(&path).expect("saved");
    path
}

#[test]
fn every_form_of_a_model_is_written_with_its_tokenizer_and_says_the_same() {
    for (to, weights) in [
        (Target::Onnx, "model.onnx"),
        (Target::OnnxInt8, "model.onnx"),
        (Target::Hf, "model.safetensors"),
        (Target::HfDense, "model.safetensors"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let given = saved(&model(Labels::bio(["PER", "LOC", "ORG", "MISC"]), &[]), folder.path());
        let Report(report) =
            run(&Export { to, ..Export::default() }, &given, folder.path()).expect("exported");
        assert_eq!(report["to"], to.name());
        assert_eq!(report["check"]["other_tags"], 0, "{report}");
        assert!(report["check"]["words"].as_u64().is_some_and(|words| words > 500), "{report}");
        assert!(report["check"]["other_by_argmax"].is_u64(), "{report}");
        assert_eq!(report["note"].is_string(), to == Target::HfDense);
        for name in [
            weights,
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "README.md",
            ".gitattributes",
        ] {
            assert!(folder.path().join("model").join(name).is_file(), "{to}: {name}");
        }
        let bytes = folder.path().join("model").join(weights).metadata().expect("there").len();
        assert_eq!(report["bytes"], bytes);
    }
}

#[test]
fn a_model_that_cannot_become_this_is_refused_before_any_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut pruned = model(teacher_labels(), &[]);
    let mut weights = pruned.network.weights(&pruned.config);
    let tensors = pruned.config.architecture.tensors();
    let name = |part: usize| tensors.part(0, tensors.parts[part]);
    // One head of two is left.
    for (part, along) in [(0, 0), (1, 0), (2, 0), (3, 1)] {
        use encoder::weights::Along;
        let along = [Along::Rows, Along::Columns][along];
        let weight = weights.get_mut(&format!("{}.weight", name(part))).expect("there");
        *weight = weight.keep(&[0, 1, 2, 3], along);
        if along == Along::Rows {
            let bias = weights.get_mut(&format!("{}.bias", name(part))).expect("there");
            *bias = bias.keep(&[0, 1, 2, 3], along);
        }
    }
    pruned.config.layers[0].heads = 1;
    pruned.network =
        encoder::network::Network::from_weights(&pruned.config, weights, &Burn::flex()).expect("fits");
    let given = saved(&pruned, folder.path());
    let paths = BTreeMap::from([("model".to_owned(), given.clone())]);
    let preflight = |to| Export { to, ..Export::default() }.preflight(&Available::new(&paths), Device::CPU);
    let refused = preflight(Target::Hf).expect_err("its layers are no stock shape");
    assert_eq!(refused.at.as_deref(), Some("to"));
    assert!(refused.help.expect("a way out").contains("hf-dense"));
    for to in [Target::Onnx, Target::OnnxInt8, Target::HfDense] {
        preflight(to).expect("possible");
    }
    let Report(report) =
        run(&Export { to: Target::HfDense, ..Export::default() }, &given, folder.path()).expect("exported");
    assert_eq!(report["check"]["other_tags"], 0, "{report}");
}

#[test]
fn the_card_of_an_export_has_the_scores_of_its_own_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let student = model(Labels::bio(["PER", "LOC"]), &[]);
    let given = saved(&student, folder.path());
    let layers: Vec<_> =
        student.config.layers.iter().map(|layer| json!({"heads": layer.heads, "ffn": layer.ffn})).collect();
    let score =
        json!({"precision": 0.5, "recall": 0.25, "f1": 0.333, "support": 12, "f1_interval": [0.3, 0.4]});
    let table = json!({"texts": 7, "micro": score, "per_type": {"PER": score}});
    let report = json!({
        "models": {
            "final": {
                "parameters": student.config.all_parameters(), "shape": {"layers": layers}, "fidelity": table,
                "quality": null,
            },
            "other": {"parameters": 1, "shape": {"layers": []}},
        },
        "bootstrap": {"confidence": 0.95},
        "gates": {
            "small": {"metric": "final.parameters", "direction": "max", "bound": 0.5, "measured": 0.25, "outcome": "pass"},
            "theirs": {"metric": "other.parameters", "direction": "max", "bound": 1, "measured": 2, "outcome": "fail"},
        },
    });
    let path = folder.path().join("evaluation.json");
    Report(report).save(&path).expect("saved");
    let inputs = BTreeMap::from([("model".to_owned(), given), ("evaluation".to_owned(), path)]);
    let outputs = ["model", "report"].map(|name| (name.to_owned(), folder.path().join(name)));
    let outputs = BTreeMap::from(outputs);
    let stage = Export { to: Target::Hf, ..Export::default() };
    stage.preflight(&Available::new(&inputs), Device::CPU).expect("fits");
    stage.run(&Context { inputs: &inputs, outputs: &outputs, ..context() }).expect("exported");
    let card = std::fs::read_to_string(folder.path().join("model/README.md")).expect("a card");
    for part in [
        "Not measured against gold.",
        "on 7 sentences",
        "| all | 50.00 | 25.00 | 33.30 | 30.00 to 40.00 | 12 |",
        "| small | final.parameters | at most 0.5000 | 0.2500 | pass |",
    ] {
        assert!(card.contains(part), "no {part} in\n{card}");
    }
    assert!(!card.contains("theirs"), "a gate of another model");
    for (name, reason) in [("other", "of another model"), ("none", "has no model")] {
        let stage = Export { scores_of: name.to_owned(), ..stage.clone() };
        let refused = stage.preflight(&Available::new(&inputs), Device::CPU).expect_err(name);
        assert_eq!(refused.at.as_deref(), Some("scores_of"));
        assert!(refused.message.contains(reason), "{}", refused.message);
        assert!(refused.help.is_some_and(|help| help.contains("`final`")));
    }
}
