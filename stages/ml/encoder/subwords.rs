//! What a program finds that labels sub-word by sub-word, as transformers' pipeline with `aggregation_strategy="simple"` does.

use std::collections::BTreeMap;

use crate::{batch::Encoded, infer::WordLogits};
use text::labels::{Labels, Span, Tag};

/// A sub-word that belongs to a word.
struct Row<'a> {
    word: usize,
    /// Whether it stands before the word.
    leads: bool,
    logits: &'a [f32],
}

/// Whether one label after another makes exactly the entities `found`: neighbours of one type are one entity until a B-. An
/// entity that begins or ends inside of a word is none of them. Sub-words that no word is read off and that stand outside of
/// every word count only where they part an entity.
#[must_use]
pub fn agree(labels: &Labels, text: &Encoded, logits: &WordLogits, found: &[Span]) -> bool {
    let rows = rows(text, logits);
    // Of each word, its sub-words: first and one past the last among the rows.
    let mut own: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| !row.leads) {
        own.entry(row.word).and_modify(|(_, end)| *end = at + 1).or_insert((at, at + 1));
    }
    let mut groups: Vec<(usize, usize, usize)> = Vec::new();
    let mut last = None;
    for (at, row) in rows.iter().enumerate() {
        let (kind, begins) = match labels.tags()[best(row.logits)] {
            Tag::Outside => (None, false),
            Tag::Begin(kind) => (Some(kind), true),
            Tag::Inside(kind) => (Some(kind), false),
        };
        if let Some(kind) = kind {
            match groups.last_mut() {
                Some((_, _, end)) if last == Some(kind) && !begins => *end = at + 1,
                _ => groups.push((kind, at, at + 1)),
            }
        }
        last = kind;
    }
    let right: Option<Vec<(usize, usize, usize)>> = found
        .iter()
        .map(|span| {
            let kind = labels.type_index(&span.kind)?;
            Some((kind, own.get(&span.start)?.0, own.get(&(span.end - 1))?.1))
        })
        .collect();
    let trimmed = |&(kind, start, end): &(usize, usize, usize)| {
        let start = (start..end).find(|&at| !rows[at].leads)?;
        let end = (start..end).rev().find(|&at| !rows[at].leads)? + 1;
        Some((kind, start, end))
    };
    right.is_some_and(|right| groups.iter().filter_map(trimmed).eq(right))
}

/// In the order of the text.
fn rows<'a>(text: &Encoded, logits: &'a WordLogits) -> Vec<Row<'a>> {
    let mut rest = logits.continuations.chunks_exact(logits.labels);
    let mut rows = Vec::with_capacity(logits.len() + text.continuations());
    for window in &text.windows {
        let mut own: Vec<(usize, Row<'a>)> = Vec::new();
        for anchor in window.anchors.iter().filter(|anchor| anchor.owned) {
            let logits = logits.word(anchor.word);
            own.push((anchor.row, Row { word: anchor.word, leads: false, logits }));
        }
        for (piece, logits) in window.continuations.iter().zip(&mut rest) {
            own.push((piece.row, Row { word: piece.word, leads: piece.leads, logits }));
        }
        own.sort_by_key(|(row, _)| *row);
        rows.extend(own.into_iter().map(|(_, row)| row));
    }
    rows
}

fn best(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use text::tokenizer::{Anchor, Continuation, Window};

    /// `▁An` `na` `▁` `B` `.`: two words of two sub-words each, one of them before the second word, and a third word.
    fn text() -> Encoded {
        let anchor = |word, row| Anchor { word, row, owned: true };
        let piece = |word, row, leads| Continuation { word, row, leads };
        let window = Window {
            ids: vec![0, 5, 6, 7, 8, 9, 2],
            anchors: vec![anchor(0, 1), anchor(1, 4), anchor(2, 5)],
            continuations: vec![piece(0, 2, false), piece(1, 3, true)],
        };
        Encoded { windows: vec![window], words: 3 }
    }

    fn logits(labels: &Labels, said: &str) -> WordLogits {
        let said: Vec<&str> = said.split(' ').collect();
        let row = |name: &str| -> Vec<f32> {
            labels.names().iter().map(|other| if other == name { 1.0 } else { 0.0 }).collect()
        };
        WordLogits {
            labels: labels.len(),
            values: [0, 3, 4].iter().flat_map(|&at| row(said[at])).collect(),
            owned: vec![true; 3],
            continuations: [1, 2].iter().flat_map(|&at| row(said[at])).collect(),
        }
    }

    #[test]
    fn sub_words_agree_where_they_make_the_words_entities_and_no_other() {
        let labels = Labels::bio(["PER", "LOC"]);
        let span = |start, end, kind: &str| Span { start, end, kind: kind.to_owned() };
        let both = [span(0, 2, "PER")];
        let apart = [span(0, 1, "PER"), span(1, 2, "PER")];
        for (said, found, right) in [
            ("B-PER I-PER I-PER I-PER O", &both[..], true),
            ("B-PER I-PER O I-PER O", &both[..], false),
            ("B-PER O I-PER I-PER O", &both[..], false),
            ("B-PER I-PER O B-PER O", &apart[..], true),
            ("B-PER I-PER I-PER B-PER O", &apart[..], true),
            ("B-PER I-PER O I-PER O", &apart[..], true),
            ("B-PER I-PER O B-LOC O", &apart[..], false),
            ("I-PER O O O O", &[], false),
            ("O O I-PER O O", &[], true),
            ("O O O O B-LOC", &[span(2, 3, "LOC")], true),
            ("O O O O O", &[], true),
        ] {
            assert_eq!(agree(&labels, &text(), &logits(&labels, said), found), right, "{said} {found:?}");
        }
    }
}
