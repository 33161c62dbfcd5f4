//! The teacher's transitions, made from its annotations, and the student's distance from them (docs/math.md, "The CRF's
//! teacher").

use burn::tensor::{Bool, Tensor, TensorData, activation};

use crate::numbers::{NEVER, count, matrix, narrow};
use encoder::network::CrfWeights;
use text::labels::Labels;

/// Added to every legal count (the Jeffreys-Perks law: half an observation each), so that a legal pair that was never
/// seen stays possible.
const UNSEEN: f64 = 0.5;

/// The teacher's transitions, made by [`bigram`] or by [`super::fitted`].
#[derive(Clone, Debug, PartialEq)]
pub struct Transitions {
    /// `[labels + 1, labels]`, START row last; -inf where illegal. Of bigrams: log P(j|i) - log P(j).
    pub scores: Vec<f64>,
}

/// Counts tag bigrams of the train part, add-0.5 on legal pairs only. The START row counts first words; P(j) is over all
/// words, add-0.5 on every label. An illegal pair in `sequences` is not counted as a pair, nor is one with a word that is
/// out of every loss (none) on either side or in between.
#[must_use]
pub fn bigram(labels: &Labels, sequences: &[&[Option<usize>]]) -> Transitions {
    let n = labels.len();
    let mut pairs: Vec<f64> = legal(labels).map(|legal| if legal { UNSEEN } else { 0.0 }).collect();
    let mut single = vec![UNSEEN; n];
    for sequence in sequences {
        for &label in sequence.iter().flatten() {
            single[label] += 1.0;
        }
        let first = sequence.first().and_then(|label| Some((None, (*label)?)));
        let moves = sequence.windows(2).filter_map(|pair| Some((Some(pair[0]?), pair[1]?)));
        for (from, to) in first.into_iter().chain(moves) {
            if labels.legal(from, to) {
                pairs[from.unwrap_or(n) * n + to] += 1.0;
            }
        }
    }
    let all: f64 = single.iter().sum();
    let scores = pairs.chunks_exact(n).flat_map(|row| {
        let sum: f64 = row.iter().sum();
        row.iter().zip(&single).map(move |(pair, single)| (pair / sum).ln() - (single / all).ln())
    });
    Transitions { scores: scores.collect() }
}

/// Mean over legal (i, j), START row included, of the squared difference of row log-softmaxes over legal moves. -> `[1]`
///
/// Because rows are normalised first, shifting a row changes nothing. `end` takes no part. A row with one legal move
/// has nothing to compare and is skipped.
///
/// # Panics
/// When `teacher` was made for other labels.
#[must_use]
pub fn crf_transitions(weights: &CrfWeights, teacher: &Transitions, labels: &Labels) -> Tensor<1> {
    let n = labels.len();
    let shape = [n + 1, n];
    assert_eq!(teacher.scores.len(), (n + 1) * n, "bigrams for {n} labels");
    let device = weights.transitions.device();
    let mut legal: Vec<bool> = legal(labels).collect();
    for row in legal.chunks_exact_mut(n) {
        if row.iter().filter(|legal| **legal).count() == 1 {
            row.fill(false);
        }
    }
    let moves = legal.iter().filter(|legal| **legal).count();
    if moves == 0 {
        return Tensor::zeros([1], &device);
    }
    let target = teacher.scores.chunks_exact(n).zip(legal.chunks_exact(n)).flat_map(|(scores, legal)| {
        let sum: f64 = scores.iter().zip(legal).filter(|(_, l)| **l).map(|(s, _)| s.exp()).sum();
        scores.iter().zip(legal).map(move |(s, legal)| if *legal { narrow(s - sum.ln()) } else { 0.0 })
    });
    let target = matrix(target.collect(), shape, &device);

    let illegal: Vec<bool> = legal.iter().map(|legal| !legal).collect();
    let illegal = Tensor::<2, Bool>::from_data(TensorData::new(illegal, shape), &device);
    let rows = Tensor::cat(vec![weights.transitions.clone(), weights.start.clone().unsqueeze::<2>()], 0);
    let rows = activation::log_softmax(rows.mask_fill(illegal.clone(), NEVER), 1);
    let difference = (rows - target).mask_fill(illegal, 0.0);
    (difference.clone() * difference).sum() / count(moves)
}

/// `[labels + 1, labels]` which moves are legal, START row last.
pub fn legal(labels: &Labels) -> impl Iterator<Item = bool> {
    let n = labels.len();
    (0..=n).flat_map(move |from| (0..n).map(move |to| labels.legal((from < n).then_some(from), to)))
}
