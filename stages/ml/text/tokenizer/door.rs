//! The one door through which foreign tokenizers come. The library that builds them trusts what it reads, and panics, or
//! fails at the first unknown character, where that is damaged: so it is looked at before, and watched while it works.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};
use stage_contract::StageError;
use tokenizers::{
    DecoderWrapper, Encoding, ModelWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};

use super::{
    bounded::{self, Bounded},
    steps,
};
use crate::foreign::caught;

/// The library's tokenizer, with a normaliser that stops.
pub(super) type Inner =
    TokenizerImpl<ModelWrapper, Bounded, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Characters of the longest word that a `WordPiece` model takes apart; transformers writes 100. It looks up every part of
/// a word, so that time grows with the third power.
const LONGEST_WORD: u64 = 1000;
/// Bytes of what a model puts before or behind each piece that it looks up; real ones have two.
const LONGEST_MARK: usize = 64;

fn malformed(what: impl std::fmt::Display) -> StageError {
    StageError::new(format!("malformed tokenizer: {what}"))
        .help("copy it again from the model's own repository")
}

/// Builds what a tokenizer.json describes: what was looked at, and not its bytes, in which a key may be twice.
///
/// # Errors
/// It is damaged.
pub(super) fn open(value: &Value) -> Result<Inner, StageError> {
    model(&value["model"])?;
    steps::check(value).map_err(malformed)?;
    around(&value["post_processor"])?;
    watched(|| Inner::deserialize(value).map_err(Into::into))
}

/// The bytes of its tokenizer.json.
///
/// # Errors
/// The library cannot write it.
pub(super) fn written(tokenizer: &Inner) -> Result<Vec<u8>, StageError> {
    watched(|| tokenizer.to_string(false)).map(String::into_bytes)
}

/// Does what may panic where a tokenizer is damaged, before there are texts.
///
/// # Errors
/// It failed or panicked.
pub(super) fn watched<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, StageError> {
    // It warns of habits that harm nobody, such as `<unk>` twice in a vocabulary, or a number without a piece.
    let silent = tracing::subscriber::NoSubscriber::default();
    bounded::begin(0);
    let result = caught(|| tracing::subscriber::with_default(silent, work));
    if bounded::is_exceeded() {
        return Err(malformed("its normalizer multiplies texts"));
    }
    result.ok_or_else(|| malformed("the library that reads it gives up"))?.map_err(|e| {
        StageError::because("malformed tokenizer", e).help("copy it again from the model's own repository")
    })
}

/// Sub-words of a text, with offsets in Unicode scalar values; with the tokens around it where `around`.
///
/// # Errors
/// The library fails or panics, or its normaliser multiplies the text.
pub(super) fn encode(tokenizer: &Inner, text: &str, around: bool) -> Result<Encoding, StageError> {
    let refused = |what: &str| {
        StageError::new(format!("the tokenizer {what}"))
            .help("copy it again from the model's own repository, or use another model")
    };
    bounded::begin(text.len());
    let result = caught(|| tokenizer.encode_char_offsets(text, around));
    if bounded::is_exceeded() {
        return Err(refused(&format!(
            "cannot be used: its normalizer makes too much of a text of {} bytes",
            text.len()
        )));
    }
    let encoding = result.ok_or_else(|| refused("gives up at a text"))?;
    encoding.map_err(|e| StageError::because("the tokenizer refuses a text", e))
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
    for mark in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if model[mark].as_str().is_some_and(|mark| mark.len() > LONGEST_MARK) {
            return Err(malformed(format_args!("its {mark} has more than {LONGEST_MARK} bytes")));
        }
    }
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
        "WordPiece" if model["max_input_chars_per_word"].as_u64().is_none_or(|most| most > LONGEST_WORD) => {
            return Err(malformed(format_args!("its max_input_chars_per_word is not 0 to {LONGEST_WORD}")));
        }
        "BPE" => {
            if !unknown.is_null() && !named() {
                return Err(missing());
            }
            merges(model, vocab)?;
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for id in vocab.into_iter().flat_map(Map::values) {
        let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else {
            return Err(malformed("an id of its vocabulary is no whole number"));
        };
        // The library would save one of the two pieces alone.
        if !seen.insert(id) {
            return Err(malformed(format_args!("two pieces of its vocabulary have the id {id}")));
        }
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

/// Every special token that a template names is one that it describes, and a text stands in it once.
fn around(processor: &Value) -> Result<(), StageError> {
    let single = processor["single"].as_array().into_iter().flatten();
    if single.filter(|step| step.get("Sequence").is_some()).count() > 1 {
        return Err(malformed("its post-processor repeats texts"));
    }
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
