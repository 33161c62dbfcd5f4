//! From the files of a model folder to the tokenizer that transformers makes of them.

use std::path::Path;

use serde_json::{Value, json};
use stage_contract::StageError;
use tokenizers::{AddedToken, PostProcessorWrapper};

use super::{
    added,
    class::Class,
    door::{self, Inner},
    roles::Roles,
    sentencepiece::{self, Read},
    settings::Settings,
    vocabulary,
};
use crate::folder::{self, Vocabulary};

/// A tokenizer with its tokenizer.json.
pub(super) struct Loaded {
    pub inner: Inner,
    pub roles: Roles,
    pub json: Vec<u8>,
}

fn write(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StageError {
    StageError::because("cannot write tokenizer.json", error)
}

/// Reads it; `entries` is the size of the model's vocabulary.
///
/// # Errors
/// The files are damaged, or do not belong together.
pub(super) fn load(model: &Path, files: &Vocabulary, entries: usize) -> Result<Loaded, StageError> {
    let mut settings = Settings::load(model)?;
    let class = Class::of(&settings)?;
    // A class that has another kind of vocabulary than there is has no say.
    let of_kind = |kind: &str| class.filter(|class| class.kind() == Some(kind));
    if !matches!(files, Vocabulary::Json(_)) {
        check_known(class, &settings, model)?;
    }
    let read = match files {
        Vocabulary::Json(path) => {
            let json = folder::small(path)?;
            let value: Value = serde_json::from_slice(&json).map_err(|e| {
                StageError::because("malformed tokenizer.json", e)
                    .help("copy it again from the model's own repository")
            })?;
            match of_kind(door::kind(&value["model"])).filter(|class| knows(&value, &class.named(&settings)))
            {
                None => return as_it_is(value, json, &settings, entries),
                Some(class) => {
                    settings.take_up(&value["added_tokens"])?;
                    from_json(class, value, &settings)?
                }
            }
        }
        Vocabulary::SentencePiece(path) => sentencepiece::load(path, class, &mut settings, entries)?,
        Vocabulary::WordPiece(path) => {
            let [_, _, unknown, ..] = Class::Bert.named(&settings);
            let unknown = unknown.map(|token| token.content).unwrap_or_default();
            plain(Class::Bert, vocabulary::word_piece(path, &unknown)?)
        }
        Vocabulary::ByteLevel([vocab, merges]) => {
            plain(Class::Roberta, vocabulary::byte_level(vocab, merges)?)
        }
    };
    build(read, &settings, entries)
}

fn plain(class: Class, model: Value) -> Read {
    Read { class, model, steps: None, charsmap: None, tokens: None }
}

/// Refuses a class that may do anything with a vocabulary: what transformers makes of that is in a tokenizer.json alone.
fn check_known(class: Option<Class>, settings: &Settings, model: &Path) -> Result<(), StageError> {
    let name = settings.class.as_deref().filter(|_| class == Some(Class::Generic));
    match name.filter(|name| !["PreTrainedTokenizer", "TokenizersBackend"].contains(name)) {
        None => Ok(()),
        Some(name) => {
            Err(StageError::new(format!("the vocabulary of a {name} is read from tokenizer.json alone"))
                .help(format!(
                    "write it where transformers is installed: {}; or use a teacher with a tokenizer.json",
                    folder::convert("AutoTokenizer", model)
                )))
        }
    }
}

/// Whether a tokenizer.json has the tokens that a class puts around and behind a text: a class that asks for others is not
/// the one that the model was trained with.
fn knows(json: &Value, named: &[Option<AddedToken>; 7]) -> bool {
    let vocab = &json["model"]["vocab"];
    let has = |token: &str| {
        let added = json["added_tokens"].as_array().into_iter().flatten();
        vocab.get(token).is_some()
            || vocab.as_array().is_some_and(|vocab| vocab.iter().any(|piece| piece[0] == token))
            || added.into_iter().any(|added| added["content"] == token)
    };
    added::needed(named).all(has)
}

/// The vocabulary of a tokenizer.json for a class that builds the steps itself.
fn from_json(class: Class, mut json: Value, settings: &Settings) -> Result<Read, StageError> {
    let normalizer = &json["normalizer"];
    let charsmap = match normalizer["normalizers"].as_array() {
        Some(steps) => steps.iter().find(|step| step["type"] == "Precompiled"),
        None => Some(normalizer).filter(|step| step["type"] == "Precompiled"),
    };
    let charsmap = charsmap.cloned();
    let [_, _, unknown, ..] = class.named(settings);
    let unknown = unknown.map(|token| token.content).unwrap_or_default();
    let mut model = json["model"].take();
    match class {
        Class::Bert => {
            model["type"] = "WordPiece".into();
            model["unk_token"] = unknown.into();
            model["continuing_subword_prefix"] = "##".into();
            model["max_input_chars_per_word"] = 100.into();
        }
        Class::Roberta => {
            let (vocab, merges) = (model["vocab"].take(), model["merges"].take());
            let (Value::Object(vocab), Value::Array(merges)) = (vocab, merges) else {
                return Err(StageError::new("malformed tokenizer.json: it has no vocabulary with merges")
                    .help("copy it again from the model's own repository"));
            };
            model = vocabulary::bpe(vocab, merges);
        }
        _ => {
            let vocab: Vec<(String, f64)> = serde_json::from_value(model["vocab"].take()).map_err(|e| {
                StageError::because("malformed tokenizer.json", e)
                    .help("copy it again from the model's own repository")
            })?;
            model = class.unigram(&vocab, &unknown, 1);
        }
    }
    Ok(Read { charsmap, ..plain(class, model) })
}

/// A tokenizer.json that no class has a say in, with the tokens that the folder adds.
fn as_it_is(
    mut value: Value,
    mut json: Vec<u8>,
    settings: &Settings,
    entries: usize,
) -> Result<Loaded, StageError> {
    let named = Class::Generic.named(settings);
    let random = value.get_mut("model").is_some_and(without_dropout);
    if added::leave_out(&mut value, &named, entries) || random {
        json = serde_json::to_vec(&value).map_err(write)?;
    }
    let mut inner = door::open(&value)?;
    let before = inner.get_added_tokens_decoder();
    added::add(&mut inner, settings, &named, Class::Generic.extra(settings, None), entries)?;
    if inner.get_added_tokens_decoder() != before {
        json = door::written(&inner)?;
    }
    Ok(Loaded { inner, roles: Roles::of(&named), json })
}

/// Switches off what leaves merges out at random (BPE-dropout, Provilkov et al. 2020): it is for training, and a text would
/// have other pieces each time. Gives whether it was on.
fn without_dropout(model: &mut Value) -> bool {
    let on = model.get_mut("dropout").is_some_and(|dropout| !dropout.take().is_null());
    if on {
        tracing::info!("tokenizer.json asks for dropout, which is for training and left out");
    }
    on
}

/// A tokenizer.json made of its parts.
fn build(read: Read, settings: &Settings, entries: usize) -> Result<Loaded, StageError> {
    let Read { class, model, steps, charsmap, tokens } = read;
    let [normalizer, pre_tokenizer, decoder] = match steps {
        Some(steps) => steps,
        None => class.steps(settings, charsmap)?,
    };
    let value = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": decoder, "model": model,
    });
    let mut inner = door::open(&value)?;
    let named = class.named(settings);
    added::add(&mut inner, settings, &named, class.extra(settings, tokens), entries)?;
    let around = class.around(settings, &named, |token| inner.token_to_id(token))?;
    let around: Option<PostProcessorWrapper> = serde_json::from_value(around).map_err(write)?;
    inner.with_post_processor(around);
    let json = door::written(&inner)?;
    Ok(Loaded { inner, roles: Roles::of(&named), json })
}
