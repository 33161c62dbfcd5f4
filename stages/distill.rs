//! `distill`: a student of the teacher's own layers learns its labels, soft targets, hidden states and transitions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Available, Context, Device, Input, Invalid, Optional, Output, Spec, Stage, StageError};

use crate::ml::{
    config::Config,
    corpus::{Corpus, Gold, History},
    device,
    distillation::{
        Distillation, Examples, Training, Weights, check_epochs, check_weights, hidden_pairs, student_labels,
    },
    model::{self, Model, ModelFolder},
    student::{begin_prior, from_teacher, shape, uniform},
};

/// Which of the teacher's layers the student is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layers {
    /// Spread evenly, first and last kept: 10 of 12 are {0,1,2,4,5,6,7,9,10,11}.
    #[default]
    Uniform,
    /// The lowest ones.
    TopDrop,
}

/// Trains a student of fewer layers on the teacher's annotations, soft targets and hidden states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Distill {
    /// Layers of the student; 0 = all of the teacher's.
    pub keep_layers: usize,
    /// Which of the teacher's layers they are: uniform or top-drop.
    pub layers: Layers,
    /// Passes over the train part.
    pub epochs: u32,
    /// Weights of CE, KD, hidden and CRF in epoch 1.
    pub weights_first: Weights,
    /// Weights of CE, KD, hidden and CRF from epoch 2 on.
    pub weights: Weights,
    /// Pairs [student's, teacher's] of hidden states, 0 = embeddings; empty = from where each layer came from.
    pub hidden_pairs: Vec<(usize, usize)>,
    /// What `finetune` may be told too.
    #[serde(flatten)]
    pub training: Training,
}

impl Default for Distill {
    fn default() -> Self {
        Self {
            keep_layers: 10,
            layers: Layers::Uniform,
            epochs: 10,
            weights_first: [1.0, 0.5, 0.1, 0.1],
            weights: [1.0, 1.0, 0.2, 0.2],
            hidden_pairs: Vec::new(),
            training: Training::default(),
        }
    }
}

const TRAIN: Input<Corpus> = Input::new("train", "annotated sentences to learn from");
const DEV: Input<Corpus> = Input::new("dev", "annotated sentences to choose the best epoch by");
const TEACHER: Input<ModelFolder> = Input::new("teacher", "the model to learn from");
const GOLD: Optional<Gold> = Optional::new("gold", "gold sentences that join training with weight 1");
const MODEL: Output<ModelFolder> = Output::new("model", "the student of the best epoch");
const HISTORY: Output<History> = Output::new(
    "history",
    "training curves: train_loss is the weighted sum of the terms, val_loss plain cross-entropy",
);

impl Stage for Distill {
    const SPEC: Spec = Spec {
        name: "distill",
        version: 1,
        doc: "trains a student made of the teacher's layers with four losses",
        inputs: &[TRAIN.port(), DEV.port(), TEACHER.port(), GOLD.port()],
        outputs: &[MODEL.port(), HISTORY.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        self.training.check()?;
        check_weights("weights_first", &self.weights_first)?;
        check_weights("weights", &self.weights)?;
        check_epochs(self.epochs)?;
        if self.keep_layers == 1 {
            return Err(Invalid::new("`keep_layers` is 1")
                .at("keep_layers")
                .help("keep 2 layers or more, or 0 for all"));
        }
        Ok(())
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        self.training.preflight(inputs.path(&TRAIN), inputs.optional(&GOLD))?;
        let Some(teacher) = inputs.path(&TEACHER) else { return Ok(()) };
        let (config, _) = model::outside(teacher).map_err(|e| model::invalid(&e).at(TEACHER.name()))?;
        if self.keep_layers > config.layers.len() {
            let (keep, has) = (self.keep_layers, config.layers.len());
            return Err(Invalid::new(format!("`keep_layers` is {keep}, but the teacher has {has} layers"))
                .at("keep_layers")
                .help(format!("use 2 to {has}")));
        }
        self.pairs(&self.shape(&config), &config).map(drop)
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let device = device::burn(cx.device);
        let teacher = Model::load(cx.input(&TEACHER)?, &device)?;
        let shape = Model { config: self.shape(&teacher.config), ..teacher.clone() };
        let pairs = self.pairs(&shape.config, &teacher.config)?;
        let parts = [&cx.read(&TRAIN)?, &cx.read(&DEV)?];
        let gold = cx.read_optional(&GOLD)?.unwrap_or_default();
        let [train, dev] = Examples::pair(&shape, &teacher, parts, &gold, &self.training)?;
        let labels = &shape.config.labels;
        let transitions = self.training.transitions(cx, labels, &teacher, &train, &device)?;
        let prior = begin_prior(labels, &train.annotations());
        let student = from_teacher(&teacher, shape.config, &prior, &transitions, &device)?;

        let trained = Distillation {
            teacher: &teacher,
            student: &student,
            train: &train,
            dev: &dev,
            training: &self.training,
            weights: &|epoch| if epoch == 1 { self.weights_first } else { self.weights },
            pairs: &pairs,
            transitions: &transitions,
            device: &device,
        }
        .run(cx, self.epochs, 0.0)?;
        trained.save(cx, student, &MODEL, &HISTORY)
    }
}

impl Distill {
    fn shape(&self, teacher: &Config) -> Config {
        let layers = teacher.layers.len();
        let chosen: Vec<usize> = match (self.keep_layers, self.layers) {
            (0, _) => (0..layers).collect(),
            (keep, Layers::Uniform) => uniform(layers, keep.min(layers)),
            (keep, Layers::TopDrop) => (0..keep.min(layers)).collect(),
        };
        shape(teacher, &chosen, student_labels(self.training.misc))
    }

    fn pairs(&self, student: &Config, teacher: &Config) -> Result<Vec<(usize, usize)>, Invalid> {
        hidden_pairs(&self.hidden_pairs, student, teacher, &[self.weights_first, self.weights])
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;
    use crate::ml::{
        fixture::{model, teacher_labels},
        labels::Labels,
    };

    #[test]
    fn what_the_teacher_cannot_teach_is_found_before_any_work() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        model(teacher_labels(), &[]).save(&path("teacher")).expect("saved");
        let stage = Distill { keep_layers: 0, ..Distill::default() };
        let refused = |stage: &Distill, teacher: &str, gold: &str| {
            let wired =
                BTreeMap::from([("teacher".to_owned(), path(teacher)), ("gold".to_owned(), path(gold))]);
            stage.preflight(&Available::new(&wired), Device::Cpu).err().and_then(|invalid| invalid.at)
        };
        fs::write(path("good.bio"), "Anna\tB-PER\n").expect("written");
        assert_eq!(refused(&stage, "teacher", "good.bio"), None);
        let pairs = Distill { hidden_pairs: vec![(1, 2)], ..stage.clone() };
        assert_eq!(refused(&pairs, "teacher", "good.bio").as_deref(), Some("hidden_pairs"));
        fs::write(path("dates.bio"), "lundi\tB-DATE\n").expect("written");
        assert_eq!(refused(&stage, "teacher", "dates.bio").as_deref(), Some("gold"));
        let poor = Labels::parse(&["O".to_owned(), "I-PER".to_owned()]).expect("labels");
        model(poor, &[]).save(&path("poor")).expect("saved");
        assert_eq!(refused(&stage, "poor", "good.bio").as_deref(), Some("teacher"));
    }
}
