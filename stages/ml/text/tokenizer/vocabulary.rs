//! Vocabularies in files of their own: BERT's `vocab.txt`, and `vocab.json` with the `merges.txt` of a byte-level BPE.
//! Both become the `model` of a tokenizer.json.

use std::path::Path;

use serde_json::{Map, Value, json};
use stage_contract::StageError;
use tokenizers::models::wordpiece::WordPiece;

use crate::folder;

fn wrong(path: &Path, message: impl std::fmt::Display) -> StageError {
    StageError::new(format!("cannot use {}: {message}", path.display()))
        .help("copy it again from the model's own repository")
}

/// A `WordPiece` model. The id of a piece is the number of its line, white space at a line's end does not count, and of
/// equal lines the last one does.
///
/// # Errors
/// Unreadable, not UTF-8, empty, or without the piece that stands for what is unknown.
pub(super) fn word_piece(path: &Path, unknown: &str) -> Result<Value, StageError> {
    let bytes = folder::small(path)?;
    // Its messages quote what they stop at.
    let pieces = WordPiece::read_bytes(&bytes).map_err(|_| wrong(path, "it is not UTF-8"))?;
    if pieces.is_empty() {
        return Err(wrong(path, "it is empty"));
    }
    if !pieces.contains_key(unknown) {
        return Err(wrong(path, format_args!("no line is `{unknown}`, which stands for unknown pieces")).help(format!(
            "copy it again from the model's own repository, or name the line that does as `unk_token` in {}",
            folder::TOKENIZER_CONFIG
        )));
    }
    let again = pieces.values().max().map_or(0, |last| *last as usize + 1) - pieces.len();
    if again > 0 {
        tracing::info!(
            "{} has {again} more lines than pieces; of equal lines the last counts",
            path.display()
        );
    }
    let vocab: Map<String, Value> = pieces.into_iter().map(|(piece, id)| (piece, id.into())).collect();
    Ok(json!({
        "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": vocab,
    }))
}

/// A BPE model without unknown token: all bytes are in its alphabet.
///
/// # Errors
/// Unreadable, no JSON object of ids, or a merge that is no pair.
pub(super) fn byte_level(vocab: &Path, merges: &Path) -> Result<Value, StageError> {
    let ids: Map<String, Value> = serde_json::from_slice(&folder::small(vocab)?)
        .map_err(|e| wrong(vocab, format_args!("it is no object of ids (line {})", e.line())))?;
    let text = String::from_utf8(folder::small(merges)?).map_err(|_| wrong(merges, "it is not UTF-8"))?;
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("#version") || line.trim().is_empty() {
            continue;
        }
        let (left, right) = line
            .split_once(' ')
            .filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
            .ok_or_else(|| wrong(merges, format_args!("line {number} is no pair of pieces")))?;
        for piece in [left, right, &[left, right].concat()] {
            if !ids.contains_key(piece) {
                let name = vocab.file_name().unwrap_or_default().display();
                return Err(wrong(
                    merges,
                    format_args!("line {number} joins pieces that are not all in {name}"),
                ));
            }
        }
        pairs.push(json!([left, right]));
    }
    Ok(bpe(ids, pairs))
}

/// The `model` of a tokenizer.json.
pub(super) fn bpe(vocab: Map<String, Value>, merges: Vec<Value>) -> Value {
    let mut model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
    });
    model["vocab"] = Value::Object(vocab);
    model["merges"] = Value::Array(merges);
    model
}
