//! Multi-head attention (Vaswani et al. 2017, eq. 1) within each of several sequences that lie packed one after another.
//!
//! Nothing is padded. The backward pass computes the probabilities again: they are length² per head, the products they
//! come from some per cent of a layer, and so the rows of query, key and value are all that a forward pass must keep.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    instructions::instructions,
    matrix::{Matrix, MatrixMut},
    panel::Panels,
    softmax::{softmax, softmax_backward},
};

/// Queries that are looked at together: their scores stay in the second cache however long the sequence.
const QUERIES: usize = 64;

/// How rows fall into sequences, and columns into heads.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// `[sequences + 1]` first row of each, ascending from 0; the last is the number of rows.
    pub starts: &'a [u32],
    /// Heads; 0 is a layer without attention.
    pub heads: usize,
    /// Columns of a head.
    pub width: usize,
}

/// Memory of one thread, used again for its next task.
#[derive(Default)]
struct Room {
    key: Panels,
    value: Panels,
    other: Panels,
    p: Vec<f32>,
    scores: Vec<f32>,
}

/// One head in one sequence.
struct Task<'a> {
    query: Matrix<'a>,
    key: Matrix<'a>,
    value: Matrix<'a>,
}

impl Attention<'_> {
    fn columns(&self) -> usize {
        self.heads * self.width
    }

    fn tokens(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        self.starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize)
    }

    fn check(&self, rows: &[f32]) -> bool {
        assert!(
            self.starts.first().is_none_or(|first| *first == 0) && self.starts.is_sorted(),
            "starts ascend from 0"
        );
        assert_eq!(rows.len(), self.tokens() * 3 * self.columns(), "query, key and value of each row");
        !rows.is_empty()
    }

    #[expect(clippy::cast_precision_loss, reason = "a head is some tens wide")]
    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Sequence by sequence, head by head.
    fn tasks<'r>(&self, rows: &'r [f32]) -> impl Iterator<Item = Task<'r>> {
        let all = Matrix::new(rows, 3 * self.columns());
        self.starts.windows(2).filter(|pair| pair[0] < pair[1]).flat_map(move |pair| {
            let rows = pair[0] as usize..pair[1] as usize;
            (0..self.heads).map(move |head| {
                let part = |part: usize| {
                    let first = part * self.columns() + head * self.width;
                    all.block(rows.clone(), first..first + self.width)
                };
                Task { query: part(0), key: part(1), value: part(2) }
            })
        })
    }

    /// The same cut through a matrix that is written.
    fn pieces<'r>(&self, to: MatrixMut<'r>) -> Vec<MatrixMut<'r>> {
        let mut pieces = Vec::with_capacity(self.heads * self.starts.len());
        let mut below = to;
        for length in self.lengths().filter(|length| *length > 0) {
            let (sequence, rest) = below.split_rows(length);
            below = rest;
            let mut right = sequence;
            for _ in 0..self.heads {
                let (head, rest) = right.split_columns(self.width);
                right = rest;
                pieces.push(head);
            }
        }
        pieces
    }

    /// `[rows, 3 * heads * width]` query, key and value side by side -> `[rows, heads * width]`.
    ///
    /// # Panics
    /// When lengths do not fit.
    #[must_use]
    pub fn forward(&self, rows: &[f32]) -> Vec<f32> {
        if !self.check(rows) {
            return Vec::new();
        }
        let mut context = vec![0.0; self.tokens() * self.columns()];
        let pieces = self.pieces(MatrixMut::new(&mut context, self.columns()));
        self.tasks(rows).zip(pieces).collect::<Vec<_>>().into_par_iter().for_each_init(
            Room::default,
            |room, (task, to)| {
                instructions().arch.dispatch(Forward { attention: self, task, to, room });
            },
        );
        context
    }

    /// From the gradient of the output `[rows, heads * width]` to that of `rows`.
    ///
    /// # Panics
    /// When lengths do not fit.
    #[must_use]
    pub fn backward(&self, rows: &[f32], gradient: &[f32]) -> Vec<f32> {
        if !self.check(rows) {
            return Vec::new();
        }
        assert_eq!(gradient.len() * 3, rows.len(), "a gradient for each row");
        let mut by_rows = vec![0.0; rows.len()];
        let (by_query, by_rest) =
            MatrixMut::new(&mut by_rows, 3 * self.columns()).split_columns(self.columns());
        let (by_key, by_value) = by_rest.split_columns(self.columns());
        let gradient = Matrix::new(gradient, self.columns());
        let gradients = self.starts.windows(2).filter(|pair| pair[0] < pair[1]).flat_map(|pair| {
            (0..self.heads).map(|head| {
                let columns = head * self.width..(head + 1) * self.width;
                gradient.block(pair[0] as usize..pair[1] as usize, columns)
            })
        });
        let outputs = self.pieces(by_query).into_iter().zip(self.pieces(by_key)).zip(self.pieces(by_value));
        self.tasks(rows).zip(gradients).zip(outputs).collect::<Vec<_>>().into_par_iter().for_each_init(
            Room::default,
            |room, ((task, gradient), ((by_query, by_key), by_value))| {
                let to = [by_query, by_key, by_value];
                instructions().arch.dispatch(Backward { attention: self, task, gradient, to, room });
            },
        );
        by_rows
    }
}

