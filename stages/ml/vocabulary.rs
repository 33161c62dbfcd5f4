//! A tokenizer of CamemBERT's shape, trained on texts: Unigram (Kudo 2018) over words that begin with `▁`.
//!
//! Two processes write the same bytes: words are counted in order, pieces chosen by [`crate::ml::unigram`], and the file is
//! written out here, because the library keeps some of its parts in hash maps.

use std::collections::BTreeMap;

use serde_json::json;
use stage_contract::StageError;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    normalizers::NFKC,
    pre_tokenizers::metaspace::{Metaspace, PrependScheme},
};

use crate::ml::unigram;

/// Ids 0 to 3; `<mask>` has the last id, as in CamemBERT.
const SPECIALS: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];
const MASK: &str = "<mask>";

/// Trains a vocabulary of at most `size` entries, specials included (fewer when the texts have no more pieces), and returns
/// the bytes of its `tokenizer.json`. Every character of the texts is a piece. Equal texts in any order give equal bytes.
///
/// # Errors
/// No text; a `size` too small for the characters of the texts.
pub fn train(texts: &[&str], size: usize) -> Result<Vec<u8>, StageError> {
    let words = count(texts)?;
    if words.is_empty() {
        return Err(StageError::new("there is no text to train a tokenizer on"));
    }
    let mut characters: Vec<char> = words.keys().flat_map(|word| word.chars()).collect();
    characters.sort_unstable();
    characters.dedup();
    let least = SPECIALS.len() + 1 + characters.len();
    if size < least {
        return Err(StageError::new(format!(
            "a vocabulary of {size} is too small for texts with {} different characters",
            characters.len()
        ))
        .help(format!("ask for at least {least} pieces")));
    }
    let mut pieces = unigram::train(&words, size - SPECIALS.len() - 1);
    for (_, score) in &mut pieces {
        // Six decimals mean the same and read better.
        *score = (*score * 1e6).round() / 1e6;
    }
    Ok(tokenizer_json(&pieces))
}

/// How often each word occurs, as the tokenizer sees it: normalised, with `▁` before it.
fn count(texts: &[&str]) -> Result<BTreeMap<String, u32>, StageError> {
    let failed = |e| StageError::because("cannot split a text into words", e);
    let metaspace = Metaspace::new('▁', PrependScheme::Always, true);
    let mut words = BTreeMap::new();
    for text in texts {
        let mut normalized = NormalizedString::from(text.split_whitespace().collect::<Vec<_>>().join(" "));
        NFKC.normalize(&mut normalized).map_err(failed)?;
        let mut split = PreTokenizedString::from(normalized);
        metaspace.pre_tokenize(&mut split).map_err(failed)?;
        for (word, _, _) in split.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            *words.entry(word.to_owned()).or_insert(0) += 1;
        }
    }
    Ok(words)
}

