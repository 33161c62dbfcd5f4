//! What `ner-pipe init` writes: the default pipeline, or that for a `CamemBERT` teacher and text of the user's.

use std::path::Path;

use encoder::{config::Config, model::Model};
use serde_json::json;
use stage_contract::{Artifact, Given, Invalid, Setting, Template};
use text::corpus::{Gold, Text};

use crate::{
    distill::Distill,
    prune::{Allocation, Prune, Size},
};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../", $name)))),*] };
}

/// Both projects.
pub const TEMPLATE: Template = Template {
    alone: embedded!["pipeline.toml", "configs/distill.toml", "configs/finetune.toml", "configs/gates.toml"],
    given: &[
        ("pipeline.toml", include_str!("../configs/camembert/pipeline.toml")),
        ("configs/camembert/distill.toml", include_str!("../configs/camembert/distill.toml")),
        ("configs/camembert/finetune.toml", include_str!("../configs/camembert/finetune.toml")),
    ],
    sources: &[
        Given {
            name: "teacher",
            kind: Model::KIND,
            required: true,
            doc: "A model to distill, in Hugging Face layout; without it the project makes a small teacher of its own",
        },
        Given {
            name: "corpus",
            kind: Text::KIND,
            required: true,
            doc: "Raw text, one sentence a line: a file, or a folder of files",
        },
        Given {
            name: "gold",
            kind: Gold::KIND,
            required: false,
            doc: "Gold tags to measure on: a file, or a folder of files",
        },
    ],
    fit,
};

/// The share of the teacher's parameters that a student of the given project may have.
const BUDGET: f64 = 0.7;

/// Entries of the vocabulary that a language is well written with.
const VOCABULARY: usize = 30_000;

/// The embeddings of a multilingual teacher are most of its parameters, and most of them are for other languages: no student
/// with all of them meets the budget.
fn fit(source: &str, path: &Path) -> Result<Vec<Setting>, Invalid> {
    if source != "teacher" {
        return Ok(Vec::new());
    }
    let teacher = Config::load(path).map_err(|e| Invalid::of(&e))?;
    let student = Distill::default().shape(&teacher);
    let prune = Prune { allocation: Allocation::Uniform, params: Size::Number(BUDGET), ..Prune::default() };
    let trimmed = Prune { vocabulary: VOCABULARY, ..prune.clone() };
    let meets = |prune: &Prune| prune.feasible(&student, Some(&teacher), None).is_ok();
    if meets(&prune) || !meets(&trimmed) {
        return Ok(Vec::new());
    }
    Ok(vec![Setting { stage: "prune", parameter: "vocabulary", value: json!(VOCABULARY) }])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_config_that_a_pipeline_names_is_embedded_with_it() {
        for files in [TEMPLATE.alone, TEMPLATE.given] {
            let named = files[0].1.lines().filter_map(|line| line.strip_prefix("config"));
            let named: BTreeSet<&str> = named.filter_map(|line| line.split('"').nth(1)).collect();
            let embedded: BTreeSet<&str> = files[1..].iter().map(|(name, _)| *name).collect();
            assert_eq!(named, embedded);
        }
    }

    #[test]
    fn students_are_pruned_as_stock_transformers_can_load_them() {
        for (_, content) in [TEMPLATE.alone[0], TEMPLATE.given[0]] {
            let cuts: Vec<&str> = content
                .lines()
                .filter(|line| line.starts_with("params") && line.contains("allocation"))
                .collect();
            assert_eq!(cuts.len(), content.matches("[stage.prune").count(), "every `prune` says so");
            assert!(cuts.iter().all(|cut| cut.contains("allocation = \"uniform\"")), "{cuts:?}");
        }
    }

    #[test]
    fn a_teacher_whose_words_are_most_of_it_gives_some_of_them_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let asked = |vocabulary: usize| {
            let config = json!({
                "model_type": "xlm-roberta", "vocab_size": vocabulary, "hidden_size": 768, "num_hidden_layers": 12,
                "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu",
                "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1,
                "id2label": { "0": "O", "1": "B-PER", "2": "I-PER" },
            });
            std::fs::write(folder.path().join("config.json"), config.to_string()).expect("written");
            fit("teacher", folder.path()).expect("fits")
        };
        assert_eq!(asked(32_005), [], "CamemBERT");
        let trimmed = [Setting { stage: "prune", parameter: "vocabulary", value: json!(30_000) }];
        assert_eq!(asked(250_002), trimmed, "XLM-R");
        assert!(TEMPLATE.given[0].1.contains(&format!("params = {BUDGET} }}")), "the budget that it is told");
    }

    #[test]
    fn the_users_sources_are_those_of_the_pipeline() {
        let sources =
            TEMPLATE.given[0].1.split("[sources]").nth(1).and_then(|rest| rest.split("\n\n").next());
        let names = sources.unwrap_or_default().lines().filter_map(|line| line.split_once('='));
        let names: BTreeSet<&str> = names.map(|(name, _)| name.trim()).collect();
        assert_eq!(names, TEMPLATE.sources.iter().map(|given| given.name).collect());
    }
}
