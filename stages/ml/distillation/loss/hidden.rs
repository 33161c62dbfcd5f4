//! Hidden states (Sun et al. 2019).

use burn::tensor::Tensor;

use super::{Lesson, Loss, Pass, Wants};
use crate::ml::losses;

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
        vec![(self.name(), losses::hidden(pass.states.clone()))]
    }
}
