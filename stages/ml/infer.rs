//! From texts to word logits, batch by batch.

use burn::tensor::Device;
use rayon::prelude::*;
use stage_contract::{Progress, StageError};

use crate::ml::{
    batch::{Batch, Encoded, buckets},
    layout::host,
    model::{Model, Packed},
};

/// Logits of a word that no piece covers: O for certain.
const ABSENT: f32 = -1e4;

/// Word logits of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct WordLogits {
    /// Columns.
    pub labels: usize,
    /// `[words, labels]`, row after row. A word that no piece covers gets 0 for O and -1e4 elsewhere.
    pub values: Vec<f32>,
    /// `[words]` whether the word owns its first sub-word.
    pub owned: Vec<bool>,
}

impl WordLogits {
    /// The logits of a word.
    #[must_use]
    pub fn word(&self, word: usize) -> &[f32] {
        &self.values[word * self.labels..][..self.labels]
    }

    /// Number of words.
    #[must_use]
    pub fn len(&self) -> usize {
        self.owned.len()
    }

    /// A text without words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owned.is_empty()
    }
}

/// Tokenises texts and cuts them into windows, on all cores, in order.
///
/// # Errors
/// When the tokenizer refuses a text; the message names its index and not its content.
pub fn encode<'a>(
    model: &Model,
    texts: impl IntoIterator<Item = (&'a str, &'a [[usize; 2]])>,
) -> Result<Vec<Encoded>, StageError> {
    let texts: Vec<_> = texts.into_iter().collect();
    let longest = model.config.max_pieces();
    texts
        .par_iter()
        .enumerate()
        .map(|(index, (text, words))| {
            let windows = model
                .tokenizer
                .windows(text, words, longest)
                .map_err(|e| StageError::because(format!("cannot tokenise text {index}"), e))?;
            Ok(Encoded { windows, words: words.len() })
        })
        .collect()
}

/// Runs the model over all texts in batches of at most `budget` tokens, longest first, and returns word logits in
/// the order of `texts`. The network must not be on an autodiff device.
///
/// On the CPU several batches run at once, because only matrix products use all cores by themselves; a batch's result
/// depends on nothing but the batch.
#[must_use]
pub fn word_logits(
    model: &Model,
    texts: &[Encoded],
    budget: usize,
    device: &Device,
    mut progress: Option<&mut Progress<'_>>,
) -> Vec<WordLogits> {
    let mut batches = buckets(texts, budget, None);
    let tokens = |batch: &Vec<usize>| batch.iter().map(|&text| texts[text].tokens()).max().unwrap_or(0);
    batches.sort_by_key(|batch| std::cmp::Reverse(tokens(batch)));
    let at_once = if *device == Device::flex() { rayon::current_num_threads() } else { 1 };

    let mut results: Vec<Option<WordLogits>> = vec![None; texts.len()];
    for group in batches.chunks(at_once) {
        let done: Vec<_> = group
            .par_iter()
            .map(|members| {
                let batch = Batch::pack(texts, members);
                let packed = Packed::new(&batch, &model.config, device);
                let logits = model.network.forward(&packed, &[]).logits;
                let rows =
                    if batch.rows.is_empty() { Vec::new() } else { host(logits.select(0, packed.rows)) };
                split(model, &batch, rows)
            })
            .collect();
        for (text, logits) in done.into_iter().flatten() {
            results[text] = Some(logits);
        }
        if let Some(progress) = progress.as_deref_mut() {
            progress.advance(group.iter().map(|members| members.len() as u64).sum());
        }
    }
    let nothing = || WordLogits { labels: model.config.labels.len(), values: Vec::new(), owned: Vec::new() };
    results.into_iter().map(|result| result.unwrap_or_else(nothing)).collect()
}

/// `[words, labels]` of a batch to its texts.
fn split(model: &Model, batch: &Batch, mut rows: Vec<f32>) -> Vec<(usize, WordLogits)> {
    let labels = model.config.labels.len();
    let outside = model.config.labels.outside();
    for (row, _) in rows.chunks_exact_mut(labels).zip(&batch.covered).filter(|(_, covered)| !**covered) {
        row.fill(ABSENT);
        row[outside] = 0.0;
    }
    let words = batch.texts.windows(2).map(|pair| pair[0] as usize..pair[1] as usize);
    batch
        .members
        .iter()
        .zip(words)
        .map(|(&text, words)| {
            let values = rows[words.start * labels..words.end * labels].to_vec();
            (text, WordLogits { labels, values, owned: batch.owned[words].to_vec() })
        })
        .collect()
}
