//! From encoded texts to tags and entities: forward passes, then decoding.

use std::collections::BTreeMap;

use burn::tensor::Device;
use rayon::prelude::*;
use stage_contract::{Progress, StageError};

use crate::{
    batch::Encoded,
    config::Decode,
    decode::{Decoded, Decoding, decode},
    infer::{WordLogits, word_logits},
    model::Model,
};
use text::labels::{Policy, Scheme, Span, spans};

/// What a model says of texts, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tagged {
    /// Of each text's words.
    pub logits: Vec<WordLogits>,
    /// Of each text.
    pub decoded: Vec<Decoded>,
    /// Entities of each type that was made outside.
    pub made_outside: BTreeMap<String, usize>,
}

impl Tagged {
    /// The entities of each text.
    #[must_use]
    pub fn spans(&self) -> Vec<Vec<Span>> {
        self.decoded.iter().map(|text| spans(&text.tags, Scheme::Bio)).collect()
    }
}

/// Tags texts in batches of at most `budget` tokens ([`word_logits`]), as the model is to be decoded ([`decode`]).
/// Types in `outside` become O, as do those that students are to take for it ([`Policy::Outside`]).
///
/// # Errors
/// A logit is not finite.
pub fn tag(
    model: &Model,
    texts: &[Encoded],
    budget: usize,
    outside: &[&str],
    device: &Device,
    progress: Option<&mut Progress<'_>>,
) -> Result<Tagged, StageError> {
    let (labels, by) = (&model.config.labels, Decoding::of(model));
    let outside: Vec<&str> = labels.types_to(Policy::Outside).chain(outside.iter().copied()).collect();
    let logits = word_logits(model, texts, budget, device, progress)?;
    let decoded = |outside: &[&str]| -> Vec<Decoded> {
        logits.par_iter().map(|logits| decode(labels, &by, logits, outside)).collect()
    };
    let mut made_outside: BTreeMap<String, usize> =
        outside.iter().map(|kind| ((*kind).to_owned(), 0)).collect();
    if !outside.is_empty() {
        for entity in decoded(&[]).iter().flat_map(Decoded::entities) {
            if let Some(count) = made_outside.get_mut(&entity.kind) {
                *count += 1;
            }
        }
    }
    Ok(Tagged { decoded: decoded(&outside), logits, made_outside })
}

/// The tags of texts by every way that the model has, its own among them, of what [`tag`] found with the same `outside`.
#[must_use]
pub fn ways(model: &Model, tagged: &Tagged, outside: &[&str]) -> BTreeMap<Decode, Vec<Vec<String>>> {
    let labels = &model.config.labels;
    let outside: Vec<&str> = labels.types_to(Policy::Outside).chain(outside.iter().copied()).collect();
    let by = |(way, by): (Decode, Decoding)| {
        let tags = if way == model.config.decode {
            tagged.decoded.iter().map(|text| text.tags.clone()).collect()
        } else {
            tagged.logits.par_iter().map(|logits| decode(labels, &by, logits, &outside).tags).collect()
        };
        (way, tags)
    };
    Decoding::all(model).into_iter().map(by).collect()
}
