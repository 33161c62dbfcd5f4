//! `config.json` of a token classifier: the stock keys, and `ner_pipe` for pruned shapes (FORMATS, "Student checkpoint").

use std::path::Path;

use stage_contract::StageError;

use crate::ml::labels::Labels;

/// Width of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Attention heads kept.
    pub heads: usize,
    /// FFN neurons kept.
    pub ffn: usize,
    /// 0-based layer of the teacher that it was copied from; for a stock model, itself.
    pub from_teacher_layer: usize,
}

/// Everything about a model's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Entries of the word embedding.
    pub vocab: usize,
    /// Hidden width.
    pub hidden: usize,
    /// Width of one head; explicit because hidden / heads no longer gives it after pruning.
    pub head_dim: usize,
    /// Layers, first to last.
    pub layers: Vec<LayerShape>,
    /// Entries of the position embedding, pad_id + 1 of them unused.
    pub positions: usize,
    /// `<pad>`; the first position is `pad + 1`.
    pub pad: u32,
    /// LayerNorm epsilon.
    pub eps: f64,
    /// Output columns.
    pub labels: Labels,
    /// Whether the checkpoint has CRF tensors.
    pub crf: bool,
    /// The config.json it came from, so that keys we do not use survive a round trip. Null for a new model.
    pub stock: serde_json::Value,
}

impl Config {
    /// Reads config.json of a model folder.
    ///
    /// # Errors
    /// Unreadable, a key missing or senseless, an architecture other than CamemBERT/RoBERTa, an activation other than gelu.
    pub fn load(model: &Path) -> Result<Self, StageError> {
        let _ = model;
        todo!()
    }

    /// config.json's text.
    #[must_use]
    pub fn json(&self) -> String {
        todo!()
    }

    /// Encoder and head parameters in closed form, token types included, CRF not (ML.md §4).
    #[must_use]
    pub fn parameters(&self) -> usize {
        todo!()
    }

    /// Longest window with specials: 512, or less when there are fewer positions.
    #[must_use]
    pub fn max_pieces(&self) -> usize {
        (self.positions - self.pad as usize - 1).min(512)
    }
}
