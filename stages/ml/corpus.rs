//! Sentences and their tags on disk: raw text, gold sets, records.

use std::path::Path;

use serde::{Deserialize, Serialize};
use stage_contract::{Artifact, Kind, StageError};

/// One annotated sentence. Offsets count Unicode scalar values of `text`; words never overlap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Unique in its corpus.
    pub id: String,
    /// The sentence as the model reads it.
    pub text: String,
    /// Where it comes from: the file's stem.
    pub source: String,
    /// Document or cluster; never split between train, dev and test.
    pub group: String,
    /// `[start, end)` of each word.
    pub words: Vec<[usize; 2]>,
    /// One BIO tag per word.
    pub tags: Vec<String>,
    /// Probability of each word's type at T = 1; 1 for gold.
    pub score: Vec<f64>,
    /// Who says so.
    pub provenance: Provenance,
}

/// Who tagged a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Provenance {
    /// A person, or a generator that knows.
    Gold,
    /// A model, by the digest of its weights.
    Silver {
        /// blake3 of the teacher's model.safetensors.
        model: String,
    },
}

/// Annotated sentences: `records.jsonl`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corpus {
    /// In file order.
    pub records: Vec<Record>,
}

/// One raw line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file's stem.
    pub source: String,
    /// 1-based line number in that file.
    pub number: usize,
    /// The line without its end.
    pub text: String,
}

/// Raw text: a file, or a folder of .txt files read in name order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// All lines, file after file.
    pub lines: Vec<Line>,
}

/// Gold tags: one or several named sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gold {
    /// By file stem, in name order.
    pub sets: Vec<GoldSet>,
}

/// One gold set: words from the file, joined by one space into the text (FORMATS).
#[derive(Clone, Debug, PartialEq)]
pub struct GoldSet {
    /// The file's stem.
    pub name: String,
    /// Tags are normalised to BIO (an IO or IOB1 file is converted); types as the file has them.
    pub records: Vec<Record>,
}

/// A JSON report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report(pub serde_json::Value);

macro_rules! unfinished_artifact {
    ($type:ty, $kind:expr) => {
        impl Artifact for $type {
            const KIND: Kind = $kind;
            fn load(_path: &Path) -> Result<Self, StageError> {
                todo!()
            }
            fn save(&self, _path: &Path) -> Result<(), StageError> {
                todo!()
            }
        }
    };
}
unfinished_artifact!(Corpus, Kind::RECORDS);
unfinished_artifact!(Text, Kind::TEXT);
unfinished_artifact!(Gold, Kind::GOLD);
unfinished_artifact!(Report, Kind::REPORT);
