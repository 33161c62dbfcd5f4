//! The machine-learning stages: tensors and text, no cache. A stage is one file here; what stages share is in [`ml`].

pub mod distill;
pub mod evaluate;
pub mod finetune;
pub mod generate;
pub mod ml;
pub mod predict;
pub mod prune;
pub mod split;
pub mod teach;

use stage_contract::{Build, Registry};

/// Every stage and tool of this crate: one line each.
#[must_use]
pub fn registry() -> Registry {
    Registry::new(Build { code: env!("NER_PIPE_CODE"), device: ml::device::resolve })
        .stage::<generate::Generate>()
        .stage::<teach::Teach>()
        .stage::<split::Split>()
        .stage::<distill::Distill>()
        .stage::<prune::Prune>()
        .stage::<finetune::Finetune>()
        .stage::<evaluate::Evaluate>()
        .tool(predict::PREDICT)
}
