//! The steps of a tokenizer.json before and behind its model: whether they are few, shallow, whole, and such that none
//! multiplies a text.

use std::fmt::Display;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{charsmap, regexes};

/// Objects in the steps of one kind; real tokenizers have ten.
const MOST_STEPS: usize = 100;
/// Objects and lists in each other; real tokenizers have seven.
const DEEPEST: usize = 16;
/// What pre-tokenizers together may make of a byte.
const MOST_GROWTH: usize = 64;

/// # Errors
/// What is wrong with them.
pub(super) fn check(json: &Value) -> Result<(), String> {
    for kind in ["normalizer", "pre_tokenizer", "decoder", "post_processor"] {
        let mut left = MOST_STEPS;
        // A template lists special tokens, however many there are.
        let counted = kind != "post_processor";
        look(&json[kind], 0, counted.then_some(&mut left)).map_err(|what| format!("its {kind}: {what}"))?;
    }
    if growth(&json["pre_tokenizer"]) > MOST_GROWTH {
        return Err("its pre_tokenizer multiplies texts".to_owned());
    }
    Ok(())
}

fn look(value: &Value, depth: usize, mut left: Option<&mut usize>) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("its steps are nested in more than {DEEPEST} levels"));
    }
    match value {
        Value::Object(fields) => {
            if let Some(left) = left.as_deref_mut() {
                *left = left.checked_sub(1).ok_or_else(|| format!("it has more than {MOST_STEPS} steps"))?;
            }
            if let Some(pattern) = fields.get("Regex").and_then(Value::as_str) {
                regexes::check(pattern)?;
            }
            if let Some(charsmap) = fields.get("precompiled_charsmap").and_then(Value::as_str) {
                let damaged = |what: &dyn Display| format!("its normalisation is damaged: {what}");
                let bytes = BASE64_STANDARD.decode(charsmap).map_err(|e| damaged(&e))?;
                charsmap::check(&bytes).map_err(|what| damaged(&what))?;
            }
            if fields.get("type").is_some_and(|kind| kind == "FixedLength")
                && fields.get("length").is_some_and(|length| length == 0)
            {
                return Err("it cuts texts into pieces of no length".to_owned());
            }
            fields.values().try_for_each(|value| look(value, depth + 1, left.as_deref_mut()))
        }
        Value::Array(values) => {
            values.iter().try_for_each(|value| look(value, depth + 1, left.as_deref_mut()))
        }
        _ => Ok(()),
    }
}

/// The most bytes that pre-tokenizers make of one: the alphabet of a byte-level BPE has two for some bytes, and `▁` has
/// three in the place of a space and before a piece.
fn growth(step: &Value) -> usize {
    let inner = match &step["pretokenizers"] {
        Value::Array(steps) => steps.iter().map(growth).fold(1, usize::saturating_mul),
        _ => 1,
    };
    let own = match step["type"].as_str() {
        Some("ByteLevel") => 2,
        Some("Metaspace") => 4,
        // Older files leave it to be told by the fields.
        None if step.is_object() => 4,
        _ => 1,
    };
    inner.saturating_mul(own)
}
