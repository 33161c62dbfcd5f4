//! What an encoder declares of itself: data that whatever reads, saves, prunes and counts goes over.

use crate::{backend::positions::Buckets, layer::Widths};

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
    /// Width of a head; `None` where it is always the hidden width's share.
    pub head_dim: Option<&'static str>,
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
    /// The embeddings' [`Part::Norm`].
    pub norm: Part,
    /// What stands before a layer's number.
    pub layers: &'static str,
    /// The parts of a layer, in the order in which an optimiser visits them.
    pub parts: &'static [Part],
    /// What all layers use, or what stands between the last of them and the classifier, under whole names.
    pub shared: &'static [Part],
    /// Classifier `[labels, hidden]`, with a bias.
    pub head: &'static str,
    /// Beginnings of names that checkpoints carry along and a token classifier does not use.
    pub unused: &'static [&'static str],
}

/// Counters that old versions of transformers saved beside the weights.
const BUFFERS: [&str; 2] = ["embeddings.position_ids", "embeddings.token_type_ids"];

/// A part of a network. Names of a layer's parts stand after the layer's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A matrix `[output, input]`, and a bias `[output]`.
    Linear {
        /// What it is called here.
        name: &'static str,
        /// What its rows and its bias run over.
        output: Axis,
        /// What its columns run over.
        input: Axis,
        /// Whether it has a bias.
        bias: bool,
        /// The tensor of a checkpoint that it is a share of the rows of; `None` where it is a tensor of its own.
        of: Option<Share>,
    },
    /// A `LayerNorm` `[hidden]`.
    Norm {
        /// What it is called.
        name: &'static str,
        /// Whether it has a bias beside its gain.
        bias: bool,
        /// Whether a [bare](crate::layer::LayerShape::bare) layer lacks it.
        bare: bool,
    },
    /// An embedding `[rows, hidden]` of relative positions.
    Relative {
        /// What it is called.
        name: &'static str,
    },
}

/// A share of the rows of a checkpoint's tensor, which holds several matrices one below another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The tensor.
    pub tensor: &'static str,
    /// Which share, from 0.
    pub index: usize,
    /// Of how many.
    pub count: usize,
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
    /// A linear part with a bias and a tensor of its own.
    #[must_use]
    pub const fn linear(name: &'static str, output: Axis, input: Axis) -> Self {
        Self::Linear { name, output, input, bias: true, of: None }
    }

    /// A linear part without a bias.
    #[must_use]
    pub const fn matrix(name: &'static str, output: Axis, input: Axis, of: Option<Share>) -> Self {
        Self::Linear { name, output, input, bias: false, of }
    }

    /// A norm with a bias that every layer has.
    #[must_use]
    pub const fn norm(name: &'static str) -> Self {
        Self::Norm { name, bias: true, bare: false }
    }

    /// A norm without a bias.
    #[must_use]
    pub const fn gain(name: &'static str, bare: bool) -> Self {
        Self::Norm { name, bias: false, bare }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear { name, .. } | Self::Norm { name, .. } | Self::Relative { name } => name,
        }
    }

    /// The share of a checkpoint's tensor that it is.
    #[must_use]
    pub fn share(self) -> Option<Share> {
        match self {
            Self::Linear { of, .. } => of,
            Self::Norm { .. } | Self::Relative { .. } => None,
        }
    }

    /// Whether it has a bias.
    #[must_use]
    pub fn has_bias(self) -> bool {
        match self {
            Self::Linear { bias, .. } | Self::Norm { bias, .. } => bias,
            Self::Relative { .. } => false,
        }
    }

    /// Whether a layer of this kind lacks it.
    #[must_use]
    pub fn is_missing(self, widths: &Widths) -> bool {
        matches!(self, Self::Norm { bare: true, .. }) && widths.bare
    }

    /// The shape of its weight, and of its bias; none where a layer of this kind lacks it.
    #[must_use]
    pub fn shapes(self, widths: &Widths, settings: &Settings) -> (Option<Vec<usize>>, Option<usize>) {
        if self.is_missing(widths) {
            return (None, None);
        }
        let weight = match self {
            Self::Linear { output, input, .. } => vec![output.len(widths), input.len(widths)],
            Self::Norm { .. } => vec![widths.hidden],
            Self::Relative { .. } => vec![settings.relative_rows(), widths.hidden],
        };
        let bias = self.has_bias().then_some(weight[0]);
        (Some(weight), bias)
    }

    /// Numbers in it.
    #[must_use]
    pub fn parameters(self, widths: &Widths, settings: &Settings) -> usize {
        let (weight, bias) = self.shapes(widths, settings);
        weight.map_or(0, |shape| shape.iter().product()) + bias.unwrap_or(0)
    }
}

impl Tensors {
    /// The name of a part of layer `index`.
    #[must_use]
    pub fn part(&self, index: usize, part: Part) -> String {
        format!("{}.{index}.{}", self.layers, part.name())
    }

    /// Whether checkpoints carry a tensor along that a token classifier does not use.
    #[must_use]
    pub fn carries(&self, name: &str) -> bool {
        self.unused.iter().any(|unused| name.starts_with(unused))
            || BUFFERS.iter().any(|buffer| name.ends_with(buffer))
    }

    /// The encoder's own name, which stands before all but the classifier's.
    #[must_use]
    pub fn base(&self) -> &'static str {
        self.word.split('.').next().unwrap_or_default()
    }

    /// The matrices of a layer, with output and input.
    pub fn matrices(&self) -> impl Iterator<Item = (Part, Axis, Axis)> {
        matrices(self.parts)
    }

    /// The shares of tensors that a layer's parts are.
    pub fn shares(&self) -> impl Iterator<Item = (Part, Share)> {
        self.parts.iter().filter_map(|part| part.share().map(|share| (*part, share)))
    }

    /// The name in a checkpoint of the tensor of layer `index` that parts share.
    #[must_use]
    pub fn shared_by(&self, index: usize, share: Share) -> String {
        format!("{}.{index}.{}", self.layers, share.tensor)
    }
}

/// The matrices among parts, with output and input.
pub fn matrices(parts: &[Part]) -> impl Iterator<Item = (Part, Axis, Axis)> {
    parts.iter().filter_map(|part| match *part {
        Part::Linear { output, input, .. } => Some((*part, output, input)),
        Part::Norm { .. } | Part::Relative { .. } => None,
    })
}

/// What config.json says of an encoder beside its sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// Bases of rotary positions: of layers in which every token attends to all, and of those with a reach.
    pub rotary: Option<[f64; 2]>,
    /// Buckets of relative positions.
    pub relative: Option<Buckets>,
}

impl Settings {
    fn relative_rows(&self) -> usize {
        self.relative.map_or(0, |buckets| 2 * buckets.span())
    }
}
