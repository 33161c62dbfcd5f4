//! In what numbers a network computes.

use burn::tensor::{FloatDType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In what numbers forward and backward passes compute. Weights, the optimiser's moments, sums of `LayerNorm`, softmax, and
/// every loss stay in f32.
///
/// It is a parameter, so it means the same on every device: on the CPU bf16 is computed too, by Burn's own operations,
/// and is slower than f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits of mantissa. (CUDA may multiply matrices in TF32, which keeps 11.)
    #[default]
    F32,
    /// 8 bits of mantissa: half the memory traffic, and matrix products on a GPU's tensor cores.
    Bf16,
}

impl Precision {
    /// What matrix products and what lies between them is computed in.
    #[must_use]
    pub fn narrow<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => tensor,
            Self::Bf16 => tensor.cast(FloatDType::BF16),
        }
    }

    /// What sums are computed in.
    #[must_use]
    pub fn wide<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => tensor,
            Self::Bf16 => tensor.cast(FloatDType::F32),
        }
    }
}
