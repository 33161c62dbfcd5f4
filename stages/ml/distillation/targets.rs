//! Which words of a batch the losses look at, and which of their further sub-words.

use crate::{examples::Examples, params::Subwords};
use encoder::batch::Batch;
use text::labels::{Labels, Tag};

/// The words of a batch that count: owned, by the teacher's sub-words too, and with a tag.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Their further sub-words, where those are taught.
    pub pieces: Pieces,
}

/// Sub-words that no word is read off, with what each should be so that one label after another makes the words' entities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pieces {
    /// Rows `[M]` of the batch.
    pub rows: Vec<u32>,
    /// `[M]` I- of the word's type, or O.
    pub tags: Vec<usize>,
    /// `[M]` their words'.
    pub weight: Vec<f64>,
    /// `[S]` which of them the teacher reads too, as a part of the same word.
    pub soft: Vec<u32>,
    /// Indices `[S]` of the same into the batch's continuations.
    pub said: Vec<u32>,
}

impl Targets {
    /// Of a batch, beside the same texts as the teacher reads them.
    #[must_use]
    pub fn new(
        batch: &Batch,
        taught: Option<&Batch>,
        examples: &Examples,
        labels: &Labels,
        subwords: Subwords,
    ) -> Self {
        let mut targets = Self { texts: vec![0], ..Self::default() };
        let Batch { owned, rows, .. } = taught.unwrap_or(batch);
        // Of each word of the batch.
        let mut place = vec![None; batch.rows.len()];
        for (&member, span) in batch.members.iter().zip(batch.texts.windows(2)) {
            for (at, word) in (span[0] as usize..span[1] as usize).enumerate() {
                if let (true, Some(tag)) = (batch.owned[word] && owned[word], examples.tags[member][at]) {
                    place[word] = Some(targets.rows.len());
                    targets.rows.push(batch.rows[word]);
                    targets.taught.push(rows[word]);
                    targets.words.push(index(word));
                    targets.tags.push(tag);
                    targets.weight.push(examples.weight[member][at]);
                }
            }
            targets.texts.push(index(targets.rows.len()));
        }
        if subwords == Subwords::All {
            let starts = |word| batch.texts.binary_search(&index(word)).is_ok();
            for (said, piece) in batch.continuations.iter().enumerate() {
                let Some(word) = place[piece.word] else { continue };
                let pieces = &mut targets.pieces;
                if taught.is_none() && !piece.leads {
                    pieces.soft.push(index(pieces.rows.len()));
                    pieces.said.push(index(said));
                }
                pieces.rows.push(index(piece.row));
                let tag = targets.tags[word];
                let before = piece.word.checked_sub(1).filter(|_| !starts(piece.word));
                let before = before.and_then(|before| place[before]).map(|before| targets.tags[before]);
                // What lies before a word must neither begin an entity nor part one.
                let out = piece.leads && !goes_on(labels, tag, before);
                pieces.tags.push(if out { labels.outside() } else { inside(labels, tag) });
                pieces.weight.push(targets.weight[word]);
            }
        }
        targets
    }

    /// `[N, columns]` the rows of these words out of those of all words of the batch.
    #[must_use]
    pub fn of_words(&self, all: &[f32], columns: usize) -> Vec<f32> {
        chosen(all, &self.words, columns)
    }
}

impl Pieces {
    /// `[S, columns]` the rows of what the teacher reads too out of those of all words of the batch, and then of its
    /// continuations.
    #[must_use]
    pub fn of_continuations(&self, all: &[f32], words: usize, columns: usize) -> Vec<f32> {
        chosen(&all[words * columns..], &self.said, columns)
    }
}

fn chosen(all: &[f32], rows: &[u32], columns: usize) -> Vec<f32> {
    rows.iter().flat_map(|&row| &all[row as usize * columns..][..columns]).copied().collect()
}

/// What a further sub-word of a word with this label should be.
fn inside(labels: &Labels, tag: usize) -> usize {
    let column = match labels.tags()[tag] {
        Tag::Begin(kind) | Tag::Inside(kind) => labels.column_of(&labels.types()[kind], false),
        Tag::Outside => None,
    };
    column.unwrap_or(labels.outside())
}

/// Whether a word with this label is of the same entity as the word before it.
fn goes_on(labels: &Labels, tag: usize, before: Option<usize>) -> bool {
    match labels.tags()[tag] {
        Tag::Inside(kind) if labels.marks_begin(kind) => true,
        Tag::Inside(_) => before == Some(tag),
        Tag::Begin(_) | Tag::Outside => false,
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
