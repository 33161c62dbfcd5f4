//! Which words of a batch the losses look at.

use crate::examples::Examples;
use encoder::batch::Batch;

/// The words of a batch that count: owned, by the teacher's sub-words too, and with a tag.
pub struct Targets {
    /// Rows `[N]` of the batch.
    pub rows: Vec<u32>,
    /// Rows `[N]` of the batch as the teacher reads it.
    pub taught: Vec<u32>,
    /// Indices `[N]` into the batch's words.
    pub words: Vec<u32>,
    /// `[N]`
    pub tags: Vec<usize>,
    /// `[N]`
    pub weight: Vec<f64>,
    /// `[texts + 1]` first of each text.
    pub texts: Vec<u32>,
}

impl Targets {
    /// Of a batch, beside the same texts as the teacher reads them.
    #[must_use]
    pub fn new(batch: &Batch, taught: &Batch, examples: &Examples) -> Self {
        let mut targets = Self {
            rows: vec![],
            taught: vec![],
            words: vec![],
            tags: vec![],
            weight: vec![],
            texts: vec![0],
        };
        for (&member, span) in batch.members.iter().zip(batch.texts.windows(2)) {
            for (place, word) in (span[0] as usize..span[1] as usize).enumerate() {
                let owned = batch.owned[word] && taught.owned[word];
                if let (true, Some(tag)) = (owned, examples.tags[member][place]) {
                    targets.rows.push(batch.rows[word]);
                    targets.taught.push(taught.rows[word]);
                    targets.words.push(u32::try_from(word).unwrap_or(u32::MAX));
                    targets.tags.push(tag);
                    targets.weight.push(examples.weight[member][place]);
                }
            }
            targets.texts.push(u32::try_from(targets.rows.len()).unwrap_or(u32::MAX));
        }
        targets
    }

    /// `[N, columns]` the rows of these words out of those of all words of the batch.
    #[must_use]
    pub fn of_words(&self, all: &[f32], columns: usize) -> Vec<f32> {
        self.words.iter().flat_map(|&word| &all[word as usize * columns..][..columns]).copied().collect()
    }
}
