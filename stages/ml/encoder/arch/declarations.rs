//! What an encoder declares of itself: data that whatever reads, saves, prunes and counts goes over.

use crate::layer::Widths;

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
