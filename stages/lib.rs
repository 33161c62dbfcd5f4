//! The machine-learning stages: tensors and text, no cache.

mod annotate;
pub mod ml;
mod prune;
mod split;

use stage_contract::{Build, Registry};

/// Every stage and tool of this crate: one line each.
#[must_use]
pub fn registry() -> Registry {
    Registry::new(Build { code: env!("NER_PIPE_CODE"), device: ml::device::resolve })
        .stage::<annotate::Annotate>()
        .stage::<split::Split>()
        .stage::<prune::Prune>()
}
