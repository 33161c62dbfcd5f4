//! A smaller vocabulary: the pieces that a corpus uses most, in a tokenizer.json that knows only these.
//!
//! A Unigram tokenizer (`SentencePiece`, Kudo 2018) splits a word into the most probable pieces that it has, and a `WordPiece`
//! tokenizer (Wu et al. 2016) into the longest, so taking pieces away leaves a tokenizer that splits rare words further.
//! Specials, what comes before `<pad>` (positions count from its id), every single character, and every piece with a
//! character that is no piece of its own stay, so that a text that was readable is so still. A BPE makes long pieces from
//! short ones, and has no use for the long ones alone.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};
use stage_contract::StageError;

use super::door;

fn malformed() -> StageError {
    StageError::new("tokenizer.json has a vocabulary that is not understood")
}

/// Whether a tokenizer.json has a vocabulary of a kind that can be cut down.
///
/// # Errors
/// It has none.
pub(super) fn check(json: &Value) -> Result<(), StageError> {
    match door::kind(&json["model"]) {
        "Unigram" | "WordPiece" => Ok(()),
        kind => Err(StageError::new(format!("the vocabulary of a {kind} tokenizer cannot be trimmed"))
            .help("set `vocabulary` to 0; only Unigram (SentencePiece) and WordPiece tokenizers, such as CamemBERT's and BERT's, can be trimmed")),
    }
}

/// Keeps `keep` entries; `used[id]` says how often a corpus uses a piece, and `pad` is the id of padding. Gives the old id
/// of each new one, ascending.
///
/// # Errors
/// A tokenizer of another kind, or what has to stay is more than `keep`.
pub(super) fn trim(
    json: &mut Value,
    pad: usize,
    used: &[usize],
    keep: usize,
) -> Result<Vec<usize>, StageError> {
    check(json)?;
    let pieces = pieces(&json["model"])?;
    let id = |value: &Value| value.as_u64().and_then(|id| usize::try_from(id).ok()).ok_or_else(malformed);
    let added: Vec<usize> = json["added_tokens"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|token| id(&token["id"]))
        .collect::<Result<_, _>>()?;
    let unknown = unknown(&json["model"], &pieces).ok_or_else(malformed)?;

    // Padding and what is before it keep their ids: positions may be counted from padding's.
    let mut kept: BTreeSet<usize> = added.iter().copied().chain([unknown]).chain(0..=pad).collect();
    // A token around a text need not be among the added ones.
    ids_around(&mut json["post_processor"], &mut |id| {
        kept.extend(id.as_u64().and_then(|id| usize::try_from(id).ok()));
        Ok(())
    })?;
    kept.extend(indivisible(&json["model"], &pieces));
    if kept.len() > keep {
        return Err(StageError::new(format!(
            "`vocabulary` is {keep}, but specials and single characters alone are {}",
            kept.len()
        ))
        .help(format!("use {} or more, or 0 for the whole vocabulary", kept.len())));
    }
    let count = |id: usize| used.get(id).copied().unwrap_or_default();
    let mut rest: Vec<usize> = pieces.iter().map(|(id, _)| *id).filter(|id| !kept.contains(id)).collect();
    // Often used first; a vocabulary lists frequent pieces first, so the lower id decides between equals.
    rest.sort_by_key(|&id| (std::cmp::Reverse(count(id)), id));
    rest.truncate(keep - kept.len());
    kept.extend(rest);

    let origin: Vec<usize> = kept.into_iter().collect();
    let new = |old: usize| origin.binary_search(&old).map_err(|_| malformed());
    // Tokens beyond the model's own vocabulary come last in both.
    if let Some(vocab) = json["model"]["vocab"].as_array_mut() {
        *vocab = origin.iter().filter_map(|&id| vocab.get(id).cloned()).collect();
        json["model"]["unk_id"] = json!(new(unknown)?);
    } else {
        let known = pieces.iter().filter_map(|(id, piece)| Some((piece.clone(), json!(new(*id).ok()?))));
        json["model"]["vocab"] = Value::Object(known.collect::<Map<_, _>>());
    }
    for (token, old) in json["added_tokens"].as_array_mut().into_iter().flatten().zip(added) {
        token["id"] = json!(new(old)?);
    }
    ids_around(&mut json["post_processor"], &mut |place| {
        *place = json!(new(id(place)?)?);
        Ok(())
    })?;
    json["padding"] = Value::Null;
    Ok(origin)
}

/// The pieces with their ids, by id.
fn pieces(model: &Value) -> Result<Vec<(usize, String)>, StageError> {
    if let Some(list) = model["vocab"].as_array() {
        let piece = |(id, entry): (usize, &Value)| entry[0].as_str().map(|piece| (id, piece.to_owned()));
        return list.iter().enumerate().map(|entry| piece(entry).ok_or_else(malformed)).collect();
    }
    let ids = model["vocab"].as_object().ok_or_else(malformed)?.iter();
    let entry = |(piece, id): (&String, &Value)| {
        id.as_u64().and_then(|id| usize::try_from(id).ok()).map(|id| (id, piece.clone()))
    };
    let mut pieces: Vec<_> = ids.map(|it| entry(it).ok_or_else(malformed)).collect::<Result<_, _>>()?;
    pieces.sort();
    Ok(pieces)
}

