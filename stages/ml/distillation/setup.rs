//! What every training on a teacher reads and writes, and how it begins.

use burn::tensor::Device;
use stage_contract::{Context, Input, Optional, Output, StageError};

use crate::{examples::Examples, params::Training};
use encoder::{
    logits::Logits,
    model::{Model, ModelFolder},
};
use text::corpus::{Corpus, Gold};
use train::history::History;

/// Input `train`.
pub const TRAIN: Input<Corpus> = Input::new("train", "annotated sentences to learn from");
/// Input `dev`.
pub const DEV: Input<Corpus> = Input::new("dev", "annotated sentences to choose the best epoch by");
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
        let [mut train, dev] = Examples::pair(student, &self.model, parts, &gold, training)?;
        train.recall(cx.read_optional(&LOGITS)?, &self.folder, &self.model, device)?;
        Ok([train, dev])
    }
}
