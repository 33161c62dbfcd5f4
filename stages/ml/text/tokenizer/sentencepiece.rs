//! A tokenizer from `sentencepiece.bpe.model` alone: the vocabulary and normalisation of a `SentencePiece` Unigram model
//! (Kudo and Richardson 2018), with ids shifted as fairseq shifted them for `CamemBERT` and XLM-`RoBERTa`, and the
//! pre-tokenisation that transformers gives both.

use std::{fmt::Display, path::Path};

use prost::Message;
use serde_json::Value;
use stage_contract::StageError;
use tokenizers::{
    AddedToken, NormalizerWrapper, Tokenizer,
    models::unigram::Unigram,
    normalizers::{Precompiled, Replace, Sequence, Strip, replace::ReplacePattern},
    pre_tokenizers::metaspace::{Metaspace, PrependScheme},
    processors::template::TemplateProcessing,
};

use crate::folder;

/// The parts of `sentencepiece_model.proto` that are read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pub pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    pub trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    pub normalizer: Option<Normalizer>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Piece {
    #[prost(string, optional, tag = "1")]
    pub text: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    pub kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Trainer {
    #[prost(int32, optional, tag = "3")]
    pub model_type: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Normalizer {
    #[prost(bytes = "vec", optional, tag = "2")]
    pub precompiled_charsmap: Option<Vec<u8>>,
}

/// `TrainerSpec.ModelType`
const UNIGRAM: i32 = 1;
/// `SentencePiece.Type`: found as a whole wherever it stands.
const USER_DEFINED: i32 = 4;
const MASK: &str = "<mask>";

/// How fairseq numbered the pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Four tokens of fairseq's own and the model's `<unk>` put down, then its pieces from the second on.
    Camembert,
    /// fairseq's four tokens in the place of the model's three.
    XlmRoberta,
}

