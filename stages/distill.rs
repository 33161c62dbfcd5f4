//! `distill`: a student of the teacher's own layers learns its labels, soft targets, hidden states and transitions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_contract::{Available, Context, Device, Invalid, Spec, Stage, StageError};

use distillation::{
    Distillation, Lesson, Marks, Training, Weights, check_gold, check_logits, hidden_pairs,
    losses::LOSSES,
    relation_pair, search,
    setup::{DEV, GOLD, HISTORY, LOGITS, STUDENT, TEACHER, TRAIN, Teacher},
    student::{begin_prior, from_teacher, shape, uniform},
    student_labels,
};
use encoder::{backend::device, config::Config, model::Model};
use train::objective::At;

/// Which of the teacher's layers the student is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layers {
    /// Spread evenly, first and last kept: 10 of 12 are {0,1,2,4,5,6,7,9,10,11}.
    #[default]
    Uniform,
    /// The lowest ones.
    TopDrop,
    /// One inner layer after another goes, each time the one without which the teacher's own word distributions on some of
    /// `train` move least.
    Searched,
}

/// How the weights of the losses change while it trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phases {
    /// `weights_first` in epoch 1, then `weights`.
    #[default]
    Step,
    /// From `weights_first` at the first step to `weights` at the last, along a line.
    Linear,
}

/// How many layers: a number (10) or a share of the teacher's (0.8 keeps 10 of 12, 5 of 6).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Keep {
    /// So many; 0 = all.
    Number(usize),
    /// At most 1: this share, rounded, and never fewer than 2.
    Share(#[schemars(range(max = 1), extend("exclusiveMinimum" = 0))] f64),
}

impl Keep {
    /// Of so many layers.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small count"
    )]
    fn of(self, layers: usize) -> usize {
        match self {
            Self::Number(0) => layers,
            Self::Number(number) => number,
            Self::Share(share) => ((share * layers as f64).round() as usize).max(2).min(layers),
        }
    }
}

/// Trains a student of fewer layers on the teacher's annotations, soft targets and hidden states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Distill {
    /// Layers of the student: a number (10), a share of the teacher's (0.8 keeps 10 of 12 and 5 of 6), or 0 = all.
    pub keep_layers: Keep,
    /// Which of the teacher's layers they are: uniform, top-drop or searched.
    pub layers: Layers,
    /// How the student's labels mark where an entity begins: teacher (as the teacher's do), io or bio.
    pub marks: Marks,
    /// Passes over the train part.
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Weights of the losses at the beginning; a loss that is not named does not count.
    pub weights_first: Weights,
    /// Weights of the losses in the end.
    pub weights: Weights,
    /// How the first become the second: step (after epoch 1) or linear (over the whole training).
    pub phases: Phases,
    /// Pairs [student's, teacher's] of hidden states, 0 = embeddings; empty = from where each layer came from.
    pub hidden_pairs: Vec<(usize, usize)>,
    /// What `finetune` may be told too.
    #[serde(flatten)]
    pub training: Training,
}

impl Default for Distill {
    fn default() -> Self {
        Self {
            keep_layers: Keep::Share(0.8),
            layers: Layers::Uniform,
            marks: Marks::Teacher,
            epochs: 10,
            weights_first: Weights::of(&[("ce", 1.0), ("kd", 0.5), ("hidden", 0.1), ("crf", 0.1)]),
            weights: Weights::of(&[("ce", 1.0), ("kd", 1.0), ("hidden", 0.2), ("crf", 0.2)]),
            phases: Phases::Step,
            hidden_pairs: Vec::new(),
            training: Training::default(),
        }
    }
}

