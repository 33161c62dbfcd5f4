//! From texts to word logits, and from word logits to entities.

use stage_contract::{Context, StageError};
use burn::tensor::Device;

use crate::ml::{corpus::Record, model::Model};

/// Word logits of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct WordLogits {
    /// Columns.
    pub labels: usize,
    /// `[words, labels]`, row after row.
    pub values: Vec<f32>,
    /// `[words]` whether the word owns its first sub-word.
    pub owned: Vec<bool>,
}
