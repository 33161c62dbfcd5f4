//! What a model folder says of its tokenizer beside the vocabulary: `tokenizer_config.json`, `special_tokens_map.json`
//! and `added_tokens.json`, put together as transformers 5 does (`PreTrainedTokenizerBase._from_pretrained`).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::{Map, Value};
use stage_contract::StageError;
use tokenizers::AddedToken;

use crate::folder;

/// The parts that a token can play, in the order in which transformers adds their tokens.
pub(super) const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Read, and not yet compared with a vocabulary.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// `tokenizer_config.json`
    config: Map<String, Value>,
    /// The class that transformers takes, without `Fast`.
    pub class: Option<String>,
    /// `model_type` of `config.json`.
    pub model_type: Option<String>,
    /// The token of each of [`ROLES`], and whether its flags are said too.
    pub named: [Option<(AddedToken, bool)>; 7],
    /// By id, ascending.
    pub added: BTreeMap<u32, AddedToken>,
    /// Whether `added` comes from `tokenizer_config.json`: then tokenizer.json has no say in it.
    pub decoder: bool,
    /// Further special tokens; `None` when nothing is said of them.
    pub extra: Option<Vec<AddedToken>>,
}

impl Settings {
    /// # Errors
    /// A file is unreadable, or a field is of another type than transformers writes.
    pub fn load(model: &Path) -> Result<Self, StageError> {
        let read = |name: &str| -> Result<Map<String, Value>, StageError> {
            match folder::optional(&model.join(name))? {
                None => Ok(Map::new()),
                Some(Value::Object(fields)) => Ok(fields),
                Some(_) => Err(StageError::new(format!("{} holds no object", model.join(name).display()))
                    .help("copy it again from the model's own repository")),
            }
        };
        let (config, map) = (read(folder::TOKENIZER_CONFIG)?, read(folder::SPECIAL_TOKENS)?);
        let (shape, ids) = (read(folder::CONFIG)?, read(folder::ADDED_TOKENS)?);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let class = text(config.get("tokenizer_class")).or_else(|| text(shape.get("tokenizer_class")));
        let decoder = config.get("added_tokens_decoder").filter(|decoder| !decoder.is_null());
        // What is said later counts more, unless the added tokens say it all.
        let maps = if decoder.is_some() { [&config, &map] } else { [&map, &config] };
        let mut named: [Option<(AddedToken, bool)>; 7] = Default::default();
        for (place, role) in named.iter_mut().zip(ROLES) {
            let said = maps.into_iter().find_map(|map| map.get(role).filter(|token| !token.is_null()));
            *place = said
                .map(|said| token(said, role, true).map(|token| (token, said.is_object())))
                .transpose()?;
        }
        let list = |key: &str| {
            let list = |map: &Map<String, Value>| map.get(key).and_then(Value::as_array).cloned();
            list(&config).or_else(|| list(&map))
        };
        let (newer, older) = (list("extra_special_tokens"), list("additional_special_tokens"));
        // An empty list under the newer name leaves it to the older one.
        let extra = newer.clone().filter(|list| !list.is_empty()).or(older).or(newer);
        let extra = extra
            .map(|list| {
                list.iter()
                    .map(|said| token(said, "extra_special_tokens", true))
                    .collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        let mut found = Self {
            class: class.map(|class| class.strip_suffix("Fast").unwrap_or(&class).to_owned()),
            model_type: text(shape.get("model_type")),
            added: BTreeMap::new(),
            decoder: decoder.is_some(),
            config: Map::new(),
            named,
            extra,
        };
        if let Some(decoder) = decoder {
            let wrong = || malformed("added_tokens_decoder");
            for (id, said) in decoder.as_object().ok_or_else(wrong)? {
                let id = id.parse().map_err(|_| wrong())?;
                found.added.insert(id, token(said, "added_tokens_decoder", false)?);
            }
        } else {
            let parts = found.named.iter().flatten().map(|(token, _)| token);
            let special: BTreeSet<String> =
                parts.chain(found.extra.iter().flatten()).map(|token| token.content.clone()).collect();
            for (content, id) in ids {
                let special = special.contains(&content);
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                let id = id.ok_or_else(|| {
                    StageError::new(format!("an id in {} is no whole number", folder::ADDED_TOKENS))
                        .help("copy it again from the model's own repository")
                })?;
                found.added.insert(id, AddedToken::from(content, special));
            }
        }
        found.config = config;
        Ok(found)
    }

    /// Takes up the added tokens of a tokenizer.json whose pipeline is built anew.
    ///
    /// # Errors
    /// One is no token.
    pub fn take_up(&mut self, tokens: &Value) -> Result<(), StageError> {
        if self.decoder {
            return Ok(());
        }
        for said in tokens.as_array().into_iter().flatten() {
            let id = said["id"].as_u64().and_then(|id| u32::try_from(id).ok());
            let id = id.ok_or_else(|| StageError::new("an added token of tokenizer.json has no id"))?;
            self.added.insert(id, token(said, "added_tokens", false)?);
        }
        Ok(())
    }

    /// A switch of `tokenizer_config.json`.
    ///
    /// # Errors
    /// It is neither true nor false nor null.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, StageError> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(malformed(key)),
        }
    }
}

fn malformed(key: &str) -> StageError {
    StageError::new(format!("`{key}` in {} is not what transformers writes there", folder::TOKENIZER_CONFIG))
        .help("copy it again from the model's own repository")
}

/// A token as `tokenizer_config.json` and tokenizer.json write it: its text alone, or with its flags. One that has a part
/// is special whatever its flags say.
fn token(said: &Value, key: &str, part: bool) -> Result<AddedToken, StageError> {
    if let Some(content) = said.as_str() {
        return Ok(AddedToken::from(content, true));
    }
    let content = said["content"].as_str().ok_or_else(|| malformed(key))?;
    let flag = |name: &str| said[name].as_bool();
    let special = part || flag("special").unwrap_or(false);
    Ok(AddedToken::from(content, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false))
        .normalized(flag("normalized").unwrap_or(!special)))
}
