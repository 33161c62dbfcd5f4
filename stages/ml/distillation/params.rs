//! What every training on a teacher may be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::Invalid;

use encoder::{backend::precision::Precision, weights::Stored};
use train::{
    optimizer::Groups,
    plan::{Decay, Plan},
};

/// Where the CRF's teacher transitions come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CrfTeacher {
    /// Tag bigrams of the teacher's annotations: log P(j|i) - log P(j).
    #[default]
    Bigram,
    /// Fitted by maximum likelihood to the teacher's annotations on its own frozen word probabilities.
    Fitted,
    /// The teacher's whole distribution over paths, at T = 1, in the place of transitions.
    Structural,
    /// None: the CRF learns from tags alone.
    None,
}

/// Which sub-words of a word are taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subwords {
    /// The one that the word is read off: the others may say anything.
    First,
    /// All, so that a program that reads every sub-word, as transformers' pipeline does, finds the same entities.
    #[default]
    All,
}

/// How the student's words get their tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecodeBy {
    /// By argmax, unless the CRF is better on dev by more than 0.2 points of F1.
    #[default]
    Auto,
    /// The most probable label of each word, as transformers and ONNX Runtime do.
    Argmax,
    /// The most probable path of the CRF.
    Crf,
}

/// What every training on a teacher may be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Training {
    /// Temperature T of the soft targets.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub temperature: f64,
    /// Weight of the boundary part of KD: B- against I- is inferred from the IO teacher and not taught.
    #[schemars(range(min = 0))]
    pub boundary: f64,
    /// The layers [student's, teacher's] that the relation loss compares, counted from 0; empty = the student's last and where it came from.
    #[schemars(length(max = 2))]
    pub relation_pair: Vec<usize>,
    /// In how many parts it looks at them, whatever the models' own heads are.
    #[schemars(range(min = 1))]
    pub relation_heads: usize,
    /// A silver word counts confidence^gamma in CE; gold counts 1.
    #[schemars(range(min = 0))]
    pub confidence_gamma: f64,
    /// Which sub-words of a word are taught: first or all.
    pub subwords: Subwords,
    /// How the student's words get their tags: argmax, crf, or auto.
    pub decode: DecodeBy,
    /// Where the CRF's teacher transitions come from: bigram, fitted, structural or none.
    pub crf_teacher: CrfTeacher,
    /// Peak learning rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lr: f64,
    /// Times the learning rate for the classifier.
    #[schemars(range(min = 0))]
    pub head_lr: f64,
    /// Times the learning rate for the CRF.
    #[schemars(range(min = 0))]
    pub crf_lr: f64,
    /// Times the learning rate for each layer down from the top one; the embeddings are one below the lowest.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub layer_lr: f64,
    /// Share of all steps in which the learning rate rises.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub warmup: f64,
    /// How it falls then: linear, cosine or constant.
    pub decay: Decay,
    /// Decoupled weight decay, except for biases, `LayerNorm` and CRF.
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// Limit of the global gradient norm; 0 = none.
    #[schemars(range(min = 0))]
    pub clip: f64,
    /// Tokens in a batch.
    #[schemars(range(min = 1))]
    pub batch_tokens: usize,
    /// Batches a step: as one batch of all their texts, in less memory.
    #[schemars(range(min = 1))]
    pub accumulate: usize,
    /// Stop after so many epochs without a better dev F1; 0 = never.
    pub patience: u32,
    /// What forward and backward passes compute in: f32, or bf16 with weights, moments and losses in f32.
    pub precision: Precision,
    /// What the student's weights are stored as: f32, or f16 for half the file.
    pub dtype: Stored,
    /// Whether what is quick to compute again is not kept for the backward pass: less memory, more time.
    pub gradient_checkpointing: bool,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            temperature: 2.5,
            boundary: 0.5,
            relation_pair: Vec::new(),
            relation_heads: 16,
            confidence_gamma: 1.0,
            subwords: Subwords::All,
            decode: DecodeBy::Auto,
            crf_teacher: CrfTeacher::Bigram,
            lr: 2e-5,
            head_lr: 5.0,
            crf_lr: 50.0,
            layer_lr: 1.0,
            warmup: 0.1,
            decay: Decay::Linear,
            weight_decay: 0.01,
            clip: 1.0,
            batch_tokens: 1024,
            accumulate: 1,
            patience: 0,
            precision: Precision::F32,
            dtype: Stored::F32,
            gradient_checkpointing: false,
        }
    }
}

impl Training {
    /// Checks what the fields' ranges do not say, or not with such advice.
    ///
    /// # Errors
    /// The first parameter that makes no sense, by name.
    pub fn check(&self) -> Result<(), Invalid> {
        if !(self.layer_lr > 0.0 && self.layer_lr <= 1.0) {
            return Err(Invalid::new(format!("`layer_lr` is {}, not above 0 and up to 1", self.layer_lr))
                .at("layer_lr")
                .help("use 1 for one rate for all layers, or 0.9 so that each learns a tenth slower than the one above"));
        }
        if !matches!(self.relation_pair.len(), 0 | 2) {
            return Err(Invalid::new(format!("`relation_pair` has {} layers", self.relation_pair.len()))
                .at("relation_pair")
                .help("give the student's layer and the teacher's, such as [9, 11], or leave it out"));
        }
        if self.accumulate == 0 {
            return Err(Invalid::new("`accumulate` is 0: no step would have a batch")
                .at("accumulate")
                .help("use 1 batch a step, or more where memory is short"));
        }
        if self.batch_tokens == 0 {
            return Err(Invalid::new("`batch_tokens` is 0")
                .at("batch_tokens")
                .help("use 1024, or less to save memory"));
        }
        Ok(())
    }

    /// The loop's part of it.
    #[must_use]
    pub fn plan(&self, epochs: u32, pruned: f64) -> Plan {
        Plan {
            epochs,
            rate: self.lr,
            groups: Groups {
                head: self.head_lr,
                crf: self.crf_lr,
                layer: self.layer_lr,
                weight_decay: self.weight_decay,
            },
            warmup: self.warmup,
            decay: self.decay,
            clip: self.clip,
            batch_tokens: self.batch_tokens,
            accumulate: self.accumulate,
            patience: self.patience,
            recompute: self.gradient_checkpointing,
            pruned,
        }
    }
}
