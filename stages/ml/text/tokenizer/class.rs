//! The classes of transformers that build a tokenizer's steps themselves, whatever a tokenizer.json says of them
//! (transformers 5: `models/*/tokenization_*.py`, and `AutoTokenizer` for which of them a folder gets).

use serde_json::{Value, json};
use stage_contract::StageError;
use tokenizers::AddedToken;

use super::settings::{ROLES, Settings};
use crate::folder;

/// What transformers tokenises with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Albert,
    Bert,
    Camembert,
    DebertaV2,
    Roberta,
    XlmRoberta,
    /// Takes the steps of tokenizer.json as they are, and those of a `SentencePiece` model from its own settings.
    Generic,
}

/// Tokenizers that transformers runs in Python: no tokenizer.json holds what they do.
const IN_PYTHON: [&str; 9] = [
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "CanineTokenizer",
    "CTRLTokenizer",
    "FlaubertTokenizer",
    "PhobertTokenizer",
    "ProphetNetTokenizer",
    "TransfoXLTokenizer",
    "XLMTokenizer",
];

impl Class {
    /// By `tokenizer_class`, else by `model_type`; `None` when neither is said.
    ///
    /// # Errors
    /// It is one that only Python runs.
    pub fn of(settings: &Settings) -> Result<Option<Self>, StageError> {
        // Its repositories name classes that are not theirs; transformers reads tokenizer.json as it is.
        if settings.model_type.as_deref() == Some("modernbert") {
            return Ok(Some(Self::Generic));
        }
        let name = settings.class.as_deref();
        let name = name.or(match settings.model_type.as_deref() {
            Some("albert") => Some("AlbertTokenizer"),
            Some("bert" | "distilbert" | "electra") => Some("BertTokenizer"),
            Some("camembert") => Some("CamembertTokenizer"),
            Some("deberta-v2") => Some("DebertaV2Tokenizer"),
            Some("flaubert") => Some("FlaubertTokenizer"),
            Some("roberta") => Some("RobertaTokenizer"),
            Some("xlm-roberta") => Some("XLMRobertaTokenizer"),
            _ => None,
        });
        Ok(Some(match name {
            None => return Ok(None),
            Some(name) if IN_PYTHON.contains(&name) => {
                return Err(StageError::new(format!("{name} is not read: only transformers' own Python runs it"))
                    .help("use a teacher whose tokenizer is in tokenizer.json, sentencepiece.bpe.model, vocab.txt, or vocab.json and merges.txt"));
            }
            Some("AlbertTokenizer") => Self::Albert,
            Some(
                "BertTokenizer"
                | "DistilBertTokenizer"
                | "ElectraTokenizer"
                | "MobileBertTokenizer"
                | "SqueezeBertTokenizer",
            ) => Self::Bert,
            Some("CamembertTokenizer") => Self::Camembert,
            Some("DebertaV2Tokenizer") => Self::DebertaV2,
            Some("RobertaTokenizer" | "BartTokenizer" | "LongformerTokenizer") => Self::Roberta,
            Some("XLMRobertaTokenizer") => Self::XlmRoberta,
            Some(_) => Self::Generic,
        }))
    }

