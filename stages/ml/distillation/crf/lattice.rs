//! The CRF in tensors alone, for where going to the host and back would make a device wait. All texts at once, in f32.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::{
    crf::transitions,
    numbers::{NEVER, matrix, narrow},
};
use encoder::{backend::grid::indices, network::CrfWeights};
use text::labels::Labels;

/// What a path, or a distribution over paths, is made of, summed over texts: its score is linear in these.
pub struct Counts {
    /// `[N, labels]` how often each word has each label.
    pub words: Tensor<2>,
    /// `[labels, labels]` as [from, to]
    pub moves: Tensor<2>,
    /// `[labels]` of first words.
    pub first: Tensor<1>,
    /// `[labels]` of last words.
    pub last: Tensor<1>,
}

impl Counts {
    /// Of one legal path for each text, all paths one after another `[N]`.
    #[must_use]
    pub fn of_paths(paths: &[usize], texts: &[u32], labels: &Labels, device: &Device) -> Self {
        let n = labels.len();
        let mut words = vec![0.0; paths.len() * n];
        let (mut moves, mut first, mut last) = (vec![0.0; n * n], vec![0.0; n], vec![0.0; n]);
        for (word, label) in paths.iter().enumerate() {
            words[word * n + label] = 1.0;
        }
        for text in texts.windows(2) {
            let path = &paths[text[0] as usize..text[1] as usize];
            path.windows(2).for_each(|pair| moves[pair[0] * n + pair[1]] += 1.0);
            path.first().into_iter().for_each(|&label| first[label] += 1.0);
            path.last().into_iter().for_each(|&label| last[label] += 1.0);
        }
        Self {
            words: matrix(words, [paths.len(), n], device),
            moves: matrix(moves, [n, n], device),
            first: vector(first, device),
            last: vector(last, device),
        }
    }
}

/// `Σ_texts` (log Z - score of the counts). Emissions `[N, labels]`, `texts [texts + 1]` the first word of each text; N is
/// not 0. -> `[1]`
#[must_use]
pub fn excess(
    emissions: Tensor<2>,
    weights: &CrfWeights,
    counts: Counts,
    texts: &[u32],
    labels: &Labels,
) -> Tensor<1> {
    // Each word has one label in every path, so what all its emissions have in common cancels: small numbers are exact.
    let highest = emissions.clone().detach().max_dim(1);
    let emissions = emissions - highest;
    let score = (emissions.clone() * counts.words).sum()
        + (weights.transitions.clone() * counts.moves).sum()
        + (weights.start.clone() * counts.first).sum()
        + (weights.end.clone() * counts.last).sum();
    log_z(emissions, weights, texts, labels) - score
}

/// `Σ_texts` log Z. -> `[1]`
///
/// A word is a matrix of the scores of its moves, and a text their product, where a sum is a maximum that is smooth and a
/// product a sum. Products of neighbours are taken all at once, so that a text of 2^k words takes k steps, not 2^k; what is
/// shorter is filled with the identity.
fn log_z(emissions: Tensor<2>, weights: &CrfWeights, texts: &[u32], labels: &Labels) -> Tensor<1> {
    let device = emissions.device();
    let n = labels.len();
    let runs: Vec<_> =
        texts.windows(2).filter(|text| text[0] < text[1]).map(|text| text[0]..text[1]).collect();
    let longest = runs.iter().map(|run| run.end - run.start).max().unwrap_or_default();
    let (count, length) = (runs.len(), longest.next_power_of_two() as usize);

    let (mut gather, mut padding) = (Vec::new(), Vec::new());
    for run in &runs {
        let cells = (run.start..).take(length);
        gather.extend(cells.clone().map(|word| word.min(run.end - 1)));
        padding.extend(cells.map(|word| word >= run.end));
    }
    let shape = [count, length, n, n];
    let padding = Tensor::<4, Bool>::from_data(TensorData::new(padding, [count, length, 1, 1]), &device);
    let identity = (0..n * n).map(|i| if i / n == i % n { 0.0 } else { narrow(NEVER) });
    let identity = matrix(identity.collect(), [n, n], &device).reshape([1, 1, n, n]).expand(shape);

    let illegal: Vec<bool> = transitions::legal(labels).map(|legal| !legal).collect();
    let illegal = Tensor::<2, Bool>::from_data(TensorData::new(illegal, [n + 1, n]), &device);
    let moves = Tensor::cat(vec![weights.transitions.clone(), weights.start.clone().unsqueeze::<2>()], 0);
    let moves = moves.mask_fill(illegal, NEVER);
    // The first word is as if all labels before it led to it alike.
    let first = moves.clone().narrow(0, n, 1).reshape([1, 1, 1, n]).expand([1, 1, n, n]);
    let moves = if length == 1 {
        first
    } else {
        let later = moves.narrow(0, 0, n).reshape([1, 1, n, n]).expand([1, length - 1, n, n]);
        Tensor::cat(vec![first, later], 1)
    };

    let emissions = emissions.select(0, indices(&gather, &device)).reshape([count, length, 1, n]);
    let mut steps = (emissions + moves).mask_where(padding.expand(shape), identity);
    let mut left = length;
    while left > 1 {
        left /= 2;
        let pairs = steps.reshape([count * left, 2, n, n]);
        let before = pairs.clone().narrow(1, 0, 1).reshape([count * left, n, n, 1]);
        let after = pairs.narrow(1, 1, 1).reshape([count * left, 1, n, n]);
        steps = log_sum(before + after, 2);
    }
    let ends = steps.reshape([count, n, n]).narrow(1, 0, 1) + weights.end.clone().reshape([1, 1, n]);
    log_sum(ends, 2).sum()
}

/// log Σ exp over a dimension, which stays with size 1.
fn log_sum<const D: usize>(values: Tensor<D>, dim: usize) -> Tensor<D> {
    let highest = values.clone().detach().max_dim(dim);
    (values - highest.clone()).exp().sum_dim(dim).log() + highest
}

fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
