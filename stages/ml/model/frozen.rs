//! A layer packed for reading alone.

use std::sync::Arc;

use burn::{
    module::Param,
    nn::{LayerNorm, Linear},
    tensor::Tensor,
};
use kernels::{
    float::F32,
    frozen::{self, Parts},
    int8::Int8,
    linear,
    matrix::Matrix,
    norm::Norm,
};

use super::Layer;
use crate::ml::{config::Config, host::host};

/// What weights are packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are: the same results but for rounding.
    F32,
    /// Bytes with a scale for each column.
    Int8,
}

/// A packed layer.
#[derive(Debug)]
pub(crate) enum Frozen {
    F32(frozen::Layer<F32>),
    Int8(frozen::Layer<Int8>),
}

impl Frozen {
    /// `x` becomes the layer's output, `[tokens, hidden]`.
    pub(crate) fn forward(&self, x: &mut [f32], starts: &[u32]) {
        match self {
            Self::F32(layer) => layer.forward(x, starts),
            Self::Int8(layer) => layer.forward(x, starts),
        }
    }
}

/// A weight, or a gain, and its bias on the host.
struct Pair {
    first: Vec<f32>,
    bias: Vec<f32>,
    /// `[in, out]` of a weight.
    shape: [usize; 2],
}

impl Pair {
    fn linear(linear: &Linear) -> Self {
        Self {
            shape: linear.weight.dims(),
            first: host(linear.weight.val()),
            bias: offset(linear.bias.as_deref()),
        }
    }

    fn norm(norm: &LayerNorm) -> Self {
        let first = host(norm.gamma.val());
        Self { shape: [1, first.len()], first, bias: offset(norm.beta.as_deref()) }
    }

    fn weights(&self) -> linear::Linear<'_> {
        let [inner, outer] = self.shape;
        // A layer whose heads or neurons are all pruned has a matrix without elements.
        let weight =
            if self.first.is_empty() { Matrix::empty(inner, outer) } else { Matrix::new(&self.first, outer) };
        linear::Linear { weight, bias: &self.bias }
    }
}

fn offset(tensor: Option<&Tensor<1>>) -> Vec<f32> {
    tensor.map(|tensor| host(tensor.clone())).unwrap_or_default()
}

impl Layer {
    pub(super) fn freeze(&mut self, config: &Config, form: Form) {
        assert!(self.frozen.is_none(), "a layer is frozen once");
        self.frozen = Some(Arc::new(pack(self, config, form)));
        let matrices = [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.attention_output,
            &mut self.up,
            &mut self.down,
        ];
        for Linear { weight, .. } in matrices {
            *weight = Param::from_tensor(Tensor::empty([0, 0], &weight.device()));
        }
    }
}

fn pack(layer: &Layer, config: &Config, form: Form) -> Frozen {
    let [query, key, value, output, up, down] =
        [&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.up, &layer.down]
            .map(Pair::linear);
    let norms = [&layer.attention_norm, &layer.ffn_norm].map(Pair::norm);
    #[expect(clippy::cast_possible_truncation, reason = "an ε of about 1e-5")]
    let [attention_norm, ffn_norm] = norms.each_ref().map(|norm| Norm {
        gamma: &norm.first,
        beta: &norm.bias,
        epsilon: config.eps as f32,
    });
    let parts = Parts {
        attention: [query.weights(), key.weights(), value.weights()],
        output: output.weights(),
        attention_norm,
        up: up.weights(),
        down: down.weights(),
        ffn_norm,
        heads: layer.heads,
    };
    match form {
        Form::F32 => Frozen::F32(frozen::Layer::new(&parts)),
        Form::Int8 => Frozen::Int8(frozen::Layer::new(&parts)),
    }
}
