//! Sub-words: tokenise raw text once, align words by character overlap, cut long texts into windows.

mod added;
mod bounded;
mod charsmap;
mod class;
mod door;
mod load;
mod proto;
mod regexes;
mod roles;
mod sentencepiece;
mod settings;
mod steps;
mod trim;
mod vocabulary;

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};
use stage_contract::StageError;

use self::{door::Inner, load::Loaded, roles::Roles};
pub use crate::pieces::{Anchor, Continuation, Piece, Special, Window};
use crate::{folder, window};

/// A model's tokenizer with truncation and padding switched off.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Inner,
    roles: Roles,
    special: Special,
    /// Whether [`Special::bos`] and [`Special::eos`] stand around a text.
    around: bool,
    ids: usize,
    json: Vec<u8>,
}

/// A tokenizer cut down.
pub struct Trimmed {
    /// It.
    pub tokenizer: Tokenizer,
    /// The old id of each of its ids, ascending.
    pub origin: Vec<usize>,
}

fn written(json: &Value) -> Result<Vec<u8>, StageError> {
    serde_json::to_vec(json).map_err(|e| StageError::because("cannot write tokenizer.json", e))
}

fn parse(json: &[u8]) -> Result<Inner, StageError> {
    let value =
        serde_json::from_slice(json).map_err(|e| StageError::because("malformed tokenizer.json", e))?;
    door::open(&value)
}

impl Tokenizer {
    /// Reads the tokenizer of a model folder as transformers does (docs/formats.md, "Tokenizer"). `entries` is the size of
    /// the model's vocabulary; special tokens beyond it, which some models carry along, are left out.
    ///
    /// # Errors
    /// There is none, it cannot be read, a token that plays a part is missing, or it has pieces beyond the vocabulary.
    pub fn load(model: &Path, entries: usize) -> Result<Self, StageError> {
        let files = folder::tokenizer(model)?;
        let found = load::load(model, &files, entries)
            .and_then(|Loaded { inner, roles, json }| Self::of(inner, roles, json))
            .and_then(|tokenizer| tokenizer.fits(entries));
        let names: Vec<String> = files.files().iter().map(|path| path.display().to_string()).collect();
        found.map_err(|e| {
            StageError::because(format!("{}: no tokenizer that can be used", names.join(" and ")), e)
        })
    }

    /// Understands the bytes of a `tokenizer.json`, whose special tokens have the usual names; where it puts none around
    /// a text, it does from now on.
    ///
    /// # Errors
    /// Malformed, or a token that plays a part is missing.
    pub fn from_json(json: Vec<u8>) -> Result<Self, StageError> {
        let made = Self::of(parse(&json)?, Roles::default(), json)?;
        if made.around {
            return Ok(made);
        }
        let token = |id| json!([made.inner.id_to_token(id), id]);
        let mut value = made.value()?;
        value["post_processor"] = json!({
            "type": "BertProcessing", "cls": token(made.special.bos), "sep": token(made.special.eos),
        });
        let json = written(&value)?;
        Self::of(parse(&json)?, made.roles, json)
    }

    /// Whether its vocabulary is of a kind that [`Self::trim`] cuts down.
    ///
    /// # Errors
    /// It is not, which is worth knowing before any work.
    pub fn can_trim(&self) -> Result<(), StageError> {
        trim::check(&self.value()?)
    }

    /// Keeps `keep` entries of the vocabulary; `used[id]` says how often a corpus uses a piece.
    ///
    /// # Errors
    /// As [`Self::can_trim`], or specials and characters alone are more than `keep`.
    pub fn trim(&self, used: &[usize], keep: usize) -> Result<Trimmed, StageError> {
        let mut value = self.value()?;
        let origin = trim::trim(&mut value, self.special.pad as usize, used, keep)?;
        let json = written(&value)?;
        Ok(Trimmed { tokenizer: Self::of(parse(&json)?, self.roles.clone(), json)?, origin })
    }

