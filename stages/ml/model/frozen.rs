//! A layer packed into 8 bits.

use burn::{
    nn::{LayerNorm, Linear},
    tensor::Tensor,
};
use kernels::{
    frozen::{Layer as Frozen, Parts},
    linear,
    matrix::Matrix,
    norm::Norm,
};

use super::Layer;
use crate::ml::{config::Config, host::host};

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

/// Packs it.
pub(super) fn pack(layer: &Layer, config: &Config) -> Frozen {
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
    Frozen::new(&Parts {
        attention: [query.weights(), key.weights(), value.weights()],
        output: output.weights(),
        attention_norm,
        up: up.weights(),
        down: down.weights(),
        ffn_norm,
        heads: layer.heads,
    })
}
