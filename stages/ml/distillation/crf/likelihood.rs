//! The CRF's likelihood as a loss on the device.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::{
    crf::{
        lattice::{self, Counts},
        structural::chain,
    },
    numbers::{count, matrix, narrow},
};
use encoder::{
    backend::{fused, readback::hosts},
    crf::{Crf, CrfGradient, repair},
    network::CrfWeights,
};
use text::labels::Labels;

/// CRF negative log-likelihood per word: (1/N) `Σ_texts` nll. Emissions `[N, labels]`, `gold [N]`, `texts [texts + 1]`
/// the first word of each text. -> `[1]`
///
/// On the CPU value and gradient are exact: computed in f64 and put back as the linear form of the same gradient. Elsewhere
/// they are tensors in f32, so that no device waits for the host.
/// Taking words that own no sub-word out of a text may leave an I- without its B-: such gold becomes legal by [`repair`].
///
/// # Panics
/// When `gold` is not N long or `texts` does not end at N.
#[must_use]
pub fn crf_nll(
    emissions: Tensor<2>,
    weights: &CrfWeights,
    gold: &[usize],
    texts: &[u32],
    labels: &Labels,
) -> Tensor<1> {
    let words = emissions.dims()[0];
    assert_eq!(gold.len(), words, "one gold label for each word");
    let mut gold = gold.to_vec();
    for text in texts.windows(2) {
        repair(labels, &mut gold[text[0] as usize..text[1] as usize]);
    }
    if !fused::runs_on(&emissions.device()) {
        assert_eq!(texts.last().map_or(0, |&end| end as usize), words, "texts end with the last word");
        if words == 0 {
            return Tensor::zeros([1], &emissions.device());
        }
        let counts = Counts::of_paths(&gold, texts, labels, &emissions.device());
        return lattice::excess(emissions, weights, counts, texts, labels) / count(words);
    }
    mean_over_texts(emissions, weights, texts, labels, |crf, rows, text, by_emission, by_weight| {
        crf.nll(rows, &gold[text], by_emission, by_weight)
    })
}

/// The teacher's whole distribution over paths in place of one path: (1/N) `Σ_texts` (log Z - `E_T`[score]), the CRF's
/// structural loss (docs/math.md, "The CRF's teacher"). Emissions `[N, labels]`, `alone` `[N, labels]` of the teacher
/// as [`crate::projection::alone`] gives it at T = 1, `texts [texts + 1]` the first word of each text. -> `[1]`
///
/// # Panics
/// When `alone` has no row for each word or `texts` does not end at N.
#[must_use]
pub fn crf_structural(
    emissions: Tensor<2>,
    weights: &CrfWeights,
    alone: &[f64],
    texts: &[u32],
    labels: &Labels,
) -> Tensor<1> {
    let n = labels.len();
    assert_eq!(alone.len(), emissions.dims()[0] * n, "one row of the teacher's for each word");
    mean_over_texts(emissions, weights, texts, labels, |crf, rows, text, by_emission, by_weight| {
        let (words, pairs) = chain(labels, &alone[text.start * n..text.end * n]);
        crf.cross_entropy(rows, &words, &pairs, by_emission, by_weight)
    })
}

/// The mean over words of a loss `of` each text, which takes the CRF, its rows of emissions and its range of words, and adds
/// to the gradients by emissions and by weights. -> `[1]`
fn mean_over_texts(
    emissions: Tensor<2>,
    weights: &CrfWeights,
    texts: &[u32],
    labels: &Labels,
    of: impl Fn(&Crf, &[f32], Range<usize>, &mut [f64], &mut CrfGradient) -> f64 + Sync,
) -> Tensor<1> {
    let [words, columns] = emissions.dims();
    let device = emissions.device();
    assert_eq!(texts.last().map_or(0, |&end| end as usize), words, "texts end with the last word");
    if words == 0 {
        return Tensor::zeros([1], &device);
    }
    let [rows, transitions, start, end] = read(&emissions, weights);
    let crf = Crf::new(labels, &transitions, &start, &end);

    let texts: Vec<_> = texts.windows(2).map(|text| text[0] as usize..text[1] as usize).collect();
    let results: Vec<_> = texts
        .into_par_iter()
        .map(|text| {
            let mut by_emission = vec![0.0; text.len() * columns];
            let mut by_weight = CrfGradient::zero(columns);
            let rows = &rows[text.start * columns..text.end * columns];
            let loss = of(&crf, rows, text, &mut by_emission, &mut by_weight);
            (loss, by_emission, by_weight)
        })
        .collect();

    // Summed in the order of texts, whatever thread was faster: the same bits every time.
    let mut loss = 0.0;
    let mut by_emission = Vec::with_capacity(words * columns);
    let mut by_weight = CrfGradient::zero(columns);
    for (value, emission, weight) in results {
        loss += value;
        by_emission.extend(emission);
        by_weight.add(&weight);
    }

    let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| narrow(sum / count(words))).collect::<Vec<f32>>();
    linear(emissions, matrix(mean(by_emission), [words, columns], &device))
        + linear(
            weights.transitions.clone(),
            matrix(mean(by_weight.transitions), [columns, columns], &device),
        )
        + linear(weights.start.clone(), vector(mean(by_weight.start), &device))
        + linear(weights.end.clone(), vector(mean(by_weight.end), &device))
        + loss / count(words)
}

/// Emissions, transitions, start and end, in one transfer.
fn read(emissions: &Tensor<2>, weights: &CrfWeights) -> [Vec<f32>; 4] {
    let flat = |tensor: &Tensor<2>| tensor.clone().flatten(0, 1);
    let all = [flat(emissions), flat(&weights.transitions), weights.start.clone(), weights.end.clone()];
    let mut read = hosts(all).into_iter();
    std::array::from_fn(|_| read.next().unwrap_or_default())
}

/// A term of value 0 and gradient `gradient`.
fn linear<const D: usize>(tensor: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    let here = tensor.clone().detach();
    ((tensor - here) * gradient).sum()
}

fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
