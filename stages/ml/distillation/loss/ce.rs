//! Cross-entropy with the tags.

use burn::tensor::Tensor;

use super::{Loss, Pass};
use crate::ml::losses;

pub struct Ce;

impl Loss for Ce {
    fn name(&self) -> &'static str {
        "ce"
    }

    fn doc(&self) -> &'static str {
        "cross-entropy with the tags, weighted by the teacher's confidence"
    }

    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)> {
        let loss = losses::cross_entropy(pass.logits.clone(), &pass.targets.tags, &pass.targets.weight);
        vec![(self.name(), loss)]
    }
}
