//! The four losses of ML.md §3. N counts owned first sub-words; padding never exists.

use burn::tensor::Tensor;

use crate::ml::labels::Labels;

/// The teacher's soft targets for the words of a batch, projected from IO to BIO (ML.md §2).
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// `[words, student labels]` q at temperature T; rows sum to 1. Under `ignore` MISC is left out and rows renormalised
    /// (`weight` says by how much the word counts: 1 - p(MISC)); see the stage's documentation.
    pub q: Vec<f32>,
}

/// What becomes of the teacher's MISC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Misc {
    /// MISC becomes O (default).
    #[default]
    Outside,
    /// Words tagged MISC by the teacher are masked out of every loss.
    Ignore,
    /// B-MISC and I-MISC are kept: 9 labels.
    Keep,
}

/// Projects teacher word logits `[words, teacher labels]` to the student's BIO labels at `temperature`.
/// `texts` are the `[texts + 1]` starts of texts, so that c = p of the previous word of the *text* (0 at its first).
#[must_use]
pub fn project(
    teacher: &Labels,
    student: &Labels,
    logits: &[f32],
    texts: &[u32],
    temperature: f64,
    misc: Misc,
) -> Projection {
    let _ = (teacher, student, logits, texts, temperature, misc);
    todo!()
}

/// CE: -(1/N) Σ w log s(y). `logits [N, labels]`, `gold [N]`, `weight [N]` -> `[1]`.
#[must_use]
pub fn cross_entropy(logits: Tensor<2>, gold: &[usize], weight: &[f64]) -> Tensor<1> {
    let _ = (gold, weight);
    logits.sum()
}

/// KD: T² (1/N) Σ (kl_io + boundary · kl_boundary). `logits [N, labels]` of the student, `q [N, labels]` the projection.
/// -> `[1]`
#[must_use]
pub fn distillation(
    logits: Tensor<2>,
    q: &[f32],
    labels: &Labels,
    temperature: f64,
    boundary: f64,
) -> Tensor<1> {
    let _ = (q, labels, temperature, boundary);
    logits.sum()
}

/// Hidden: mean over pairs of (1/N) Σ (1 - cos(h_s, h_t)); each pair `[N, hidden]`. -> `[1]`
#[must_use]
pub fn hidden(pairs: Vec<(Tensor<2>, Tensor<2>)>) -> Tensor<1> {
    let _ = pairs;
    todo!()
}

/// CRF weights on the device, as the loss needs them.
#[derive(Clone, Debug)]
pub struct CrfWeights {
    /// `[labels, labels]` as [from, to]
    pub transitions: Tensor<2>,
    /// `[labels]`
    pub start: Tensor<1>,
    /// `[labels]`
    pub end: Tensor<1>,
}

/// CRF negative log-likelihood per word: (1/N) Σ_texts nll. Emissions `[N, labels]`, `gold [N]`, `texts [texts + 1]`.
/// Value and gradient are exact: computed on the host in f64 and put back as the linear form of the same gradient. -> `[1]`
#[must_use]
pub fn crf_nll(
    emissions: Tensor<2>,
    weights: &CrfWeights,
    gold: &[usize],
    texts: &[u32],
    labels: &Labels,
) -> Tensor<1> {
    let _ = (weights, gold, texts, labels);
    emissions.sum()
}

/// The teacher's transitions, made from its annotations (FORMATS, "CRF": `bigram`).
#[derive(Clone, Debug, PartialEq)]
pub struct Bigram {
    /// `[labels + 1, labels]`, START row last: log P(j|i) - log P(j); -inf where illegal.
    pub scores: Vec<f64>,
}

/// Counts tag bigrams of the train part, add-0.5 on legal pairs only.
#[must_use]
pub fn bigram(labels: &Labels, sequences: &[Vec<usize>]) -> Bigram {
    let _ = (labels, sequences);
    todo!()
}

/// Mean over legal (i, j), START row included, of the squared difference of row log-softmaxes over legal moves. -> `[1]`
#[must_use]
pub fn crf_transitions(weights: &CrfWeights, teacher: &Bigram, labels: &Labels) -> Tensor<1> {
    let _ = (teacher, labels);
    weights.start.clone().sum()
}
