//! Cross-entropy with the tags.

use burn::tensor::{Tensor, activation};

use super::loss::{Loss, Pass};
use crate::numbers::{by_word, count, matrix, narrow};

/// Cross-entropy with the tags.
pub struct Ce;

impl Loss for Ce {
    fn name(&self) -> &'static str {
        "ce"
    }

    fn doc(&self) -> &'static str {
        "cross-entropy with the tags, weighted by the teacher's confidence"
    }

    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)> {
        let (targets, words) = (pass.targets, pass.logits.clone());
        let loss = match &pass.pieces {
            None => cross_entropy(words, &targets.tags, &targets.weight),
            Some(pieces) => {
                let tags = [&targets.tags[..], &targets.pieces.tags].concat();
                let weight = [&targets.weight[..], &targets.pieces.weight].concat();
                let all = Tensor::cat(vec![words, pieces.clone()], 0);
                cross_entropy(all, &tags, &weight) * by_word(tags.len(), targets.tags.len())
            }
        };
        vec![(self.name(), loss)]
    }
}

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
