//! What `ner-pipe init` writes: the default pipeline, or that for a `CamemBERT` teacher and text of the user's.

use encoder::model::Model;
use stage_contract::{Artifact, Given, Template};
use text::corpus::{Gold, Text};

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
};

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
    fn the_users_sources_are_those_of_the_pipeline() {
        let sources =
            TEMPLATE.given[0].1.split("[sources]").nth(1).and_then(|rest| rest.split("\n\n").next());
        let names = sources.unwrap_or_default().lines().filter_map(|line| line.split_once('='));
        let names: BTreeSet<&str> = names.map(|(name, _)| name.trim()).collect();
        assert_eq!(names, TEMPLATE.sources.iter().map(|given| given.name).collect());
    }
}