    fn value(&self) -> Result<Value, StageError> {
        serde_json::from_slice(&self.json).map_err(|e| StageError::because("malformed tokenizer.json", e))
    }

    fn of(mut inner: Inner, roles: Roles, json: Vec<u8>) -> Result<Self, StageError> {
        // Windows are ours; a tokenizer that truncates (real ones carry it) would drop the end of long texts.
        inner.with_truncation(None).map_err(|e| StageError::because("cannot switch truncation off", e))?;
        let padding = inner.get_padding().map(|padding| padding.pad_id);
        inner.with_padding(None);
        let (special, around) = roles.resolve(&inner, padding)?;
        let ids = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        Ok(Self { inner, roles, special, around, ids, json })
    }

    fn fits(self, entries: usize) -> Result<Self, StageError> {
        let Special { bos, pad, eos, unk } = self.special;
        let special = [Some(bos), Some(pad), Some(eos), unk].into_iter().flatten().max();
        let most = self.ids.max(special.map_or(0, |id| id as usize + 1));
        if most <= entries {
            return Ok(self);
        }
        Err(StageError::new(format!(
            "its ids reach {}, but config.json makes room for {entries} (vocab_size)",
            most - 1
        ))
        .help("use config.json and the tokenizer of one and the same model"))
    }

    /// Special ids.
    #[must_use]
    pub fn special(&self) -> Special {
        self.special
    }

    /// Ids run from 0 to this, exclusive.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.ids
    }

    /// The ids that some piece or token has.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<u32> {
        self.inner.get_vocab(true).into_values().collect()
    }

    /// The token of each part that it has, with its id.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, String, u32)> {
        let parts = self.roles.parts(&self.inner, self.special).into_iter();
        parts.filter_map(|(part, token)| self.inner.token_to_id(&token).map(|id| (part, token, id))).collect()
    }

    /// The files beside tokenizer.json that transformers reads, with their text: which token plays which part, and how
    /// many pieces, specials included, a model reads at once.
    #[must_use]
    pub fn files(&self, longest: usize) -> [(&'static str, String); 2] {
        self.roles.files(&self.inner, self.special, longest)
    }

    /// A tokenizer.json that says all of it, to be saved beside a student: as it was read, where nothing was added to it.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Sub-words of a raw text, without specials. Offsets are the tokenizer's own: a piece may begin with the space
    /// before a word, and a lone `▁` covers the space alone; at the
    /// start of a text, where there is no space, it shares the first character with the piece after it.
    ///
    /// # Errors
    /// When the tokenizer refuses, or fails as a damaged one may.
    pub fn pieces(&self, text: &str) -> Result<Vec<Piece>, StageError> {
        let encoding = door::encode(&self.inner, text, false)?;
        let ids = encoding.get_ids().iter().zip(encoding.get_offsets());
        Ok(ids.map(|(&id, &(start, end))| Piece { id, start, end }).collect())
    }

    /// Windows of at most `max_pieces` ids with specials (512 at most; tests use less), overlapping by a quarter;
    /// cut between words where possible, each word owned by the window in which it has most context.
    /// There is always at least one window; without pieces it is `<s> </s>`.
    ///
    /// # Errors
    /// When the tokenizer refuses, or `max_pieces` leaves no room for pieces.
    pub fn windows(
        &self,
        text: &str,
        words: &[[usize; 2]],
        max_pieces: usize,
    ) -> Result<Vec<Window>, StageError> {
        let pieces = self.pieces(text)?;
        let around = (self.around || pieces.is_empty()).then_some([self.special.bos, self.special.eos]);
        let room = max_pieces.saturating_sub(around.map_or(0, |ids| ids.len()));
        if room == 0 {
            return Err(StageError::new(format!(
                "windows of {max_pieces} pieces have no room beside `<s>` and `</s>`"
            )));
        }
        Ok(window::cut(&pieces, words, room, around))
    }
}

#[cfg(test)]
mod tests;
