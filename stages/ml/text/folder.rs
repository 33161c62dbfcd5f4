//! The files of a model folder, as they come from the hub.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use stage_contract::{Invalid, StageError};

/// The model's shape.
pub const CONFIG: &str = "config.json";
/// The weights, in one file.
pub const WEIGHTS: &str = "model.safetensors";
/// Where the tensors are, when the weights are in several files.
pub const INDEX: &str = "model.safetensors.index.json";
/// The weights as `torch.save` wrote them, where there are no safetensors.
pub const PYTORCH: &str = "pytorch_model.bin";
/// Where the tensors are, when they are in several such files.
pub const PYTORCH_INDEX: &str = "pytorch_model.bin.index.json";
/// The tokenizer, ready for use.
pub const TOKENIZER: &str = "tokenizer.json";
/// `SentencePiece` models, under the names that transformers' classes give them; the first that is there is read.
pub const SENTENCEPIECE: [&str; 5] =
    ["sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model", "sentencepiece.model"];
/// The vocabulary of BERT's tokenizer.
pub const WORD_PIECE: &str = "vocab.txt";
/// The vocabulary of a byte-level BPE, and its merges.
pub const BYTE_LEVEL: [&str; 2] = ["vocab.json", "merges.txt"];
/// Which token plays which part, and how long a text may be.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// Which token plays which part.
pub const SPECIAL_TOKENS: &str = "special_tokens_map.json";

/// The model card.
pub const CARD: &str = "README.md";

/// What Git is to keep out of its own store; the Hub wants it.
pub const GIT_ATTRIBUTES: &str = ".gitattributes";

/// What a model folder is.
pub const LAYOUT: &str = "name a folder in Hugging Face layout: config.json, model.safetensors, and a tokenizer \
                          (tokenizer.json, sentencepiece.bpe.model, vocab.txt, or vocab.json with merges.txt)";

/// Ids of tokens that were added to the tokenizer's own.
pub const ADDED_TOKENS: &str = "added_tokens.json";

/// What ONNX Runtime and `optimum` look for.
pub const ONNX: &str = "model.onnx";

const TENSORFLOW: &str = "tf_model.h5";
const FLAX: &str = "flax_model.msgpack";

/// What a Git LFS pointer begins with (Git LFS specification, "Pointer").
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Reads a file that may have been cloned from a repository.
///
/// # Errors
/// Unreadable, or a Git LFS pointer in its place.
pub fn read(path: &Path) -> Result<Vec<u8>, StageError> {
    let bytes = fs::read(path).map_err(|e| StageError::io("read", path, e))?;
    if bytes.starts_with(POINTER) { Err(pointer(path)) } else { Ok(bytes) }
}

/// That a file is a Git LFS pointer, and how to get what it points to.
#[must_use]
pub fn pointer(path: &Path) -> StageError {
    let folder = quoted(path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new(".")));
    StageError::new(format!("{} is a Git LFS pointer and not the file itself", path.display())).help(format!(
        "fetch what it points to: `git -C {folder} lfs install --local && git -C {folder} lfs pull`, or where the folder \
         is no git clone `hf download OWNER/NAME --local-dir {folder}`"
    ))
}

/// Bytes of the largest file beside the weights. The largest tokenizer.json that we know has 35 MB; what is read of one takes
/// ten times as much memory.
const LARGEST: u64 = 256 << 20;

/// Reads a file of a model folder that is no weights.
///
/// # Errors
/// Unreadable, no file, too large, or a Git LFS pointer in its place.
pub fn small(path: &Path) -> Result<Vec<u8>, StageError> {
    let meta = fs::metadata(path).map_err(|e| StageError::io("read", path, e))?;
    let refused = |what: String| {
        Err(StageError::new(format!("{} {what}", path.display()))
            .help("copy it again from the model's own repository"))
    };
    if !meta.is_file() {
        return refused("is no file".to_owned());
    }
    if meta.len() > LARGEST {
        return refused(format!("has {} bytes, and no file beside the weights has {LARGEST}", meta.len()));
    }
    read(path)
}

/// Reads a JSON file of a model folder that need not be there.
///
/// # Errors
/// Unreadable, or no JSON.
pub fn optional(path: &Path) -> Result<Option<Value>, StageError> {
    if !path.exists() {
        return Ok(None);
    }
    json(path).map(Some)
}

