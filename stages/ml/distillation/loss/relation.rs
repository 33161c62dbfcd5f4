//! Relations between the words of a text (Wang et al. 2021, `MiniLMv2`).

use burn::tensor::Tensor;

use super::{Lesson, Loss, Pass, Wants};
use crate::ml::losses;

pub struct Relation;

impl Loss for Relation {
    fn name(&self) -> &'static str {
        "relation"
    }

    fn doc(&self) -> &'static str {
        "how the words of a text relate to each other in one layer of each model (MiniLMv2)"
    }

    /// A layer's queries, keys and values follow from the state before it.
    fn wants(&self, lesson: &Lesson<'_>) -> Wants {
        Wants { states: lesson.relation.into_iter().collect(), ..Wants::default() }
    }

    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)> {
        let (Some((layer, origin)), [(student, teacher)]) = (pass.lesson.relation, pass.states.as_slice())
        else {
            return Vec::new();
        };
        let [ours, theirs] = pass.packed;
        let ours = pass.network.attended(layer, &ours.layout, student);
        let theirs = pass.teacher.attended(origin, &theirs.layout, teacher);
        let heads = pass.lesson.training.relation_heads;
        vec![(self.name(), losses::relation(ours, theirs, &pass.targets.texts, heads))]
    }
}
