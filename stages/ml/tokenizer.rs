//! Sub-words: tokenise raw text once, align words by character overlap, cut long texts into windows.

use std::{fs, path::Path};

use stage_contract::StageError;

use crate::ml::window;

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
        let path = model.join("tokenizer.json");
        let help = "copy tokenizer.json from the model's own repository, where transformers saves it";
        let json = fs::read(&path).map_err(|e| StageError::io("read", &path, e).help(help))?;
        Self::from_json(json).map_err(|error| {
            StageError::because(format!("{} is no tokenizer that can be used", path.display()), error)
                .help(help)
        })
    }

    /// Understands the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// Malformed, or one of the four specials is missing.
    pub fn from_json(json: Vec<u8>) -> Result<Self, StageError> {
        let failed = |e: tokenizers::Error| StageError::because("malformed tokenizer.json", e);
        let mut inner = tokenizers::Tokenizer::from_bytes(&json).map_err(failed)?;
        // Windows are ours; a tokenizer that truncates (real ones carry it) would drop the end of long texts.
        inner.with_truncation(None).map_err(failed)?;
        inner.with_padding(None);
        let id = |name: &str| {
            inner
                .token_to_id(name)
                .ok_or_else(|| StageError::new(format!("tokenizer.json has no special token `{name}`")))
        };
        let special = Special { bos: id("<s>")?, pad: id("<pad>")?, eos: id("</s>")?, unk: id("<unk>")? };
        Ok(Self { inner, special, json })
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

    /// Sub-words of a raw text, without specials. Offsets are the tokenizer's own: a piece may begin with the space
    /// before a word, and a lone `▁` covers the space alone; at the
    /// start of a text, where there is no space, it shares the first character with the piece after it.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn pieces(&self, text: &str) -> Result<Vec<Piece>, StageError> {
        let encoding = self
            .inner
            .encode_char_offsets(text, false)
            .map_err(|e| StageError::because("the tokenizer refuses a text", e))?;
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
        let room = max_pieces.saturating_sub(2);
        if room == 0 {
            return Err(StageError::new(format!(
                "windows of {max_pieces} pieces have no room beside `<s>` and `</s>`"
            )));
        }
        Ok(window::cut(&self.pieces(text)?, words, room, self.special))
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::ml::{fixture::real, words::words};

    #[test]
    fn ids_and_offsets_equal_those_of_transformers() {
        let (Some(model), Some(parity)) = (real("teacher"), real("parity/teacher.json")) else { return };
        let tokenizer = Tokenizer::load(&model).expect("the teacher's tokenizer");
        assert_eq!(tokenizer.special(), Special { bos: 0, pad: 1, eos: 2, unk: 3 });
        assert_eq!(tokenizer.vocab_size(), 29_639);
        let cases: serde_json::Value =
            serde_json::from_slice(&fs::read(parity).expect("read")).expect("the parity cases");
        let cases = cases.as_array().expect("a list");
        assert!(!cases.is_empty());
        for case in cases {
            let text = case["text"].as_str().expect("text");
            let ids: Vec<u32> = serde_json::from_value(case["input_ids"].clone()).expect("ids");
            let offsets: Vec<(usize, usize)> =
                serde_json::from_value(case["offsets"].clone()).expect("offsets");
            let pieces = tokenizer.pieces(text).expect("pieces");
            let inside = 1..ids.len() - 1;
            assert_eq!(pieces.iter().map(|p| p.id).collect::<Vec<_>>(), ids[inside.clone()]);
            assert_eq!(pieces.iter().map(|p| (p.start, p.end)).collect::<Vec<_>>(), offsets[inside]);
            let windows = tokenizer.windows(text, &words(text), 512).expect("windows");
            assert_eq!(windows[0].ids, ids);
        }
    }

    #[test]
    fn camemberts_own_specials_and_words_are_found() {
        let Some(model) = real("camembert-tokenizer") else { return };
        let tokenizer = Tokenizer::load(&model).expect("camembert's tokenizer");
        assert_eq!(tokenizer.special(), Special { bos: 5, pad: 1, eos: 6, unk: 3 });
        assert_eq!(tokenizer.vocab_size(), 32_005);
        let text = "L’hôpital Saint-Louis accueille Mme N'Diaye aujourd'hui à 12,5 km…";
        let words = words(text);
        let windows = tokenizer.windows(text, &words, 512).expect("windows");
        let [window] = windows.as_slice() else { panic!("one window") };
        assert_eq!(window.anchors.len(), words.len());
        assert!(window.anchors.iter().all(|anchor| anchor.owned));
        let spoilt = "♥ Aix";
        let window = &tokenizer.windows(spoilt, &[[0, 1], [2, 5]], 512).expect("windows")[0];
        assert_eq!(window.anchors[0].row, 1, "at the start of a text a lone `▁` overlaps the first word");
    }

    #[test]
    fn real_lines_are_covered_whole_in_small_windows_too() {
        let (Some(model), Some(corpus)) = (real("teacher"), real("corpus")) else { return };
        let tokenizer = Tokenizer::load(&model).expect("the teacher's tokenizer");
        for source in ["clinical", "press"] {
            let text = fs::read_to_string(corpus.join(format!("{source}.txt"))).expect("read");
            for (number, line) in text.lines().take(400).enumerate() {
                let words = words(line);
                let mut expected: Option<Vec<usize>> = None;
                for room in [512, 24] {
                    let windows = tokenizer.windows(line, &words, room).expect("windows");
                    assert!(windows.iter().all(|w| w.ids.len() <= room));
                    let mut found: Vec<usize> =
                        windows.iter().flat_map(|w| w.anchors.iter().map(|a| a.word)).collect();
                    found.sort_unstable();
                    assert!(found.windows(2).all(|w| w[0] < w[1]), "{source}:{number}: a word twice");
                    assert!(found.len() * 100 >= words.len() * 95, "{source}:{number}: words without pieces");
                    assert_eq!(*expected.get_or_insert(found.clone()), found, "{source}:{number}");
                }
            }
        }
    }

    #[test]
    fn a_folder_without_a_usable_tokenizer_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |path: &Path| Tokenizer::load(path).err().expect("refused").to_string();
        assert!(error(folder.path()).contains("cannot read"));
        fs::write(folder.path().join("tokenizer.json"), "{}").expect("written");
        assert!(error(folder.path()).contains("no tokenizer that can be used"));
    }
}
