//! `finetune`: a pruned student settles around what is left of it, with its teacher still beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{
    Artifact, Available, Context, Device, Input, Invalid, Optional, Output, Spec, Stage, StageError,
};

use crate::ml::{
    corpus::{Corpus, Gold, History},
    device,
    distillation::{
        Distillation, Examples, Training, Weights, check_epochs, check_weights, hidden_pairs, student_labels,
    },
    losses::bigram,
    model::{self, Model, ModelFolder},
};

/// Trains a pruned student further, with the losses of `distill` at the weights for after pruning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Finetune {
    /// Passes over the train part.
    pub epochs: u32,
    /// Weights of CE, KD, hidden and CRF.
    pub weights: Weights,
    /// Pairs [student's, teacher's] of hidden states, 0 = embeddings; empty = from where each layer came from.
    pub hidden_pairs: Vec<(usize, usize)>,
    /// What `distill` may be told too.
    #[serde(flatten)]
    pub training: Training,
}

impl Default for Finetune {
    fn default() -> Self {
        Self {
            epochs: 2,
            weights: [1.0, 0.8, 0.15, 0.15],
            hidden_pairs: Vec::new(),
            training: Training::default(),
        }
    }
}

const MODEL: Input<ModelFolder> = Input::new("model", "the pruned student");
const TRAIN: Input<Corpus> = Input::new("train", "annotated sentences to learn from");
const DEV: Input<Corpus> = Input::new("dev", "annotated sentences to choose the best epoch by");
const TEACHER: Input<ModelFolder> = Input::new("teacher", "the model to learn from");
const GOLD: Optional<Gold> = Optional::new("gold", "gold sentences that join training with weight 1");
const FINAL: Output<ModelFolder> = Output::new("model", "the student of the best epoch");
const HISTORY: Output<History> = Output::new("history", "training curves");

impl Stage for Finetune {
    const SPEC: Spec = Spec {
        name: "finetune",
        version: 1,
        doc: "trains a pruned student until it has settled",
        inputs: &[MODEL.port(), TRAIN.port(), DEV.port(), TEACHER.port(), GOLD.port()],
        outputs: &[FINAL.port(), HISTORY.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        self.training.check()?;
        check_weights("weights", &self.weights)?;
        check_epochs(self.epochs)?;
        Ok(())
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        for port in [TEACHER, MODEL] {
            if let Some(path) = inputs.path(&port) {
                model::outside(path).map_err(|e| model::invalid(&e).at(port.name()))?;
            }
        }
        if let Some(gold) = inputs.optional(&GOLD) {
            Gold::load(gold).map_err(|e| model::invalid(&e).at(GOLD.name()))?;
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let device = device::burn(cx.device);
        let teacher = Model::load(cx.input(&TEACHER)?, &device)?;
        let student = Model::load(cx.input(&MODEL)?, &device)?;
        if student.config.labels != student_labels(self.training.misc) {
            let labels = student.config.labels.names().join(", ");
            return Err(StageError::new(format!(
                "the model's labels {labels} do not fit `misc` of this stage"
            ))
            .help("give `finetune` the same `misc` as `distill`"));
        }
        let [train, dev] = Examples::read(cx, &student, [&TRAIN, &DEV], &GOLD, &self.training)?;
        let trained = Distillation {
            teacher: &teacher,
            student: &student,
            train: &train,
            dev: &dev,
            training: &self.training,
            weights: &|_| self.weights,
            pairs: &hidden_pairs(&self.hidden_pairs, &student, &teacher, &[self.weights])?,
            transitions: &bigram(&student.config.labels, &train.sequences()),
            device: &device,
        }
        .run(cx, self.epochs, pruned_heads(&student, &teacher))?;
        trained.save(cx, student, &FINAL, &HISTORY)
    }
}

/// Share of the teacher's heads, in the layers the student has, that are gone.
#[expect(clippy::cast_precision_loss, reason = "counts of heads")]
fn pruned_heads(student: &Model, teacher: &Model) -> f64 {
    let kept: usize = student.config.layers.iter().map(|layer| layer.heads).sum();
    let had: usize =
        student.config.layers.iter().map(|layer| teacher.config.layers[layer.from_teacher_layer].heads).sum();
    1.0 - kept as f64 / had.max(1) as f64
}
