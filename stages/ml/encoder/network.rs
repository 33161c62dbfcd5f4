//! An encoder with a token classifier, on rows without padding `[tokens, hidden]`.

use burn::{
    module::{Module, Param},
    nn::{Embedding, LayerNorm, Linear},
    tensor::{Device, Tensor},
};

use crate::{
    arch::{Architecture, Pass, Settings},
    backend::{
        fused::{self, Ops},
        precision::Precision,
        prepacked::WeightFormat,
    },
    config::Config,
    inputs::Inputs,
    layer::{Component, Layer, Probe, Widths},
};

/// Network and CRF weights. Hidden states are counted from the embeddings: 0 = embeddings, i + 1 = after layer i.
///
/// `train()` moves it to autodiff and `valid()` back; parameter ids follow from the tensors' names
/// ([`crate::layout::parameter_id`]).
#[derive(Module, Debug)]
pub struct Network {
    /// Sub-words `[vocab, hidden]`.
    pub word: Embedding,
    /// Positions with the token type folded in `[positions, hidden]`; none where positions are no embedding.
    pub position: Option<Embedding>,
    /// Normalises the embeddings.
    pub norm: LayerNorm,
    /// First to last.
    pub layers: Vec<Layer>,
    /// What all layers use, or what stands before the classifier, as the architecture declares it.
    pub shared: Vec<Component>,
    /// Classifier `[hidden, labels]`.
    pub head: Linear,
    /// A student's CRF.
    pub crf: Option<CrfParameters>,
    /// What its passes compute in; its weights are f32.
    #[module(skip)]
    pub precision: Precision,
    /// What the encoder has beside sizes.
    #[module(skip)]
    pub settings: Settings,
    /// What its layers compute.
    #[module(skip)]
    pub architecture: &'static dyn Architecture,
}

/// Weights of the CRF (docs/math.md, "CRF"); illegal moves are masked and so have weights without effect.
#[derive(Module, Debug)]
pub struct CrfParameters {
    /// `[labels, labels]` as [from, to]
    pub transitions: Param<Tensor<2>>,
    /// `[labels]`
    pub start: Param<Tensor<1>>,
    /// `[labels]`
    pub end: Param<Tensor<1>>,
}

/// CRF weights on the device, as the loss needs them.
#[derive(Clone, Debug)]
pub struct CrfWeights {
    /// `[labels, labels]` as [from, to]
    pub transitions: Tensor<2>,
    /// `[labels]`
    pub start: Tensor<1>,
    /// `[labels]`
    pub end: Tensor<1>,
}

/// What a forward pass gives.
pub struct Output {
    /// `[tokens, labels]`
    pub logits: Tensor<2>,
    /// `[tokens, hidden]` for each hidden state asked for, in the order asked.
    pub hidden: Vec<Tensor<2>>,
}

/// Pruning masks: factors on what pruning may remove, one entry a layer.
#[derive(Clone, Debug)]
pub struct Masks {
    /// `[heads]` on each head's context.
    pub heads: Vec<Tensor<1>>,
    /// `[ffn]` on each neuron after GELU.
    pub ffn: Vec<Tensor<1>>,
}

impl Network {
    /// Forward pass. `hidden` names the states wanted (0 = embeddings).
    #[must_use]
    pub fn forward(&self, batch: &Inputs, hidden: &[usize]) -> Output {
        self.forward_probed(batch, hidden, None)
    }

    /// Forward pass with a probe on all heads and neurons.
    ///
    /// # Panics
    /// Of a prepacked network with a probe or off the kernels: it has given its matrices up.
    #[must_use]
    pub fn forward_probed(&self, batch: &Inputs, hidden: &[usize], probe: Option<&dyn Probe>) -> Output {
        let ops = batch.ops.at(self.precision, &batch.ids.device());
        let words = self.word.weight.val().select(0, batch.ids.clone());
        let positions = match &self.position {
            Some(position) => position.weight.val().select(0, batch.positions.clone()),
            None => words.zeros_like(),
        };
        let mut x = ops.add_norm(&self.norm, words, positions);
        let pass = self.pass(batch, &ops);
        let mut states = vec![None; self.layers.len() + 1];
        let keep = |states: &mut Vec<Option<Tensor<2>>>, state: usize, x: &Tensor<2>| {
            if hidden.contains(&state) {
                states[state] = Some(x.clone());
            }
        };
        keep(&mut states, 0, &x);
        for (index, layer) in self.layers.iter().enumerate() {
            let probe = probe.map(|probe| (index, probe));
            x = match (&layer.prepacked, ops.as_ref(), probe) {
                (None, _, probe) => self.architecture.forward(layer, x, &pass, probe),
                (Some(prepacked), Ops::Kernels { starts, .. }, None) => {
                    fused::prepacked(x, prepacked, starts)
                }
                _ => panic!("a prepacked network is read by the kernels, and without a probe"),
            };
            keep(&mut states, index + 1, &x);
        }
        let x = self.architecture.finish(&self.shared, x, &ops);
        Output {
            logits: ops.wide(ops.linear(&self.head, x)),
            hidden: hidden.iter().filter_map(|state| states[*state].clone()).collect(),
        }
    }

