//! The student's CRF: its likelihood of the tags, and what the teacher says of transitions.

use burn::tensor::Tensor;

use super::loss::{Lesson, Loss, Pass, Said, Wants};
use crate::{
    crf::{
        likelihood::{crf_nll, crf_structural},
        transitions::crf_transitions,
    },
    params::CrfTeacher,
    projection::{Begin, alone},
    soft,
};
use encoder::backend::grid::indices;

/// The likelihood of the CRF, and its distance to the teacher.
pub struct Crf;

impl Loss for Crf {
    fn name(&self) -> &'static str {
        "crf"
    }

    fn doc(&self) -> &'static str {
        "negative log-likelihood of the CRF, and what `crf_teacher` says"
    }

    fn wants(&self, lesson: &Lesson<'_>) -> Wants {
        Wants { logits: lesson.training.crf_teacher == CrfTeacher::Structural, ..Wants::default() }
    }

    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)> {
        let Some(weights) = pass.network.crf_weights() else { return Vec::new() };
        let (lesson, targets, labels) = (pass.lesson, pass.targets, pass.lesson.labels());
        let nll = crf_nll(pass.logits.clone(), &weights, &targets.tags, &targets.texts, labels);
        let transitions = || crf_transitions(&weights, lesson.transitions, labels);
        // The history names the source.
        let taught = match lesson.training.crf_teacher {
            CrfTeacher::None => None,
            CrfTeacher::Bigram => Some(("crf_transitions", transitions())),
            CrfTeacher::Fitted => Some(("crf_fitted", transitions())),
            CrfTeacher::Structural => {
                let from = lesson.teacher_labels();
                let logits = pass.logits.clone();
                let loss = match pass.said {
                    Said::Host(said) => {
                        let rows = targets.of_words(said, from.len());
                        let alone = alone(from, labels, &rows, 1.0, Begin::Kept);
                        crf_structural(logits, &weights, &alone, &targets.texts, labels)
                    }
                    Said::Device(said) => {
                        let rows = said.as_ref().clone().select(0, indices(&targets.words, &pass.device()));
                        soft::crf_structural(logits, &weights, from, rows, &targets.texts, labels)
                    }
                };
                Some(("crf_structural", loss))
            }
        };
        [Some((self.name(), nll)), taught].into_iter().flatten().collect()
    }
}
