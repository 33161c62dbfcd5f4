//! What tells one encoder from another.

use std::fmt::Debug;

use burn::tensor::{Int, Tensor};
use serde_json::{Map, Value};
use stage_contract::StageError;

use super::{
    declarations::{Family, Keys, Settings, Tensors},
    post_norm,
};
use crate::{
    backend::{
        fused::Ops,
        positions::Positions,
        prepacked::{PrepackedLayer, WeightFormat},
    },
    layer::{Component, Layer, LayerShape, Probe, Widths},
};

/// What the layers of a forward pass share.
pub struct Pass<'a> {
    /// How operations run.
    pub ops: &'a Ops,
    /// Where tokens are.
    pub positions: Positions,
}

/// An encoder: what its configuration and tensors are called, where positions begin, and what a layer computes: if it says
/// nothing else, what BERT's does. What saves, prunes and counts parameters goes over these declarations and knows no
/// tensor by name.
pub trait Architecture: Debug + Send + Sync {
    /// Who has this architecture; a new model is of the first.
    fn families(&self) -> &'static [Family];

    /// What config.json calls its sizes.
    fn keys(&self) -> &'static Keys;

    /// What a checkpoint calls its tensors.
    fn tensors(&self) -> &'static Tensors;

    /// Row of the position embedding that a window's first token takes, where padding has this id.
    fn first_position(&self, _pad: u32) -> u32 {
        0
    }

    /// What config.json says beside sizes.
    ///
    /// # Errors
    /// It asks for something that is not known here, by key.
    fn settings(&self, _config: &Value) -> Result<Settings, StageError> {
        Ok(Settings::default())
    }

    /// The layers of a model that nobody has pruned, each with what config.json says of it.
    ///
    /// # Errors
    /// It asks for something that is not known here, by key.
    fn layers(&self, _config: &Value, layers: Vec<LayerShape>) -> Result<Vec<LayerShape>, StageError> {
        Ok(layers)
    }

    /// Writes into config.json what is said of each layer.
    fn write(&self, _layers: &[LayerShape], _config: &mut Map<String, Value>) {}

    /// What attention knows of positions; `positions [tokens]` from [`Self::first_position`] on.
    fn positions(
        &self,
        _settings: &Settings,
        _shared: &[Component],
        _head_dim: usize,
        _positions: &Tensor<1, Int>,
        _ops: &Ops,
    ) -> Positions {
        Positions::Embedded
    }

    /// `[tokens, hidden]` -> `[tokens, hidden]` through a layer that is not prepacked. The probe, with the layer's index,
    /// stands on each head's context and on each neuron.
    fn forward(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        pass: &Pass<'_>,
        probe: Option<(usize, &dyn Probe)>,
    ) -> Tensor<2> {
        post_norm::forward(layer, x, pass.ops, probe)
    }

    /// What stands between the last layer and the classifier.
    fn finish(&self, _shared: &[Component], x: Tensor<2>, _ops: &Ops) -> Tensor<2> {
        x
    }

    /// Queries, keys and values `[rows, heads * head_dim]` of a layer, from rows of the state that it reads; not yet turned
    /// by rotary positions.
    fn attended(&self, layer: &Layer, x: &Tensor<2>, ops: &Ops) -> [Tensor<2>; 3] {
        post_norm::attended(layer, x, ops)
    }

    /// The layer for the CPU's kernels, for inference alone; `epsilon` is that of its norms. None where they know no such
    /// layer.
    fn prepack(&self, layer: &Layer, epsilon: f32, format: WeightFormat) -> Option<PrepackedLayer> {
        Some(post_norm::prepack(layer, epsilon, format))
    }

    /// Multiplications in scores and context of a sentence of so many tokens.
    fn attention_products(&self, widths: &Widths, tokens: usize) -> usize {
        let seen = widths.reach.map_or(tokens, |reach| tokens.min(2 * reach + 1));
        2 * tokens * seen * widths.attention
    }
}

/// Encoders are told apart by who they are.
impl PartialEq for dyn Architecture {
    fn eq(&self, other: &Self) -> bool {
        self.families().first().map(|family| family.model_type)
            == other.families().first().map(|family| family.model_type)
    }
}
