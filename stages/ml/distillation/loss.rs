//! The losses that a student may learn by, each under the name that `weights` calls it. A new one is a file beside these and
//! a line in [`LOSSES`].

mod ce;
mod crf;
mod hidden;
mod kd;
mod relation;

use std::{borrow::Cow, collections::BTreeMap};

use burn::tensor::{Device, Tensor};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_contract::Invalid;

use super::{Said, Targets, Training};
use crate::ml::{
    batch::Batch,
    labels::Labels,
    losses::Transitions,
    model::{Model, Network, Packed},
};

/// Every loss, in the order in which their terms are summed.
pub const LOSSES: [&dyn Loss; 5] = [&ce::Ce, &kd::Kd, &hidden::Hidden, &relation::Relation, &crf::Crf];

/// Something a student learns by: a mean over the words of a batch.
pub trait Loss: Sync {
    /// As `weights` calls it, and the history its term.
    fn name(&self) -> &'static str;

    /// One line of documentation.
    fn doc(&self) -> &'static str;

    /// What it wants to see of a batch beside the student's logits.
    fn wants(&self, _lesson: &Lesson<'_>) -> Wants {
        Wants::default()
    }

    /// Its terms `[1]`, each of which is multiplied by its weight; none where the models have nothing to compare.
    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)>;
}

/// What a loss wants to see of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Whether it wants the teacher's logits.
    pub logits: bool,
    /// Pairs of hidden states, student's and teacher's, 0 = embeddings.
    pub states: Vec<(usize, usize)>,
}

/// What stays the same through a training.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// The teacher; its network may be another copy ([`Pass::teacher`]).
    pub teacher: &'a Model,
    /// The student's shape, labels and tokenizer.
    pub student: &'a Model,
    /// Parameters.
    pub training: &'a Training,
    /// Pairs of hidden states, student's and teacher's (0 = embeddings).
    pub pairs: &'a [(usize, usize)],
    /// Layers whose words' relations are compared, student's and teacher's (0 = the first).
    pub relation: Option<(usize, usize)>,
    /// The teacher's transitions.
    pub transitions: &'a Transitions,
}

impl Lesson<'_> {
    /// The student's labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.student.config.labels
    }

    /// The teacher's labels.
    #[must_use]
    pub fn teacher_labels(&self) -> &Labels {
        &self.teacher.config.labels
    }
}

/// What both models made of a batch.
pub struct Pass<'a> {
    /// What stays the same.
    pub lesson: Lesson<'a>,
    /// The student's network, on its autodiff device.
    pub network: &'a Network,
    /// The teacher's network, on the same device.
    pub teacher: &'a Network,
    /// The batch as the student reads it.
    pub batch: &'a Batch,
    /// The same, packed; and as the teacher reads it.
    pub packed: [&'a Packed; 2],
    /// The words that count.
    pub(super) targets: &'a Targets,
    /// `[N, labels]` the student's logits of those words.
    pub logits: Tensor<2>,
    /// What the teacher says of all words, where it was wanted.
    pub(super) said: &'a Said,
    /// `[N, hidden]` of those words, student's and teacher's: the pairs that this loss wanted, in its order.
    pub states: Vec<(Tensor<2>, Tensor<2>)>,
}

impl Pass<'_> {
    /// Where the teacher's tensors are.
    fn device(&self) -> Device {
        self.teacher.device()
    }
}

/// How much each loss counts, by name; one that is not named does not.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Weights(BTreeMap<String, f64>);

impl Weights {
    /// Of some losses.
    #[must_use]
    pub fn of(weights: &[(&str, f64)]) -> Self {
        Self(weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect())
    }

    /// Of one loss; 0 where it is not named.
    #[must_use]
    pub fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// `share` of the way from these to `end`, along a line.
    #[must_use]
    pub fn towards(&self, end: &Self, share: f64) -> Self {
        let names = self.0.keys().chain(end.0.keys());
        let at = |name: &String| (name.clone(), (1.0 - share) * self.get(name) + share * end.get(name));
        Self(names.map(at).collect())
    }

    /// Checks weights given as the parameter `name`.
    ///
    /// # Errors
    /// One is negative or of no loss, or all are 0.
    pub fn check(&self, name: &'static str) -> Result<(), Invalid> {
        let known = LOSSES.map(Loss::name);
        let help = format!(
            "give numbers of 0 or more for {}, such as {{ ce = 1.0, kd = 0.5, hidden = 0.1, crf = 0.1 }}",
            known.join(", ")
        );
        if let Some(stray) = self.0.keys().find(|loss| !known.contains(&loss.as_str())) {
            return Err(Invalid::new(format!("`{name}` names `{stray}`, which is no loss"))
                .at(name)
                .help(help));
        }
        if self.0.values().any(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(Invalid::new(format!("`{name}` has a weight below 0")).at(name).help(help));
        }
        if self.0.values().sum::<f64>() == 0.0 {
            let message = format!("all weights of `{name}` are 0: nothing would be learnt");
            return Err(Invalid::new(message).at(name).help(help));
        }
        Ok(())
    }
}

/// Without those that are 0, which mean the same as none: so a loss that is added later makes no result stale.
impl Serialize for Weights {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(_, weight)| **weight != 0.0))
    }
}

impl JsonSchema for Weights {
    fn schema_name() -> Cow<'static, str> {
        "Weights".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let property = |loss: &dyn Loss| {
            let schema = json!({"type": "number", "minimum": 0.0, "description": loss.doc()});
            (loss.name().to_owned(), schema)
        };
        let properties: serde_json::Map<_, _> = LOSSES.into_iter().map(property).collect();
        let schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        Schema::try_from(schema).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_known_by_name_and_zeros_mean_nothing() {
        let weights: Weights =
            serde_json::from_value(json!({"ce": 1.0, "kd": 0.0, "crf": 0.5})).expect("read");
        assert_eq!((weights.get("ce"), weights.get("kd"), weights.get("hidden")), (1.0, 0.0, 0.0));
        assert_eq!(serde_json::to_value(&weights).expect("written"), json!({"ce": 1.0, "crf": 0.5}));
        weights.check("weights").expect("known names");
        for (weights, message) in [
            (Weights::of(&[("kl", 1.0)]), "`weights` names `kl`, which is no loss"),
            (Weights::of(&[("ce", -1.0)]), "`weights` has a weight below 0"),
            (Weights::of(&[("ce", f64::NAN)]), "`weights` has a weight below 0"),
            (Weights::of(&[("ce", 0.0)]), "all weights of `weights` are 0: nothing would be learnt"),
        ] {
            let wrong = weights.check("weights").expect_err(message);
            assert_eq!((wrong.message.as_str(), wrong.at.as_deref()), (message, Some("weights")));
            assert!(wrong.help.is_some_and(|help| help.contains("ce, kd, hidden, relation, crf")));
        }
    }

    #[test]
    fn the_schema_names_every_loss() {
        let schema = schemars::schema_for!(Weights).to_value();
        for loss in LOSSES {
            assert_eq!(schema["properties"][loss.name()]["description"], loss.doc());
        }
    }
}
