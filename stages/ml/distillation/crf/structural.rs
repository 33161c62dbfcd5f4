//! The teacher's distribution over paths (docs/math.md, "The CRF's teacher"): words that it labels independently make a
//! chain, because whether a word begins an entity depends on the type of the word before it.

use crate::projection::Columns;
use encoder::decode::softmax;
use text::labels::{Labels, Tag};

/// `[words, student labels]` the teacher's words at T = 1, each alone. I-X means here: of type X, and beginning an entity
/// unless the word before is of type X too. All that an IO teacher says of a type is that; one with B- labels also says B-X,
/// which begins in any case.
///
/// Types that the student lacks are O, or those to ignore left out and the rest rescaled, as in [`crate::projection::project`].
#[must_use]
pub fn alone(teacher: &Labels, student: &Labels, logits: &[f32]) -> Vec<f64> {
    let targets = Columns::new(teacher, student);
    let mut rows = Vec::with_capacity(logits.len() / teacher.len() * student.len());
    for row in logits.chunks_exact(teacher.len()) {
        let mut own = vec![0.0; student.len()];
        for (p, tag) in softmax(row, 1.0).into_iter().zip(teacher.tags()) {
            match (targets.of_tag(*tag), *tag) {
                (Some((begin, _)), Tag::Begin(_)) => own[begin] += p,
                (Some((_, inside)), _) => own[inside] += p,
                (None, tag) if targets.ignored(tag) => {}
                (None, _) => own[targets.outside] += p,
            }
        }
        let kept: f64 = own.iter().sum();
        if kept > 0.0 {
            for p in &mut own {
                *p /= kept;
            }
        } else {
            own[targets.outside] = 1.0;
        }
        rows.extend(own);
    }
    rows
}

/// Marginals of a text's words `[words, labels]` and of their neighbours `[words - 1, labels, labels]` as [from, to], from
/// the rows of [`alone`]. Illegal moves get exactly 0.
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
