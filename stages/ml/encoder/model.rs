//! A model folder: configuration, weights and tokenizer, as Hugging Face lays them out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stage_contract::{Artifact, Invalid, Kind, Preview, Shape, StageError, given};

use crate::{
    backend::{precision::Precision, prepacked::WeightFormat, readback::host},
    card::{self, Holds, card},
    config::{Config, Declared},
    crf::Crf,
    layout,
    network::Network,
    weights::{Stored, Wanted, Weights},
};
use text::{folder, labels::Types, tokenizer::Tokenizer};

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

    /// The same model for inference alone ([`Network::prepack`]).
    #[must_use]
    pub fn prepack(self, format: WeightFormat) -> Self {
        Self { network: self.network.prepack(&self.config, format), ..self }
    }

    /// Reads config, weights (f32, f16, bf16) and tokenizer; the padding's id must agree.
    ///
    /// # Errors
    /// Names the file and tensor that is missing, of another shape, or unused.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, StageError> {
        let (config, tokenizer) = outside(folder)?;
        let mut weights = weights(folder, &config)?;
        layout::take_apart(&config, &mut weights)?;
        let network = Network::from_weights(&config, weights, device)?;
        Ok(Self { config, network, tokenizer })
    }

    /// Writes config.json, model.safetensors (f32, Hugging Face's names, CRF as `crf.*`), tokenizer.json, and beside it what
    /// transformers reads of special tokens and the longest text, and the card. The folder may exist.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, folder: &Path) -> Result<(), StageError> {
        self.save_as(folder, Stored::F32)
    }

    /// [`Model::save`] with its weights stored as asked.
    ///
    /// # Errors
    /// A value does not fit, or the disk refuses.
    pub fn save_as(&self, folder: &Path, stored: Stored) -> Result<(), StageError> {
        self.describe(folder, Holds::Weights(stored))?;
        let mut weights = self.network.weights(&self.config);
        layout::put_together(&self.config, &mut weights);
        weights.save(&folder.join(folder::WEIGHTS), stored)
    }

    /// Writes all but the weights, as [`Self::save`] does. The folder may exist.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn describe(&self, folder: &Path, holds: Holds) -> Result<(), StageError> {
        const LARGE: &str =
            "*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.onnx filter=lfs diff=lfs merge=lfs -text\n";
        fs::create_dir_all(folder).map_err(|e| StageError::io("create", folder, e))?;
        let mut config = self.config.clone();
        config.name_special(self.tokenizer.special());
        let [roles, special] = self.tokenizer.files(config.max_pieces());
        for (name, bytes) in [
            (folder::CONFIG, config.json().as_bytes()),
            (folder::TOKENIZER, self.tokenizer.json()),
            (roles.0, roles.1.as_bytes()),
            (special.0, special.1.as_bytes()),
            (folder::CARD, card(&config, holds, None).as_bytes()),
            (folder::GIT_ATTRIBUTES, LARGE.as_bytes()),
        ] {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|e| StageError::io("write", &path, e))?;
        }
        Ok(())
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
    const KIND: Kind = Kind {
        name: "model",
        shape: Shape::Folder,
        extension: "",
        doc: "a token classifier in Hugging Face layout: config.json, safetensors, and a tokenizer",
    };

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
    let (config, tokenizer) = without_weights(folder)?;
    let (shapes, left) = Weights::shapes(folder, &wanted(&config))?;
    layout::check(&config, &shapes, &left)?;
    Ok((config, tokenizer))
}

fn without_weights(folder: &Path) -> Result<(Config, Tokenizer), StageError> {
    let config = Config::load(folder)?;
    let tokenizer = Tokenizer::load(folder, config.vocab)?;
    config.check_special(tokenizer.special())?;
    Ok((config, tokenizer))
}

/// The weights of a folder that a model of this shape uses.
///
/// # Errors
/// As [`Weights::load`].
pub fn weights(folder: &Path, config: &Config) -> Result<Weights, StageError> {
    Weights::load(folder, &wanted(config))
}

fn wanted(config: &Config) -> Wanted {
    let base = config.architecture.tensors().base();
    Wanted::Of { names: config.tensors().into_keys().collect(), base }
}

/// Looks at a model folder before it is used.
///
/// # Errors
/// As [`ModelFolder::look`].
pub fn look(folder: &Path, options: &Value) -> Result<(), Invalid> {
    let look = || ModelFolder::read(folder, options, &|_| {})?.look();
    look().map(drop).map_err(|e| Invalid::of(&e))
}

/// What a model of the hub is refused for before its weights come.
pub const PREVIEW: Preview = Preview { reads: folder::is_outside, look: preview };

fn preview(folder: &Path, options: &Value) -> Result<(), Invalid> {
    let look = || {
        let model = ModelFolder::read(folder, options, &|_| {})?;
        model.named(without_weights(&model.path)?.0)
    };
    look().map(drop).map_err(|e| Invalid::of(&e))
}

/// What the source of a model may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What its types are called, or whether students learn them: `{ PERSON = "PER", MISC = "outside", DATE = "ignore" }`.
    /// `outside` makes entities of a type O; words of a type to `ignore` are out of every loss and score. A type that is not
    /// named keeps its name.
    pub types: Types,
    /// What the cards of its students say that nothing can find out: `{ license = "mit", language = ["fr"], base_model =
    /// "owner/name" }`; else what its own card says.
    pub card: Declared,
}

/// A model on the edge of the graph: where it lies, so that a stage reads as much of it as it needs, on its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// What its source says.
    pub options: Options,
}

impl ModelFolder {
    /// Of a folder of which nothing more is said.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), options: Options::default() }
    }

    /// Reads it, its labels under the names that its source gives their types.
    ///
    /// # Errors
    /// As [`Model::load`], or the names do not fit.
    pub fn open(&self, device: &Device) -> Result<Model, StageError> {
        let mut model = Model::load(&self.path, device)?;
        model.config = self.named(model.config)?;
        Ok(model)
    }

    /// What the cards of its students say that nothing can find out: as its source says, or the model it was made from, or
    /// its own card.
    #[must_use]
    pub fn declared(&self, config: &Config) -> Declared {
        self.options.card.clone().or(config.declared()).or(card::declared(&self.path))
    }

    /// What it says apart from its weights' values.
    ///
    /// # Errors
    /// As [`outside`], or the names of types do not fit.
    pub fn look(&self) -> Result<(Config, Tokenizer), StageError> {
        let (config, tokenizer) = outside(&self.path)?;
        Ok((self.named(config)?, tokenizer))
    }

    fn named(&self, config: Config) -> Result<Config, StageError> {
        Ok(Config { labels: config.labels.renamed(&self.options.types)?, ..config })
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
    const KIND: Kind = Model::KIND;

    fn load(path: &Path) -> Result<Self, StageError> {
        Ok(Self::at(path))
    }

    fn read(path: &Path, options: &Value, _note: &dyn Fn(String)) -> Result<Self, StageError> {
        Ok(Self { path: path.to_owned(), options: given(options)? })
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        fs::create_dir_all(path).map_err(|e| StageError::io("create", path, e))?;
        for from in folder::files(&self.path)?.into_iter().chain(folder::beside(&self.path)) {
            let to = path.join(from.strip_prefix(&self.path).unwrap_or(&from));
            let parent = to.parent().unwrap_or(path);
            fs::create_dir_all(parent).map_err(|e| StageError::io("create", parent, e))?;
            fs::copy(&from, &to).map_err(|e| StageError::io("copy", &from, e))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