fn json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, StageError> {
    serde_json::from_slice(&small(path)?).map_err(|e| {
        StageError::because(format!("cannot understand {}", path.display()), e)
            .help("copy it again from the model's own repository")
    })
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files with the weights, safetensors before what `torch.save` wrote: one, or the shards that the index names, in name
/// order.
///
/// # Errors
/// There are none, a shard is missing, or the index names a file elsewhere.
pub fn weights(folder: &Path) -> Result<Vec<PathBuf>, StageError> {
    for (whole, index) in [(WEIGHTS, INDEX), (PYTORCH, PYTORCH_INDEX)] {
        let (whole, index) = (folder.join(whole), folder.join(index));
        if whole.exists() {
            return Ok(vec![whole]);
        }
        if index.exists() {
            return shards(folder, &index);
        }
    }
    Err(without_weights(folder))
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, StageError> {
    let Index { weight_map } = json(index)?;
    let names: BTreeSet<String> = weight_map.into_values().collect();
    let wrong = |message: String| {
        Err(StageError::new(format!("{}: {message}", index.display()))
            .help("download all files of the model's repository"))
    };
    for name in &names {
        let inside =
            Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || name.is_empty() {
            return wrong(format!("`{name}` is no file of the folder"));
        }
        if !folder.join(name).exists() {
            return wrong(format!("the file {name} that it names is not there"));
        }
    }
    if names.is_empty() {
        return wrong("it names no file".to_owned());
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Whether a file is a Git LFS pointer.
#[must_use]
pub fn is_pointer(path: &Path) -> bool {
    let mut start = [0; POINTER.len()];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *POINTER
}

fn without_weights(folder: &Path) -> StageError {
    let shown = folder.display();
    let other = [TENSORFLOW, FLAX].into_iter().find(|name| folder.join(name).exists());
    match other {
        Some(name) if is_pointer(&folder.join(name)) => pointer(&folder.join(name)),
        Some(name) => StageError::new(format!("{shown} has its weights in {name} alone, which is not read"))
            .help(by_hand(name, folder)),
        None if folder.join(ONNX).exists() => {
            StageError::new(format!("{shown} has its weights in {ONNX} alone, which ONNX Runtime reads"))
                .help("give the folder that it was exported from")
        }
        None => StageError::new(format!("{shown} has no {WEIGHTS} and no {PYTORCH}")).help(LAYOUT),
    }
}

/// transformers 5 reads neither of the two.
fn by_hand(name: &str, folder: &Path) -> String {
    let (packages, option) =
        if name == FLAX { ("flax", "from_flax=True") } else { ("tensorflow tf-keras", "from_tf=True") };
    format!(
        "convert them with transformers 4.49 (later ones no longer can), after `pip install \"transformers<4.50\" torch {packages}`: {}",
        rewrite("AutoModelForTokenClassification", option, folder)
    )
}

/// A command that lets transformers read a folder and write it again as we read it.
#[must_use]
pub fn convert(class: &str, folder: &Path) -> String {
    rewrite(class, "", folder)
}

fn rewrite(class: &str, option: &str, folder: &Path) -> String {
    let (folder, comma) = (quoted(folder), if option.is_empty() { "" } else { ", " });
    format!(
        "`python3 -c 'import sys, transformers as t; t.{class}.from_pretrained(sys.argv[1]{comma}{option}).save_pretrained(sys.argv[1])' {folder}`"
    )
}

/// The files that hold a tokenizer's vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// tokenizer.json
    Json(PathBuf),
    /// A `SentencePiece` model.
    SentencePiece(PathBuf),
    /// `vocab.txt`
    WordPiece(PathBuf),
    /// `vocab.json` and `merges.txt`.
    ByteLevel([PathBuf; 2]),
}

impl Vocabulary {
    /// The files.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::Json(path) | Self::SentencePiece(path) | Self::WordPiece(path) => {
                std::slice::from_ref(path)
            }
            Self::ByteLevel(paths) => paths,
        }
    }
}

/// What the tokenizer is read from.
///
/// # Errors
/// There is nothing, or merges without a vocabulary or the other way round.
pub fn tokenizer(folder: &Path) -> Result<Vocabulary, StageError> {
    let there = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
    if let Some(path) = there(TOKENIZER) {
        return Ok(Vocabulary::Json(path));
    }
    if let Some(path) = SENTENCEPIECE.into_iter().find_map(there) {
        return Ok(Vocabulary::SentencePiece(path));
    }
    if let Some(path) = there(WORD_PIECE) {
        return Ok(Vocabulary::WordPiece(path));
    }
    let shown = folder.display();
    Err(match BYTE_LEVEL.map(there) {
        [Some(vocab), Some(merges)] => return Ok(Vocabulary::ByteLevel([vocab, merges])),
        [None, None] => StageError::new(format!(
            "{shown} has no tokenizer: none of {TOKENIZER}, {}, {WORD_PIECE}, {}",
            SENTENCEPIECE.join(", "),
            BYTE_LEVEL.join(" with ")
        ))
        .help("download the tokenizer from the model's own repository, into the same folder"),
        [found, _] => {
            let [vocab, merges] = BYTE_LEVEL;
            let (there, missing) = if found.is_some() { (vocab, merges) } else { (merges, vocab) };
            StageError::new(format!("{shown} has {there} and no {missing}"))
                .help(format!("download {missing} from the model's own repository, into the same folder"))
        }
    })
}

