//! Tokens beyond a vocabulary's pieces: those that the folder adds and those that play a part.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stage_contract::StageError;
use tokenizers::AddedToken;

use super::{
    door::{self, Inner},
    settings::{ROLES, Settings},
};

/// The tokens that a model cannot do without: a text stands between them, or they fill its place.
pub(super) fn needed(named: &[Option<AddedToken>; 7]) -> impl Iterator<Item = &str> {
    let parts = named.iter().zip(ROLES).filter(|(_, role)| !["mask_token", "unk_token"].contains(role));
    parts.filter_map(|(token, _)| token.as_ref()).map(|token| token.content.as_str())
}

/// Leaves the special tokens out of a tokenizer.json that were added beyond the model's vocabulary (`<unk>NOTUSED` of
/// `CamemBERT`'s children): no text means them, and the model has no embedding for them.
pub(super) fn leave_out(json: &mut Value, named: &[Option<AddedToken>; 7], entries: usize) -> bool {
    let Some(added) = json.get_mut("added_tokens").and_then(Value::as_array_mut) else { return false };
    let before = added.len();
    added.retain(|token| {
        let beyond = token["id"].as_u64().is_some_and(|id| id >= entries as u64);
        let content = token["content"].as_str().unwrap_or_default();
        let kept = !beyond || token["special"] != true || needed(named).any(|needed| needed == content);
        if !kept {
            note(content);
        }
        kept
    });
    added.len() < before
}

fn note(content: &str) {
    tracing::info!("the token `{content}` is beyond the model's vocabulary and left out");
}

/// Adds the tokens in transformers' order (`TokenizersBackend.__init__`), but for special ones that nothing needs beyond
/// the model's vocabulary.
///
/// # Errors
/// A token gets another id than the folder says, or one that another token has.
pub(super) fn add(
    tokenizer: &mut Inner,
    settings: &Settings,
    named: &[Option<AddedToken>; 7],
    extra: Vec<AddedToken>,
    entries: usize,
) -> Result<(), StageError> {
    let known = tokenizer.get_added_tokens_decoder();
    let mut there: BTreeSet<String> = known.values().map(|token| token.content.clone()).collect();
    let mut wanted: Vec<(Option<u32>, AddedToken)> = Vec::new();
    for (id, token) in &settings.added {
        let plays = named.iter().flatten().any(|named| named.content == token.content);
        wanted.push((Some(*id), token.clone().special(token.special || plays)));
        there.insert(token.content.clone());
    }
    for token in named.iter().flatten().cloned().chain(extra) {
        if there.insert(token.content.clone()) {
            wanted.push((None, token));
        }
    }
    let pieces = tokenizer.get_vocab_size(false);
    let after = known.keys().max().map_or(0, |id| *id as usize + 1);
    // As the library numbers them.
    let mut next = if after > pieces || pieces == 0 { after } else { pieces };
    let mut new: BTreeMap<String, usize> = BTreeMap::new();
    let mut tokens = Vec::new();
    for (said, token) in wanted {
        if tokenizer.token_to_id(&token.content).is_none() && !new.contains_key(&token.content) {
            let beyond = next >= entries || said.is_some_and(|id| id as usize >= entries);
            if beyond && token.special && !needed(named).any(|needed| needed == token.content) {
                note(&token.content);
                continue;
            }
            if said.is_some_and(|id| id as usize != next) {
                return Err(StageError::new(format!(
                    "the added token of id {} follows {next} other tokens, and gets their next id",
                    said.unwrap_or_default()
                ))
                .help("copy all files of the tokenizer again from the model's own repository"));
            }
            let taken = u32::try_from(next).ok().and_then(|id| tokenizer.id_to_token(id));
            if taken.is_some() {
                return Err(StageError::new(format!(
                    "an added token gets the id {next}, which another token has: ids of the vocabulary are missing or given twice"
                ))
                .help("copy all files of the tokenizer again from the model's own repository"));
            }
            new.insert(token.content.clone(), next);
            next += 1;
        }
        tokens.push(token);
    }
    door::watched(|| tokenizer.add_tokens(tokens)).map(drop)
}
