//! The machine-learning stages: tensors and text, no cache. A stage is one file here; what stages share is in the packages
//! of `ml/`.

pub mod annotate;
pub mod augment;
pub mod distill;
pub mod evaluate;
pub mod finetune;
pub mod generate;
pub mod mix;
pub mod predict;
pub mod profile;
pub mod prune;
pub mod split;
pub mod teach;
mod template;

use encoder::model::{self, Model};
use stage_contract::{Artifact, Build, Registry};
use text::corpus::{Gold, Text, look};

include!(concat!(env!("OUT_DIR"), "/code.rs"));

/// Every stage and tool of this crate: one line each.
#[must_use]
pub fn registry() -> Registry {
    Registry::new(Build { code: CODE, compiler: COMPILER, device: encoder::backend::device::resolve })
        .stage::<generate::Generate>()
        .stage::<teach::Teach>()
        .stage::<annotate::Annotate>()
        .stage::<augment::Augment>()
        .stage::<split::Split>()
        .stage::<mix::Mix>()
        .stage::<distill::Distill>()
        .stage::<profile::Measure>()
        .stage::<prune::Prune>()
        .stage::<finetune::Finetune>()
        .stage::<evaluate::Evaluate>()
        .source(Text::KIND, look::<Text>)
        .source(Gold::KIND, look::<Gold>)
        .source(Model::KIND, model::look)
        .show(evaluate::sections::evaluation)
        .show(evaluate::sections::differences)
        .show(prune::sections::pruning)
        .show(train::curves::curves)
        .tool(predict::PREDICT)
        .template(template::TEMPLATE)
}
