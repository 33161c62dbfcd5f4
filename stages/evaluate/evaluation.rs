//! `report.json` (docs/formats.md): all that an evaluation computed and measured. `ner-pipe schema evaluate.report`
//! prints it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stage_contract::{Artifact, Kind, StageError};

use encoder::config::Decode;
use measure::{
    bootstrap::{Bootstrap, Estimate, Interval},
    calibration::Calibrated,
    scores::Score,
};
use text::corpus::Report;

/// Models side by side: size, speed, fidelity (agreement with the teacher's tags on the test part) and quality (against
/// gold). Scores, shares and drops are fractions from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// By name: `teacher` first, then `distilled`, `pruned`, `final`, the baselines, and what else was wired, by name.
    #[serde(with = "ordered")]
    #[schemars(with = "BTreeMap<String, ModelReport>")]
    pub models: Vec<(String, ModelReport)>,
    /// Types that count: those of the final model.
    pub types: BTreeSet<String>,
    /// Types that nobody asked for: the words so tagged were left out.
    #[serde(default)]
    pub ignored: BTreeSet<String>,
    /// Entities of other types, which became O, or were left out if their type is ignored.
    #[serde(default)]
    pub foreign: Foreign,
    /// The test part, which fidelity is measured on.
    pub test: TestPart,
    /// The gold sets, which quality is measured on.
    pub gold: GoldPart,
    /// How intervals were made.
    pub bootstrap: Bootstrap,
    /// What the slices by length are called, and from how many words to how many they go; no end: null.
    pub lengths: BTreeMap<Length, (usize, Option<usize>)>,
    /// How speed was measured.
    pub speed: Speed,
    /// Where the final model and the teacher differ: the first texts of the test part that they do not tag alike, without
    /// any word of them.
    pub differences: Vec<TextDifference>,
    /// Verdicts by the gate's name.
    pub gates: BTreeMap<String, Verdict>,
}

/// Entities by type.
pub type Counts = BTreeMap<String, usize>;

/// Entities whose type the final model lacks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Foreign {
    /// What the teacher finds of them in the test part.
    pub teacher: Counts,
    /// Of these, those of which nobody says what they mean: gates on fidelity are inconclusive.
    #[serde(default)]
    pub teacher_unknown: Counts,
    /// What gold has of them, by set, those included that `types` puts outside.
    pub gold: BTreeMap<String, Counts>,
    /// Of these, those of which nobody says what they mean (`types` here, or at the teacher's source): gates on such a set are
    /// inconclusive.
    pub unknown: BTreeMap<String, Counts>,
}

/// Size of the test part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestPart {
    /// Sentences.
    pub texts: usize,
    /// Their words.
    pub words: usize,
}

/// Size of the gold sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoldPart {
    /// Sentences.
    pub texts: usize,
    /// Sentences of each set.
    pub sets: BTreeMap<String, usize>,
}

/// One model's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelReport {
    /// The CRF's included.
    pub parameters: usize,
    /// Of these, the CRF's.
    pub crf_parameters: usize,
    /// Four for each parameter, however they are stored. What gates use.
    pub bytes: usize,
    /// Weights, config.json and tokenizer.json as they lie there.
    pub bytes_on_disk: u64,
    /// Floating-point operations of a forward pass over 64 tokens, in closed form.
    pub flops: usize,
    /// In closed form.
    pub memory: Memory,
    /// What is left of each layer.
    pub shape: Shape,
    /// How words get their tags, and what each way gives.
    #[serde(default)]
    pub decoding: Decodings,
    /// How far its scores are from how often it is right.
    #[serde(default)]
    pub calibration: Calibrations,
    /// One sentence of 32 tokens, and every other cell of the matrix.
    pub latency: Latency,
    /// On the test part's own mix of lengths.
    pub throughput: Throughput,
    /// Agreement with the teacher.
    pub fidelity: Fidelity,
    /// Against gold; null: no gold is wired.
    pub quality: Option<Quality>,
}

/// Ways to get words' tags from a model's labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decodings {
    /// Its own, which all other numbers are of: `types` (teachers), `argmax` or `crf`.
    pub by: Decode,
    /// F1 of agreement with the teacher by each way that it has; null: there is no entity.
    pub fidelity: BTreeMap<Decode, Option<f64>>,
    /// F1 against gold by each; null: no gold is wired.
    pub quality: Option<BTreeMap<Decode, Option<f64>>>,
    /// Share of the test part's texts in which the labels of all sub-words, one after another, make the same entities: what
    /// transformers' pipeline finds there. Null in reports of before it was measured.
    pub subwords: Option<f64>,
}

