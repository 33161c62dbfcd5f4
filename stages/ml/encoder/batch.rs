//! Packed batches: rows of all windows one after another, no padding.

use rand::seq::SliceRandom;

use text::{
    random,
    tokenizer::{Continuation, Window},
};

/// A text ready for a model: its windows, and how many words it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// In text order; at least one.
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

    /// Pieces in all windows that no word is read off.
    #[must_use]
    pub fn continuations(&self) -> usize {
        self.windows.iter().map(|w| w.continuations.len()).sum()
    }
}

/// Several whole texts, packed. Words of a text are never split between batches, so the previous word is always here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// `[tokens]` ids with specials.
    pub ids: Vec<u32>,
    /// `[windows + 1]` first row of each window.
    pub starts: Vec<u32>,
    /// `[words]` row of each word of each text in order; for a word that no piece covers, the `<s>` of its text's
    /// first window.
    pub rows: Vec<u32>,
    /// `[words]` whether the word owns its row (else it is out of every loss).
    pub owned: Vec<bool>,
    /// `[words]` whether any piece covers it (else it is decoded as O).
    pub covered: Vec<bool>,
    /// `[pieces]` those that no word is read off: the row of each, and the index of its word among the batch's.
    pub continuations: Vec<Continuation>,
    /// `[texts + 1]` first word of each text.
    pub texts: Vec<u32>,
    /// `[texts]` index of each text in the slice that was packed.
    pub members: Vec<usize>,
}

impl Batch {
    /// Packs windows of any texts, for a model that only reads: `rows` are those of each window's anchors and then of its
    /// continuations, and texts are not told apart.
    ///
    /// # Panics
    /// When the windows have more than 2³² ids.
    #[must_use]
    pub fn windows<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Self {
        let mut batch = Self { starts: vec![0], ..Self::default() };
        for window in windows {
            let base = batch.ids.len();
            let rows = window.anchors.iter().map(|anchor| anchor.row);
            let rows = rows.chain(window.continuations.iter().map(|piece| piece.row));
            batch.rows.extend(rows.map(|row| count(base + row)));
            batch.ids.extend(&window.ids);
            batch.starts.push(count(batch.ids.len()));
        }
        batch
    }

    /// The rows of all words, and then of all continuations.
    ///
    /// # Panics
    /// When the batch has more than 2³² rows.
    #[must_use]
    pub fn rows_of_all(&self) -> Vec<u32> {
        let more = self.continuations.iter().map(|piece| count(piece.row));
        self.rows.iter().copied().chain(more).collect()
    }

