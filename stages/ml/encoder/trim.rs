//! A smaller vocabulary: the pieces that a corpus uses most, a tokenizer that knows only these, and their embeddings.
//!
//! A Unigram tokenizer (`SentencePiece`, Kudo 2018) splits a word into the most probable pieces that it has, so taking pieces
//! away leaves a tokenizer that splits rare words further. Specials, what comes before `<pad>` (positions count from its
//! id), and every single character stay, so no text becomes unreadable that was readable.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stage_contract::StageError;

use crate::{
    config::Config,
    weights::{Along, Weights},
};
use text::tokenizer::Tokenizer;

/// A tokenizer cut down.
pub struct Trimmed {
    /// It.
    pub tokenizer: Tokenizer,
    /// The old id of each of its ids.
    pub origin: Vec<usize>,
}

/// Keeps `keep` entries of a vocabulary; `used[id]` says how often a corpus uses a piece.
///
/// # Errors
/// A tokenizer that is not Unigram, or specials and characters alone are more than `keep`.
pub fn trim(tokenizer: &Tokenizer, used: &[usize], keep: usize) -> Result<Trimmed, StageError> {
    let malformed = || StageError::new("tokenizer.json has a vocabulary that is not understood");
    let mut json: Value = serde_json::from_slice(tokenizer.json())
        .map_err(|e| StageError::because("malformed tokenizer.json", e))?;
    let kind = json["model"]["type"].as_str().unwrap_or("unnamed");
    if kind != "Unigram" {
        return Err(StageError::new(format!("the vocabulary of a {kind} tokenizer cannot be trimmed"))
            .help("set `vocabulary` to 0; only Unigram (SentencePiece) tokenizers, such as CamemBERT's, can be trimmed"));
    }
    let vocab = json["model"]["vocab"].as_array().ok_or_else(malformed)?.clone();
    let id = |value: &Value| value.as_u64().and_then(|id| usize::try_from(id).ok()).ok_or_else(malformed);
    let added: Vec<usize> = json["added_tokens"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|token| id(&token["id"]))
        .collect::<Result<_, _>>()?;
    let unknown = id(&json["model"]["unk_id"])?;

    // Padding and what is before it keep their ids: positions may be counted from padding's.
    let mut kept: BTreeSet<usize> =
        added.iter().copied().chain([unknown]).chain(0..=tokenizer.special().pad as usize).collect();
    for (index, entry) in vocab.iter().enumerate() {
        let piece = entry[0].as_str().ok_or_else(malformed)?;
        if piece.chars().count() == 1 {
            kept.insert(index);
        }
    }
    if kept.len() > keep {
        return Err(StageError::new(format!(
            "`vocabulary` is {keep}, but specials and single characters alone are {}",
            kept.len()
        ))
        .help(format!("use {} or more, or 0 for the whole vocabulary", kept.len())));
    }
    let count = |id: usize| used.get(id).copied().unwrap_or_default();
    let mut rest: Vec<usize> = (0..vocab.len()).filter(|id| !kept.contains(id)).collect();
    // Often used first; a vocabulary lists frequent pieces first, so the lower id decides between equals.
    rest.sort_by_key(|&id| (std::cmp::Reverse(count(id)), id));
    rest.truncate(keep - kept.len());
    kept.extend(rest);

    let origin: Vec<usize> = kept.into_iter().collect();
    // Tokens beyond the model's own vocabulary come last in both.
    let pieces = origin.iter().filter_map(|&id| vocab.get(id).cloned()).collect();
    let new = |old: usize| origin.binary_search(&old).map_err(|_| malformed());
    json["model"]["vocab"] = Value::Array(pieces);
    json["model"]["unk_id"] = json!(new(unknown)?);
    for (token, old) in json["added_tokens"].as_array_mut().into_iter().flatten().zip(added) {
        token["id"] = json!(new(old)?);
    }
    renumber(&mut json["post_processor"], &new)?;
    json["padding"] = Value::Null;
    let text =
        serde_json::to_vec(&json).map_err(|e| StageError::because("cannot write tokenizer.json", e))?;
    Ok(Trimmed { tokenizer: tokenizer.with_json(text)?, origin })
}

