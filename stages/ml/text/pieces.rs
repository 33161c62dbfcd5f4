//! Sub-words of a text, and the windows that a model reads.

/// Ids of the tokens that play a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// Before a text, where the tokenizer puts something around it: `<s>` or `[CLS]`.
    pub bos: u32,
    /// `<pad>` or `[PAD]`
    pub pad: u32,
    /// After it: `</s>` or `[SEP]`.
    pub eos: u32,
    /// `<unk>` or `[UNK]`; a byte-level vocabulary needs none.
    pub unk: Option<u32>,
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

/// A piece that no word is read off, beside the word that it goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// Index of the word in its text.
    pub word: usize,
    /// Row in [`Window::ids`] (specials counted).
    pub row: usize,
    /// Whether it lies between the word before and this one, such as a lone `▁`; else it is a further piece of the word.
    pub leads: bool,
}

/// A piece of a text that the model reads at once, mostly `<s> .. </s>`, at most `max_pieces` ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Ids with specials.
    pub ids: Vec<u32>,
    /// The words that belong to this window, ascending. Over a text's windows every word that any piece covers
    /// appears exactly once.
    pub anchors: Vec<Anchor>,
    /// The other pieces in and right before those words, ascending.
    pub continuations: Vec<Continuation>,
}