/// One head's forward pass; pulp inlines `with_simd`, and all that it calls, into code for the processor at hand.
struct Forward<'a> {
    attention: &'a Attention<'a>,
    task: Task<'a>,
    to: MatrixMut<'a>,
    room: &'a mut Room,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { attention, task, mut to, room } = self;
        let (length, _) = task.key.shape();
        room.key.pack(task.key.transposed(), attention.scale());
        room.value.pack(task.value, 1.0);
        let mut first = 0;
        while first < length {
            let count = QUERIES.min(length - first);
            let (now, rest) = to.split_rows(count);
            to = rest;
            probabilities(simd, &task, first..first + count, &room.key, &mut room.p);
            room.value.multiply(simd, now, false, Matrix::new(&room.p, length));
            first += count;
        }
    }
}

/// softmax(scale query keyᵀ) of some queries: `[queries, length]`.
#[inline(always)]
fn probabilities<S: Simd>(simd: S, task: &Task<'_>, queries: Range<usize>, key: &Panels, p: &mut Vec<f32>) {
    let (length, width) = task.key.shape();
    p.resize(queries.len() * length, 0.0);
    key.multiply(simd, MatrixMut::new(p, length), false, task.query.block(queries, 0..width));
    softmax(p, length);
}

/// One head's backward pass. With P = softmax(S) and S = scale Q Kᵀ: dV = Pᵀ G, dS = P (G Vᵀ - Σ P G Vᵀ), dQ = scale dS K,
/// dK = scale dSᵀ Q.
struct Backward<'a> {
    attention: &'a Attention<'a>,
    task: Task<'a>,
    gradient: Matrix<'a>,
    /// For query, key and value; the last two are 0.
    to: [MatrixMut<'a>; 3],
    room: &'a mut Room,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { attention, task, gradient, to, room } = self;
        let [mut by_query, mut by_key, mut by_value] = to;
        let (length, width) = task.key.shape();
        let Room { key, value, other, p, scores } = room;
        key.pack(task.key.transposed(), attention.scale());
        value.pack(task.value.transposed(), 1.0);
        let mut first = 0;
        while first < length {
            let count = QUERIES.min(length - first);
            let queries = first..first + count;
            let (by_these, rest) = by_query.split_rows(count);
            by_query = rest;
            probabilities(simd, &task, queries.clone(), key, p);
            let gradient = gradient.block(queries.clone(), 0..width);
            other.pack(gradient, 1.0);
            other.multiply(simd, by_value.reborrow(), true, Matrix::new(p, length).transposed());
            scores.resize(count * length, 0.0);
            value.multiply(simd, MatrixMut::new(scores, length), false, gradient);
            softmax_backward(p, scores, length, attention.scale());
            let scores = Matrix::new(scores, length);
            other.pack(task.query.block(queries, 0..width), 1.0);
            other.multiply(simd, by_key.reborrow(), true, scores.transposed());
            other.pack(task.key, 1.0);
            other.multiply(simd, by_these, false, scores);
            first += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{Draw, assert_near, derivative, on_threads, wide};

    fn naive(attention: &Attention<'_>, rows: &[f64]) -> Vec<f64> {
        let columns = attention.columns();
        let at = |row: usize, part: usize, column: usize| rows[row * 3 * columns + part * columns + column];
        let mut context = vec![0.0; rows.len() / 3];
        for pair in attention.starts.windows(2) {
            let sequence = pair[0] as usize..pair[1] as usize;
            for (head, query) in (0..attention.heads).flat_map(|h| sequence.clone().map(move |q| (h, q))) {
                let own = head * attention.width..(head + 1) * attention.width;
                let score = |key: usize| -> f64 {
                    own.clone().map(|c| at(query, 0, c) * at(key, 1, c)).sum::<f64>()
                        / (attention.width as f64).sqrt()
                };
                let powers: Vec<f64> = sequence.clone().map(|key| score(key).exp()).collect();
                let all: f64 = powers.iter().sum();
                for column in own {
                    context[query * columns + column] =
                        sequence.clone().zip(&powers).map(|(key, p)| p / all * at(key, 2, column)).sum();
                }
            }
        }
        context
    }

    fn starts(lengths: &[u32]) -> Vec<u32> {
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn forward_and_backward_are_those_of_the_definition(
            lengths in prop::collection::vec(0_u32..6, 0..4),
            heads in 1_usize..4, width in 1_usize..9, seed in any::<u64>(),
        ) {
            let starts = starts(&lengths);
            let attention = Attention { starts: &starts, heads, width };
            let mut draw = Draw::new(seed);
            let rows = draw.values(attention.tokens() * 3 * attention.columns());
            let slope = draw.values(rows.len() / 3);
            assert_near(&attention.forward(&rows), &naive(&attention, &wide(&rows)), 1e-5);
            let loss = |rows: &[f64]| {
                naive(&attention, rows).iter().zip(&slope).map(|(y, s)| y * f64::from(*s)).sum::<f64>()
            };
            assert_near(&attention.backward(&rows, &slope), &derivative(&wide(&rows), loss), 1e-4);
        }
    }

    /// Longer than [`QUERIES`], so that several blocks are added up.
    #[test]
    fn long_sequences_are_attended_block_by_block() {
        let starts = starts(&[150, 1, 64, 65]);
        let attention = Attention { starts: &starts, heads: 2, width: 5 };
        let mut draw = Draw::new(1);
        let rows = draw.values(attention.tokens() * 3 * attention.columns());
        let slope = draw.values(rows.len() / 3);
        assert_near(&attention.forward(&rows), &naive(&attention, &wide(&rows)), 1e-5);
        let found = attention.backward(&rows, &slope);
        // A derivative by differences of some elements: all of them would be 8400 forward passes.
        let wide = wide(&rows);
        for at in (0..rows.len()).step_by(rows.len() / 40) {
            let moved = |by: f64| {
                let mut rows = wide.clone();
                rows[at] += by;
                naive(&attention, &rows).iter().zip(&slope).map(|(y, s)| y * f64::from(*s)).sum::<f64>()
            };
            let expected = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            assert!((f64::from(found[at]) - expected).abs() < 1e-4, "{at}: {} for {expected}", found[at]);
        }
    }

    #[test]
    fn threads_do_not_show() {
        let starts = starts(&[33, 7, 90]);
        let attention = Attention { starts: &starts, heads: 3, width: 16 };
        let mut draw = Draw::new(2);
        let rows = draw.values(attention.tokens() * 3 * attention.columns());
        let slope = draw.values(rows.len() / 3);
        let all = || (attention.forward(&rows), attention.backward(&rows, &slope));
        assert!(on_threads(1, all) == on_threads(4, all));
    }

    #[test]
    fn a_layer_without_heads_and_a_batch_without_rows_give_nothing() {
        let none = Attention { starts: &[0, 3], heads: 0, width: 8 };
        assert!(none.forward(&[]).is_empty() && none.backward(&[], &[]).is_empty());
        assert!(Attention { starts: &[0], heads: 2, width: 8 }.forward(&[]).is_empty());
    }
}
