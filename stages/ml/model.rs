//! The encoder: RoBERTa/CamemBERT token classifier on packed rows `[tokens, hidden]` (Liu et al. 2019, Martin et al. 2020).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::{
    module::{Module, Param},
    nn::{Embedding, LayerNorm, Linear},
    tensor::{Device, Tensor},
};
use stage_contract::{Artifact, Invalid, Kind, StageError};

pub use self::frozen::Form;
pub(crate) use self::frozen::Frozen;
pub use crate::ml::packed::Packed;
use crate::ml::{
    config::Config,
    crf::Crf,
    folder,
    fused::{self, Rows},
    host::host,
    layout,
    losses::CrfWeights,
    precision::Precision,
    tokenizer::Tokenizer,
    weights::Weights,
};

/// Network and CRF weights. Hidden states are counted from the embeddings: 0 = embeddings, i + 1 = after layer i.
///
/// `train()` moves it to autodiff and `valid()` back; parameter ids follow from the tensors' names
/// ([`crate::ml::layout::parameter_id`]).
#[derive(Module, Debug)]
pub struct Network {
    /// Sub-words `[vocab, hidden]`.
    pub word: Embedding,
    /// Positions with the token type folded in `[positions, hidden]`.
    pub position: Embedding,
    /// Normalises the embeddings.
    pub norm: LayerNorm,
    /// First to last.
    pub layers: Vec<Layer>,
    /// Classifier `[hidden, labels]`.
    pub head: Linear,
    /// A student's CRF.
    pub crf: Option<CrfParameters>,
    /// What its passes compute in; its weights are f32.
    #[module(skip)]
    pub(crate) precision: Precision,
}

/// One encoder layer, post-LayerNorm; `a` = heads * `head_dim`.
#[derive(Module, Debug)]
pub struct Layer {
    /// `[hidden, a]`
    pub query: Linear,
    /// `[hidden, a]`
    pub key: Linear,
    /// `[hidden, a]`
    pub value: Linear,
    /// `[a, hidden]`
    pub attention_output: Linear,
    /// After the attention's residual.
    pub attention_norm: LayerNorm,
    /// `[hidden, ffn]`
    pub up: Linear,
    /// `[ffn, hidden]`
    pub down: Linear,
    /// After the FFN's residual.
    pub ffn_norm: LayerNorm,
    pub(crate) heads: usize,
    /// The layer packed, in the place of its matrices, once [`Network::freeze`] did so.
    #[module(skip)]
    pub(crate) frozen: Option<Arc<Frozen>>,
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

/// What a forward pass gives.
pub struct Output {
    /// `[tokens, labels]`
    pub logits: Tensor<2>,
    /// `[tokens, hidden]` for each hidden state asked for, in the order asked.
    pub hidden: Vec<Tensor<2>>,
}

/// Stands where pruning may remove something: sees what passes, and may change it.
pub trait Probe {
    /// `[tokens, heads * head_dim]` what a layer's heads say.
    fn context(&self, layer: usize, context: Tensor<2>) -> Tensor<2>;
    /// `[tokens, ffn]` a layer's neurons after GELU.
    fn neurons(&self, layer: usize, neurons: Tensor<2>) -> Tensor<2>;
}

/// Factors on what pruning may remove, one entry a layer.
#[derive(Clone, Debug)]
pub struct Gates {
    /// `[heads]` on each head's context.
    pub heads: Vec<Tensor<1>>,
    /// `[ffn]` on each neuron after GELU.
    pub ffn: Vec<Tensor<1>>,
}

impl Network {
    /// Forward pass. `hidden` names the states wanted (0 = embeddings).
    #[must_use]
    pub fn forward(&self, batch: &Packed, hidden: &[usize]) -> Output {
        self.forward_probed(batch, hidden, None)
    }

