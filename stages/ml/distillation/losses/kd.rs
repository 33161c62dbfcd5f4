//! Soft targets (Hinton et al. 2015), projected to the student's labels.

use burn::tensor::{Int, Tensor, TensorData, activation};

use super::loss::{Lesson, Loss, Pass, Said, Wants};
use crate::{
    numbers::{by_word, count, matrix, narrow},
    projection::{Begin, alone, partners, project},
    soft,
};
use encoder::backend::grid::indices;
use text::labels::Labels;

/// Soft targets.
pub struct Kd;

impl Loss for Kd {
    fn name(&self) -> &'static str {
        "kd"
    }

    fn doc(&self) -> &'static str {
        "KL divergence from the teacher's soft targets at `temperature`"
    }

    fn wants(&self, _: &Lesson<'_>) -> Wants {
        Wants { logits: true, ..Wants::default() }
    }

    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)> {
        let (from, labels, training) =
            (pass.lesson.teacher_labels(), pass.lesson.labels(), pass.lesson.training);
        let (temperature, boundary) = (training.temperature, training.boundary);
        let (targets, texts) = (pass.targets, &pass.batch.texts);
        let soft = pass.pieces.as_ref().filter(|_| !targets.pieces.soft.is_empty());
        let soft =
            soft.map(|pieces| pieces.clone().select(0, indices(&targets.pieces.soft, &pieces.device())));
        let share = by_word(targets.words.len() + targets.pieces.soft.len(), targets.words.len());
        let logits = Tensor::cat([Some(pass.logits.clone()), soft].into_iter().flatten().collect(), 0);
        let words = pass.batch.rows.len();
        let loss = match pass.said {
            Said::Host(said) => {
                let q = project(from, labels, &said[..words * from.len()], texts, temperature).q;
                let mut q = targets.of_words(&q, labels.len());
                let pieces = targets.pieces.of_continuations(said, words, from.len());
                q.extend(alone(from, labels, &pieces, temperature, Begin::Never).into_iter().map(narrow));
                distillation(logits, &q, labels, temperature, boundary)
            }
            Said::Device(said) => {
                let device = pass.device();
                let all = said.as_ref().clone();
                let more = all.dims()[0] - words;
                let of_words = if more == 0 { all.clone() } else { all.clone().narrow(0, 0, words) };
                let q = soft::project(from, labels, of_words, texts, temperature);
                let q = q.select(0, indices(&targets.words, &device));
                let q = if targets.pieces.said.is_empty() {
                    q
                } else {
                    let pieces = all.narrow(0, words, more).select(0, indices(&targets.pieces.said, &device));
                    Tensor::cat(vec![q, soft::alone(from, labels, pieces, temperature, Begin::Never)], 0)
                };
                soft::distillation(logits, q, labels, temperature, boundary)
            }
        } * share;
        vec![(self.name(), loss)]
    }
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
