//! Models for other programs: ONNX, 8 bits, stock Hugging Face folders. Each is compared with its model before it counts.

pub mod check;
pub mod folder;
pub mod hf;
pub mod onnx;
pub mod runtime;
pub mod target;

use std::{fs, path::Path};

use encoder::{card::Holds, config::Config, model::Model, weights::Stored};
use serde::Serialize;
use stage_contract::StageError;

use self::{check::Reference, onnx::Precision, runtime::Runtime};
pub use self::{
    check::{Comparison, Texts},
    folder::Folder,
    target::Target,
};

/// The file of an export to ONNX.
pub use text::folder::ONNX as FILE;

/// How far logits of an export in f32 may be from its model's: runtimes add in another order.
const TOLERANCE: f64 = 1e-4;

/// An export, and how it compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exported {
    /// What the model became.
    pub to: Target,
    /// Bytes of its weights' file.
    pub bytes: u64,
    /// How it compares with the model.
    pub check: Comparison,
    /// What is worth knowing before it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

/// Whether a model can become this, as far as its shape tells.
///
/// # Errors
/// It cannot.
pub fn check(config: &Config, to: Target) -> Result<(), StageError> {
    match to {
        Target::Onnx | Target::OnnxInt8 => onnx::check(config.architecture),
        Target::Hf => hf::check(config),
        Target::HfDense => hf::dense_shape(config).map(drop),
    }
}

/// Writes a model, on the CPU, into a folder that is not there yet, and compares what was written with the model. In 8 bits at
/// most `max_loss` points of the entities' F1 may be lost; elsewhere no word's tag may differ, and no logit by more than 1e-4.
/// `scores` is a section of the card.
///
/// # Errors
/// The model cannot become this, the export says something else than the model, or the disk refuses. What was written by
/// then is worth nothing.
pub fn export(
    model: &Model,
    to: Target,
    texts: &Texts,
    max_loss: f64,
    scores: Option<&str>,
    folder: &Path,
) -> Result<Exported, StageError> {
    check(&model.config, to)?;
    let reference = Reference::new(model, texts)?;
    let (file, said, written, holds) = match to {
        Target::Onnx | Target::OnnxInt8 => {
            let precision = if to == Target::Onnx { Precision::F32 } else { Precision::Int8 };
            let bytes = onnx::encode(model, precision)?;
            model.describe(folder, Holds::Onnx)?;
            let file = folder.join(FILE);
            fs::write(&file, bytes).map_err(|e| StageError::io("write", &file, e))?;
            let pad = model.tokenizer.special().pad;
            let runtime = Runtime::load(&file, pad, onnx::takes_types(&model.config))?;
            let said = reference.read_by(|windows| runtime.read(windows))?;
            (file, said, model.config.clone(), Holds::Onnx)
        }
        Target::Hf | Target::HfDense => {
            let dense = if to == Target::Hf { None } else { Some(hf::dense(model)?) };
            let written = dense.as_ref().unwrap_or(model);
            written.save(folder)?;
            let config = written.config.clone();
            let stock = hf::read_stock(folder, &model.network.device())?;
            let file = folder.join(text::folder::WEIGHTS);
            (file, reference.said_by(&stock)?, config, Holds::Weights(Stored::F32))
        }
    };
    let check = reference.compare(&said);
    judge(&check, to, max_loss)?;
    if let Some(scores) = scores {
        let card = folder.join(text::folder::CARD);
        fs::write(&card, encoder::card::card(&written, holds, Some(scores)))
            .map_err(|e| StageError::io("write", &card, e))?;
    }
    let bytes = fs::metadata(&file).map_err(|e| StageError::io("read", &file, e))?.len();
    Ok(Exported { to, bytes, check, note: to.note() })
}

/// # Errors
/// The export is another model.
fn judge(check: &Comparison, to: Target, max_loss: f64) -> Result<(), StageError> {
    let Comparison { texts, words, other_tags, logits_within, agreement, .. } = check;
    if to == Target::OnnxInt8 {
        // Where neither finds an entity, all tags are O.
        let lost = agreement.map_or(0.0, |agreement| 100.0 - agreement);
        // What is no number is no loss that is small enough.
        if lost <= max_loss && logits_within.is_finite() {
            return Ok(());
        }
        return Err(StageError::new(format!(
            "8 bits lose {lost:.2} points of F1 against the model itself ({other_tags} of {words} words in {texts} texts \
             have another tag), and at most {max_loss} are allowed"
        ))
        .help(format!("use `onnx`, or allow it: max_loss = {:.1} (`--max-loss` of the command)", (lost * 10.0).ceil() / 10.0)));
    }
    // Not `>`: what is no number is not near either.
    if *other_tags == 0 && *logits_within <= TOLERANCE * 1.000_001 {
        return Ok(());
    }
    Err(StageError::new(format!(
        "the export says something else than the model: {other_tags} of {words} words in {texts} texts have another tag, and \
         logits differ by up to {logits_within:.0e}"
    ))
    .help("report this with the model's config.json; `predict --model` reads the model itself"))
}

#[cfg(test)]
mod tests;
