//! Sentences and their tags on disk: raw text, gold sets, records, reports.

mod columns;
mod files;
mod gold;
mod record;
mod report;
mod text;

use std::path::Path;

use stage_contract::{Artifact, Invalid};

pub use self::{
    files::{json_problem, read, write},
    gold::{Gold, GoldSet},
    record::{Corpus, Provenance, Record, slice},
    report::Report,
    text::{Line, Text},
};

/// Looks at text or gold before it is used: it is read whole.
///
/// # Errors
/// As its [`Artifact::load`].
pub fn look<A: Artifact>(path: &Path) -> Result<(), Invalid> {
    A::load(path).map(drop).map_err(|e| Invalid::of(&e))
}
