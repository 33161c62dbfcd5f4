//! Records as a model's loss needs them, batch by batch.

use std::collections::BTreeMap;

use burn::tensor::Device;
use stage_contract::StageError;

use encoder::{
    batch::{Batch, Encoded, buckets},
    config::Config,
    finite::named,
    inputs::Inputs,
};
use text::{
    corpus::Record,
    labels::{Labels, Prefix, split_tag},
};

/// Records as a model's loss needs them.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Windows of each record.
    pub texts: Vec<Encoded>,
    /// Output column of each word of each record; `None` for a word that is out of every loss.
    pub gold: Vec<Vec<Option<usize>>>,
    /// Words of each type that the model does not know, which are out of every loss.
    pub unknown: BTreeMap<String, usize>,
    /// Of their records.
    pub ids: Vec<String>,
}

impl Labelled {
    /// The first `count` batches of at most `budget` tokens, in an order drawn from `seed`; fewer when there are fewer.
    ///
    /// # Errors
    /// When there is no word to look at.
    pub fn batches(&self, count: usize, budget: usize, seed: u64) -> Result<Vec<Vec<usize>>, StageError> {
        let mut batches = buckets(&self.texts, budget, Some(seed));
        batches.retain(|members| members.iter().any(|&text| self.texts[text].words > 0));
        batches.truncate(count);
        if batches.is_empty() {
            return Err(StageError::new("the records hold no word to measure importance on"));
        }
        Ok(batches)
    }

    /// Reads each tag as a column of `labels`. Words of a type that the model does not know are out of the loss: such tags
    /// remain where the teacher's types are ignored.
    ///
    /// # Errors
    /// The model knows none of the types: a record's id and the tag for which it has no label.
    pub fn new(texts: Vec<Encoded>, records: &[Record], labels: &Labels) -> Result<Self, StageError> {
        let column = |tag: &str| match split_tag(tag) {
            Some(Some((prefix, kind))) => labels.column_of(kind, prefix == Prefix::Begin),
            _ => Some(labels.outside()),
        };
        let gold: Vec<Vec<Option<usize>>> =
            records.iter().map(|record| record.tags.iter().map(|tag| column(tag)).collect()).collect();
        let tags = || records.iter().zip(&gold).flat_map(|(record, own)| record.tags.iter().zip(own));
        let known = tags().any(|(_, column)| column.is_some_and(|column| column != labels.outside()));
        let unknown = records.iter().zip(&gold).find_map(|(record, own)| {
            let (tag, _) = record.tags.iter().zip(own).find(|(_, column)| column.is_none())?;
            Some((record, tag))
        });
        match unknown {
            Some((record, tag)) if !known => Err(StageError::new(format!(
                "record {} is tagged {tag}, for which the model has no label",
                record.id
            ))
            .help(format!("use records with the model's own types: {}", labels.types().join(", ")))),
            _ => {
                let mut unknown = BTreeMap::new();
                for (tag, _) in tags().filter(|(_, column)| column.is_none()) {
                    let kind = split_tag(tag).flatten().map_or(tag.as_str(), |(_, kind)| kind);
                    *unknown.entry(kind.to_owned()).or_default() += 1;
                }
                let ids = records.iter().map(|record| record.id.clone()).collect();
                Ok(Self { texts, gold, unknown, ids })
            }
        }
    }

    /// Some of the records, on a device.
    ///
    /// # Panics
    /// When they have more than 2³² rows.
    #[must_use]
    pub fn packed(&self, config: &Config, members: &[usize], device: &Device) -> Inputs {
        Inputs::new(&Batch::pack(&self.texts, members), config, device)
    }

    /// The error of numbers that are not finite, in a batch with this number, from 0.
    #[must_use]
    pub fn odd(&self, what: &str, place: &str, number: usize, members: &[usize]) -> StageError {
        let of = named("record", members.iter().map(|text| &self.ids[*text]));
        StageError::new(format!(
            "{what} by which units are measured is not finite in batch {}, of {of}: {place}",
            number + 1
        ))
        .help("prune another checkpoint of this model: where numbers overflow, no score means anything")
    }
}
