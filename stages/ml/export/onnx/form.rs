//! What tells the ONNX form of one encoder from another's.

use encoder::{arch::Tensors, config::Config, layer::Layer, network::Network};

use super::{
    graph::{Graph, Value},
    parts::Writer,
};

/// What an encoder computes, as nodes.
pub trait Form: Sync {
    /// What attention knows of positions, once for all layers.
    fn positions(&self, _writer: &mut Writer, _model: &Whole<'_>) -> Vec<Value> {
        Vec::new()
    }

    /// `[batch, length, hidden]` -> `[batch, length, hidden]` through a layer.
    fn layer(&self, writer: &mut Writer, place: &Place<'_>, shared: &Shared, x: &Value) -> Value;

    /// What stands between the last layer and the classifier.
    fn finish(&self, _writer: &mut Writer, _network: &Network, x: Value) -> Value {
        x
    }
}

/// A model, and the values that its graph begins with.
pub struct Whole<'a> {
    /// Its shape.
    pub config: &'a Config,
    /// Its parameters.
    pub network: &'a Network,
    /// `[batch, length]`
    pub ids: Value,
    /// `[batch, 1, 1, length]`: 0 for keys that are seen, [`SHUT`] for padding.
    pub seen: Value,
}

/// What all layers use.
pub struct Shared {
    /// See [`Whole::seen`].
    pub seen: Value,
    /// See [`Form::positions`].
    pub positions: Vec<Value>,
}

/// What is added to the score of a key that is not seen. It stays finite when a score is added, so that a row that sees
/// nothing is no row of NaN.
pub const SHUT: f32 = f32::MIN;

/// A layer and where it stands.
pub struct Place<'a> {
    /// It.
    pub layer: &'a Layer,
    /// From 0.
    pub index: usize,
    /// What its parts are called.
    pub tensors: &'static Tensors,
}

impl Place<'_> {
    /// The name of a part.
    pub fn name(&self, part: usize) -> String {
        self.tensors.part(self.index, self.tensors.parts[part])
    }

    /// Through the linear part at a place.
    pub fn linear(&self, writer: &mut Writer, part: usize, x: &Value) -> Value {
        writer.linear(&self.name(part), self.layer.linear(part), x)
    }

    /// Through the norm at a place, where the layer has it.
    pub fn norm(&self, writer: &mut Writer, part: usize, x: &Value) -> Value {
        match self.layer.norm_if_any(part) {
            Some(norm) => writer.norm(&self.name(part), norm, x),
            None => x.clone(),
        }
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.layer.widths.attention / self.layer.widths.heads
    }

    /// `[batch, length, heads * head_dim]` -> `[batch, heads, length, head_dim]`
    pub fn heads(&self, graph: &mut Graph, x: &Value) -> Value {
        let x = graph.reshape(x, &[0, 0, self.layer.widths.heads, self.head_dim()]);
        graph.transpose(&x, &[0, 2, 1, 3])
    }

    /// What values say together, weighed by `scores [batch, heads, length, length]`: `[batch, length, heads * head_dim]`.
    pub fn weigh(
        &self,
        graph: &mut Graph,
        scores: &Value,
        scale: usize,
        mask: &Value,
        value: &Value,
    ) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "a head is some tens wide")]
        let scale = graph.float(1.0 / (scale as f32).sqrt());
        let scores = graph.mul(scores, &scale);
        let scores = graph.add(&scores, mask);
        let shares = graph.node("Softmax", [&scores], [super::graph::last()]);
        let context = graph.matmul(&shares, value);
        let context = graph.transpose(&context, &[0, 2, 1, 3]);
        graph.reshape(&context, &[0, 0, self.layer.widths.attention])
    }
}

/// What queries and keys `[batch, heads, length, head_dim]` say to each other, `[batch, heads, length, length]`.
pub fn scores(graph: &mut Graph, query: &Value, key: &Value) -> Value {
    let key = graph.transpose(key, &[0, 1, 3, 2]);
    graph.matmul(query, &key)
}
