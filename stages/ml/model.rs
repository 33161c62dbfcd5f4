//! The encoder: RoBERTa/CamemBERT token classifier on packed rows `[tokens, hidden]`.

use std::path::Path;

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Device, Int, Tensor},
};
use stage_contract::StageError;

use crate::ml::{batch::Batch, config::Config, tokenizer::Tokenizer};

/// Network and CRF weights. Hidden states are counted as FORMATS does: 0 = embeddings, i + 1 = after layer i.
#[derive(Module, Debug)]
pub struct Network {
    /// Classifier `[hidden, labels]`.
    pub head: Linear,
}

/// A batch on a device. Attention alone pads, through `gather`/`scatter` indices made once a batch.
pub struct Packed {
    /// `[tokens]`
    pub ids: Tensor<1, Int>,
    /// `[words]` rows to read words off.
    pub rows: Tensor<1, Int>,
}

impl Packed {
    /// Uploads a batch.
    #[must_use]
    pub fn new(batch: &Batch, config: &Config, device: &Device) -> Self {
        let _ = (batch, config, device);
        todo!()
    }
}

/// What a forward pass gives.
pub struct Output {
    /// `[tokens, labels]`
    pub logits: Tensor<2>,
    /// `[tokens, hidden]` for each hidden state asked for, in the order asked.
    pub hidden: Vec<Tensor<2>>,
}

impl Network {
    /// Forward pass. `hidden` names the states wanted (0 = embeddings).
    #[must_use]
    pub fn forward(&self, batch: &Packed, hidden: &[usize]) -> Output {
        let _ = (batch, hidden);
        todo!()
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
    /// Reads `config.json`, `model.safetensors` (f32, f16, bf16), `tokenizer.json`; special ids must agree.
    ///
    /// # Errors
    /// Names the file and tensor that is missing, of another shape, or unused.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, StageError> {
        let _ = (folder, device);
        todo!()
    }

    /// Writes the same three files, weights in f32 under Hugging Face's names, CRF as `crf.*`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, folder: &Path) -> Result<(), StageError> {
        let _ = folder;
        todo!()
    }
}