impl Decodings {
    /// Whether there is more than one way.
    #[must_use]
    pub fn is_choice(&self) -> bool {
        self.fidelity.len() > 1
    }
}

/// How sure a model is of the entities that it finds, beside how often it is right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibrations {
    /// Right is what the teacher says; null for the teacher, and where nothing is found.
    pub fidelity: Option<Calibrated>,
    /// Right is what gold says; null without gold, and where nothing is found.
    pub quality: Option<Calibrated>,
}

/// Memory while tagging, computed and not measured: what an allocator, a tokenizer and the other models of this process
/// take is not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// `computed`.
    pub how: String,
    /// Tokens read at once: `batch_tokens`.
    pub tokens: usize,
    /// Of the weights in f32.
    pub weights: usize,
    /// Of the activations that are alive at once, in f32.
    pub activations: usize,
    /// Both.
    pub peak: usize,
}

/// Widths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// Entries of the vocabulary.
    pub vocab: usize,
    /// Hidden width.
    pub hidden: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// First to last.
    pub layers: Vec<LayerReport>,
}

/// Width of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LayerReport {
    /// Attention heads.
    pub heads: usize,
    /// Neurons of the FFN.
    pub ffn: usize,
    /// Layer of the teacher that it was made of, from 0.
    pub from_teacher_layer: usize,
}

/// The latency that gates use, 32 tokens and batch 1, and the matrix around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// 32 tokens (less where a model has room for less), batch 1.
    #[serde(flatten)]
    pub main: Cell,
    /// Of weights and activations: `f32`.
    pub precision: String,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads.
    pub threads: usize,
    /// Every cell that was measured, that of 32 tokens included, by tokens and batch. See [`Speed::skipped`].
    pub matrix: Vec<Cell>,
}

/// How long one batch takes, from token ids to tags; all models in turn, round after round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Tokens of each sentence, specials included.
    pub tokens: usize,
    /// Sentences at once.
    pub batch: usize,
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// Nine of ten rounds took no longer.
    pub p90_ms: f64,
    /// 99 of 100 rounds took no longer.
    pub p99_ms: f64,
    /// The median over the teacher's.
    pub ratio: f64,
    /// Of the ratio, by a bootstrap of the rounds.
    pub ratio_interval: Option<Interval>,
    /// Rounds measured.
    pub rounds: usize,
    /// Rounds thrown away before.
    pub warmup: usize,
}

/// Texts of the test part as they come, in batches of `batch_tokens`: forward pass and decoding of texts cut into sub-words
/// before; all models in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Throughput {
    /// Sentences of a round, drawn evenly from the test part.
    pub texts: usize,
    /// Their sub-words with specials, by the model's own tokenizer.
    pub tokens: usize,
    /// Rounds measured.
    pub rounds: usize,
    /// Of the median round.
    pub sentences_per_s: f64,
    /// Likewise.
    pub tokens_per_s: f64,
    /// Sentences a second over the teacher's: more is faster.
    pub ratio: f64,
    /// Of the ratio, by a bootstrap of the rounds.
    pub ratio_interval: Option<Interval>,
}

/// How speed was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Speed {
    /// What throughput and the matrix were allowed to take, in seconds.
    pub seconds: f64,
    /// Cells of the matrix, as tokens and batch, for which time did not last or a model has no room.
    pub skipped: Vec<(usize, usize)>,
}

/// Scores of some sentences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scored {
    /// Sentences.
    pub texts: usize,
    /// All types pooled.
    pub micro: Bounded,
    /// Unweighted mean over the types that occur.
    #[serde(rename = "macro")]
    pub macro_: Score,
    /// By type: all that occur.
    pub per_type: BTreeMap<String, Bounded>,
    /// The teacher's micro F1 less this one's, paired: positive is lost. Null where neither has an entity.
    pub f1_drop: Option<Estimate>,
}

/// A score with the interval of its F1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounded {
    /// Of the sentences themselves.
    #[serde(flatten)]
    pub score: Score,
    /// By the bootstrap; null where no draw has an entity.
    pub f1_interval: Option<Interval>,
}