/// Ids in a post-processor: a template's lists `ids`, and `RoBERTa`'s and BERT's pairs `cls` and `sep`.
fn renumber(
    processor: &mut Value,
    new: &dyn Fn(usize) -> Result<usize, StageError>,
) -> Result<(), StageError> {
    let change = |id: &mut Value| -> Result<(), StageError> {
        if let Some(old) = id.as_u64().and_then(|old| usize::try_from(old).ok()) {
            *id = json!(new(old)?);
        }
        Ok(())
    };
    match processor {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("ids", Value::Array(ids)) => ids.iter_mut().try_for_each(change)?,
                    ("cls" | "sep", Value::Array(pair)) if pair.len() == 2 => change(&mut pair[1])?,
                    (_, value) => renumber(value, new)?,
                }
            }
            Ok(())
        }
        Value::Array(values) => values.iter_mut().try_for_each(|value| renumber(value, new)),
        _ => Ok(()),
    }
}

/// Leaves the embeddings of the kept pieces.
///
/// # Panics
/// When `weights` and `config` are not of one model.
pub fn cut(config: &mut Config, weights: &mut Weights, trimmed: &Trimmed) {
    let words = weights
        .get_mut(&format!("{}.weight", config.architecture.tensors().word))
        .expect("weights and configuration of one model");
    *words = words.keep(&trimmed.origin, Along::Rows);
    config.vocab = trimmed.origin.len();
    // `pad_token_id` and its like: special tokens keep their names and may get other numbers.
    for (key, id) in config.stock.as_object_mut().into_iter().flatten() {
        let old =
            id.as_u64().and_then(|old| usize::try_from(old).ok()).filter(|_| key.ends_with("_token_id"));
        if let Some(Ok(new)) = old.map(|old| trimmed.origin.binary_search(&old)) {
            *id = json!(new);
        }
    }
}

/// How often texts use each piece of a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `[vocab]`
    pub pieces: Vec<usize>,
    /// Pieces that are `<unk>`.
    pub unknown: usize,
    /// Words, as whitespace parts them.
    pub words: usize,
}

impl Usage {
    /// Counts, on all cores.
    ///
    /// # Errors
    /// When the tokenizer refuses a text.
    pub fn of(tokenizer: &Tokenizer, texts: &[&str]) -> Result<Self, StageError> {
        use rayon::prelude::*;
        let empty = || Self { pieces: vec![0; tokenizer.vocab_size()], unknown: 0, words: 0 };
        let unknown = tokenizer.special().unk;
        texts
            .par_iter()
            .try_fold(empty, |mut usage, text| {
                for piece in tokenizer.pieces(text)? {
                    usage.pieces[piece.id as usize] += 1;
                    usage.unknown += usize::from(Some(piece.id) == unknown);
                }
                usage.words += text.split_whitespace().count();
                Ok(usage)
            })
            .try_reduce(empty, |mut one, other| {
                one.pieces.iter_mut().zip(&other.pieces).for_each(|(one, other)| *one += other);
                Ok(Self {
                    unknown: one.unknown + other.unknown,
                    words: one.words + other.words,
                    pieces: one.pieces,
                })
            })
    }

    /// All pieces.
    #[must_use]
    pub fn total(&self) -> usize {
        self.pieces.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backend::readback::host,
        network::Network,
        testing::{
            fixture::{model, teacher_labels},
            real,
        },
    };