    /// The same network, whose passes compute in `precision` from now on.
    #[must_use]
    pub fn at(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Where it is; under autodiff with how that keeps what a backward pass needs.
    #[must_use]
    pub fn device(&self) -> Device {
        self.norm.gamma.val().device()
    }

    /// The same network for inference alone. Where the kernels run, in f32 and without gradients, its layers are prepacked
    /// and their matrices given up: forward passes without a probe are all that is left. Elsewhere, and where its
    /// architecture has no such layers, it is as it was.
    #[must_use]
    pub fn prepack(mut self, config: &Config, format: WeightFormat) -> Self {
        let device = self.device();
        if fused::runs_on(&device) && !device.is_autodiff() && self.precision == Precision::F32 {
            for layer in &mut self.layers {
                #[expect(clippy::cast_possible_truncation, reason = "an ε of about 1e-5")]
                if let Some(prepacked) = self.architecture.prepack(layer, config.eps as f32, format) {
                    layer.give_up(prepacked);
                }
            }
        }
        self
    }

    /// Query, key and value `[rows, heads * head_dim]` of a layer, from rows of the state that it reads.
    ///
    /// # Panics
    /// Of a prepacked network, which has given its layers' matrices up.
    #[must_use]
    pub fn attended(&self, layer: usize, ops: &Ops, rows: &Tensor<2>) -> [Tensor<2>; 3] {
        let layer = &self.layers[layer];
        assert!(layer.prepacked.is_none(), "a prepacked layer has no matrices");
        let ops = ops.at(self.precision, &rows.device());
        self.architecture.attended(layer, rows, &ops).map(|rows| ops.wide(rows))
    }

    /// What the layers of a pass share.
    fn pass<'a>(&self, batch: &Inputs, ops: &'a Ops) -> Pass<'a> {
        let head_dim = self.layers.first().map_or(0, |layer| {
            let Widths { attention, heads, .. } = layer.widths;
            attention / heads.max(1)
        });
        let positions =
            self.architecture.positions(&self.settings, &self.shared, head_dim, &batch.positions, ops);
        Pass { ops, positions }
    }

    /// The CRF's weights as the loss needs them.
    #[must_use]
    pub fn crf_weights(&self) -> Option<CrfWeights> {
        self.crf.as_ref().map(|crf| CrfWeights {
            transitions: crf.transitions.val(),
            start: crf.start.val(),
            end: crf.end.val(),
        })
    }
}

impl Masks {
    /// All 1: the network as it is. On an autodiff device they take gradients.
    #[must_use]
    pub fn open(network: &Network, device: &Device) -> Self {
        let ones = |size| {
            let masks = Tensor::<1>::ones([size], device);
            if device.is_autodiff() { masks.require_grad() } else { masks }
        };
        Self {
            heads: network.layers.iter().map(|layer| ones(layer.widths.heads)).collect(),
            ffn: network.layers.iter().map(|layer| ones(layer.widths.neurons)).collect(),
        }
    }
}

impl Probe for Masks {
    fn context(&self, layer: usize, context: Tensor<2>) -> Tensor<2> {
        let masks = self.heads[layer].clone();
        let ([tokens, width], [heads]) = (context.dims(), masks.dims());
        let context = context.reshape([tokens, heads, width / heads.max(1)]);
        (context * masks.reshape([1, heads, 1])).reshape([tokens, width])
    }

    fn neurons(&self, layer: usize, neurons: Tensor<2>) -> Tensor<2> {
        neurons * self.ffn[layer].clone().unsqueeze()
    }
}