/// Agreement with the teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fidelity {
    /// The whole test part.
    #[serde(flatten)]
    pub all: Scored,
    /// By where texts come from.
    pub by_source: BTreeMap<String, Scored>,
    /// By words of the text.
    pub by_length: BTreeMap<Length, Scored>,
    /// Mentions alone that training has seen, or has not; empty when `train` is not wired.
    pub by_mention: BTreeMap<Mention, Scored>,
}

/// Scores against gold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quality {
    /// All sets pooled.
    #[serde(flatten)]
    pub all: Scored,
    /// Each set.
    pub sets: BTreeMap<String, Scored>,
    /// By words of the text.
    pub by_length: BTreeMap<Length, Scored>,
    /// Mentions alone that training has seen, or has not; empty when `train` is not wired.
    pub by_mention: BTreeMap<Mention, Scored>,
}

/// How long a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// Up to the first of `length_bounds`.
    Short,
    /// Up to the second.
    Medium,
    /// Longer.
    Long,
}

/// Whether a mention, as lower-case words, occurs in the training part with its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mention {
    /// It does.
    Seen,
    /// It does not.
    Unseen,
}

/// A text that two models tag differently. With the test part it can be shown; alone it tells no word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextDifference {
    /// The record's id.
    pub id: String,
    /// What the teacher finds.
    pub teacher: Vec<Found>,
    /// What the final model finds.
    #[serde(rename = "final")]
    pub last: Vec<Found>,
}

/// An entity over words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// First word, from 0.
    pub start: usize,
    /// One past the last word.
    pub end: usize,
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Its word.
    pub outcome: Outcome,
    /// Null: there was nothing to measure (no entity to find, or no time for this cell), which is inconclusive.
    pub measured: Option<f64>,
    /// Of a score: texts that it rests on, those with an entity that counts for it. Null for all others.
    #[serde(default)]
    pub texts: Option<usize>,
    /// Of a score: entities that it rests on, those found for a precision, else those there are.
    #[serde(default)]
    pub entities: Option<usize>,
    /// Of a time: rounds that it rests on.
    #[serde(default)]
    pub rounds: Option<usize>,
    /// What is allowed.
    pub bound: f64,
    /// Of what was measured; null for what is exact.
    pub interval: Option<Interval>,
    /// Whether the bound is the most or the least that is allowed.
    pub direction: Direction,
    /// As the gate says it.
    pub metric: String,
    /// Why it is inconclusive whatever was measured: types that the final model lacks, too few texts, entities or rounds, too
    /// wide an interval. Null for all others.
    #[serde(default)]
    pub reason: Option<String>,
    /// For drops and ratios: the model compared with.
    pub against: Option<String>,
    /// The slice: `source clinical`, `set press_dev`, `length short`, `mention unseen`.
    pub slice: Option<String>,
}

/// pass: the interval's worse end meets the bound; fail: its better end misses it; else inconclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The bound is met.
    Pass,
    /// It is missed.
    Fail,
    /// The sentences, entities or rounds are too few to tell.
    Inconclusive,
}

impl Outcome {
    /// As `report.json` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// On which side of a bound one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// At most.
    Max,
    /// At least.
    Min,
}

impl Artifact for Evaluation {
    const KIND: Kind = measure::EVALUATION;

    fn load(path: &Path) -> Result<Self, StageError> {
        let Report(value) = Report::load(path)?;
        serde_json::from_value(value).map_err(|e| {
            StageError::because(format!("{} is no report of `evaluate`", path.display()), e)
                .help("run `evaluate` of this build again")
        })
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        let value =
            serde_json::to_value(self).map_err(|e| StageError::because("cannot write the report", e))?;
        Report(value).save(path)
    }

    fn schema() -> Option<Value> {
        Some(schemars::schema_for!(Self).to_value())
    }
}

/// A JSON object in the order of the list.
mod ordered {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error};
    use serde_json::{Map, Value};

    pub fn serialize<T: Serialize, S: Serializer>(
        list: &[(String, T)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(list.iter().map(|(name, value)| (name, value)))
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, T)>, D::Error> {
        let map = Map::<String, Value>::deserialize(deserializer)?;
        let read =
            |(name, value)| serde_json::from_value(value).map(|value| (name, value)).map_err(Error::custom);
        map.into_iter().map(read).collect()
    }
}
