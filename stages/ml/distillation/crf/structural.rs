//! The teacher's distribution over paths (docs/math.md, "The CRF's teacher"): words that it labels independently make a
//! chain, because whether a word begins an entity depends on the type of the word before it.

use text::labels::{Labels, Tag};

/// Marginals of a text's words `[words, labels]` and of their neighbours `[words - 1, labels, labels]` as [from, to], from
/// the rows of [`crate::projection::alone`]. Illegal moves get exactly 0.
///
/// A word's label says its type, and the next word's label depends on nothing else of it: summed over the word before, the
/// teacher's triples of IO labels are a product of two.
#[must_use]
pub fn chain(labels: &Labels, alone: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = labels.len();
    let column = |tag| labels.tags().iter().position(|t| *t == tag);
    // P(label of a word | type of the word before).
    let given = |row: &[f64], before: Option<usize>| -> Vec<f64> {
        let mut next = row.to_vec();
        for (at, tag) in labels.tags().iter().enumerate() {
            if let Tag::Inside(kind) = *tag
                && before != Some(kind)
                && let Some(begin) = column(Tag::Begin(kind))
            {
                next[begin] += std::mem::take(&mut next[at]);
            }
        }
        next
    };
    let mut words: Vec<f64> = Vec::with_capacity(alone.len());
    let mut pairs = Vec::with_capacity(alone.len() * n);
    for row in alone.chunks_exact(n) {
        let Some(last) = words.len().checked_sub(n) else {
            words = given(row, None);
            continue;
        };
        let mut sum = vec![0.0; n];
        for (from, tag) in labels.tags().iter().enumerate() {
            let kind = match *tag {
                Tag::Outside => None,
                Tag::Begin(kind) | Tag::Inside(kind) => Some(kind),
            };
            let next = given(row, kind).into_iter().map(|p| words[last + from] * p);
            pairs.extend(next);
            let block = pairs.len() - n;
            sum.iter_mut().zip(&pairs[block..]).for_each(|(sum, p)| *sum += p);
        }
        words.extend(sum);
    }
    (words, pairs)
}