/// Where the config is.
///
/// # Errors
/// It is not there; says which folders in this one have one, as in the cache of the hub
/// (`models--owner--name/snapshots/<commit>`) or where a training left checkpoints.
pub fn config(folder: &Path) -> Result<PathBuf, StageError> {
    /// More than these no help line has room for.
    const SHOWN: usize = 3;
    let config = folder.join(CONFIG);
    if config.exists() {
        return Ok(config);
    }
    let current = fs::read_to_string(folder.join("refs/main")).unwrap_or_default();
    let mut models: Vec<PathBuf> = [folder.join("snapshots"), folder.to_owned()]
        .iter()
        .flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.join(CONFIG).exists())
        .collect();
    // What a revision is now comes first.
    models.sort_by_key(|path| (!path.ends_with(current.trim()), path.clone()));
    let shown: Vec<_> = models.iter().take(SHOWN).map(|path| format!("`{}`", path.display())).collect();
    let error = StageError::new(format!("{} has no {CONFIG}", folder.display()));
    Err(match shown.as_slice() {
        [] => error.help(LAYOUT),
        [one] => error.help(format!("give the folder in it that has one: {one}")),
        some => error.help(format!("give a folder in it that has one: {}", some.join(", "))),
    })
}

/// All files that a model is read from: config, weights, tokenizer.
///
/// # Errors
/// One is missing.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, StageError> {
    Ok([vec![config(folder)?], weights(folder)?, tokenizer(folder)?.files().to_vec()].concat())
}

/// Which files of a repository a model is read from, of the names of all: config, one form of the weights with its index,
/// the tokenizer, and what lies beside it.
///
/// # Errors
/// Something is missing.
pub fn needed(files: &[String]) -> Result<Vec<String>, Invalid> {
    let there = |name: &str| files.iter().any(|file| file == name);
    let any = |names: &[&str]| names.iter().any(|name| there(name));
    let missing = |what: String| {
        Err(Invalid::new(format!("it has no {what}"))
            .help("name the repository of a token classifier, such as Jean-Baptiste/camembert-ner"))
    };
    if !there(CONFIG) {
        return missing(CONFIG.to_owned());
    }
    if weight_form(files).is_none() {
        return missing(format!("weights ({WEIGHTS} or {PYTORCH})"));
    }
    let vocabularies = vocabularies();
    if !any(&vocabularies) {
        return missing(format!("tokenizer ({})", vocabularies.join(", ")));
    }
    Ok(files.iter().filter(|name| is_said(name, files)).cloned().collect())
}

/// The card says under which licence students of the model are.
fn is_said(name: &str, files: &[String]) -> bool {
    is_outside(name) || is_weight(name, files) || name == CARD
}

/// The whole file, the index, and how shards are called, of the form in which a repository has its weights.
fn weight_form(files: &[String]) -> Option<[&'static str; 3]> {
    let there = |name: &str| files.iter().any(|file| file == name);
    let forms = [[WEIGHTS, INDEX, "model-"], [PYTORCH, PYTORCH_INDEX, "pytorch_model-"]];
    forms.into_iter().find(|[whole, index, _]| there(whole) || there(index))
}

/// Whether a file of a repository holds weights that are read. Which shards there are is in the index, which is not here
/// yet: all files that are called like one.
fn is_weight(name: &str, files: &[String]) -> bool {
    weight_form(files).is_some_and(|[whole, index, shard]| {
        if files.iter().any(|file| file == whole) {
            name == whole
        } else {
            name == index || (name.starts_with(shard) && !name.contains('/'))
        }
    })
}

/// Which files of a repository say what its model is and what is wrong with it, however few they are: those of [`needed`]
/// that are there, and the card.
///
/// # Errors
/// There is none of them.
pub fn audited(files: &[String]) -> Result<Vec<String>, Invalid> {
    let found: Vec<String> = files.iter().filter(|name| is_said(name, files)).cloned().collect();
    if found.iter().all(|name| name == CARD) {
        return Err(Invalid::new("it has no file of a model").help("name the repository of a model"));
    }
    Ok(found)
}

fn vocabularies() -> Vec<&'static str> {
    [&[TOKENIZER][..], &SENTENCEPIECE, &[WORD_PIECE], &BYTE_LEVEL].concat()
}

/// Whether a file of a repository says what a model is, beside its weights: its config, its tokenizer.
#[must_use]
pub fn is_outside(name: &str) -> bool {
    [CONFIG, TOKENIZER_CONFIG, SPECIAL_TOKENS, ADDED_TOKENS].contains(&name) || vocabularies().contains(&name)
}

/// Files that say more of a model where they are there: shards, which token plays which part, the card.
#[must_use]
pub fn beside(folder: &Path) -> Vec<PathBuf> {
    let names = [INDEX, PYTORCH_INDEX, TOKENIZER_CONFIG, SPECIAL_TOKENS, ADDED_TOKENS, CARD, GIT_ATTRIBUTES];
    names.into_iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect()
}

/// A path as a shell reads it, and no program takes for an option.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let text = if text.starts_with('-') { format!("./{text}") } else { text };
    shlex::try_quote(&text).map_or_else(|_| text.clone(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests;
