//! A layer's parameters: what they mean is its architecture's business.

use std::sync::Arc;

use burn::{
    module::{Module, Param},
    nn::{Embedding, LayerNorm, Linear},
    tensor::Tensor,
};

use crate::backend::prepacked::PrepackedLayer;

/// Width of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerShape {
    /// Attention heads kept.
    pub heads: usize,
    /// FFN neurons kept.
    pub ffn: usize,
    /// 0-based layer of the teacher that it was copied from; for a stock model, itself.
    pub from_teacher_layer: usize,
    /// How far a token attends to each side, in tokens; `None`: to all.
    pub reach: Option<usize>,
    /// Whether it lacks the norm before its attention, as the first layer of `ModernBERT` does, which reads embeddings that
    /// are normalised already.
    pub bare: bool,
}

/// Sizes of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    /// Hidden width.
    pub hidden: usize,
    /// Heads.
    pub heads: usize,
    /// Heads side by side: heads * `head_dim`.
    pub attention: usize,
    /// Neurons of the FFN.
    pub neurons: usize,
    /// 0-based layer of the teacher that it was copied from.
    pub origin: usize,
    /// See [`LayerShape::reach`](LayerShape::reach).
    pub reach: Option<usize>,
    /// See [`LayerShape::bare`](LayerShape::bare).
    pub bare: bool,
}

/// One encoder layer: the parts that its architecture declares, in that order.
#[derive(Module, Debug)]
pub struct Layer {
    parts: Vec<Component>,
    /// Its sizes.
    #[module(skip)]
    pub widths: Widths,
    /// The layer prepacked, in the place of its matrices ([`Layer::give_up`]).
    #[module(skip)]
    pub prepacked: Option<Arc<PrepackedLayer>>,
}

/// The parameters of a part.
#[derive(Module, Debug)]
pub enum Component {
    /// `[in, out]`, and a bias where one is declared.
    Linear(Linear),
    /// Gain, and a bias where one is declared; none in a layer that lacks it.
    Norm(Option<LayerNorm>),
    /// `[rows, hidden]`
    Relative(Embedding),
}

impl Component {
    /// The linear layer that this is.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn linear(&self) -> &Linear {
        match self {
            Self::Linear(linear) => linear,
            Self::Norm(_) | Self::Relative(_) => panic!("this part is not linear"),
        }
    }

    /// The norm that this is; none in a layer that lacks it.
    ///
    /// # Panics
    /// It is none in any layer.
    #[must_use]
    pub fn norm(&self) -> Option<&LayerNorm> {
        match self {
            Self::Norm(norm) => norm.as_ref(),
            Self::Linear(_) | Self::Relative(_) => panic!("this part is no norm"),
        }
    }

    /// The embedding of relative positions `[rows, hidden]` that this is.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn relative(&self) -> Tensor<2> {
        match self {
            Self::Relative(embedding) => embedding.weight.val(),
            Self::Linear(_) | Self::Norm(_) => panic!("this part is no embedding"),
        }
    }
}

/// Stands where pruning may remove something: sees what passes, and may change it.
pub trait Probe {
    /// `[tokens, heads * head_dim]` what a layer's heads say.
    fn context(&self, layer: usize, context: Tensor<2>) -> Tensor<2>;
    /// `[tokens, ffn]` a layer's neurons after their activation.
    fn neurons(&self, layer: usize, neurons: Tensor<2>) -> Tensor<2>;
}

impl Layer {
    /// Of the parts that an architecture declares.
    #[must_use]
    pub fn new(parts: Vec<Component>, widths: Widths) -> Self {
        Self { parts, widths, prepacked: None }
    }

    /// The parts, as declared.
    #[must_use]
    pub fn parts(&self) -> &[Component] {
        &self.parts
    }

    /// The linear part at a place.
    ///
    /// # Panics
    /// When no linear part is declared there.
    #[must_use]
    pub fn linear(&self, place: usize) -> &Linear {
        self.parts[place].linear()
    }

    /// The norm at a place.
    ///
    /// # Panics
    /// When no norm is declared there, or the layer lacks it.
    #[must_use]
    pub fn norm(&self, place: usize) -> &LayerNorm {
        self.parts[place].norm().expect("every layer has this norm")
    }

    /// The norm at a place that a bare layer lacks.
    ///
    /// # Panics
    /// When no norm is declared there.
    #[must_use]
    pub fn norm_if_any(&self, place: usize) -> Option<&LayerNorm> {
        self.parts[place].norm()
    }

    /// Takes a prepacked layer in the place of its matrices, whose memory is free again.
    ///
    /// # Panics
    /// When it has one already.
    pub fn give_up(&mut self, prepacked: PrepackedLayer) {
        assert!(self.prepacked.is_none(), "a layer is prepacked once");
        self.prepacked = Some(Arc::new(prepacked));
        for part in &mut self.parts {
            if let Component::Linear(Linear { weight, .. }) = part {
                *weight = Param::from_tensor(Tensor::empty([0, 0], &weight.device()));
            }
        }
    }
}
