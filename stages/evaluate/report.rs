//! `report.json` (FORMATS): everything that was computed and measured.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Serialize;
use serde_json::{Map, Value, json};
use stage_contract::StageError;

use super::compare::Comparison;
use crate::ml::{
    config::Config,
    corpus::{Gold, Record, Report},
    latency::{Latency, Setting},
    scores::Scores,
    weights,
};

/// All of an evaluation.
pub(super) struct Evaluation<'a> {
    /// Teacher first, final model last.
    pub models: Vec<ModelReport>,
    pub setting: Setting,
    pub test: &'a [Record],
    pub gold: &'a Gold,
    pub comparison: &'a Comparison,
}

/// One model's numbers.
pub(super) struct ModelReport {
    pub name: &'static str,
    pub size: Size,
    pub latency: Latency,
    pub fidelity: Fidelity,
    /// `None`: no gold is wired.
    pub quality: Option<Quality>,
}

/// How large a model is.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Size {
    /// The CRF's included.
    pub parameters: usize,
    /// Of these, the CRF's.
    pub crf_parameters: usize,
    /// Four for each parameter, however they are stored.
    pub bytes: usize,
    /// Weights, config.json and tokenizer.json as they lie there.
    pub bytes_on_disk: u64,
}

/// Agreement with the teacher.
#[derive(Serialize)]
pub(super) struct Fidelity {
    #[serde(flatten)]
    pub all: Scores,
    pub by_source: BTreeMap<String, Scores>,
}

/// Scores against gold.
#[derive(Serialize)]
pub(super) struct Quality {
    #[serde(flatten)]
    pub all: Scores,
    pub sets: BTreeMap<String, Scores>,
}

/// One entry of `models`.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    size: Size,
    latency: MeasuredLatency<'a>,
    fidelity: &'a Fidelity,
    quality: Option<&'a Quality>,
}

#[derive(Serialize)]
struct MeasuredLatency<'a> {
    #[serde(flatten)]
    latency: Latency,
    #[serde(flatten)]
    setting: &'a Setting,
}

impl Size {
    pub fn of(config: &Config, folder: &Path) -> Result<Self, StageError> {
        let crf_parameters = config.crf_parameters();
        let parameters = config.all_parameters();
        let mut bytes_on_disk = 0;
        for name in ["config.json", weights::FILE, "tokenizer.json"] {
            let path = folder.join(name);
            bytes_on_disk += fs::metadata(&path).map_err(|e| StageError::io("read", &path, e))?.len();
        }
        Ok(Self { parameters, crf_parameters, bytes: parameters * size_of::<f32>(), bytes_on_disk })
    }
}

impl Evaluation<'_> {
    pub fn report(&self) -> Report {
        let models: Map<String, Value> = self
            .models
            .iter()
            .map(|model| {
                let entry = Entry {
                    size: model.size,
                    latency: MeasuredLatency { latency: model.latency, setting: &self.setting },
                    fidelity: &model.fidelity,
                    quality: model.quality.as_ref(),
                };
                (model.name.to_owned(), json!(entry))
            })
            .collect();
        let sets: Map<String, Value> =
            self.gold.sets.iter().map(|set| (set.name.clone(), json!(set.records.len()))).collect();
        Report(json!({
            "models": models,
            "types": self.comparison.types,
            "misc": self.comparison.misc,
            "test": { "texts": self.test.len(), "words": self.test.iter().map(|r| r.words.len()).sum::<usize>() },
            "gold": { "texts": sets.values().filter_map(Value::as_u64).sum::<u64>(), "sets": sets },
            "gates": {},
        }))
    }
}
