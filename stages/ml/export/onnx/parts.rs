//! A network's parameters as constants: linear layers in f32 or 8 bits, norms, embeddings.

use std::collections::BTreeMap;

use burn::{
    nn::{Embedding, LayerNorm, Linear},
    tensor::Tensor,
};
use encoder::backend::readback::host;

use super::graph::{Graph, Value};

/// What matrices are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As the model was trained.
    F32,
    /// Layers' matrices in signed bytes with a scale for each output, their inputs in unsigned bytes whose scale each run
    /// finds; the rows of the word embedding in signed bytes with a scale each. Sums are exact.
    Int8,
}

/// The largest weight. Products of 255 and 64 add up in pairs within 16 bits, which is how CPUs without VNNI add them: with
/// 127 these would saturate there.
const LARGEST: f32 = 64.0;

/// The largest entry of an embedding, which nobody multiplies.
const LARGEST_ENTRY: f32 = 127.0;

/// Writes parameters.
pub struct Writer {
    /// Where to.
    pub graph: Graph,
    precision: Precision,
    /// ε of all norms.
    epsilon: f32,
    /// What was turned into bytes already: byte, scale and zero.
    quantised: BTreeMap<Value, [Value; 3]>,
}

impl Writer {
    /// Of an empty graph.
    #[must_use]
    pub fn new(precision: Precision, epsilon: f32) -> Self {
        Self { graph: Graph::default(), precision, epsilon, quantised: BTreeMap::new() }
    }

    /// x W + b
    pub fn linear(&mut self, name: &str, layer: &Linear, x: &Value) -> Value {
        match self.precision {
            Precision::F32 => self.exact(name, layer, x),
            Precision::Int8 => {
                let product = self.in_bytes(name, layer, x);
                self.plus_bias(name, layer, product)
            }
        }
    }

    /// x W + b in f32, whatever the rest is in.
    pub fn exact(&mut self, name: &str, layer: &Linear, x: &Value) -> Value {
        let weight = self.tensor(&format!("{name}.weight"), layer.weight.val());
        let product = self.graph.matmul(x, &weight);
        self.plus_bias(name, layer, product)
    }

    fn in_bytes(&mut self, name: &str, layer: &Linear, x: &Value) -> Value {
        let [inputs, outputs] = layer.weight.val().dims();
        let (bytes, scales) = columns(&host(layer.weight.val()), outputs);
        let graph = &mut self.graph;
        let weight = graph.bytes(&format!("{name}.weight"), &[inputs, outputs], &bytes);
        let scales = graph.floats(&format!("{name}.weight_scale"), &[outputs], &scales);
        let [byte, scale, zero] = self
            .quantised
            .entry(x.clone())
            .or_insert_with(|| graph.outputs("DynamicQuantizeLinear", [x], []))
            .clone();
        let sums = graph.node("MatMulInteger", [&byte, &weight, &zero], []);
        let (sums, scale) = (graph.cast_to_float(&sums), graph.mul(&scale, &scales));
        graph.mul(&sums, &scale)
    }

    fn plus_bias(&mut self, name: &str, layer: &Linear, product: Value) -> Value {
        let Some(bias) = &layer.bias else { return product };
        let bias = self.tensor(&format!("{name}.bias"), bias.val());
        self.graph.add(&product, &bias)
    }

    /// `LayerNorm`
    pub fn norm(&mut self, name: &str, norm: &LayerNorm, x: &Value) -> Value {
        let gain = self.tensor(&format!("{name}.weight"), norm.gamma.val());
        let bias = norm.beta.as_ref().map(|beta| self.tensor(&format!("{name}.bias"), beta.val()));
        self.graph.normalise(x, &gain, bias.as_ref(), self.epsilon)
    }

    /// The rows of an embedding that ids name, in bytes where layers are.
    pub fn words(&mut self, name: &str, embedding: &Embedding, ids: &Value) -> Value {
        let name = format!("{name}.weight");
        let table = embedding.weight.val();
        if self.precision == Precision::F32 {
            let table = self.tensor(&name, table);
            return self.graph.gather(&table, ids);
        }
        let [rows, width] = table.dims();
        let (bytes, scales): (Vec<_>, Vec<_>) =
            host(table).chunks_exact(width).map(|row| quantised(row.iter().copied(), LARGEST_ENTRY)).unzip();
        let graph = &mut self.graph;
        let bytes = graph.bytes(&name, &[rows, width], &bytes.concat());
        let scales = graph.floats(&format!("{name}_scale"), &[rows, 1], &scales);
        let (bytes, scales) = (graph.gather(&bytes, ids), graph.gather(&scales, ids));
        let bytes = graph.cast_to_float(&bytes);
        graph.mul(&bytes, &scales)
    }

    /// A tensor in f32 under its name.
    pub fn tensor<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Value {
        let shape = tensor.dims();
        self.graph.floats(name, &shape, &host(tensor))
    }
}

/// Signed bytes of a matrix, row after row, and the scale of each column.
fn columns(values: &[f32], columns: usize) -> (Vec<i8>, Vec<f32>) {
    let mut bytes = vec![0; values.len()];
    let scales = (0..columns).map(|column| {
        let (own, scale) = quantised(values.iter().skip(column).step_by(columns).copied(), LARGEST);
        for (place, byte) in bytes.iter_mut().skip(column).step_by(columns).zip(own) {
            *place = byte;
        }
        scale
    });
    let scales = scales.collect();
    (bytes, scales)
}

/// The nearest multiples of a scale at which the farthest value from 0 is `largest`; zeros have a scale too.
fn quantised(values: impl Iterator<Item = f32> + Clone, largest: f32) -> (Vec<i8>, f32) {
    let most = values.clone().fold(0.0_f32, |most, value| most.max(value.abs()));
    let scale = if most > 0.0 { most / largest } else { 1.0 };
    #[expect(clippy::cast_possible_truncation, reason = "at most 127 from 0")]
    let bytes = values.map(|value| (value / scale).round() as i8).collect();
    (bytes, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_columns_farthest_weight_is_exact_and_the_others_are_within_half_a_step() {
        let matrix = [0.5, -3.0, 0.0, -0.25, 1.0, 0.0];
        let (bytes, scales) = columns(&matrix, 3);
        assert_eq!(bytes, [64, -64, 0, -32, 21, 0]);
        for (index, (byte, weight)) in bytes.iter().zip(matrix).enumerate() {
            let scale = scales[index % 3];
            assert!((f32::from(*byte) * scale - weight).abs() <= scale / 2.0, "{index}");
        }
    }
}