    /// The kind of vocabulary that it has, as tokenizer.json calls it.
    pub fn kind(self) -> Option<&'static str> {
        match self {
            Self::Albert | Self::Camembert | Self::DebertaV2 | Self::XlmRoberta => Some("Unigram"),
            Self::Bert => Some("WordPiece"),
            Self::Roberta => Some("BPE"),
            Self::Generic => None,
        }
    }

    /// The token of each of [`ROLES`] where a folder does not name it.
    fn habits(self) -> [Option<&'static str>; 7] {
        match self {
            Self::Camembert | Self::Roberta | Self::XlmRoberta => {
                ["<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"].map(Some)
            }
            Self::Bert => {
                [None, None, Some("[UNK]"), Some("[SEP]"), Some("[PAD]"), Some("[CLS]"), Some("[MASK]")]
            }
            Self::DebertaV2 => ["[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"].map(Some),
            Self::Albert => ["[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"].map(Some),
            Self::Generic => [None; 7],
        }
    }

    /// The token of each of [`ROLES`].
    pub fn named(self, settings: &Settings) -> [Option<AddedToken>; 7] {
        let mut habits = self.habits().into_iter();
        settings.named.clone().map(|said| {
            let habit = habits.next().flatten().map(|habit| AddedToken::from(habit, true));
            let (token, with_flags) = said.map_or((None, false), |(token, flags)| (Some(token), flags));
            let mut token = token.or(habit)?;
            let known = settings.added.values().find(|known| known.content == token.content);
            if let Some(known) = known {
                token = known.clone().special(true);
            } else if self == Self::Camembert && habits.len() == 0 && !with_flags {
                // `<mask>` alone, which comes last.
                token = token.lstrip(true);
            }
            Some(token)
        })
    }

    /// Further special tokens: what the folder says, else the tokens of a `SentencePiece` model that are no pieces of text,
    /// else the class's own.
    pub fn extra(self, settings: &Settings, pieces: Option<Vec<AddedToken>>) -> Vec<AddedToken> {
        settings.extra.clone().or(pieces).unwrap_or_else(|| {
            let own: &[&str] = match self {
                Self::Camembert => &["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
                _ => &[],
            };
            own.iter().map(|token| AddedToken::from(*token, true)).collect()
        })
    }

    /// A Unigram vocabulary as the `model` of a tokenizer.json. `own` is the id that a `SentencePiece` model gives its
    /// unknown piece.
    pub fn unigram(self, vocab: &[(String, f64)], unknown: &str, own: usize) -> Value {
        let mut place = vocab.iter().enumerate().filter(|(_, (piece, _))| piece == unknown);
        let id = match self {
            Self::Camembert => place.next().map_or(0, |(id, _)| id),
            // The log-probability of a token that is in no text.
            Self::DebertaV2 => place.find(|(_, (_, score))| *score == 0.0).map_or(own, |(id, _)| id),
            Self::Albert => 1,
            _ => 3,
        };
        json!({"type": "Unigram", "unk_id": id, "byte_fallback": false, "vocab": vocab})
    }

    /// tokenizer.json's `normalizer`, `pre_tokenizer` and `decoder`. `charsmap` is the normalisation of a `SentencePiece`
    /// model.
    ///
    /// # Errors
    /// A switch of `tokenizer_config.json` is neither true nor false.
    pub fn steps(self, settings: &Settings, charsmap: Option<Value>) -> Result<[Value; 3], StageError> {
        let flag = |key: &str, habit: bool| settings.flag(key).map(|flag| flag.unwrap_or(habit));
        let metaspace = |prepend: &str| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": prepend, "split": true});
        let words = |prepend: &str| json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace(prepend)]});
        let sequence = |steps: Vec<Value>| json!({"type": "Sequence", "normalizers": steps});
        let prepend = if flag("add_prefix_space", true)? { "always" } else { "never" };
        Ok(match self {
            Self::Camembert | Self::XlmRoberta => {
                [charsmap.unwrap_or_default(), words(prepend), metaspace(prepend)]
            }
            Self::Albert => {
                let replace =
                    |from: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": "\""});
                let mut steps = vec![replace("``"), replace("''")];
                if !flag("keep_accents", false)? {
                    steps.extend([json!({"type": "NFKD"}), json!({"type": "StripAccents"})]);
                }
                if flag("do_lower_case", true)? {
                    steps.push(json!({"type": "Lowercase"}));
                }
                steps.extend(charsmap);
                [sequence(steps), words(prepend), metaspace(prepend)]
            }
            Self::DebertaV2 => {
                let mut steps = Vec::new();
                if flag("do_lower_case", false)? {
                    steps.push(json!({"type": "Lowercase"}));
                }
                steps.extend([
                    json!({"type": "Replace", "pattern": {"Regex": r"\s{2,}|[\n\r\t]"}, "content": " "}),
                    json!({"type": "NFC"}),
                    json!({"type": "Strip", "strip_left": false, "strip_right": true}),
                ]);
                let prepend = if flag("add_prefix_space", true)? { "always" } else { "first" };
                let mut splits = Vec::new();
                if flag("split_by_punct", false)? {
                    splits.push(json!({"type": "Punctuation", "behavior": "Isolated"}));
                }
                splits.push(metaspace(prepend));
                [sequence(steps), json!({"type": "Sequence", "pretokenizers": splits}), metaspace(prepend)]
            }
            Self::Bert => [
                json!({
                    "type": "BertNormalizer", "clean_text": true,
                    "handle_chinese_chars": flag("tokenize_chinese_chars", true)?,
                    "strip_accents": settings.flag("strip_accents")?,
                    "lowercase": flag("do_lower_case", true)?,
                }),
                json!({"type": "BertPreTokenizer"}),
                json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
            ],
            Self::Roberta => {
                let bytes = |prefix: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true});
                [Value::Null, bytes(flag("add_prefix_space", false)?), bytes(true)]
            }
            Self::Generic => [Value::Null, Value::Null, Value::Null],
        })
    }

    /// tokenizer.json's `post_processor`: what stands around a text. `id` gives the id of a token.
    ///
    /// # Errors
    /// One of its tokens is not in the vocabulary.
    pub fn around(
        self,
        settings: &Settings,
        named: &[Option<AddedToken>; 7],
        id: impl Fn(&str) -> Option<u32>,
    ) -> Result<Value, StageError> {
        let part = |role: &str| {
            let token =
                named.iter().zip(ROLES).find(|(_, name)| *name == role).and_then(|(token, _)| token.as_ref());
            let token = token.map(|token| token.content.clone()).unwrap_or_default();
            match id(&token) {
                Some(id) => Ok((token, id)),
                None => Err(StageError::new(format!("the vocabulary has no `{token}`"))
                    .help(format!("name the token as `{role}` in {}", folder::TOKENIZER_CONFIG))),
            }
        };
        let flag = |key: &str, habit: bool| settings.flag(key).map(|flag| flag.unwrap_or(habit));
        let (roles, separators) = match self {
            Self::Generic => return Ok(Value::Null),
            Self::Roberta => {
                return Ok(json!({
                    "type": "RobertaProcessing", "sep": part("sep_token")?, "cls": part("cls_token")?,
                    "trim_offsets": flag("trim_offsets", true)?,
                    "add_prefix_space": flag("add_prefix_space", false)?,
                }));
            }
            Self::Camembert | Self::XlmRoberta => (["bos_token", "eos_token"], 2),
            Self::Bert | Self::DebertaV2 | Self::Albert => (["cls_token", "sep_token"], 1),
        };
        let (first, last) = (part(roles[0])?, part(roles[1])?);
        let second = u8::from(separators == 1);
        let special = |token: &str, kind: u8| json!({"SpecialToken": {"id": token, "type_id": kind}});
        let text = |name: &str, kind: u8| json!({"Sequence": {"id": name, "type_id": kind}});
        let single = vec![special(&first.0, 0), text("A", 0), special(&last.0, 0)];
        let mut pair = single.clone();
        pair.extend((1..separators).map(|_| special(&last.0, 0)));
        pair.extend([text("B", second), special(&last.0, second)]);
        let entry = |(token, id): &(String, u32)| json!({"id": token, "ids": [id], "tokens": [token]});
        Ok(json!({
            "type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {&first.0: entry(&first), &last.0: entry(&last)},
        }))
    }
}
