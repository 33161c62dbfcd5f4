//! A layer's parameters: what they mean is its architecture's business.

use std::sync::Arc;

use burn::{
    module::{Module, Param},
    nn::{LayerNorm, Linear},
    tensor::Tensor,
};

use crate::backend::prepacked::PrepackedLayer;

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
    /// `[in, out]` and a bias.
    Linear(Linear),
    /// Gain and bias.
    Norm(LayerNorm),
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
        match &self.parts[place] {
            Component::Linear(linear) => linear,
            Component::Norm(_) => panic!("part {place} of a layer is a norm"),
        }
    }

    /// The norm at a place.
    ///
    /// # Panics
    /// When no norm is declared there.
    #[must_use]
    pub fn norm(&self, place: usize) -> &LayerNorm {
        match &self.parts[place] {
            Component::Norm(norm) => norm,
            Component::Linear(_) => panic!("part {place} of a layer is linear"),
        }
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
