//! Which tokens play which part: by their part, never by their spelling, so that `[CLS]` is as good as `<s>`.

use serde_json::{Map, Value, json};
use stage_contract::StageError;
use tokenizers::AddedToken;

use super::door::{self, Inner};
use crate::{folder, pieces::Special};

/// The text of the tokens that have a part, as far as a model folder says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    begin: Option<String>,
    end: Option<String>,
    pad: Option<String>,
    unknown: Option<String>,
    mask: Option<String>,
}

impl Roles {
    /// Of the tokens in the order of [`ROLES`](super::settings::ROLES).
    pub fn of(named: &[Option<AddedToken>; 7]) -> Self {
        let [bos, eos, unknown, sep, pad, cls, mask] =
            named.each_ref().map(|token| token.as_ref().map(|token| token.content.clone()));
        Self { begin: cls.or(bos), end: sep.or(eos), pad, unknown, mask }
    }

    /// The ids, and whether the tokenizer's post-processor puts the first and the last around a text. `padding` is the id
    /// that its own padding, switched off by now, has used.
    ///
    /// # Errors
    /// It surrounds a text with something else than one token before and one after it, or there is no padding.
    pub fn resolve(&self, tokenizer: &Inner, padding: Option<u32>) -> Result<(Special, bool), StageError> {
        let id = |name: &Option<String>, habits: [&str; 2]| {
            let named = name.as_deref().and_then(|name| tokenizer.token_to_id(name));
            named.or_else(|| habits.into_iter().find_map(|habit| tokenizer.token_to_id(habit)))
        };
        let around = door::encode(tokenizer, "a", true)?;
        let (ids, mask) = (around.get_ids(), around.get_special_tokens_mask());
        let before = mask.iter().take_while(|special| **special == 1).count();
        let after = mask.iter().rev().take_while(|special| **special == 1).count();
        let (bos, eos) = match (before, after) {
            (1, 1) if ids.len() > 1 => (ids[0], ids[ids.len() - 1]),
            (0, 0) => match (id(&self.begin, ["<s>", "[CLS]"]), id(&self.end, ["</s>", "[SEP]"])) {
                (Some(bos), Some(eos)) => (bos, eos),
                _ => return Err(missing("token that begins and ends a text", "cls_token` and `sep_token")),
            },
            (before, after) => {
                return Err(StageError::new(format!(
                    "the tokenizer puts {before} special tokens before a text and {after} after it, and an encoder \
                     reads one and one, or none"
                ))
                .help("use the tokenizer of the model's own repository"));
            }
        };
        let pad = id(&self.pad, ["<pad>", "[PAD]"]).or(padding);
        let pad = pad.ok_or_else(|| missing("padding token", "pad_token"))?;
        Ok((Special { bos, pad, eos, unk: id(&self.unknown, ["<unk>", "[UNK]"]) }, before == 1))
    }

    /// The token of each part that the tokenizer has.
    pub fn parts(&self, tokenizer: &Inner, special: Special) -> Vec<(&'static str, String)> {
        let text = |id: u32| tokenizer.id_to_token(id);
        let mask = self.mask.clone().into_iter().chain(["<mask>".to_owned(), "[MASK]".to_owned()]);
        let mask = mask.into_iter().find(|token| tokenizer.token_to_id(token).is_some());
        let parts = [
            ("bos_token", text(special.bos)),
            ("eos_token", text(special.eos)),
            ("cls_token", text(special.bos)),
            ("sep_token", text(special.eos)),
            ("pad_token", text(special.pad)),
            ("unk_token", special.unk.and_then(text)),
            ("mask_token", mask),
        ];
        parts.into_iter().filter_map(|(part, token)| Some((part, token?))).collect()
    }

    /// `tokenizer_config.json` and `special_tokens_map.json` for a tokenizer with these parts, as transformers reads them.
    pub fn files(&self, tokenizer: &Inner, special: Special, longest: usize) -> [(&'static str, String); 2] {
        let parts = self.parts(tokenizer, special).into_iter();
        let map: Map<String, Value> = parts.map(|(key, token)| (key.to_owned(), token.into())).collect();
        let mut config = Map::new();
        config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
        config.insert("model_max_length".to_owned(), json!(longest));
        config.insert("model_input_names".to_owned(), json!(["input_ids", "attention_mask"]));
        config.insert("clean_up_tokenization_spaces".to_owned(), json!(false));
        config.extend(map.clone());
        [(folder::TOKENIZER_CONFIG, config), (folder::SPECIAL_TOKENS, map)]
            .map(|(name, value)| (name, format!("{:#}\n", Value::Object(value))))
    }
}

fn missing(what: &str, key: &str) -> StageError {
    StageError::new(format!("the tokenizer has no {what}"))
        .help(format!("name it as `{key}` in {} of the model folder", folder::TOKENIZER_CONFIG))
}
