//! Raw texts in, entities out: what a program that uses a model needs of it.

use std::{path::Path, str::FromStr};

use burn::tensor::Device;
use stage_contract::StageError;

use crate::{
    backend::{precision, prepacked::WeightFormat},
    calibration::Calibration,
    decode,
    infer::encode,
    model::Model,
    tagger::tag,
};
use text::{entities::Entity, words::words};

/// Tokens that the model reads at once.
const BATCH_TOKENS: usize = 2048;

/// What the encoder's layers compute in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As the model was trained.
    #[default]
    F32,
    /// Matrix products in 16 bits, on a GPU.
    Bf16,
    /// Linear layers on bytes; embeddings, norms, attention, classifier and CRF as before.
    Int8,
}

impl Precision {
    /// As the command line and Python call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found =
            [Self::F32, Self::Bf16, Self::Int8].into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| "expected f32, bf16 or int8".to_owned())
    }
}

/// A model ready to read texts.
pub struct Predictor {
    model: Model,
    calibration: Calibration,
    device: Device,
}

impl Predictor {
    /// Loads a model folder.
    ///
    /// # Errors
    /// As [`Model::load`], or the encoder has no 8-bit form.
    pub fn open(folder: &Path, device: &Device, precision: Precision) -> Result<Self, StageError> {
        let mut model = Model::load(folder, device)?;
        match precision {
            Precision::F32 => model = model.prepack(WeightFormat::F32),
            Precision::Bf16 => model = model.at(precision::Precision::Bf16),
            Precision::Int8 => {
                model = model.prepack(WeightFormat::Int8);
                if model.network.layers.iter().any(|layer| layer.prepacked.is_none()) {
                    let name = model.config.architecture.families()[0].model_type;
                    return Err(StageError::new(format!("{name} is not computed in 8 bits"))
                        .help("choose the precision f32"));
                }
            }
        }
        Self::of(model, device.clone())
    }

    /// Of a model as it is.
    ///
    /// # Errors
    /// How its scores are to be read cannot be told.
    pub fn of(model: Model, device: Device) -> Result<Self, StageError> {
        Ok(Self { calibration: model.config.calibration()?, model, device })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Entities of each text, with types as the model has them.
    ///
    /// # Errors
    /// The tokenizer refuses a text, or a logit is not finite.
    pub fn entities<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<Entity>>, StageError> {
        let words: Vec<_> = texts.iter().map(|text| words(text.as_ref())).collect();
        let pairs = texts.iter().zip(&words).map(|(text, words)| (text.as_ref(), words.as_slice()));
        self.entities_on(&pairs.collect::<Vec<_>>())
    }

    /// Entities of each text on words of its own: `[start, end)` in Unicode scalar values, ascending and disjoint.
    ///
    /// # Errors
    /// As [`Self::entities`].
    pub fn entities_on(&self, texts: &[(&str, &[[usize; 2]])]) -> Result<Vec<Vec<Entity>>, StageError> {
        let encoded = encode(&self.model, texts.iter().copied())?;
        let tagged = tag(&self.model, &encoded, BATCH_TOKENS, &[], &self.device, None)?;
        let found = |(decoded, (_, words)): (&decode::Decoded, &(&str, &[_]))| {
            decoded.entities().into_iter().map(|entity| self.place(entity, words)).collect()
        };
        Ok(tagged.decoded.iter().zip(texts).map(found).collect())
    }

    fn place(&self, entity: decode::Entity, words: &[[usize; 2]]) -> Entity {
        Entity {
            start: words[entity.start_word][0],
            end: words[entity.end_word - 1][1],
            score: self.calibration.calibrated(&entity.kind, entity.score),
            kind: entity.kind,
        }
    }
}