    #[test]
    fn pieces_that_are_used_stay_and_rare_words_fall_to_characters() {
        let model = model(teacher_labels(), &[]);
        let texts = ["Anna Anna", "Paris"];
        let usage = Usage::of(&model.tokenizer, &texts).expect("counted");
        assert_eq!((usage.words, usage.unknown), (3, 0));
        // Four specials and the characters, `▁` among them, and one word more.
        let least = model.config.vocab - 4;
        let trimmed = trim(&model.tokenizer, &usage.pieces, least + 1).expect("trimmed");
        let ids = |tokenizer: &Tokenizer, text: &str| -> Vec<u32> {
            tokenizer.pieces(text).expect("pieces").iter().map(|piece| piece.id).collect()
        };
        assert_eq!(trimmed.tokenizer.vocab_size(), least + 1);
        assert_eq!(trimmed.tokenizer.special(), model.tokenizer.special());
        assert_eq!(ids(&trimmed.tokenizer, "Anna").len(), 1);
        assert_eq!(ids(&trimmed.tokenizer, "Paris").len(), 6, "`▁` and five letters");
        let back: Vec<u32> = ids(&trimmed.tokenizer, "Anna")
            .iter()
            .map(|&id| u32::try_from(trimmed.origin[id as usize]).expect("small"))
            .collect();
        assert_eq!(back, ids(&model.tokenizer, "Anna"));

        let (mut config, mut weights) = (model.config.clone(), model.network.weights(&model.config));
        let before =
            weights.get(&format!("{}.weight", config.architecture.tensors().word)).expect("there").clone();
        cut(&mut config, &mut weights, &trimmed);
        assert_eq!(config.vocab, least + 1);
        let device = burn::tensor::Device::flex();
        let network = Network::from_weights(&config, weights, &device).expect("shapes follow");
        let words = host(network.word.weight.val());
        for (row, &old) in words.chunks_exact(config.hidden).zip(&trimmed.origin) {
            assert_eq!(row, &before.values[old * config.hidden..][..config.hidden]);
        }
    }

    #[test]
    fn too_small_a_vocabulary_is_refused_with_the_least() {
        let model = model(teacher_labels(), &[]);
        let error = trim(&model.tokenizer, &[], 10).err().expect("refused");
        assert!(error.to_string().contains("single characters alone are"), "{error}");
    }

    #[test]
    fn ids_in_post_processors_follow() {
        let mut processor = json!({"type": "TemplateProcessing", "special_tokens": {"</s>": {"id": "</s>", "ids": [9], "tokens": ["</s>"]}}});
        let new = |old: usize| Ok(old - 5);
        renumber(&mut processor, &new).expect("renumbered");
        assert_eq!(processor["special_tokens"]["</s>"]["ids"], json!([4]));
        let mut processor =
            json!({"type": "RobertaProcessing", "sep": ["</s>", 9], "cls": ["<s>", 8], "trim_offsets": true});
        renumber(&mut processor, &new).expect("renumbered");
        assert_eq!((&processor["sep"], &processor["cls"]), (&json!(["</s>", 4]), &json!(["<s>", 3])));
    }

    #[test]
    fn camemberts_vocabulary_is_halved_and_reads_as_before_what_it_kept() {
        let (Some(folder), Some(corpus)) = (real("camembert-tokenizer"), real("corpus/clinical.txt")) else {
            return;
        };
        let tokenizer = Tokenizer::load(&folder, 32_005).expect("camembert's tokenizer");
        let text = std::fs::read_to_string(corpus).expect("read");
        let lines: Vec<&str> = text.lines().collect();
        let before = Usage::of(&tokenizer, &lines).expect("counted");
        let trimmed = trim(&tokenizer, &before.pieces, 16_000).expect("trimmed");
        assert_eq!(trimmed.tokenizer.vocab_size(), 16_000);
        assert_eq!(trimmed.tokenizer.special().pad, tokenizer.special().pad);
        let after = Usage::of(&trimmed.tokenizer, &lines).expect("counted");
        assert_eq!(
            (after.total(), after.unknown),
            (before.total(), before.unknown),
            "every piece in use was kept"
        );
    }
}
