//! The layer of BERT (Devlin et al. 2018) and its children: attention, then two matrices with GELU between them, each with
//! its residual and a `LayerNorm` after it.

use burn::{nn::Linear, tensor::Tensor};
use kernels::prepacked;

use super::declarations::{Axis, Part};
use crate::{
    backend::{
        fused::Ops,
        prepacked::{PrepackedLayer, Unpacked, WeightFormat},
    },
    layer::{Layer, Probe},
};

/// Places of the parts that [`parts`] declares.
pub const QUERY: usize = 0;
/// See [`QUERY`].
pub const KEY: usize = 1;
/// See [`QUERY`].
pub const VALUE: usize = 2;
/// See [`QUERY`].
pub const ATTENTION_OUTPUT: usize = 3;
/// See [`QUERY`].
pub const ATTENTION_NORM: usize = 4;
/// See [`QUERY`].
pub const UP: usize = 5;
/// See [`QUERY`].
pub const DOWN: usize = 6;
/// See [`QUERY`].
pub const FFN_NORM: usize = 7;

/// What BERT and `RoBERTa` call them.
pub const NAMES: [&str; 8] = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
];

/// The parts under their names.
#[must_use]
pub const fn parts(names: [&'static str; 8]) -> [Part; 8] {
    [
        Part::linear(names[QUERY], Axis::Heads, Axis::Hidden),
        Part::linear(names[KEY], Axis::Heads, Axis::Hidden),
        Part::linear(names[VALUE], Axis::Heads, Axis::Hidden),
        Part::linear(names[ATTENTION_OUTPUT], Axis::Hidden, Axis::Heads),
        Part::norm(names[ATTENTION_NORM]),
        Part::linear(names[UP], Axis::Neurons, Axis::Hidden),
        Part::linear(names[DOWN], Axis::Hidden, Axis::Neurons),
        Part::norm(names[FFN_NORM]),
    ]
}

/// The layer, of which `attend` computes the heads' contexts `[tokens, heads * head_dim]`.
#[must_use]
pub fn around(
    layer: &Layer,
    x: Tensor<2>,
    ops: &Ops,
    probe: Option<(usize, &dyn Probe)>,
    attend: impl FnOnce(&Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let mut context = attend(&x);
    if let Some((index, probe)) = probe {
        context = probe.context(index, ops.wide(context));
    }
    let attended = ops.linear(layer.linear(ATTENTION_OUTPUT), context);
    let x = ops.add_norm(layer.norm(ATTENTION_NORM), attended, x);
    let mut neurons = ops.linear_gelu(layer.linear(UP), x.clone());
    if let Some((index, probe)) = probe {
        neurons = probe.neurons(index, ops.wide(neurons));
    }
    ops.add_norm(layer.norm(FFN_NORM), ops.linear(layer.linear(DOWN), neurons), x)
}

/// See [`super::Architecture::forward`].
#[must_use]
pub fn forward(layer: &Layer, x: Tensor<2>, ops: &Ops, probe: Option<(usize, &dyn Probe)>) -> Tensor<2> {
    around(layer, x, ops, probe, |x| ops.attention(projections(layer), layer.widths.heads, x))
}

fn projections(layer: &Layer) -> [&Linear; 3] {
    [QUERY, KEY, VALUE].map(|part| layer.linear(part))
}

/// See [`super::Architecture::attended`].
#[must_use]
pub fn attended(layer: &Layer, x: &Tensor<2>, ops: &Ops) -> [Tensor<2>; 3] {
    projections(layer).map(|part| ops.linear(part, x.clone()))
}

/// See [`super::Architecture::prepack`].
#[must_use]
pub fn prepack(layer: &Layer, epsilon: f32, format: WeightFormat) -> PrepackedLayer {
    let [query, key, value, output, up, down] =
        [QUERY, KEY, VALUE, ATTENTION_OUTPUT, UP, DOWN].map(|part| Unpacked::linear(layer.linear(part)));
    let [attention_norm, ffn_norm] = [ATTENTION_NORM, FFN_NORM].map(|part| Unpacked::norm(layer.norm(part)));
    let parts = prepacked::Parts {
        attention: [query.weights(), key.weights(), value.weights()],
        output: output.weights(),
        attention_norm: attention_norm.gain(epsilon),
        up: up.weights(),
        down: down.weights(),
        ffn_norm: ffn_norm.gain(epsilon),
        heads: layer.widths.heads,
    };
    PrepackedLayer::new(&parts, format)
}
