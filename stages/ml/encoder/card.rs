//! The model card: `README.md` as the Hugging Face Hub shows it, from what config.json says and nothing else, so that equal
//! models have equal cards.

mod front;

use serde_json::{Map, Value};

pub use self::front::declared;
use crate::{
    config::{Config, Decode},
    weights::Stored,
};

/// What lies in the folder beside the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// model.safetensors
    Weights(Stored),
    /// model.onnx
    Onnx,
}

/// The card's text. `scores` is a section of its own, from whoever measured the model.
#[must_use]
pub fn card(config: &Config, holds: Holds, scores: Option<&str>) -> String {
    let types = config.labels.types().join(", ");
    let sections = [
        front::matter(&config.declared()),
        format!("# A token classifier for {types}"),
        format!(
            "Finds {types} in text. {}Made with ner-pipe.",
            if distilled(config) { "It was distilled from a larger model. " } else { "" }
        ),
        made(config),
        sizes(config, holds),
        scores.map_or_else(unmeasured, str::to_owned),
        usage(config, holds),
        limits(config, holds),
    ];
    let sections: Vec<&str> =
        sections.iter().map(|section| section.trim()).filter(|section| !section.is_empty()).collect();
    sections.join("\n\n") + "\n"
}

fn distilled(config: &Config) -> bool {
    config.made().iter().any(|step| step["stage"] == "distill")
}

fn made(config: &Config) -> String {
    let steps = config.made().iter().enumerate().map(|(at, step)| {
        let facts = step.as_object().into_iter().flatten().filter(|(name, _)| *name != "stage");
        let facts: Vec<String> =
            facts.map(|(name, value)| format!("   - {name}: {}", shown(value))).collect();
        format!("{}. `{}`\n{}", at + 1, step["stage"].as_str().unwrap_or_default(), facts.join("\n"))
    });
    let steps: Vec<String> = steps.collect();
    if steps.is_empty() { String::new() } else { format!("## How it was made\n\n{}", steps.join("\n")) }
}

