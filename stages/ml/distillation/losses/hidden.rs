//! Hidden states (Sun et al. 2019).

use burn::tensor::Tensor;

use super::loss::{Lesson, Loss, Pass, Wants};
use crate::numbers::count;

/// Squared norms below this count as this, so that a zero vector has no infinite gradient; hidden states that a
/// layer norm made are far above.
const LEAST_SQUARED_NORM: f64 = 1e-12;

/// The distance between hidden states.
pub struct Hidden;

impl Loss for Hidden {
    fn name(&self) -> &'static str {
        "hidden"
    }

    fn doc(&self) -> &'static str {
        "cosine distance between hidden states of student and teacher"
    }

    fn wants(&self, lesson: &Lesson<'_>) -> Wants {
        Wants { states: lesson.pairs.to_vec(), ..Wants::default() }
    }

    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)> {
        if pass.states.is_empty() {
            return Vec::new();
        }
        vec![(self.name(), hidden(pass.states.clone()))]
    }
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