impl Stage for Distill {
    const SPEC: Spec = Spec {
        name: "distill",
        version: 1,
        doc: "trains a student made of the teacher's layers on its tags, soft targets, hidden states and transitions",
        inputs: &[TRAIN.port(), DEV.port(), TEACHER.port(), GOLD.port(), LOGITS.port()],
        outputs: &[STUDENT.port(), HISTORY.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        self.training.check()?;
        self.weights_first.check("weights_first")?;
        self.weights.check("weights")?;
        let wrong = |what: String| Invalid::new(format!("`keep_layers` is {what}")).at("keep_layers");
        match self.keep_layers {
            Keep::Number(1) => {
                Err(wrong("1".into()).help("keep 2 layers or more, or 0 for all; 1.0 is all as well"))
            }
            Keep::Share(share) if !(share > 0.0 && share <= 1.0) => {
                Err(wrong(share.to_string()).help("write a whole number of layers, or a share up to 1.0"))
            }
            _ => Ok(()),
        }
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let gold = inputs.read_optional(&GOLD)?;
        let Some(teacher) = inputs.read(&TEACHER)? else { return Ok(()) };
        check_logits(inputs.optional(&LOGITS), Some(&teacher.path))?;
        let (config, _) = teacher.look().map_err(|e| Invalid::of(&e).at(TEACHER.name()))?;
        let has = config.layers.len();
        let keep = self.keep_layers.of(has);
        if keep > has {
            return Err(Invalid::new(format!("`keep_layers` is {keep}, but the teacher has {has}"))
                .at("keep_layers")
                .help(format!("write a number up to {has}, or a share: 0.8")));
        }
        let student = self.shape(&config);
        check_gold(gold.as_ref(), &student.labels, &config.labels)?;
        relation_pair(&self.training, &student, &config, &self.both())?;
        self.pairs(&student, &config).map(drop)
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let device = device::burn(cx.device);
        let given = Teacher::read(cx, &self.training, &device)?;
        let teacher = &given.model;
        let guess = self.guess(&teacher.config);
        let labels = student_labels(&teacher.config.labels, self.marks);
        let mut student = Model { config: shape(&teacher.config, &guess, labels.clone()), ..teacher.clone() };
        let [train, dev] = given.examples(cx, &student, &self.training, &device)?;
        let keep = self.keep_layers.of(teacher.config.layers.len());
        if self.layers == Layers::Searched && keep < teacher.config.layers.len() {
            let layers = search::reported(cx, teacher, train.as_teacher(), keep, &device)?;
            student.config = shape(&teacher.config, &layers, labels.clone());
        }
        let pairs = self.pairs(&student.config, &teacher.config)?;
        let relation = relation_pair(&self.training, &student.config, &teacher.config, &self.both())?;
        let transitions = self.training.transitions(cx, &labels, teacher, &train, &device)?;
        let prior = begin_prior(&labels, &train.annotations());
        student.config.declare(&given.folder.declared(&teacher.config));
        let student = from_teacher(teacher, student.config, &prior, &transitions, &device)?;

        let lesson = Lesson {
            teacher,
            student: &student,
            training: &self.training,
            pairs: &pairs,
            relation,
            transitions: &transitions,
        };
        let weights = |at| self.weights_at(at);
        let distillation =
            Distillation { lesson, train: &train, dev: &dev, losses: &LOSSES, weights: &weights };
        let trained = distillation.run(cx, self.epochs, 0.0)?;
        let layers: Vec<usize> = student.config.layers.iter().map(|layer| layer.from_teacher_layer).collect();
        let facts = json!({
            "stage": Self::SPEC.name,
            "layers of the teacher": layers,
            "weights of the losses at first": self.weights_first,
            "weights of the losses": self.weights,
        });
        distillation.save(cx, trained, facts)
    }
}

impl Distill {
    /// The layers as far as they are known without a search.
    fn guess(&self, teacher: &Config) -> Vec<usize> {
        let layers = teacher.layers.len();
        let keep = self.keep_layers.of(layers).min(layers);
        match self.layers {
            Layers::Uniform | Layers::Searched => uniform(layers, keep),
            Layers::TopDrop => (0..keep).collect(),
        }
    }

    /// The student's shape, as far as it is known without a search.
    pub(crate) fn shape(&self, teacher: &Config) -> Config {
        shape(teacher, &self.guess(teacher), student_labels(&teacher.labels, self.marks))
    }

    fn weights_at(&self, at: At) -> Weights {
        match self.phases {
            Phases::Step if at.epoch == 1 => self.weights_first.clone(),
            Phases::Step => self.weights.clone(),
            Phases::Linear => self.weights_first.towards(&self.weights, at.share),
        }
    }

    fn both(&self) -> [&Weights; 2] {
        [&self.weights_first, &self.weights]
    }

    fn pairs(&self, student: &Config, teacher: &Config) -> Result<Vec<(usize, usize)>, Invalid> {
        hidden_pairs(&self.hidden_pairs, student, teacher, &self.both())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;
    use encoder::{
        logits::{Logits, Origin},
        testing::fixture::{model, teacher_labels},
    };

    #[test]
    fn weights_change_after_the_first_epoch_or_all_the_way() {
        let first = [("ce", 1.0), ("hidden", 0.5), ("crf", 0.25)];
        let second = [("kd", 1.0), ("hidden", 0.5), ("crf", 0.75)];
        let weights = |phases, epoch, share| {
            let (weights_first, weights) = (Weights::of(&first), Weights::of(&second));
            let stage = Distill { weights_first, weights, phases, ..Distill::default() };
            let found = stage.weights_at(At { epoch, share });
            ["ce", "kd", "hidden", "crf"].map(|name| found.get(name))
        };
        let near =
            |found: [f64; 4], right: [f64; 4]| found.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near(weights(Phases::Step, 1, 0.3), [1.0, 0.0, 0.5, 0.25]));
        assert!(near(weights(Phases::Step, 2, 0.3), [0.0, 1.0, 0.5, 0.75]));
        for (share, right) in
            [(0.0, [1.0, 0.0, 0.5, 0.25]), (0.5, [0.5, 0.5, 0.5, 0.5]), (1.0, [0.0, 1.0, 0.5, 0.75])]
        {
            assert!(near(weights(Phases::Linear, 3, share), right), "{share}");
        }
    }