/// The file as the library reads it.
fn tokenizer_json(pieces: &[(String, f64)]) -> Vec<u8> {
    let mask = SPECIALS.len() + pieces.len();
    let vocab: Vec<(&str, f64)> = SPECIALS
        .iter()
        .map(|&special| (special, 0.0))
        .chain(pieces.iter().map(|(piece, score)| (piece.as_str(), *score)))
        .chain([(MASK, 0.0)])
        .collect();
    let added: Vec<_> = SPECIALS
        .iter()
        .enumerate()
        .map(|(id, &content)| (id, content))
        .chain([(mask, MASK)])
        .map(|(id, content)| {
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": content == MASK, "rstrip": false,
                "normalized": false, "special": true,
            })
        })
        .collect();
    let metaspace =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let (bos, eos) = (special("<s>"), special("</s>"));
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFKC"},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
        ]},
        "pre_tokenizer": metaspace,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, text("A"), eos],
            "pair": [bos, text("A"), eos, eos, text("B"), eos],
            "special_tokens": {
                "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
                "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
            },
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": false},
    });
    let mut bytes = serde_json::to_vec_pretty(&file).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::ml::tokenizer::{Special, Tokenizer};

    /// Sentences in which many characters occur once.
    fn sentences() -> Vec<String> {
        let mut sentences: Vec<String> = (0..400)
            .map(|i| {
                let name = ["Durand", "Lefèvre", "N'Diaye", "Hernández", "Šimek"][i % 5];
                let place = ["à Nîmes", "au CHU de Brest", "chez elle", "à l’EHPAD"][i % 4];
                format!(
                    "Le patient {name} né en {} est suivi {place} depuis {} semaines.",
                    1930 + i % 80,
                    i % 17
                )
            })
            .collect();
        sentences.push("¿ßþæøłđŋħ ĸ « ‹ › » ½ € £ ¥ § ¶ † ‡ • … ‰ Ω α β γ δ ε ζ η θ ι κ λ μ ν ξ".to_owned());
        sentences
    }

    fn trained(size: usize) -> Vec<u8> {
        let sentences = sentences();
        let texts: Vec<&str> = sentences.iter().map(String::as_str).collect();
        train(&texts, size).expect("trained")
    }

    #[test]
    fn the_file_is_a_tokenizer_that_covers_every_character() {
        let tokenizer = Tokenizer::from_json(trained(300)).expect("usable");
        assert_eq!(tokenizer.special(), Special { bos: 0, pad: 1, eos: 2, unk: 3 });
        assert!((100..=300).contains(&tokenizer.vocab_size()), "{}", tokenizer.vocab_size());
        for sentence in sentences() {
            let pieces = tokenizer.pieces(&sentence).expect("pieces");
            assert!(pieces.iter().all(|piece| piece.id > 3), "an unknown piece in {sentence}");
            assert!(pieces.last().is_some_and(|piece| piece.end == sentence.chars().count()));
        }
        let pieces = tokenizer.pieces("Le  patient Durand").expect("pieces");
        assert!(pieces.len() < 8, "frequent words are few pieces, not {}", pieces.len());
    }

    #[test]
    fn the_order_of_texts_does_not_matter() {
        let mut sentences = sentences();
        sentences.reverse();
        let texts: Vec<&str> = sentences.iter().map(String::as_str).collect();
        assert!(train(&texts, 290).expect("trained") == trained(290));
    }

    #[test]
    fn a_size_too_small_for_the_characters_is_refused_with_the_least_that_works() {
        let least = 5 + "▁abc".chars().count();
        let error = train(&["a b c"], least - 1).expect_err("too small");
        let help = match error {
            StageError::Failed { help, .. } => help.unwrap_or_default(),
            StageError::Cancelled => String::new(),
        };
        assert_eq!(help, format!("ask for at least {least} pieces"));
        train(&["a b c"], least).expect("just enough");
        assert!(train(&[" "], 100).expect_err("empty").to_string().contains("no text"));
    }

    const CHILD: &str = "NER_PIPE_TEST_VOCABULARY";

    /// Writes a vocabulary where the test below asks for it; does nothing on its own.
    #[test]
    fn another_process_writes_a_vocabulary_when_asked() {
        if let Some(path) = std::env::var_os(CHILD) {
            std::fs::write(path, trained(300)).expect("written");
        }
    }

    #[test]
    fn two_processes_write_the_same_tokenizer() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = trained(300);
        for (child, threads) in [("1", "1"), ("2", "4"), ("3", "2")] {
            let path = folder.path().join(child);
            let status = Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", "ml::vocabulary::tests::another_process_writes_a_vocabulary_when_asked"])
                .env(CHILD, &path)
                .env("RAYON_NUM_THREADS", threads)
                .output()
                .expect("started")
                .status;
            assert!(status.success());
            assert!(std::fs::read(&path).expect("written") == here, "process {child} wrote other bytes");
        }
    }
}
