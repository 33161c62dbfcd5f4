//! The one door through which foreign tokenizers come. The library that builds them trusts what it reads, and panics, or
//! fails at the first unknown character, where that is damaged: so it is looked at before, and watched while it works.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};
use stage_contract::StageError;
use tokenizers::Tokenizer;

use super::charsmap;

fn malformed(what: impl std::fmt::Display) -> StageError {
    StageError::new(format!("malformed tokenizer: {what}"))
        .help("copy it again from the model's own repository")
}

/// Builds what a tokenizer.json describes.
///
/// # Errors
/// It is damaged.
pub(super) fn open(value: &Value, json: &[u8]) -> Result<Tokenizer, StageError> {
    model(&value["model"])?;
    charsmaps(&value["normalizer"])?;
    around(&value["post_processor"])?;
    watched(|| Tokenizer::from_bytes(json))
}

/// The bytes of its tokenizer.json.
///
/// # Errors
/// The library cannot write it.
pub(super) fn written(tokenizer: &Tokenizer) -> Result<Vec<u8>, StageError> {
    watched(|| tokenizer.to_string(false)).map(String::into_bytes)
}

/// Does what may panic where a tokenizer is damaged.
///
/// # Errors
/// It failed or panicked.
pub(super) fn watched<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, StageError> {
    // It warns of habits that harm nobody, such as `<unk>` twice in a vocabulary, or a number without a piece.
    let silent = tracing::subscriber::NoSubscriber::default();
    match catch_unwind(AssertUnwindSafe(|| tracing::subscriber::with_default(silent, work))) {
        Ok(result) => result.map_err(|e| {
            StageError::because("malformed tokenizer", e)
                .help("copy it again from the model's own repository")
        }),
        Err(_) => Err(malformed("the library that reads it gives up")),
    }
}

/// The kind of a `model`; older files leave it to be told by the fields.
pub(super) fn kind(model: &Value) -> &str {
    let has = |field: &str| model.get(field).is_some();
    model["type"].as_str().unwrap_or_else(|| match &model["vocab"] {
        Value::Array(_) => "Unigram",
        Value::Object(_) if has("merges") => "BPE",
        Value::Object(_) if has("max_input_chars_per_word") => "WordPiece",
        Value::Object(_) => "WordLevel",
        _ => "unknown",
    })
}

/// Unknown text has an id, and merges join what there is.
fn model(model: &Value) -> Result<(), StageError> {
    let unknown = &model["unk_token"];
    let vocab = model["vocab"].as_object();
    let has = |piece: &str| vocab.is_some_and(|vocab| vocab.contains_key(piece));
    let named = || unknown.as_str().is_some_and(has);
    let missing = || {
        let name = unknown.as_str().map(|name| format!(" `{name}`")).unwrap_or_default();
        malformed(format_args!("its unknown token{name} is not in its vocabulary"))
    };
    match kind(model) {
        "Unigram" => {
            let count = model["vocab"].as_array().map_or(0, Vec::len) as u64;
            if model["unk_id"].as_u64().is_none_or(|id| id >= count) {
                return Err(missing());
            }
        }
        "WordPiece" | "WordLevel" if !named() => return Err(missing()),
        "BPE" => {
            if !unknown.is_null() && !named() {
                return Err(missing());
            }
            merges(model, vocab)?;
        }
        _ => {}
    }
    let ids = vocab.into_iter().flat_map(Map::values);
    if ids.into_iter().any(|id| id.as_u64().is_none_or(|id| u32::try_from(id).is_err())) {
        return Err(malformed("an id of its vocabulary is no whole number"));
    }
    Ok(())
}

fn merges(model: &Value, vocab: Option<&Map<String, Value>>) -> Result<(), StageError> {
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
    for (number, merge) in (1..).zip(model["merges"].as_array().into_iter().flatten()) {
        let pair = match merge {
            Value::String(pair) => pair.split_once(' '),
            pair => pair[0].as_str().zip(pair[1].as_str()),
        };
        let (left, right) = pair.ok_or_else(|| malformed(format_args!("its merge {number} is no pair")))?;
        // A continuing piece loses its prefix when it is joined.
        let joined = right.strip_prefix(prefix).map(|right| [left, right].concat());
        let known = |piece: &str| vocab.is_some_and(|vocab| vocab.contains_key(piece));
        if !(known(left) && known(right) && joined.is_some_and(|joined| known(&joined))) {
            return Err(malformed(format_args!(
                "its merge {number} joins pieces that are not in its vocabulary"
            )));
        }
    }
    Ok(())
}

/// Looks at every `precompiled_charsmap`.
fn charsmaps(normalizer: &Value) -> Result<(), StageError> {
    if let Some(charsmap) = normalizer["precompiled_charsmap"].as_str() {
        let damaged =
            |what: &dyn std::fmt::Display| malformed(format_args!("its normalisation is damaged: {what}"));
        let bytes = BASE64_STANDARD.decode(charsmap).map_err(|e| damaged(&e))?;
        charsmap::check(&bytes).map_err(|what| damaged(&what))?;
    }
    normalizer["normalizers"].as_array().into_iter().flatten().try_for_each(charsmaps)
}

/// Every special token that a template names is one that it describes.
fn around(processor: &Value) -> Result<(), StageError> {
    let steps =
        ["single", "pair"].into_iter().flat_map(|name| processor[name].as_array().into_iter().flatten());
    for step in steps {
        let token = step["SpecialToken"]["id"].as_str();
        if token.is_some_and(|token| {
            processor["special_tokens"][token]["ids"].as_array().is_none_or(Vec::is_empty)
        }) {
            return Err(malformed("its post-processor names a token without an id"));
        }
    }
    processor["processors"].as_array().into_iter().flatten().try_for_each(around)
}