    #[test]
    fn a_share_of_layers_fits_every_teacher() {
        let kept = |keep: Keep| [1, 2, 4, 6, 12, 24].map(|layers| keep.of(layers));
        assert_eq!(kept(Keep::Share(0.8)), [1, 2, 3, 5, 10, 19]);
        assert_eq!(kept(Keep::Share(0.01)), [1, 2, 2, 2, 2, 2]);
        for all in [Keep::Share(1.0), Keep::Number(0)] {
            assert_eq!(kept(all), [1, 2, 4, 6, 12, 24]);
        }
        let read = |value: &str| serde_json::from_str::<Keep>(value).ok();
        assert_eq!(read("10"), Some(Keep::Number(10)));
        assert_eq!(read("0.8"), Some(Keep::Share(0.8)));
        assert_eq!(read("1.0"), Some(Keep::Share(1.0)));
        for (keep, fits) in [
            (Keep::Number(1), false),
            (Keep::Share(1.5), false),
            (Keep::Share(0.0), false),
            (Keep::Share(0.5), true),
        ] {
            assert_eq!(Distill { keep_layers: keep, ..Distill::default() }.check().is_ok(), fits, "{keep:?}");
        }
    }

    #[test]
    fn parameters_that_need_advice_are_refused_by_name() {
        Distill::default().check().expect("the defaults make sense");
        let training = Training::default();
        for (at, training) in [
            ("layer_lr", Training { layer_lr: 0.0, ..training.clone() }),
            ("layer_lr", Training { layer_lr: 1.5, ..training.clone() }),
            ("layer_lr", Training { layer_lr: f64::NAN, ..training.clone() }),
            ("accumulate", Training { accumulate: 0, ..training.clone() }),
            ("relation_pair", Training { relation_pair: vec![3], ..training }),
        ] {
            let wrong = Distill { training, ..Distill::default() }.check().expect_err(at);
            assert_eq!(wrong.at.as_deref(), Some(at));
            assert!(wrong.help.is_some());
        }
    }

    #[test]
    fn what_the_teacher_cannot_teach_is_found_before_any_work() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        model(teacher_labels(), &[]).save(&path("teacher")).expect("saved");
        let stage = Distill { keep_layers: Keep::Number(0), ..Distill::default() };
        let refused = |stage: &Distill, teacher: &str, gold: &str| {
            let wired =
                BTreeMap::from([("teacher".to_owned(), path(teacher)), ("gold".to_owned(), path(gold))]);
            stage.preflight(&Available::new(&wired), Device::CPU).err().and_then(|invalid| invalid.at)
        };
        fs::write(path("good.bio"), "Anna\tB-PER\n").expect("written");
        assert_eq!(refused(&stage, "teacher", "good.bio"), None);
        let pairs = Distill { hidden_pairs: vec![(1, 2)], ..stage.clone() };
        assert_eq!(refused(&pairs, "teacher", "good.bio").as_deref(), Some("hidden_pairs"));
        let weights = Weights::of(&[("ce", 1.0), ("relation", 0.5)]);
        let stage_with = |training| Distill { training, weights: weights.clone(), ..stage.clone() };
        let wrong = |training| refused(&stage_with(training), "teacher", "good.bio");
        let heads = Training { relation_heads: 3, ..Training::default() };
        assert_eq!(wrong(heads).as_deref(), Some("relation_heads"));
        let pair = Training { relation_heads: 2, relation_pair: vec![0, 7], ..Training::default() };
        assert_eq!(wrong(pair).as_deref(), Some("relation_pair"));
        let origin = Origin { teacher: "12ab".into(), labels: teacher_labels().names().to_vec() };
        let logits = Logits { origin, ..Logits::default() };
        stage_contract::Artifact::save(&logits, &path("logits")).expect("saved");
        let wired = ["teacher", "logits"].map(|port| (port.to_owned(), path(port))).into();
        let other = stage.preflight(&Available::new(&wired), Device::CPU).expect_err("another's");
        assert_eq!(other.at.as_deref(), Some("logits"));
        fs::write(path("dates.bio"), "lundi\tB-DATE\n").expect("written");
        assert_eq!(refused(&stage, "teacher", "dates.bio").as_deref(), Some("gold"));
        let options =
            BTreeMap::from([("teacher".to_owned(), serde_json::json!({"types": {"DATE": "outside"}}))]);
        let wired = BTreeMap::from([("teacher".to_owned(), path("teacher"))]);
        let inputs = Available::new(&wired).with_options(&options);
        let wrong = stage.preflight(&inputs, Device::CPU).expect_err("no DATE");
        assert_eq!(wrong.at.as_deref(), Some("teacher"));
        assert!(wrong.message.contains("`types` names DATE, which the model does not have"), "{wrong}");
    }
}
