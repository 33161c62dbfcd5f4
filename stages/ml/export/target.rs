//! The forms in which a model leaves.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// An ONNX model in f32, in its true shapes.
    #[default]
    Onnx,
    /// An ONNX model whose linear layers compute on bytes.
    OnnxInt8,
    /// A folder that stock transformers loads, for models whose layers are alike.
    Hf,
    /// The same for any pruned model: heads and neurons that it lacks are zeros.
    HfDense,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Onnx, Self::OnnxInt8, Self::Hf, Self::HfDense];

    /// As parameters and options call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::OnnxInt8 => "onnx-int8",
            Self::Hf => "hf",
            Self::HfDense => "hf-dense",
        }
    }

    /// What is better known before it is used.
    #[must_use]
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::HfDense => Some(
                "zeros stand where heads and neurons were removed: the export loads in any transformers, and is as large \
                 and slow as if nothing had been removed from its layers",
            ),
            Self::Onnx | Self::OnnxInt8 | Self::Hf => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
