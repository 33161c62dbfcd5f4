//! Sentences and their tags on disk: raw text, gold sets, records, reports.

mod bio;
mod cells;
mod entries;
mod files;
mod format;
mod formats;
mod gold;
mod item;
mod look;
mod names;
mod options;
mod reading;
mod record;
mod report;
mod roles;
mod sentence;
mod shape;
mod spans;
mod stream;
mod text;
mod unpack;
mod value;
mod walk;
mod word_rows;

use std::path::Path;

use serde_json::Value;
use stage_contract::{Artifact, Invalid};

pub use self::{
    bio::Bio,
    entries::{Document, Entries, Entry},
    files::{json_problem, read, write},
    gold::{Gold, GoldSet},
    options::{Columns, Fields, Options, TagScheme, Unit},
    reading::{Notes, Read},
    record::{Corpus, Provenance, Record, Slices, Surfaces},
    report::Report,
    stream::{Begin, Stream, open},
    text::{Line, Text},
};

/// Looks at text or gold before it is used: it is read whole.
///
/// # Errors
/// As its [`Artifact::read`].
pub fn look<A: Artifact>(path: &Path, options: &Value) -> Result<(), Invalid> {
    A::read(path, options, &|_| {}).map(drop).map_err(|e| Invalid::of(&e))
}
