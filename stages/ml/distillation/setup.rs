//! What every training on a teacher reads and writes, and how it begins.

use std::collections::BTreeMap;

use burn::tensor::Device;
use stage_contract::{Context, Input, Optional, Output, StageError};

use crate::{examples::Examples, params::Training};
use encoder::{
    logits::Logits,
    model::{Model, ModelFolder},
};
use text::{
    corpus::{Corpus, Gold, Record},
    labels::{Labels, Policy, split_tag},
};
use train::history::History;

/// Input `train`.
pub const TRAIN: Input<Corpus> = Input::new("train", "annotated sentences to learn from").filled();
/// Input `dev`.
pub const DEV: Input<Corpus> = Input::new("dev", "annotated sentences to choose the best epoch by").filled();
/// Input `teacher`.
pub const TEACHER: Input<ModelFolder> = Input::new("teacher", "the model to learn from");
/// Input `logits`.
pub const LOGITS: Optional<Logits> =
    Optional::new("logits", "what the teacher said of each word of `train`; else it is asked in every epoch");
/// Input `gold`.
pub const GOLD: Optional<Gold> = Optional::new("gold", "gold sentences that join training with weight 1");
/// Output `model`.
pub const STUDENT: Output<ModelFolder> = Output::new("model", "the student of the best epoch");
/// Output `history`.
pub const HISTORY: Output<History> = Output::new(
    "history",
    "training curves: train_loss is the weighted sum of the terms, val_loss plain cross-entropy",
);

/// The teacher of a stage, and where it lies.
pub struct Teacher {
    /// Its folder, which says whose logits are whose.
    pub folder: ModelFolder,
    /// It computes as the training does.
    pub model: Model,
}

impl Teacher {
    /// Reads the input `teacher`.
    ///
    /// # Errors
    /// When the model cannot be used.
    pub fn read(cx: &Context<'_>, training: &Training, device: &Device) -> Result<Self, StageError> {
        let folder = cx.read(&TEACHER)?;
        let model = folder.open(device)?.at(training.precision);
        Ok(Self { folder, model })
    }

    /// Reads the inputs `train`, `dev`, `gold` and `logits`: what `student` learns from, and what it is measured on.
    ///
    /// # Errors
    /// A file is malformed, or does not fit the student or the teacher.
    pub fn examples(
        &self,
        cx: &Context<'_>,
        student: &Model,
        training: &Training,
        device: &Device,
    ) -> Result<[Examples; 2], StageError> {
        let parts = [&cx.read(&TRAIN)?, &cx.read(&DEV)?];
        let gold = cx.read_optional(&GOLD)?.unwrap_or_default();
        let gold_records = || gold.sets.iter().flat_map(|set| &set.records);
        let labels = [&student.config.labels, &self.model.config.labels];
        for line in [
            not_learned(TRAIN.name(), parts[0].records.iter(), labels),
            not_learned(DEV.name(), parts[1].records.iter(), labels),
            not_learned(GOLD.name(), gold_records(), labels),
        ]
        .concat()
        {
            cx.show(line);
        }
        let [mut train, dev] = Examples::pair(student, &self.model, parts, &gold, training)?;
        train.recall(cx.read_optional(&LOGITS)?, &self.folder, &self.model, device)?;
        Ok([train, dev])
    }
}

/// What is said of words whose type the student does not have, a line for each type: no label goes without a word.
fn not_learned<'r>(
    part: &str,
    records: impl Iterator<Item = &'r Record>,
    [student, teacher]: [&Labels; 2],
) -> Vec<String> {
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in records.flat_map(|record| &record.tags) {
        if let Some((_, kind)) =
            split_tag(tag).flatten().filter(|(_, kind)| student.type_index(kind).is_none())
        {
            *words.entry(kind).or_default() += 1;
        }
    }
    let line = |(kind, words): (&str, usize)| {
        let ignored = teacher.type_index(kind).is_some_and(|kind| teacher.policy(kind) == Policy::Ignore);
        let becomes = if ignored { "are out of every loss" } else { "are learned as O" };
        format!("words of `{part}` that are tagged {kind} {becomes}, as `types` says: {words}")
    };
    words.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoder::testing::fixture::teacher_labels;
    use text::corpus::GoldSet;

    #[test]
    fn words_of_types_that_the_student_lacks_are_counted_and_told() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let sentence = (words("Anna fête Noël Noël"), words("B-PER O B-MISC I-MISC"));
        let gold = GoldSet::new("g", [sentence]);
        let student = Labels::bio(["PER", "LOC", "ORG"]);
        for (meaning, becomes) in [("outside", "are learned as O"), ("ignore", "are out of every loss")] {
            let types = [("MISC", meaning)].into_iter().collect();
            let teacher = teacher_labels().renamed(&types).expect("it has MISC");
            let said = not_learned("gold", gold.records.iter(), [&student, &teacher]);
            let right = format!("words of `gold` that are tagged MISC {becomes}, as `types` says: 2");
            assert_eq!(said, [right]);
        }
    }
}
