//! Sentences that teacher and final model tag differently, for people to read: the one result of `evaluate` that holds text.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use stage_contract::{Artifact, Kind, Shape, StageError};

use super::compare::Pair;
use text::corpus::Record;

/// Sentences of each set that are named and kept.
pub(super) const MOST: usize = 100;

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// `test`, or the gold set's name.
    pub set: String,
    /// The record's.
    pub id: String,
    /// The record's.
    pub source: String,
    /// As the models read it.
    pub text: String,
    /// `[start, end)` of each word, in Unicode scalar values.
    pub words: Vec<[usize; 2]>,
    /// BIO tags of the words, by model; `gold` where there are any.
    pub tags: BTreeMap<String, Vec<String>>,
}

/// Sentences, one JSON object a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences(pub Vec<Difference>);

impl Differences {
    /// Adds the first [`MOST`] of `records` in which teacher and final model found other entities. `tags` are
    /// `[models][records]`; `gold`: whether the records' own tags are.
    pub fn add(
        &mut self,
        set: &str,
        records: &[&Record],
        gold: bool,
        names: &[String],
        tags: &[&[Vec<String>]],
        [teacher, last]: [&[Pair]; 2],
    ) {
        let differ = (0..records.len()).filter(|&at| teacher[at].1 != last[at].1);
        for at in differ.take(MOST) {
            let record = records[at];
            let mut by_model: BTreeMap<String, Vec<String>> =
                names.iter().zip(tags).map(|(name, tags)| (name.clone(), tags[at].clone())).collect();
            if gold {
                by_model.insert("gold".to_owned(), record.tags.clone());
            }
            self.0.push(Difference {
                set: set.to_owned(),
                id: record.id.clone(),
                source: record.source.clone(),
                text: record.text.clone(),
                words: record.words.clone(),
                tags: by_model,
            });
        }
    }
}

impl Artifact for Differences {
    const KIND: Kind = Kind {
        name: "differences",
        shape: Shape::File,
        extension: "jsonl",
        doc: "sentences that models tag differently, with the tags of each, one JSON object a line",
    };

    fn load(path: &Path) -> Result<Self, StageError> {
        let text = std::fs::read_to_string(path).map_err(|e| StageError::io("read", path, e))?;
        let line = |(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| {
                StageError::because(format!("line {} of {} is no sentence", number + 1, path.display()), e)
            })
        };
        Ok(Self(text.lines().enumerate().map(line).collect::<Result<_, _>>()?))
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        let io = |e| StageError::io("write", path, e);
        let mut out = BufWriter::new(File::create(path).map_err(io)?);
        for difference in &self.0 {
            let line = serde_json::to_string(difference)
                .map_err(|e| StageError::because("cannot write a sentence", e))?;
            writeln!(out, "{line}").map_err(io)?;
        }
        out.flush().map_err(io)
    }
}
