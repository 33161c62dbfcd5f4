//! The losses that a student may learn by, each under the name that `weights` calls it. A new one is a file beside these and
//! a line in [`LOSSES`].

pub mod ce;
pub mod crf;
pub mod hidden;
pub mod kd;
pub mod loss;
pub mod relation;

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_contract::Invalid;

use self::loss::Loss;

/// Every loss, in the order in which their terms are summed.
pub const LOSSES: [&dyn Loss; 5] = [&ce::Ce, &kd::Kd, &hidden::Hidden, &relation::Relation, &crf::Crf];

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
    /// One is of no loss, or all are 0.
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
mod tests;
