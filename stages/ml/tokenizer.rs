//! Sub-words: tokenise raw text once, align words by character overlap, cut long texts into windows.

use std::path::Path;

use stage_contract::StageError;

/// Special ids as tokenizer.json gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// `<s>`
    pub bos: u32,
    /// `<pad>`
    pub pad: u32,
    /// `</s>`
    pub eos: u32,
    /// `<unk>`
    pub unk: u32,
}

/// A sub-word with its `[start, end)` in Unicode scalar values of the raw text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Vocabulary id.
    pub id: u32,
    /// First character.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
}

/// A model's tokenizer with truncation and padding switched off.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: Special,
    json: Vec<u8>,
}

/// Where a word is read off a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Index of the word in its text.
    pub word: usize,
    /// Row in [`Window::ids`] (specials counted).
    pub row: usize,
    /// Whether the word owns that piece; if not it is out of every loss and takes the piece's label when decoding.
    pub owned: bool,
}

/// A piece of a text that the model reads at once: `<s> .. </s>`, at most `max_pieces` ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Ids with specials.
    pub ids: Vec<u32>,
    /// The words that belong to this window, ascending. Over a text's windows every word that any piece covers
    /// appears exactly once.
    pub anchors: Vec<Anchor>,
}

impl Tokenizer {
    /// Reads `tokenizer.json` from a model folder.
    ///
    /// # Errors
    /// Unreadable, or one of the four specials is missing.
    pub fn load(model: &Path) -> Result<Self, StageError> {
        let _ = model;
        todo!()
    }

    /// Special ids.
    #[must_use]
    pub fn special(&self) -> Special {
        self.special
    }

    /// Ids run from 0 to this, exclusive.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The bytes of tokenizer.json as they were read, to be copied beside a student.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Sub-words of a raw text, without specials.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn pieces(&self, text: &str) -> Result<Vec<Piece>, StageError> {
        let _ = text;
        todo!()
    }

    /// Windows of at most `max_pieces` ids with specials (512 at most; tests use less), overlapping by a quarter;
    /// cut between words where possible, each word owned by the window in which it has most context.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn windows(
        &self,
        text: &str,
        words: &[[usize; 2]],
        max_pieces: usize,
    ) -> Result<Vec<Window>, StageError> {
        let _ = (text, words, max_pieces);
        todo!()
    }
}
