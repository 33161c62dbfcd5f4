//! What tells one encoder from another.

use std::fmt::Debug;

use burn::{nn::Linear, tensor::Tensor};

use crate::{
    backend::{
        fused::Rows,
        prepacked::{PrepackedLayer, WeightFormat},
    },
    layer::{Layer, Probe, Widths},
};

/// An encoder: what its configuration and tensors are called, where positions begin, and what a layer computes. What saves,
/// prunes and counts parameters goes over these declarations and knows no tensor by name.
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

    /// Row of the position embedding that a window's first token takes, where padding has the id `pad`.
    fn first_position(&self, pad: u32) -> u32;

    /// `[tokens, hidden]` -> `[tokens, hidden]` through a layer that is not prepacked. The probe, with the layer's index,
    /// stands on each head's context and on each neuron.
    fn forward(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        rows: &Rows,
        probe: Option<(usize, &dyn Probe)>,
    ) -> Tensor<2>;

    /// The projections to query, key and value.
    fn attention<'l>(&self, layer: &'l Layer) -> [&'l Linear; 3];

    /// The layer for the CPU's kernels, for inference alone; `epsilon` is that of its norms.
    fn prepack(&self, layer: &Layer, epsilon: f32, format: WeightFormat) -> PrepackedLayer;

    /// Multiplications in scores and context of a sentence of so many tokens: each token attends to each.
    fn attention_products(&self, widths: &Widths, tokens: usize) -> usize {
        2 * tokens * tokens * widths.attention
    }
}

/// Encoders with the same architecture and names of their own in config.json.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// `model_type`
    pub model_type: &'static str,
    /// The class in `architectures` that classifies tokens.
    pub class: &'static str,
}

/// Keys of config.json, and what the encoder's configuration class assumes where they are missing.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Hidden width.
    pub hidden: &'static str,
    /// Number of layers.
    pub layers: &'static str,
    /// Heads of a layer.
    pub heads: &'static str,
    /// Neurons of a layer's FFN.
    pub neurons: &'static str,
    /// Name of the FFN's activation.
    pub activation: &'static str,
    /// `LayerNorm` epsilon; `None` where it is fixed to [`Self::default_epsilon`].
    pub epsilon: Option<&'static str>,
    /// Rows of the token-type embedding; `None` where there is none.
    pub types: Option<&'static str>,
    /// `LayerNorm` epsilon.
    pub default_epsilon: f64,
    /// Rows of the token-type embedding.
    pub default_types: usize,
    /// `pad_token_id`
    pub default_pad: usize,
}

/// Names of tensors in a checkpoint, without `.weight` and `.bias`.
#[derive(Clone, Copy, Debug)]
pub struct Tensors {
    /// `[vocab, hidden]`
    pub word: &'static str,
    /// `[positions, hidden]`; `None` where positions are no embedding.
    pub positions: Option<&'static str>,
    /// `[types, hidden]`; folded into the positions, because every token is of type 0.
    pub types: Option<&'static str>,
    /// `LayerNorm` of the embeddings.
    pub norm: &'static str,
    /// What stands before a layer's number.
    pub layers: &'static str,
    /// The parts of a layer, in the order in which an optimiser visits them.
    pub parts: &'static [Part],
    /// Classifier `[labels, hidden]`.
    pub head: &'static str,
    /// Beginnings of names that checkpoints carry along and a token classifier does not use.
    pub unused: &'static [&'static str],
}

/// A part of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A matrix `[output, input]` with a bias `[output]`.
    Linear {
        /// After the layer's number.
        name: &'static str,
        /// What its rows and its bias run over.
        output: Axis,
        /// What its columns run over.
        input: Axis,
    },
    /// A `LayerNorm` `[hidden]`.
    Norm {
        /// After the layer's number.
        name: &'static str,
    },
}

/// What an axis of a layer's matrix runs over. [`Axis::Heads`] and [`Axis::Neurons`] are the prunable groups: a head or a
/// neuron is its share of every axis of that sort in the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// The hidden width, which is never pruned.
    Hidden,
    /// Heads side by side, `head_dim` entries each.
    Heads,
    /// Neurons, one entry each.
    Neurons,
}

impl Axis {
    /// Its length in a layer.
    #[must_use]
    pub fn len(self, widths: &Widths) -> usize {
        match self {
            Self::Hidden => widths.hidden,
            Self::Heads => widths.attention,
            Self::Neurons => widths.neurons,
        }
    }
}

impl Part {
    /// Its name after the layer's number.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear { name, .. } | Self::Norm { name } => name,
        }
    }

    /// Numbers in it.
    #[must_use]
    pub fn parameters(self, widths: &Widths) -> usize {
        match self {
            Self::Linear { output, input, .. } => (input.len(widths) + 1) * output.len(widths),
            Self::Norm { .. } => 2 * widths.hidden,
        }
    }
}

impl Tensors {
    /// The name of a part of layer `index`.
    #[must_use]
    pub fn part(&self, index: usize, part: Part) -> String {
        format!("{}.{index}.{}", self.layers, part.name())
    }

    /// The matrices of a layer: name after the layer's number, output, input.
    pub fn matrices(&self) -> impl Iterator<Item = (Part, Axis, Axis)> {
        self.parts.iter().filter_map(|part| match *part {
            Part::Linear { output, input, .. } => Some((*part, output, input)),
            Part::Norm { .. } => None,
        })
    }
}

/// Encoders are told apart by who they are.
impl PartialEq for dyn Architecture {
    fn eq(&self, other: &Self) -> bool {
        self.families().first().map(|family| family.model_type)
            == other.families().first().map(|family| family.model_type)
    }
}
