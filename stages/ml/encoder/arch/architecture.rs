//! What tells one encoder from another.

use std::fmt::Debug;

use burn::{nn::Linear, tensor::Tensor};

use super::{
    declarations::{Family, Keys, Tensors},
    post_norm,
};
use crate::{
    backend::{
        fused::Ops,
        prepacked::{PrepackedLayer, WeightFormat},
    },
    layer::{Layer, Probe, Widths},
};

/// An encoder: what its configuration and tensors are called, where positions begin, and what a layer computes: if it says
/// nothing else, what BERT's does. What saves, prunes and counts parameters goes over these declarations and knows no
/// tensor by name.
///
/// Every encoder until now normalises after its residuals, has biases and activates by GELU: the kernels that `prepack` fills
/// and the estimate of memory know no other layer, and the network normalises nothing before the classifier. A norm before a
/// part, rotary positions and local attention fit into [`forward`](Self::forward) ([`Tensors::positions`] is then `None`); a
/// gated FFN, or parameters that all layers share, need more declarations beside these.
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

    /// `[tokens, hidden]` -> `[tokens, hidden]` through a layer that is not prepacked. The probe, with the layer's index,
    /// stands on each head's context and on each neuron.
    fn forward(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        ops: &Ops,
        probe: Option<(usize, &dyn Probe)>,
    ) -> Tensor<2> {
        post_norm::forward(layer, x, ops, probe)
    }

    /// The projections to query, key and value.
    fn attention<'l>(&self, layer: &'l Layer) -> [&'l Linear; 3] {
        post_norm::attention(layer)
    }

    /// The layer for the CPU's kernels, for inference alone; `epsilon` is that of its norms.
    fn prepack(&self, layer: &Layer, epsilon: f32, format: WeightFormat) -> PrepackedLayer {
        post_norm::prepack(layer, epsilon, format)
    }

    /// Multiplications in scores and context of a sentence of so many tokens: each token attends to each.
    fn attention_products(&self, widths: &Widths, tokens: usize) -> usize {
        2 * tokens * tokens * widths.attention
    }
}

/// Encoders are told apart by who they are.
impl PartialEq for dyn Architecture {
    fn eq(&self, other: &Self) -> bool {
        self.families().first().map(|family| family.model_type)
            == other.families().first().map(|family| family.model_type)
    }
}
