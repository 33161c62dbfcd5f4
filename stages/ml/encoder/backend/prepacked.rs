//! Weights prepacked for the CPU's kernels: read faster, and no longer changed.

use burn::{
    nn::{LayerNorm, Linear},
    tensor::Tensor,
};
use kernels::{
    float::F32,
    int8::Int8,
    linear,
    matrix::Matrix,
    norm::Norm,
    prepacked::{self, Parts},
};

use super::readback::host;

/// What weights are prepacked as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightFormat {
    /// As they are: the same results but for rounding.
    F32,
    /// Bytes with a scale for each column.
    Int8,
}

/// A layer for inference alone.
#[derive(Debug)]
pub enum PrepackedLayer {
    /// In f32.
    F32(prepacked::Layer<F32>),
    /// In 8 bits.
    Int8(prepacked::Layer<Int8>),
}

impl PrepackedLayer {
    /// Of a layer's parts.
    #[must_use]
    pub fn new(parts: &Parts<'_>, format: WeightFormat) -> Self {
        match format {
            WeightFormat::F32 => Self::F32(prepacked::Layer::new(parts)),
            WeightFormat::Int8 => Self::Int8(prepacked::Layer::new(parts)),
        }
    }

    /// `x` becomes the layer's output, `[tokens, hidden]`.
    pub fn forward(&self, x: &mut [f32], starts: &[u32]) {
        match self {
            Self::F32(layer) => layer.forward(x, starts),
            Self::Int8(layer) => layer.forward(x, starts),
        }
    }
}

/// A weight, or a gain, and its bias on the host, before they are packed.
pub struct Unpacked {
    first: Vec<f32>,
    bias: Vec<f32>,
    /// `[in, out]` of a weight.
    shape: [usize; 2],
}

impl Unpacked {
    /// Of a linear layer.
    #[must_use]
    pub fn linear(linear: &Linear) -> Self {
        Self {
            shape: linear.weight.dims(),
            first: host(linear.weight.val()),
            bias: offset(linear.bias.as_deref()),
        }
    }

    /// Of a norm.
    #[must_use]
    pub fn norm(norm: &LayerNorm) -> Self {
        let first = host(norm.gamma.val());
        Self { shape: [1, first.len()], first, bias: offset(norm.beta.as_deref()) }
    }

    /// A linear layer as the kernels see it.
    #[must_use]
    pub fn weights(&self) -> linear::Linear<'_> {
        let [inner, outer] = self.shape;
        // A layer whose heads or neurons are all pruned has a matrix without elements.
        let weight =
            if self.first.is_empty() { Matrix::empty(inner, outer) } else { Matrix::new(&self.first, outer) };
        linear::Linear { weight, bias: &self.bias }
    }

    /// A norm as the kernels see it.
    #[must_use]
    pub fn gain(&self, epsilon: f32) -> Norm<'_> {
        Norm { gamma: &self.first, beta: &self.bias, epsilon }
    }
}

fn offset(tensor: Option<&Tensor<1>>) -> Vec<f32> {
    tensor.map(|tensor| host(tensor.clone())).unwrap_or_default()
}