/// A fact in a line.
fn shown(value: &Value) -> String {
    let named = |map: &Map<String, Value>| {
        let all = map.iter().map(|(name, value)| format!("{name} {}", shown(value)));
        all.collect::<Vec<_>>().join(", ")
    };
    match value {
        Value::Object(map) => named(map),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let text = format!("{:.4}", number.as_f64().unwrap_or_default());
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

fn sizes(config: &Config, holds: Holds) -> String {
    let widths = |of: fn(&crate::layer::LayerShape) -> usize| {
        let widths: Vec<usize> = config.layers.iter().map(of).collect();
        match (widths.iter().min(), widths.iter().max()) {
            (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
            (Some(one), _) => one.to_string(),
            _ => "none".to_owned(),
        }
    };
    let stored = match holds {
        Holds::Weights(Stored::F32) => "f32, in model.safetensors",
        Holds::Weights(Stored::F16) => "f16, in model.safetensors",
        Holds::Onnx => "in model.onnx",
    };
    let rows = [
        ("parameters", config.all_parameters().to_string()),
        ("of these a CRF's", config.crf_parameters().to_string()),
        ("layers", config.layers.len().to_string()),
        ("hidden width", config.hidden.to_string()),
        ("attention heads a layer", widths(|layer| layer.heads)),
        ("neurons a layer", widths(|layer| layer.ffn)),
        ("vocabulary", config.vocab.to_string()),
        ("longest text in sub-words, specials included", config.max_pieces().to_string()),
        ("labels", config.labels.names().join(", ")),
        ("weights", stored.to_owned()),
    ];
    let rows: Vec<String> = rows.iter().map(|(name, value)| format!("| {name} | {value} |")).collect();
    format!("## Size\n\n| | |\n|---|---|\n{}", rows.join("\n"))
}

fn unmeasured() -> String {
    "## Scores\n\nNot in this card: a model does not know what it was measured on. `ner-pipe export MODEL --to onnx --out DIR --evaluation \
     report.json`, with the report of the stage `evaluate`, writes one with scores, intervals and gates."
        .to_owned()
}

fn usage(config: &Config, holds: Holds) -> String {
    const PIPELINE: &str = "from transformers import pipeline\n\nner = pipeline(\"token-classification\", model=\"DIR\", \
                            aggregation_strategy=\"simple\")";
    const OPTIMUM: &str = "from optimum.onnxruntime import ORTModelForTokenClassification\nfrom transformers import \
                           AutoTokenizer, pipeline\n\nmodel = ORTModelForTokenClassification.from_pretrained(\"DIR\")\nner \
                           = pipeline(\"token-classification\", model=model, \
                           tokenizer=AutoTokenizer.from_pretrained(\"DIR\"), aggregation_strategy=\"simple\")";
    let mut parts = vec!["## Use\n\n`DIR` is the folder of this card.".to_owned()];
    let mut add =
        |name: &str, language: &str, code: &str| parts.push(format!("{name}:\n\n```{language}\n{code}\n```"));
    match holds {
        Holds::Onnx => add("ONNX Runtime, through `optimum`", "python", OPTIMUM),
        Holds::Weights(_) => {
            add("Command line", "sh", "ner-pipe predict --model DIR \"Mme Durand habite à Angers.\"");
            add(
                "Python, from the wheel of ner-pipe",
                "python",
                "from ner_pipe import load\n\nmodel = load(\"DIR\")\nmodel(\"Mme Durand habite à Angers.\")",
            );
            add("HTTP", "sh", "ner-pipe serve --model DIR");
            add("ONNX", "sh", "ner-pipe export DIR --to onnx --out OUT");
            if config.is_stock() {
                add("transformers", "python", PIPELINE);
            }
        }
    }
    parts.join("\n\n")
}

fn limits(config: &Config, holds: Holds) -> String {
    let mut limits = vec![
        format!(
            "It knows {} and nothing else: entities of other types are not found.",
            config.labels.types().join(", ")
        ),
        format!(
            "A text is read in windows of {} sub-words; by other programs, longer ones must be cut.",
            config.max_pieces()
        ),
    ];
    if distilled(config) {
        limits.push(
            "It learned what its teacher says: it repeats its teacher's mistakes, and its teacher's bias."
                .to_owned(),
        );
    }
    if config.labels.scheme() == text::labels::Scheme::Io {
        limits.push(
            "No label says where an entity begins: neighbours of one type are found as one.".to_owned(),
        );
    }
    if config.decode == Decode::Crf {
        limits.push("ner-pipe decodes it by its CRF; transformers and ONNX Runtime take the most probable label, and may find other entities.".to_owned());
    }
    if matches!(holds, Holds::Weights(_)) && !config.is_stock() {
        limits.push("transformers does not load it: its layers have widths of their own. `ner-pipe export DIR --to hf-dense --out OUT` writes a form that it loads.".to_owned());
    }
    if config.declared().license.is_none() {
        limits.push("No licence was declared. That of the model it was made from, and of its texts, counts: ask before you share it.".to_owned());
    }
    let limits: Vec<String> = limits.into_iter().map(|limit| format!("- {limit}")).collect();
    format!("## Limits\n\n{}", limits.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        config::{Declared, LayerShape},
        model::{Model, ModelFolder},
        testing::fixture::{model, teacher_labels},
    };
    use burn::tensor::Device;
    use text::{folder, labels::Labels};

    fn student() -> Model {
        let mut student = model(Labels::bio(["PER", "LOC"]), &[]);
        student.config.declare(&Declared {
            license: Some("mit".to_owned()),
            language: vec!["fr".to_owned()],
            base_model: Some("owner/name".to_owned()),
        });
        student
            .config
            .record(json!({"stage": "distill", "sentences": {"train": 40, "dev": 4}, "F1 on dev": 0.75}));
        student
    }

    #[test]
    fn what_is_known_of_a_model_goes_with_it_from_stage_to_stage() {
        let folder = tempfile::tempdir().expect("a folder");
        student().save(folder.path()).expect("saved");
        let mut read = Model::load(folder.path(), &Device::flex()).expect("read");
        read.config.record(json!({"stage": "prune", "cuts": 2}));
        read.save(folder.path()).expect("saved");
        let said = std::fs::read_to_string(folder.path().join(folder::CARD)).expect("written");
        for part in [
            "---\nlanguage:\n- \"fr\"\nlicense: \"mit\"\nbase_model: \"owner/name\"\n",
            "- token-classification\n- ner-pipe\n---",
            "1. `distill`\n   - sentences: train 40, dev 4\n   - F1 on dev: 0.75\n2. `prune`\n   - cuts: 2",
            "ner-pipe predict --model DIR",
        ] {
            assert!(said.contains(part), "no {part} in\n{said}");
        }
        assert!(
            !said.contains(folder.path().to_str().expect("UTF-8")) && !said.contains("No licence"),
            "{said}"
        );
        let again = Model::load(folder.path(), &Device::flex()).expect("read");
        again.save(folder.path()).expect("saved");
        assert_eq!(std::fs::read_to_string(folder.path().join(folder::CARD)).expect("written"), said);
        // A student of this one begins anew, under the same licence.
        let declared = ModelFolder::at(folder.path()).declared(&again.config);
        let mut next = again.config;
        next.declare(&declared);
        assert_eq!((next.made().len(), next.declared().license.as_deref()), (0, Some("mit")));
    }

    #[test]
    fn a_card_has_the_commands_that_work_for_its_model_and_no_others() {
        let mut config = student().config;
        let holds = Holds::Weights(Stored::F32);
        assert!(card(&config, holds, None).contains("from transformers import pipeline"));
        let onnx = card(&config, Holds::Onnx, None);
        assert!(onnx.contains("ORTModelForTokenClassification") && !onnx.contains("ner-pipe predict"));
        config.layers.push(LayerShape { ffn: 4, ..config.layers[0] });
        let own = card(&config, holds, None);
        assert!(!own.contains("from transformers import pipeline") && own.contains("--to hf-dense"));
        assert!(
            own.contains("`ner-pipe export MODEL")
                && !card(&config, holds, Some("## Scores\n\n91")).contains("Not in this card")
        );
        let plain = card(&model(teacher_labels(), &[]).config, holds, None);
        assert!(plain.contains("No licence was declared") && !plain.contains("license:"));
    }
}