    /// Forward pass with a probe on all heads and neurons.
    #[must_use]
    pub fn forward_probed(&self, batch: &Packed, hidden: &[usize], probe: Option<&dyn Probe>) -> Output {
        let rows = batch.layout.at(self.precision, &batch.ids.device());
        let words = self.word.weight.val().select(0, batch.ids.clone());
        let positions = self.position.weight.val().select(0, batch.positions.clone());
        let mut x = rows.add_norm(&self.norm, words, positions);
        let mut states = vec![None; self.layers.len() + 1];
        let keep = |states: &mut Vec<Option<Tensor<2>>>, state: usize, x: &Tensor<2>| {
            if hidden.contains(&state) {
                states[state] = Some(x.clone());
            }
        };
        keep(&mut states, 0, &x);
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &rows, probe.map(|probe| (index, probe)));
            keep(&mut states, index + 1, &x);
        }
        Output {
            logits: rows.wide(rows.linear(&self.head, x)),
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

    /// The same network for reading alone. Where the kernels run, in f32 and without gradients, its layers are packed and
    /// their matrices given up: forward passes without a probe are all that is left. Elsewhere it is as it was.
    #[must_use]
    pub fn freeze(mut self, config: &Config, form: Form) -> Self {
        let device = self.device();
        if fused::runs_on(&device) && !device.is_autodiff() && self.precision == Precision::F32 {
            for layer in &mut self.layers {
                layer.freeze(config, form);
            }
        }
        self
    }

    /// Query, key and value `[rows, heads * head_dim]` of a layer, from rows of the state that it reads.
    pub(crate) fn attended(&self, layer: usize, layout: &Rows, rows: &Tensor<2>) -> [Tensor<2>; 3] {
        let layer = &self.layers[layer];
        assert!(layer.frozen.is_none(), "a frozen layer has no matrices");
        let layout = layout.at(self.precision, &rows.device());
        [&layer.query, &layer.key, &layer.value].map(|part| layout.wide(layout.linear(part, rows.clone())))
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

impl Layer {
    /// `[tokens, hidden]` -> `[tokens, hidden]`
    fn forward(&self, x: Tensor<2>, rows: &Rows, probe: Option<(usize, &dyn Probe)>) -> Tensor<2> {
        if let Some(frozen) = &self.frozen {
            return match (rows, probe) {
                (Rows::Fused { starts, .. }, None) => fused::frozen(x, frozen, starts),
                _ => panic!("a frozen network is read by the kernels, and without a probe"),
            };
        }
        let mut context = rows.attention([&self.query, &self.key, &self.value], self.heads, &x);
        if let Some((layer, probe)) = probe {
            context = probe.context(layer, rows.wide(context));
        }
        let x = rows.add_norm(&self.attention_norm, rows.linear(&self.attention_output, context), x);
        let mut neurons = rows.linear_gelu(&self.up, x.clone());
        if let Some((layer, probe)) = probe {
            neurons = probe.neurons(layer, rows.wide(neurons));
        }
        rows.add_norm(&self.ffn_norm, rows.linear(&self.down, neurons), x)
    }
}

impl Gates {
    /// All 1: the network as it is. On an autodiff device they take gradients.
    #[must_use]
    pub fn open(network: &Network, device: &Device) -> Self {
        let ones = |size| {
            let gates = Tensor::<1>::ones([size], device);
            if device.is_autodiff() { gates.require_grad() } else { gates }
        };
        Self {
            heads: network.layers.iter().map(|layer| ones(layer.heads)).collect(),
            ffn: network.layers.iter().map(|layer| ones(layer.up.weight.dims()[1])).collect(),
        }
    }
}

impl Probe for Gates {
    fn context(&self, layer: usize, context: Tensor<2>) -> Tensor<2> {
        let gates = self.heads[layer].clone();
        let ([tokens, width], [heads]) = (context.dims(), gates.dims());
        let context = context.reshape([tokens, heads, width / heads.max(1)]);
        (context * gates.reshape([1, heads, 1])).reshape([tokens, width])
    }

    fn neurons(&self, layer: usize, neurons: Tensor<2>) -> Tensor<2> {
        neurons * self.ffn[layer].clone().unsqueeze()
    }
}

/// A model as a folder holds it.
#[derive(Clone)]
pub struct Model {
    /// Shape.
    pub config: Config,
    /// Weights.
    pub network: Network,
    /// Sub-words.
    pub tokenizer: Tokenizer,
}

impl Model {
    /// The same model, whose network computes in `precision` from now on.
    #[must_use]
    pub fn at(self, precision: Precision) -> Self {
        Self { network: self.network.at(precision), ..self }
    }

    /// The same model for reading alone ([`Network::freeze`]).
    #[must_use]
    pub fn freeze(self, form: Form) -> Self {
        Self { network: self.network.freeze(&self.config, form), ..self }
    }

    /// Reads config, weights (f32, f16, bf16) and tokenizer; the padding's id must agree.
    ///
    /// # Errors
    /// Names the file and tensor that is missing, of another shape, or unused.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, StageError> {
        let (config, tokenizer) = outside(folder)?;
        let weights = Weights::load(folder)?;
        let network = Network::from_weights(&config, weights, device)?;
        Ok(Self { config, network, tokenizer })
    }

    /// Writes config.json, model.safetensors (f32, Hugging Face's names, CRF as `crf.*`), tokenizer.json, and beside it what
    /// transformers reads of special tokens and the longest text. The folder may exist.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, folder: &Path) -> Result<(), StageError> {
        fs::create_dir_all(folder).map_err(|e| StageError::io("create", folder, e))?;
        let mut config = self.config.clone();
        config.name_special(self.tokenizer.special());
        let [roles, special] = self.tokenizer.files(config.max_pieces());
        for (name, bytes) in [
            (folder::CONFIG, config.json().as_bytes()),
            (folder::TOKENIZER, self.tokenizer.json()),
            (roles.0, roles.1.as_bytes()),
            (special.0, special.1.as_bytes()),
        ] {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|e| StageError::io("write", &path, e))?;
        }
        self.network.weights(&self.config).save(&folder.join(folder::WEIGHTS))
    }

