//! Sub-words: tokenise raw text once, align words by character overlap, cut long texts into windows.

mod roles;
mod sentencepiece;

use std::path::Path;

use serde_json::Value;
use stage_contract::StageError;

use self::roles::Roles;
pub use crate::pieces::{Anchor, Piece, Special, Window};
use crate::{folder, window};

/// A model's tokenizer with truncation and padding switched off.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    roles: Roles,
    special: Special,
    ids: usize,
    json: Vec<u8>,
}

fn malformed(error: tokenizers::Error) -> StageError {
    StageError::because("malformed tokenizer.json", error)
        .help("copy it again from the model's own repository")
}

/// The library warns of habits that harm nobody, such as `<unk>` twice in a vocabulary.
fn parse(json: &[u8]) -> Result<tokenizers::Tokenizer, StageError> {
    let silent = tracing::subscriber::NoSubscriber::default();
    tracing::subscriber::with_default(silent, || tokenizers::Tokenizer::from_bytes(json)).map_err(malformed)
}

/// A tokenizer.json without the special tokens that were added beyond the model's vocabulary (`<unk>NOTUSED` of
/// `CamemBERT`'s children): no text means them, and the model has no embedding for them. `None` when there are none.
fn without(json: &[u8], ids: usize, entries: usize) -> Result<Option<Vec<u8>>, StageError> {
    if ids <= entries {
        return Ok(None);
    }
    let mut value: Value =
        serde_json::from_slice(json).map_err(|e| StageError::because("malformed tokenizer.json", e))?;
    let Some(added) = value["added_tokens"].as_array_mut() else { return Ok(None) };
    let before = added.len();
    added.retain(|token| {
        let beyond = token["id"].as_u64().is_some_and(|id| id >= entries as u64);
        let unmeant = beyond && token["special"] == true;
        if unmeant {
            tracing::info!(
                "{} of tokenizer.json is beyond the model's vocabulary and left out",
                token["content"]
            );
        }
        !unmeant
    });
    if added.len() == before {
        return Ok(None);
    }
    serde_json::to_vec(&value).map(Some).map_err(|e| StageError::because("cannot write tokenizer.json", e))
}

impl Tokenizer {
    /// Reads the tokenizer of a model folder: tokenizer.json, else `sentencepiece.bpe.model`. `entries` is the size of the
    /// model's vocabulary; special tokens beyond it, which some models carry along, are left out.
    ///
    /// # Errors
    /// There is none, it cannot be read, a token that plays a part is missing, or it has pieces beyond the vocabulary.
    pub fn load(model: &Path, entries: usize) -> Result<Self, StageError> {
        let path = folder::tokenizer(model)?;
        let roles = Roles::load(model)?;
        let unusable = |e: StageError| {
            StageError::because(format!("{} is no tokenizer that can be used", path.display()), e)
        };
        if path.ends_with(folder::SENTENCEPIECE) {
            let inner = sentencepiece::load(&path, entries)?;
            let json =
                inner.to_string(false).map_err(|e| StageError::because("cannot write tokenizer.json", e))?;
            return Self::of(inner, roles, json.into_bytes())
                .and_then(|it| it.fits(entries))
                .map_err(unusable);
        }
        let read = |json: Vec<u8>| Self::of(parse(&json)?, roles.clone(), json);
        let json = folder::read(&path)?;
        let found =
            read(json).and_then(|tokenizer| match without(&tokenizer.json, tokenizer.ids, entries)? {
                Some(less) => read(less),
                None => Ok(tokenizer),
            });
        found.and_then(|tokenizer| tokenizer.fits(entries)).map_err(unusable)
    }

    /// Understands the bytes of a `tokenizer.json`, whose special tokens have the usual names.
    ///
    /// # Errors
    /// Malformed, or a token that plays a part is missing.
    pub fn from_json(json: Vec<u8>) -> Result<Self, StageError> {
        Self::of(parse(&json)?, Roles::default(), json)
    }

    /// The same roles with the bytes of another `tokenizer.json`.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn with_json(&self, json: Vec<u8>) -> Result<Self, StageError> {
        Self::of(parse(&json)?, self.roles.clone(), json)
    }

    fn of(mut inner: tokenizers::Tokenizer, roles: Roles, json: Vec<u8>) -> Result<Self, StageError> {
        // Windows are ours; a tokenizer that truncates (real ones carry it) would drop the end of long texts.
        inner.with_truncation(None).map_err(malformed)?;
        let padding = inner.get_padding().map(|padding| padding.pad_id);
        inner.with_padding(None);
        let special = roles.resolve(&inner, padding)?;
        let ids = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        Ok(Self { inner, roles, special, ids, json })
    }

    fn fits(self, entries: usize) -> Result<Self, StageError> {
        if self.ids <= entries {
            return Ok(self);
        }
        Err(StageError::new(format!(
            "its ids reach {}, but config.json makes room for {entries} (vocab_size)",
            self.ids - 1
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

    /// The files beside tokenizer.json that transformers reads, with their text: which token plays which part, and how
    /// many pieces, specials included, a model reads at once.
    #[must_use]
    pub fn files(&self, longest: usize) -> [(&'static str, String); 2] {
        self.roles.files(&self.inner, self.special, longest)
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
    use std::fs;

    use super::*;
    use crate::testing::real;
    use crate::words::words;

    #[test]
    fn ids_and_offsets_equal_those_of_transformers() {
        let (Some(model), Some(parity)) = (real("teacher"), real("parity/teacher.json")) else { return };
        let tokenizer = Tokenizer::load(&model, 40_000).expect("the teacher's tokenizer");
        assert_eq!(tokenizer.special(), Special { bos: 0, pad: 1, eos: 2, unk: Some(3) });
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
        let tokenizer = Tokenizer::load(&model, 40_000).expect("camembert's tokenizer");
        assert_eq!(tokenizer.special(), Special { bos: 5, pad: 1, eos: 6, unk: Some(3) });
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
        let tokenizer = Tokenizer::load(&model, 40_000).expect("the teacher's tokenizer");
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
        let error = |path: &Path| Tokenizer::load(path, 100).err().expect("refused").to_string();
        assert!(error(folder.path()).contains("has no tokenizer.json"));
        fs::write(folder.path().join("tokenizer.json"), "{}").expect("written");
        assert!(error(folder.path()).contains("no tokenizer that can be used"));
    }
}