    /// Packs `texts[i]` for each `i` in `members`.
    ///
    /// # Panics
    /// When a batch has more than 2³² rows, or an anchor names a word that its text lacks.
    #[must_use]
    pub fn pack(texts: &[Encoded], members: &[usize]) -> Self {
        let mut batch =
            Self { starts: vec![0], texts: vec![0], members: members.to_vec(), ..Self::default() };
        for &member in members {
            let text = &texts[member];
            let first = batch.rows.len();
            batch.rows.resize(first + text.words, count(batch.ids.len()));
            batch.owned.resize(first + text.words, false);
            batch.covered.resize(first + text.words, false);
            for window in &text.windows {
                let base = batch.ids.len();
                for anchor in &window.anchors {
                    let word = first + anchor.word;
                    batch.rows[word] = count(base + anchor.row);
                    batch.owned[word] = anchor.owned;
                    batch.covered[word] = true;
                }
                batch.continuations.extend(window.continuations.iter().map(|piece| Continuation {
                    word: first + piece.word,
                    row: base + piece.row,
                    ..*piece
                }));
                batch.ids.extend(&window.ids);
                batch.starts.push(count(batch.ids.len()));
            }
            batch.texts.push(count(batch.rows.len()));
        }
        batch
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a batch has less than 2^32 rows")
}

/// Groups whole texts of similar length into batches of at most `budget` tokens, for training (a longer text stands
/// alone). See [`group`].
#[must_use]
pub fn buckets(texts: &[Encoded], budget: usize, shuffle: Option<u64>) -> Vec<Vec<usize>> {
    group(&texts.iter().map(Encoded::tokens).collect::<Vec<_>>(), budget, shuffle)
}

/// Groups what has these `lengths` into batches of at most `budget` together (what is longer stands alone).
/// Deterministic; with a seed, the order within a length and of batches is shuffled, else shortest first.
#[must_use]
pub fn group(lengths: &[usize], budget: usize, shuffle: Option<u64>) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    let mut rng = shuffle.map(|seed| random::rng(seed, "buckets"));
    if let Some(rng) = &mut rng {
        order.shuffle(rng);
    }
    order.sort_by_key(|&i| lengths[i]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut filled = usize::MAX;
    for i in order {
        filled = filled.saturating_add(lengths[i]);
        match batches.last_mut() {
            Some(batch) if filled <= budget => batch.push(i),
            _ => {
                filled = lengths[i];
                batches.push(vec![i]);
            }
        }
    }
    if let Some(rng) = &mut rng {
        batches.shuffle(rng);
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use text::tokenizer::Anchor;

    fn text(lengths: &[usize], words: usize) -> Encoded {
        let windows = lengths.iter().map(|&n| Window { ids: vec![7; n], ..Window::default() }).collect();
        Encoded { windows, words }
    }

    #[test]
    fn a_packed_batch_keeps_windows_words_and_texts_apart() {
        let anchor = |word, row, owned| Anchor { word, row, owned };
        let texts = [
            Encoded {
                windows: vec![Window {
                    ids: vec![0, 9, 7, 2],
                    anchors: vec![anchor(0, 1, true)],
                    continuations: vec![Continuation { word: 0, row: 2, leads: false }],
                }],
                words: 1,
            },
            Encoded {
                windows: vec![
                    Window {
                        ids: vec![0, 5, 6, 2],
                        anchors: vec![anchor(0, 1, true), anchor(1, 1, false)],
                        ..Window::default()
                    },
                    Window { ids: vec![0, 8, 2], anchors: vec![anchor(3, 1, true)], ..Window::default() },
                ],
                words: 4,
            },
        ];
        let batch = Batch::pack(&texts, &[1, 0]);
        assert_eq!(batch.ids, [0, 5, 6, 2, 0, 8, 2, 0, 9, 7, 2]);
        assert_eq!(batch.starts, [0, 4, 7, 11]);
        assert_eq!(batch.continuations, [Continuation { word: 4, row: 9, leads: false }]);
        assert_eq!(batch.rows, [1, 1, 0, 5, 8]);
        assert_eq!(batch.owned, [true, false, false, true, true]);
        assert_eq!(batch.covered, [true, true, false, true, true]);
        assert_eq!(batch.texts, [0, 4, 5]);
        assert_eq!(batch.members, [1, 0]);
    }

    #[test]
    fn an_empty_batch_has_no_rows() {
        let batch = Batch::pack(&[], &[]);
        assert_eq!((batch.starts, batch.texts, batch.ids), (vec![0], vec![0], vec![]));
    }

    #[test]
    fn without_a_seed_shorter_texts_come_first_in_order() {
        let texts: Vec<_> = [5, 3, 9, 3].iter().map(|&n| text(&[n], 1)).collect();
        assert_eq!(buckets(&texts, 6, None), [vec![1, 3], vec![0], vec![2]]);
    }

    proptest! {
        #[test]
        fn buckets_hold_every_text_once_within_the_budget(
            lengths in prop::collection::vec(2_usize..40, 0..60), budget in 2_usize..100, seed in any::<Option<u64>>(),
        ) {
            let texts: Vec<_> = lengths.iter().map(|&n| text(&[n], 1)).collect();
            let batches = buckets(&texts, budget, seed);
            prop_assert_eq!(&batches, &buckets(&texts, budget, seed));
            for batch in &batches {
                let tokens: usize = batch.iter().map(|&i| lengths[i]).sum();
                prop_assert!(tokens <= budget || batch.len() == 1);
            }
            let mut all: Vec<usize> = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..texts.len()).collect::<Vec<_>>());
        }
    }
}
