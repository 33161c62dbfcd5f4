//! `finetune`: a pruned student settles around what is left of it, with its teacher still beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_contract::{Available, Context, Device, Input, Invalid, Spec, Stage, StageError};

use distillation::{
    Distillation, Lesson, Training, Weights, check_gold, check_logits, check_student, hidden_pairs,
    losses::LOSSES,
    relation_pair,
    setup::{DEV, GOLD, HISTORY, LOGITS, STUDENT, TEACHER, TRAIN, Teacher},
};
use encoder::{backend::device, config::Config, model::ModelFolder};

/// Trains a pruned student further, with the losses of `distill` at the weights for after pruning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Finetune {
    /// Passes over the train part.
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Weights of the losses; a loss that is not named does not count.
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
            weights: Weights::of(&[("ce", 1.0), ("kd", 0.8), ("hidden", 0.15), ("crf", 0.15)]),
            hidden_pairs: Vec::new(),
            training: Training::default(),
        }
    }
}

const MODEL: Input<ModelFolder> = Input::new("model", "the pruned student");

impl Stage for Finetune {
    const SPEC: Spec = Spec {
        name: "finetune",
        version: 1,
        doc: "trains a pruned student until it has settled",
        inputs: &[MODEL.port(), TRAIN.port(), DEV.port(), TEACHER.port(), GOLD.port(), LOGITS.port()],
        outputs: &[STUDENT.port(), HISTORY.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        self.training.check()?;
        self.weights.check("weights")
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let config = |port: &Input<ModelFolder>| match inputs.read(port)? {
            Some(folder) => {
                folder.look().map(|(config, _)| Some(config)).map_err(|e| Invalid::of(&e).at(port.name()))
            }
            None => Ok(None),
        };
        let (teacher, student) = (config(&TEACHER)?, config(&MODEL)?);
        let gold = inputs.read_optional(&GOLD)?;
        check_logits(inputs.optional(&LOGITS), inputs.path(&TEACHER))?;
        if let Some(student) = &student {
            check_student(student)?;
        }
        if let (Some(teacher), Some(student)) = (&teacher, &student) {
            self.pairs(student, teacher)?;
            relation_pair(&self.training, student, teacher, &[&self.weights])?;
            check_gold(gold.as_ref(), &student.labels, &teacher.labels)?;
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let device = device::burn(cx.device);
        let given = Teacher::read(cx, &self.training, &device)?;
        let teacher = &given.model;
        let student = cx.read(&MODEL)?.open(&device)?;
        check_student(&student.config)?;
        let pairs = self.pairs(&student.config, &teacher.config)?;
        let relation = relation_pair(&self.training, &student.config, &teacher.config, &[&self.weights])?;
        let [train, dev] = given.examples(cx, &student, &self.training, &device)?;
        let labels = &student.config.labels;
        let transitions = self.training.transitions(cx, labels, teacher, &train, &device)?;
        let lesson = Lesson {
            teacher,
            student: &student,
            training: &self.training,
            pairs: &pairs,
            relation,
            transitions: &transitions,
        };
        let weights = |_| self.weights.clone();
        let distillation =
            Distillation { lesson, train: &train, dev: &dev, losses: &LOSSES, weights: &weights };
        let trained = distillation.run(cx, self.epochs, pruned_heads(&student.config, &teacher.config))?;
        let facts = json!({ "stage": Self::SPEC.name, "weights of the losses": self.weights });
        distillation.save(cx, trained, facts)
    }
}

impl Finetune {
    fn pairs(&self, student: &Config, teacher: &Config) -> Result<Vec<(usize, usize)>, Invalid> {
        hidden_pairs(&self.hidden_pairs, student, teacher, &[&self.weights])
    }
}

/// Share of the teacher's heads, in the layers the student has, that are gone.
#[expect(clippy::cast_precision_loss, reason = "counts of heads")]
fn pruned_heads(student: &Config, teacher: &Config) -> f64 {
    let kept: usize = student.layers.iter().map(|layer| layer.heads).sum();
    let had: usize = student.layers.iter().map(|layer| teacher.layers[layer.from_teacher_layer].heads).sum();
    1.0 - kept as f64 / had.max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stage_contract::testing::context;

    use super::*;
    use encoder::testing::fixture::{model, teacher_labels};
    use text::labels::Labels;

    #[test]
    fn a_teacher_with_too_few_layers_is_refused_before_any_work_and_when_it_begins() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        model(teacher_labels(), &[]).save(&path("teacher")).expect("saved");
        let mut student = model(Labels::bio(["PER", "LOC", "ORG"]), &[]);
        student.config.layers[0].from_teacher_layer = 1;
        student.save(&path("model")).expect("saved");
        let inputs: BTreeMap<_, _> = ["model", "teacher"].map(|port| (port.to_owned(), path(port))).into();
        // Without hidden states nothing else asks where a layer came from.
        let stage = Finetune { weights: Weights::of(&[("ce", 1.0), ("kd", 1.0)]), ..Finetune::default() };
        let early = stage.preflight(&Available::new(&inputs), Device::CPU).expect_err("one layer");
        assert_eq!(early.at.as_deref(), Some("teacher"));
        let late = stage.run(&Context { inputs: &inputs, ..context() });
        assert_eq!(late.expect_err("one layer").to_string(), early.message);
    }

    #[test]
    fn a_model_with_other_types_than_the_teachers_is_found_before_any_work() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        model(teacher_labels(), &[]).save(&path("teacher")).expect("saved");
        let inputs: BTreeMap<_, _> = ["model", "teacher"].map(|port| (port.to_owned(), path(port))).into();
        let preflight = |labels: Labels| {
            model(labels, &[]).save(&path("model")).expect("saved");
            Finetune::default().preflight(&Available::new(&inputs), Device::CPU)
        };
        preflight(Labels::bio(["PER", "LOC", "ORG"])).expect("of the teacher's");
        let wrong = preflight(Labels::bio(["PER", "DATE"])).expect_err("the teacher knows no DATE");
        assert_eq!(
            (wrong.at.as_deref(), wrong.message.as_str()),
            (Some("teacher"), "the teacher has no label for the student's B-DATE")
        );
        assert_eq!(preflight(teacher_labels()).expect_err("no student").at.as_deref(), Some("model"));
    }
}
