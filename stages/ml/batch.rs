//! Packed batches: rows of all windows one after another, no padding.

use crate::ml::tokenizer::Window;

/// A text ready for a model: its windows, and how many words it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// In text order.
    pub windows: Vec<Window>,
    /// Words of the text, covered or not.
    pub words: usize,
}

impl Encoded {
    /// Ids in all windows.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.windows.iter().map(|w| w.ids.len()).sum()
    }
}

/// Several whole texts, packed. Words of a text are never split between batches, so the previous word is always here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// `[tokens]` ids with specials.
    pub ids: Vec<u32>,
    /// `[windows + 1]` first row of each window.
    pub starts: Vec<u32>,
    /// `[words]` row of each word of each text in order; for a word that no piece covers, the window's `<s>`.
    pub rows: Vec<u32>,
    /// `[words]` whether the word owns its row (else it is out of every loss).
    pub owned: Vec<bool>,
    /// `[words]` whether any piece covers it (else it is decoded as O).
    pub covered: Vec<bool>,
    /// `[texts + 1]` first word of each text.
    pub texts: Vec<u32>,
    /// `[texts]` index of each text in the slice that was packed.
    pub members: Vec<usize>,
}

impl Batch {
    /// Packs `texts[i]` for each `i` in `members`.
    #[must_use]
    pub fn pack(texts: &[Encoded], members: &[usize]) -> Self {
        let _ = (texts, members);
        todo!()
    }
}

/// Groups texts of similar length into batches of at most `budget` tokens (a longer text stands alone).
/// Deterministic; with a seed, the order of texts within a length and of batches is shuffled.
#[must_use]
pub fn buckets(texts: &[Encoded], budget: usize, shuffle: Option<u64>) -> Vec<Vec<usize>> {
    let _ = (texts, budget, shuffle);
    todo!()
}