fn unknown(model: &Value, pieces: &[(usize, String)]) -> Option<usize> {
    let id = model["unk_id"].as_u64().and_then(|id| usize::try_from(id).ok());
    let named = || {
        let name = model["unk_token"].as_str()?;
        pieces.iter().find(|(_, piece)| piece == name).map(|(id, _)| *id)
    };
    id.or_else(named)
}

/// Single characters, and pieces with a character that is no piece of its own where it stands: in a `WordPiece`
/// vocabulary, within a word, with the prefix `##`.
fn indivisible(model: &Value, pieces: &[(usize, String)]) -> Vec<usize> {
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
    let parted = |piece: &str| match piece
        .strip_prefix(prefix)
        .filter(|rest| !prefix.is_empty() && !rest.is_empty())
    {
        Some(rest) => (false, rest.to_owned()),
        None => (true, piece.to_owned()),
    };
    let mut single: HashSet<(bool, char)> = HashSet::new();
    for (_, piece) in pieces {
        let (first, text) = parted(piece);
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            single.insert((first, c));
        }
    }
    let divisible = |piece: &str| {
        let (first, text) = parted(piece);
        let several = text.chars().nth(1).is_some();
        // A Unigram piece may begin anywhere.
        let at = |place: usize| prefix.is_empty() || (first && place == 0);
        several && text.chars().enumerate().all(|(place, c)| single.contains(&(at(place), c)))
    };
    pieces.iter().filter(|(_, piece)| !divisible(piece)).map(|(id, _)| *id).collect()
}

/// The ids in a post-processor: a template's lists `ids`, and `RoBERTa`'s and BERT's pairs `cls` and `sep`.
fn ids_around(
    processor: &mut Value,
    change: &mut dyn FnMut(&mut Value) -> Result<(), StageError>,
) -> Result<(), StageError> {
    match processor {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("ids", Value::Array(ids)) => ids.iter_mut().try_for_each(&mut *change)?,
                    ("cls" | "sep", Value::Array(pair)) if pair.len() == 2 => change(&mut pair[1])?,
                    (_, value) => ids_around(value, change)?,
                }
            }
            Ok(())
        }
        Value::Array(values) => values.iter_mut().try_for_each(|value| ids_around(value, change)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_piece(pieces: &[&str]) -> Value {
        let vocab: Map<String, Value> =
            (0_u64..).zip(pieces).map(|(id, piece)| ((*piece).to_owned(), id.into())).collect();
        json!({
            "added_tokens": [{"id": 1, "content": "[CLS]"}], "padding": {"pad_id": 0},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab": vocab,
                "max_input_chars_per_word": 100,
            },
        })
    }

    #[test]
    fn what_is_used_least_goes_and_characters_stay() {
        // `##z` is no piece: only `##az` can read it.
        let pieces = ["[PAD]", "[CLS]", "[SEP]", "la", "##az", "[UNK]", "l", "##l", "##a", "##la", "lal"];
        let mut json = word_piece(&pieces);
        let mut used = vec![0; pieces.len()];
        used[9] = 5;
        let origin = trim(&mut json, 0, &used, 10).expect("trimmed");
        assert_eq!(origin, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "of two unused ones the later goes");
        let mut json = word_piece(&pieces);
        let origin = trim(&mut json, 0, &used, 9).expect("trimmed");
        assert_eq!(origin, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        let vocab = json["model"]["vocab"].as_object().expect("ids");
        for (new, &old) in origin.iter().enumerate() {
            assert_eq!(vocab[pieces[old]], new);
        }
        assert_eq!((vocab.len(), &json["padding"]), (9, &Value::Null));
        let error = trim(&mut word_piece(&pieces), 0, &used, 7).expect_err("too few");
        assert!(error.to_string().contains("specials and single characters alone are 8"), "{error}");
        assert!(error.advice().is_some_and(|help| help.contains("use 8 or more")));
    }

    #[test]
    fn ids_in_post_processors_follow() {
        let pieces = ["[PAD]", "x", "y", "xy", "xyx", "[CLS]", "[SEP]", "[UNK]", "##x", "##y"];
        for around in [
            json!({"type": "BertProcessing", "sep": ["[SEP]", 6], "cls": ["[CLS]", 5]}),
            json!({"type": "Sequence", "processors": [{"type": "TemplateProcessing", "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [5], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [6], "tokens": ["[SEP]"]},
            }}]}),
        ] {
            let mut json = word_piece(&pieces);
            json["post_processor"] = around;
            json["added_tokens"] = json!([]);
            let origin = trim(&mut json, 0, &[], 8).expect("trimmed");
            assert_eq!(origin, [0, 1, 2, 5, 6, 7, 8, 9]);
            let mut ids = Vec::new();
            ids_around(&mut json["post_processor"], &mut |id| {
                ids.push(id.as_u64());
                Ok(())
            })
            .expect("seen");
            ids.sort_unstable();
            assert_eq!(ids, [Some(3), Some(4)]);
        }
    }

    #[test]
    fn other_kinds_are_refused() {
        let error = check(&json!({"model": {"type": "BPE"}})).expect_err("merges");
        assert!(error.to_string().contains("a BPE tokenizer cannot be trimmed"), "{error}");
        assert!(error.advice().is_some_and(|help| help.contains("set `vocabulary` to 0")));
    }
}