impl Family {
    fn head(self) -> (&'static [(&'static str, f64)], usize) {
        match self {
            Self::Camembert => (
                &[
                    ("<s>NOTUSED", 0.0),
                    ("<pad>", 0.0),
                    ("</s>NOTUSED", 0.0),
                    ("<unk>", 0.0),
                    ("<unk>NOTUSED", -100.0),
                ],
                1,
            ),
            Self::XlmRoberta => (&[("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)], 3),
        }
    }

    /// `<unk>` in both.
    const UNKNOWN: usize = 3;

    /// Entries with `<mask>`, which comes last.
    fn entries(self, pieces: usize) -> usize {
        let (head, skipped) = self.head();
        head.len() + pieces.saturating_sub(skipped) + 1
    }
}

/// Reads the model and what the folder says beside it of added tokens. `entries` is the size of the model's vocabulary.
///
/// # Errors
/// Unreadable, not Unigram, or of neither family.
pub(super) fn load(path: &Path, entries: usize) -> Result<Tokenizer, StageError> {
    let bytes = folder::read(path)?;
    let wrong = |message: &dyn Display| StageError::new(format!("cannot use {}: {message}", path.display()));
    let proto = ModelProto::decode(bytes.as_slice()).map_err(|e| {
        StageError::because(format!("{} is no SentencePiece model", path.display()), e)
            .help("copy it again from the model's own repository")
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let config = folder::optional(&folder.join(folder::TOKENIZER_CONFIG))?.unwrap_or_default();
    if proto.trainer.as_ref().and_then(|trainer| trainer.model_type).unwrap_or(UNIGRAM) != UNIGRAM {
        return Err(wrong(&"it is no Unigram model").help(
            "use a model that has a tokenizer.json: of SentencePiece models Unigram ones alone are read",
        ));
    }
    let family = family(&config, proto.pieces.len(), entries).ok_or_else(|| {
        wrong(&format!(
            "its {} pieces and a vocabulary of {entries} are neither CamemBERT's nor XLM-RoBERTa's",
            proto.pieces.len()
        ))
        .help(format!(
            "write `\"tokenizer_class\": \"CamembertTokenizer\"` (or \"XLMRobertaTokenizer\") into {}",
            folder::TOKENIZER_CONFIG
        ))
    })?;
    let mut added = added(&config, folder)?;
    // As in a tokenizer.json: no text means them, and the model has no embedding for them.
    added.retain(|(id, token)| !token.special || (*id as usize) < entries);
    build(&proto, family, &added).map_err(|e| {
        StageError::because(format!("cannot use {}", path.display()), e)
            .help("copy it again from the model's own repository")
    })
}

/// By the class that transformers uses, else by which family's numbering fills the vocabulary.
fn family(config: &Value, pieces: usize, entries: usize) -> Option<Family> {
    match config["tokenizer_class"].as_str() {
        Some(class) if class.starts_with("Camembert") => Some(Family::Camembert),
        Some(class) if class.starts_with("XLMRoberta") => Some(Family::XlmRoberta),
        _ => [Family::Camembert, Family::XlmRoberta]
            .into_iter()
            .find(|family| family.entries(pieces) == entries),
    }
}

/// Tokens that were added to the model's own, by id: `added_tokens_decoder` of `tokenizer_config.json`, else
/// `added_tokens.json`.
fn added(config: &Value, folder: &Path) -> Result<Vec<(u32, AddedToken)>, StageError> {
    let mut tokens = Vec::new();
    if let Some(decoder) = config["added_tokens_decoder"].as_object() {
        for (id, token) in decoder {
            let (Ok(id), Some(content)) = (id.parse(), token["content"].as_str()) else { continue };
            let flag = |key: &str| token[key].as_bool().unwrap_or(false);
            let added = AddedToken::from(content, flag("special"))
                .single_word(flag("single_word"))
                .lstrip(flag("lstrip"))
                .rstrip(flag("rstrip"))
                .normalized(flag("normalized"));
            tokens.push((id, added));
        }
    } else if let Some(Value::Object(ids)) = folder::optional(&folder.join(folder::ADDED_TOKENS))? {
        for (content, id) in ids {
            let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else { continue };
            tokens.push((id, AddedToken::from(content, false).normalized(false)));
        }
    }
    tokens.sort_by_key(|(id, _)| *id);
    Ok(tokens)
}

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn build(proto: &ModelProto, family: Family, added: &[(u32, AddedToken)]) -> Fallible<Tokenizer> {
    let (head, skipped) = family.head();
    let mut vocabulary: Vec<(String, f64)> =
        head.iter().map(|(token, score)| ((*token).to_owned(), *score)).collect();
    for piece in proto.pieces.iter().skip(skipped) {
        let score = f64::from(piece.score.unwrap_or_default());
        if !score.is_finite() {
            return Err("a piece's score is not finite".into());
        }
        vocabulary.push((piece.text.clone().unwrap_or_default(), score));
    }
    vocabulary.push((MASK.to_owned(), 0.0));
    // What fairseq put before the pieces may be called otherwise, as `<unk>` in the place of `<unk>NOTUSED`.
    for (id, token) in added {
        if let Some(entry) = vocabulary[..head.len()].get_mut(*id as usize) {
            entry.0.clone_from(&token.content);
        }
    }
    let heads: Vec<String> = vocabulary[..head.len()].iter().map(|(token, _)| token.clone()).collect();
    let mut tokenizer = Tokenizer::new(Unigram::from(vocabulary, Some(Family::UNKNOWN), false)?);

    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    let charsmap = proto.normalizer.as_ref().and_then(|spec| spec.precompiled_charsmap.as_deref());
    if let Some(charsmap) = charsmap.filter(|charsmap| !charsmap.is_empty()) {
        normalizers.push(
            Precompiled::from(charsmap).map_err(|e| format!("its normalisation is damaged: {e:?}"))?.into(),
        );
    }
    normalizers.push(Strip::new(false, true).into());
    normalizers.push(Replace::new(ReplacePattern::Regex(" {2,}".to_owned()), "▁")?.into());
    tokenizer.with_normalizer(Some(Sequence::new(normalizers)))?;
    let metaspace = Metaspace::new('▁', PrependScheme::Always, true);
    tokenizer.with_pre_tokenizer(Some(metaspace.clone()));
    tokenizer.with_decoder(Some(metaspace));

    let mut specials: Vec<AddedToken> =
        heads.iter().map(|token| AddedToken::from(token.as_str(), true).normalized(false)).collect();
    specials.extend(["<s>", "</s>"].map(|token| AddedToken::from(token, true).normalized(false)));
    specials.push(AddedToken::from(MASK, true).lstrip(true).normalized(false));
    for piece in proto.pieces.iter().skip(skipped).filter(|piece| piece.kind == Some(USER_DEFINED)) {
        specials.push(AddedToken::from(piece.text.clone().unwrap_or_default(), false).normalized(false));
    }
    // What the folder says of a token counts more than what is usual.
    specials.retain(|token| added.iter().all(|(_, known)| known.content != token.content));
    specials.extend(added.iter().map(|(_, token)| token.clone()));
    tokenizer.add_tokens(specials)?;
    for (id, token) in added {
        let named = heads.contains(&token.content);
        if !named && tokenizer.token_to_id(&token.content) != Some(*id) {
            return Err(format!("the added token of id {id} is not the next after its pieces").into());
        }
    }
    let id = |token: &str| tokenizer.token_to_id(token).ok_or_else(|| format!("it has no {token}"));
    let template = TemplateProcessing::builder()
        .try_single("<s> $A </s>")?
        .try_pair("<s> $A </s> </s> $B </s>")?
        .special_tokens(vec![("<s>", id("<s>")?), ("</s>", id("</s>")?)])
        .build()?;
    tokenizer.with_post_processor(Some(template));
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::testing::real;
    use crate::tokenizer::{Special, Tokenizer};

    /// A folder with a model of a few pieces, and what stands beside it.
    fn folder(files: &[(&str, Value)], kind: i32) -> tempfile::TempDir {
        let piece = |piece: &str, score, kind| Piece {
            text: Some(piece.to_owned()),
            score: Some(score),
            kind: Some(kind),
        };
        let mut pieces = vec![piece("<unk>", 0.0, 2), piece("<s>", 0.0, 3), piece("</s>", 0.0, 3)];
        let mut score = 0.0;
        for text in ["▁à", "▁", "Aix", "▁A", "ix", "a", "à", "i", "x", "A"] {
            score -= 1.0;
            pieces.push(piece(text, score, 1));
        }
        let proto =
            ModelProto { pieces, trainer: Some(Trainer { model_type: Some(kind) }), normalizer: None };
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(folder::SENTENCEPIECE), proto.encode_to_vec()).expect("written");
        for (name, value) in files {
            fs::write(folder.path().join(name), value.to_string()).expect("written");
        }
        folder
    }

    fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<(u32, usize, usize)> {
        let pieces = tokenizer.pieces(text).expect("pieces");
        pieces.iter().map(|piece| (piece.id, piece.start, piece.end)).collect()
    }

    #[test]
    fn ids_are_shifted_as_each_family_shifts_them() {
        // 13 pieces: 5 + 12 + <mask> of CamemBERT's, 4 + 10 + <mask> of XLM-RoBERTa's.
        for (entries, special, a) in [
            (18, Special { bos: 5, pad: 1, eos: 6, unk: Some(3) }, 7),
            (15, Special { bos: 0, pad: 1, eos: 2, unk: Some(3) }, 4),
        ] {
            let folder = folder(&[], UNIGRAM);
            let tokenizer = Tokenizer::load(folder.path(), entries).expect("the size tells the family");
            assert_eq!((tokenizer.special(), tokenizer.vocab_size()), (special, entries));
            // `▁à` and `▁` + `Aix`, and a letter that is no piece.
            assert_eq!(ids(&tokenizer, "à Aix"), [(a, 0, 1), (a + 1, 1, 2), (a + 2, 2, 5)]);
            assert_eq!(ids(&tokenizer, "à ü")[2].0, 3);
            let windows = tokenizer.windows("à", &[[0, 1]], 8).expect("windows");
            assert_eq!(windows[0].ids, [special.bos, a, special.eos]);
            // What is written for the student is read as the same tokenizer.
            let again = Tokenizer::from_json(tokenizer.json().to_vec()).expect("tokenizer.json");
            assert_eq!(again.special(), special);
            assert_eq!(ids(&again, "Aix à  Aix <mask>"), ids(&tokenizer, "Aix à  Aix <mask>"));
        }
    }

    #[test]
    fn the_class_tells_the_family_and_added_tokens_follow_the_pieces() {
        let config = json!({
            "tokenizer_class": "XLMRobertaTokenizer",
            "added_tokens_decoder": {"15": {"content": "Aixois", "special": false}}
        });
        let folder = folder(&[(folder::TOKENIZER_CONFIG, config)], UNIGRAM);
        let tokenizer = Tokenizer::load(folder.path(), 100).expect("the class tells the family");
        assert_eq!(tokenizer.vocab_size(), 16);
        assert!(ids(&tokenizer, "à Aixois").contains(&(15, 2, 8)));
        let error = Tokenizer::load(folder.path(), 15).err().expect("there is no room");
        assert!(error.to_string().contains("no tokenizer that can be used"), "{error}");
    }

    #[test]
    fn a_special_token_beyond_the_pieces_is_left_out_and_the_first_ones_may_have_other_names() {
        let token = |content: &str| json!({"content": content, "special": true});
        let config = json!({
            "tokenizer_class": "CamembertTokenizer",
            "added_tokens_decoder": {"3": token("<unk>"), "4": token("<unk>"), "5": token("<s>"), "18": token("<unk>NOTUSED")}
        });
        let folder = folder(&[(folder::TOKENIZER_CONFIG, config)], UNIGRAM);
        let tokenizer = Tokenizer::load(folder.path(), 18).expect("as transformers loads it");
        assert_eq!(tokenizer.vocab_size(), 18);
        assert_eq!(ids(&tokenizer, "à Aix"), [(7, 0, 1), (8, 1, 2), (9, 2, 5)]);
        assert!(ids(&tokenizer, "<unk>NOTUSED").iter().all(|(id, ..)| *id < 18));
    }

    #[test]
    fn a_model_that_is_not_understood_is_refused_with_a_way_out() {
        let refused = |folder: &tempfile::TempDir, entries| {
            let error = Tokenizer::load(folder.path(), entries).err().expect("refused");
            (error.to_string(), error.advice().expect("a way out").to_owned())
        };
        let (message, help) = refused(&folder(&[], UNIGRAM), 99);
        assert!(
            message.contains("neither CamemBERT's nor XLM-RoBERTa's") && help.contains("tokenizer_class"),
            "{message}"
        );
        let (message, help) = refused(&folder(&[], 2), 18);
        assert!(message.contains("no Unigram model") && help.contains("tokenizer.json"), "{message}");
        let damaged = folder(&[], UNIGRAM);
        let path = damaged.path().join(folder::SENTENCEPIECE);
        let bytes = fs::read(&path).expect("read");
        fs::write(&path, &bytes[..bytes.len() - 3]).expect("written");
        let (message, _) = refused(&damaged, 18);
        assert!(message.contains("no SentencePiece model"), "{message}");
    }

    /// 10,000 real lines and awkward ones: the same ids and offsets from both files of `CamemBERT`'s own tokenizer.
    #[test]
    fn camemberts_two_files_agree_everywhere() {
        let (Some(model), Some(corpus)) = (real("camembert-tokenizer"), real("corpus")) else { return };
        let folder = tempfile::tempdir().expect("a folder");
        for name in [folder::SENTENCEPIECE, folder::TOKENIZER_CONFIG, folder::SPECIAL_TOKENS] {
            fs::copy(model.join(name), folder.path().join(name)).expect("copied");
        }
        let expected = Tokenizer::load(&model, 32_005).expect("tokenizer.json");
        let found = Tokenizer::load(folder.path(), 32_005).expect("sentencepiece.bpe.model");
        assert_eq!((found.special(), found.vocab_size()), (expected.special(), expected.vocab_size()));
        let mut lines: Vec<String> = [
            "",
            " ",
            "  deux  espaces ",
            "<mask> et <s> </s> <unk> <pad>",
            "<s>NOTUSED",
            "l’œuvre\u{a0}: 5 €…",
            "ﬁn e\u{301}té",
            "🎯\u{200d} \u{200b}x",
            "▁a ▁▁b",
            "\ttab\t",
            "ÉLODIE À L'HÔPITAL",
        ]
        .map(String::from)
        .to_vec();
        for source in ["administrative", "encyclopedia", "press", "clinical"] {
            let text = fs::read_to_string(corpus.join(format!("{source}.txt"))).expect("read");
            lines.extend(text.lines().take(4_000).map(str::to_owned));
        }
        assert!(lines.len() > 10_000);
        for line in &lines {
            assert_eq!(ids(&found, line), ids(&expected, line));
        }
    }
}
