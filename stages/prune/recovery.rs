//! Between two cuts: what is left settles for a while, with the losses of `finetune`.

use rand::seq::SliceRandom;
use stage_contract::{Context, StageError};

use super::{LOGITS, Prune};
use distillation::{
    Distillation, Examples, Lesson, crf::transitions::Transitions, hidden_pairs, losses::LOSSES,
    relation_pair,
};
use encoder::{
    backend::device,
    model::{Model, ModelFolder},
};
use text::{corpus::Corpus, random};

/// What a recovery learns from.
pub(super) struct Lessons {
    teacher: Model,
    train: Examples,
    dev: Examples,
    transitions: Transitions,
}

impl Lessons {
    /// `student` has the labels and sub-words that all rounds have.
    pub fn new(
        cx: &Context<'_>,
        prune: &Prune,
        student: &Model,
        folder: &ModelFolder,
        [train, dev]: [&Corpus; 2],
    ) -> Result<Self, StageError> {
        let device = device::burn(cx.device);
        let teacher = folder.open(&device)?.at(prune.training.precision);
        let [mut train, dev] =
            Examples::pair(student, &teacher, [train, dev], &text::corpus::Gold::default(), &prune.training)?;
        train.recall(cx.read_optional(&LOGITS)?, folder, &teacher, &device)?;
        let labels = &student.config.labels;
        let transitions = prune.training.transitions(cx, labels, &teacher, &train, &device)?;
        Ok(Self { teacher, train, dev, transitions })
    }
}

impl Prune {
    /// Trains `model` once over its share of the train part: each round takes what the rounds before left, and begins anew
    /// when nothing is left.
    pub(super) fn recover(
        &self,
        cx: &Context<'_>,
        model: Model,
        lessons: &Lessons,
        round: u32,
    ) -> Result<Model, StageError> {
        let pairs = hidden_pairs(&[], &model.config, &lessons.teacher.config, &[&self.weights])?;
        let relation =
            relation_pair(&self.training, &model.config, &lessons.teacher.config, &[&self.weights])?;
        let lesson = Lesson {
            teacher: &lessons.teacher,
            student: &model,
            training: &self.training,
            pairs: &pairs,
            relation,
            transitions: &lessons.transitions,
        };
        let train = lessons.train.only(&self.share(cx.seed, lessons.train.len(), round));
        let weights = |_| self.weights.clone();
        let trained =
            Distillation { lesson, train: &train, dev: &lessons.dev, losses: &LOSSES, weights: &weights }
                .run(cx, 1, 0.0)?;
        Ok(Model { network: trained.network, ..model })
    }

    /// Which texts a round trains on.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of texts"
    )]
    fn share(&self, seed: u64, texts: usize, round: u32) -> Vec<usize> {
        let mut order: Vec<usize> = (0..texts).collect();
        order.shuffle(&mut random::rng(seed, "recovery"));
        let many = ((self.recovery * texts as f64).ceil() as usize).clamp(1, texts.max(1));
        let from = many * (round as usize - 1);
        (from..from + many).map(|at| order[at % texts.max(1)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rounds_take_turns_with_the_texts() {
        let prune = Prune { recovery: 0.25, ..Prune::default() };
        let rounds: Vec<Vec<usize>> = (1..=5).map(|round| prune.share(7, 40, round)).collect();
        assert!(rounds.iter().all(|texts| texts.len() == 10));
        assert_eq!(rounds[..4].concat().into_iter().collect::<BTreeSet<_>>().len(), 40);
        assert_eq!(rounds[4], rounds[0]);
        assert_eq!(prune.share(7, 1, 3), [0]);
    }
}
