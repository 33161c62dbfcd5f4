//! The machine-learning stages: tensors and text, no cache.

mod distill;
mod finetune;
pub mod ml;
mod teach;

use stage_contract::{Build, Registry};

/// Every stage and tool of this crate: one line each.
#[must_use]
pub fn registry() -> Registry {
    Registry::new(Build { code: env!("NER_PIPE_CODE"), device: ml::device::resolve })
        .stage::<teach::Teach>()
        .stage::<distill::Distill>()
        .stage::<finetune::Finetune>()
}
