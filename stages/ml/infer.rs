//! From texts to word logits, batch by batch.

use burn::tensor::Device;
use stage_contract::{Progress, StageError};

use crate::ml::{batch::Encoded, model::Model};

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
    let _ = (model, texts.into_iter().count());
    todo!()
}

/// Runs the model over all texts in batches of at most `budget` tokens, longest first, and returns word logits in
/// the order of `texts`. The network must not be on an autodiff device.
#[must_use]
pub fn word_logits(
    model: &Model,
    texts: &[Encoded],
    budget: usize,
    device: &Device,
    progress: Option<&mut Progress<'_>>,
) -> Vec<WordLogits> {
    let _ = (model, texts, budget, device, progress);
    todo!()
}
