//! What config.json says of how a model was made, and what its makers declared: content of the model card.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use stage_contract::StageError;

use super::Config;
use crate::calibration::Calibration;

/// What a card says that nothing can find out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Declared {
    /// The licence, as the Hub calls it: `mit`. Else that of the model's own card; none is ever made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Languages, as the Hub calls them: `["fr"]`. Else those of the model's own card.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub language: Vec<String>,
    /// The model on the Hub: `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_model: Option<String>,
}

impl Declared {
    /// What `other` says, where this says nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            license: self.license.or(other.license),
            language: if self.language.is_empty() { other.language } else { self.language },
            base_model: self.base_model.or(other.base_model),
        }
    }
}

const OWN: &str = "ner_pipe";
const CARD: &str = "card";
const MADE: &str = "made";
const CALIBRATION: &str = "calibration";

impl Config {
    /// Begins anew: a model of which this is declared, and that nothing was done to.
    pub fn declare(&mut self, declared: &Declared) {
        let own = self.own();
        own.shift_remove(MADE);
        own.shift_remove(CALIBRATION);
        own.shift_remove(CARD);
        if *declared != Declared::default() {
            own.insert(CARD.to_owned(), json!(declared));
        }
    }

    /// What is declared.
    #[must_use]
    pub fn declared(&self) -> Declared {
        Declared::deserialize(&self.stock[OWN][CARD]).unwrap_or_default()
    }

    /// How its scores are to be read; empty where nobody has looked.
    ///
    /// # Errors
    /// It is not a temperature for each type.
    pub fn calibration(&self) -> Result<Calibration, StageError> {
        let Some(said) = self.stock[OWN].get(CALIBRATION) else { return Ok(Calibration::default()) };
        Calibration::deserialize(said).map_err(|e| {
            StageError::because("ner_pipe.calibration is not a temperature for each type", e)
                .help("remove it from config.json: scores are then as the model gives them")
        })
    }

    /// Says how its scores are to be read.
    pub fn calibrate(&mut self, calibration: &Calibration) {
        self.own().insert(CALIBRATION.to_owned(), json!(calibration));
    }

    /// Says that something was done to the model: facts by name, `stage` first. Equal results have equal facts: no time, no
    /// place, no text. How sure it is may be another now, and is not known.
    pub fn record(&mut self, facts: Value) {
        self.own().shift_remove(CALIBRATION);
        let made = self.own().entry(MADE).or_insert_with(|| json!([]));
        if let Some(made) = made.as_array_mut() {
            made.push(facts);
        }
    }

    /// What was done to it, in order.
    #[must_use]
    pub fn made(&self) -> &[Value] {
        self.stock[OWN][MADE].as_array().map_or(&[], Vec::as_slice)
    }

    /// All of it, for config.json.
    pub(super) fn history(&self) -> impl Iterator<Item = (String, Value)> {
        [CALIBRATION, CARD, MADE]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), self.stock[OWN].get(key)?.clone())))
    }

    fn own(&mut self) -> &mut Map<String, Value> {
        if !self.stock.is_object() {
            self.stock = Value::Object(self.begun());
        }
        let own = &mut self.stock[OWN];
        if !own.is_object() {
            *own = json!({});
        }
        own.as_object_mut().expect("made an object")
    }
}
