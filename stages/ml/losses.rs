//! The losses of docs/math.md. N counts owned first sub-words; padding never exists, so it can never count.
//!
//! Each loss is a mean over N words, is `[1]`, lives where its tensors live and lets gradients through. Without a word
//! (N = 0) it is 0, not NaN, and takes no part in the graph. On the CPU the two of
//! the CRF's paths, and what the teacher says, are numbers of the host; elsewhere they are tensors ([`soft`]).

mod crf;
mod fitted;
mod lattice;
mod projection;
mod relation;
pub mod soft;
mod structural;
#[cfg(test)]
mod tests;
mod transitions;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};

pub(crate) use self::projection::softmax;
pub use self::{
    crf::{CrfWeights, crf_nll, crf_structural},
    fitted::{Emitted, fitted},
    projection::{Misc, Projection, project},
    relation::relation,
    structural::{alone, chain},
    transitions::{Transitions, bigram, crf_transitions},
};
use crate::ml::labels::{Labels, Tag};

/// Squared norms below this count as this, so that a zero vector has no infinite gradient; hidden states that a
/// layer norm made are far above.
const LEAST_SQUARED_NORM: f64 = 1e-12;

/// CE: -(1/N) Σ w log s(y). `logits [N, labels]`, `gold [N]`, `weight [N]` -> `[1]`.
///
/// N is the number of words and not Σ w: a word of low confidence counts less, and does not make others count more.
///
/// # Panics
/// When `gold` or `weight` are not N long, or a gold label is no column.
#[must_use]
pub fn cross_entropy(logits: Tensor<2>, gold: &[usize], weight: &[f64]) -> Tensor<1> {
    let [words, labels] = logits.dims();
    assert_eq!((gold.len(), weight.len()), (words, words), "one gold label and one weight for each word");
    let device = logits.device();
    if words == 0 {
        return Tensor::zeros([1], &device);
    }
    // One-hot rows instead of gather: 7 columns cost nothing, and the backward pass needs no scatter.
    let mut target = vec![0.0; words * labels];
    for (word, (&label, &weight)) in gold.iter().zip(weight).enumerate() {
        assert!(label < labels, "gold label {label} of {labels}");
        target[word * labels + label] = narrow(weight);
    }
    let target = matrix(target, [words, labels], &device);
    (activation::log_softmax(logits, 1) * target).sum().neg() / count(words)
}

/// KD: T² (1/N) Σ (`kl_io` + boundary · `kl_boundary`). `logits [N, labels]` of the student, `q [N, labels]` the
/// projection at the same temperature. -> `[1]`
///
/// With Q(k) = q(B-k) + q(I-k) and S(k) likewise, KL(q || s) splits exactly into
/// `kl_io` = Σ Q(k) log Q(k)/S(k) over O and the types, and `kl_boundary` = Σ q log (q/Q)/(s/S) over B and I.
/// Entries with q = 0 cost nothing.
///
/// # Panics
/// When `q` is not `[N, labels]`.
#[must_use]
pub fn distillation(
    logits: Tensor<2>,
    q: &[f32],
    labels: &Labels,
    temperature: f64,
    boundary: f64,
) -> Tensor<1> {
    let [words, columns] = logits.dims();
    assert_eq!((q.len(), columns), (words * columns, labels.len()), "one row of q for each word");
    let device = logits.device();
    if words == 0 {
        return Tensor::zeros([1], &device);
    }
    let partner = partners(labels);
    let entropy = negative_entropy(q, labels, &partner, boundary);

    // With log S(type of l) = log s(l) + softplus(z(partner of l) - z(l)), all that depends on the student is
    // Σ_l q(l) [log s(l) + (1 - boundary) softplus(..)]: no division, no log of a small sum.
    let of_entities =
        q.iter().enumerate().map(|(i, &q)| if partner[i % columns].is_some() { q } else { 0.0 });
    let of_entities = matrix(of_entities.collect(), [words, columns], &device) * (1.0 - boundary);
    let q = matrix(q.to_vec(), [words, columns], &device);
    let swap: Vec<i64> =
        partner.iter().enumerate().map(|(l, p)| i64::try_from(p.unwrap_or(l)).unwrap_or(i64::MAX)).collect();
    let swap = Tensor::<1, Int>::from_data(TensorData::new(swap, [columns]), &device);

    let z = logits / temperature;
    let log_s = activation::log_softmax(z.clone(), 1);
    // softplus(x) = -log σ(-x), stable on both sides.
    let log_own_share = activation::log_sigmoid(z.clone() - z.select(1, swap));
    let student = (q * log_s).sum() - (of_entities * log_own_share).sum();
    (student.neg() + entropy) * (temperature * temperature / count(words))
}

/// Hidden: mean over pairs of (1/N) Σ (1 - cos(`h_s`, `h_t`)); each pair `[N, hidden]`, the student's first.
/// No gradient flows to the second. -> `[1]`
///
/// # Panics
/// Without a pair: there is then no device on which 0 could lie.
#[must_use]
pub fn hidden(pairs: Vec<(Tensor<2>, Tensor<2>)>) -> Tensor<1> {
    let number = count(pairs.len());
    pairs
        .into_iter()
        .map(|(student, teacher)| {
            let words = student.dims()[0];
            if words == 0 {
                return Tensor::zeros([1], &student.device());
            }
            let teacher = teacher.detach();
            let norm =
                |h: &Tensor<2>| (h.clone() * h.clone()).sum_dim(1).clamp_min(LEAST_SQUARED_NORM).sqrt();
            let norms = norm(&student) * norm(&teacher);
            let cosine = (student * teacher).sum_dim(1) / norms;
            (cosine.sum() / count(words)).neg() + 1.0
        })
        .reduce(|sum, next| sum + next)
        .expect("at least one pair of hidden states")
        / number
}

/// B-X for I-X and back; `None` for O and where the scheme has no B-.
fn partners(labels: &Labels) -> Vec<Option<usize>> {
    let column = |tag| labels.tags().iter().position(|t| *t == tag);
    labels
        .tags()
        .iter()
        .map(|tag| match *tag {
            Tag::Outside => None,
            Tag::Begin(kind) => column(Tag::Inside(kind)),
            Tag::Inside(kind) => column(Tag::Begin(kind)),
        })
        .collect()
}

/// Σ Q log Q + boundary (Σ q log q - Σ Q log Q): what [`distillation`] owes to the teacher alone, so that it is 0 where
/// student and teacher agree.
fn negative_entropy(q: &[f32], labels: &Labels, partner: &[Option<usize>], boundary: f64) -> f64 {
    let log = |p: f64| if p > 0.0 { p.ln() } else { 0.0 };
    let row = |row: &[f32]| -> f64 {
        row.iter()
            .zip(partner)
            .map(|(&own, partner)| {
                let own = f64::from(own);
                let both = own + partner.map_or(0.0, |p| f64::from(row[p]));
                own * ((1.0 - boundary) * log(both) + boundary * log(own))
            })
            .sum()
    };
    q.chunks_exact(labels.len()).map(row).sum()
}

fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A number of words or moves as a divisor.
#[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 words")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "host arithmetic is f64, tensors are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