    /// The CRF on the host, when there is one.
    #[must_use]
    pub fn crf(&self) -> Option<Crf> {
        let weights = self.network.crf_weights()?;
        let (transitions, start, end) = (host(weights.transitions), host(weights.start), host(weights.end));
        Some(Crf::new(&self.config.labels, &transitions, &start, &end))
    }
}

/// A model that a stage writes; one that it reads is a [`ModelFolder`], because only the stage knows on which device.
impl Artifact for Model {
    const KIND: Kind = Kind::MODEL;

    /// On the CPU.
    fn load(path: &Path) -> Result<Self, StageError> {
        Self::load(path, &Device::flex())
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        self.save(path)
    }
}

/// What a model folder says apart from its weights' values: quick to read, so that mistakes show before any work.
///
/// # Errors
/// A file is unreadable, or the two disagree about the special ids or the vocabulary.
pub fn outside(folder: &Path) -> Result<(Config, Tokenizer), StageError> {
    let config = Config::load(folder)?;
    let tokenizer = Tokenizer::load(folder, config.vocab)?;
    config.check_special(tokenizer.special())?;
    layout::check(&config, &Weights::shapes(folder)?)?;
    Ok((config, tokenizer))
}

/// Looks at a model folder before it is used.
///
/// # Errors
/// As [`outside`].
pub fn look(folder: &Path) -> Result<(), Invalid> {
    outside(folder).map(drop).map_err(|e| Invalid::of(&e))
}

/// A model on the edge of the graph: where it lies, so that a stage reads as much of it as it needs, on its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
}

impl ModelFolder {
    /// Reads it.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn open(&self, device: &Device) -> Result<Model, StageError> {
        Model::load(&self.path, device)
    }

    /// blake3 of the weights (of all shards, one after another), in hex: whose word a silver tag is.
    ///
    /// # Errors
    /// When they are unreadable.
    pub fn digest(&self) -> Result<String, StageError> {
        let mut hasher = blake3::Hasher::new();
        for path in folder::weights(&self.path)? {
            let file = fs::File::open(&path).map_err(|e| StageError::io("read", &path, e))?;
            hasher.update_reader(file).map_err(|e| StageError::io("read", &path, e))?;
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}

impl Artifact for ModelFolder {
    const KIND: Kind = Kind::MODEL;

    fn load(path: &Path) -> Result<Self, StageError> {
        Ok(Self { path: path.to_owned() })
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        fs::create_dir_all(path).map_err(|e| StageError::io("create", path, e))?;
        let beside = [folder::INDEX, folder::TOKENIZER_CONFIG, folder::SPECIAL_TOKENS, folder::ADDED_TOKENS];
        let beside = beside.map(|name| self.path.join(name)).into_iter().filter(|path| path.exists());
        for from in folder::files(&self.path)?.into_iter().chain(beside) {
            let to = path.join(from.strip_prefix(&self.path).unwrap_or(&from));
            let parent = to.parent().unwrap_or(path);
            fs::create_dir_all(parent).map_err(|e| StageError::io("create", parent, e))?;
            fs::copy(&from, &to).map_err(|e| StageError::io("copy", &from, e))?;
        }
        Ok(())
    }
}

mod frozen;
#[cfg(test)]
mod parity;
#[cfg(test)]
pub(crate) mod tests;
