//! Soft targets (Hinton et al. 2015), projected to the student's labels.

use burn::tensor::Tensor;

use super::{Lesson, Loss, Pass, Wants};
use crate::ml::{
    distillation::Said,
    losses::{self, soft},
    packed::indices,
};

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
        let (temperature, boundary, misc) = (training.temperature, training.boundary, training.misc);
        let (logits, texts) = (pass.logits.clone(), &pass.batch.texts);
        let loss = match pass.said {
            Said::Host(said) => {
                let q = losses::project(from, labels, said, texts, temperature, misc).q;
                let q = pass.targets.of_words(&q, labels.len());
                losses::distillation(logits, &q, labels, temperature, boundary)
            }
            Said::Device(said) => {
                let q = soft::project(from, labels, said.as_ref().clone(), texts, temperature, misc);
                let q = q.select(0, indices(&pass.targets.words, &pass.device()));
                soft::distillation(logits, q, labels, temperature, boundary)
            }
        };
        vec![(self.name(), loss)]
    }
}
