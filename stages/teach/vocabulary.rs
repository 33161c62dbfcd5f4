//! A CamemBERT-shaped tokenizer.json from text: Unigram (Kudo 2018) over NFKC words. Equal text gives equal bytes, in
//! every process and on any number of threads, which the crate's own trainer does not promise: it walks hash maps.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use rayon::ThreadPoolBuilder;
use stage_contract::StageError;
use tokenizers::{
    AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
    Tokenizer,
    models::unigram::{Unigram, UnigramTrainer},
    normalizers::unicode::NFKC,
    pre_tokenizers::{
        PreTokenizerWrapper, digits::Digits, metaspace::Metaspace, punctuation::Punctuation,
        sequence::Sequence,
    },
    processors::template::TemplateProcessing,
};

/// In id order, as `RoBERTa` has them; `<mask>` comes last of all.
const SPECIALS: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];
const MASK: &str = "<mask>";

/// Trains a vocabulary of at most `size` entries on `texts` and writes tokenizer.json. Every character of the texts has
/// a piece of its own. Punctuation and digits stand alone, so that a piece seldom crosses a word's edge.
///
/// # Errors
/// `size` is too small for the characters of the texts.
pub fn train<S: AsRef<str>>(texts: &[S], size: usize) -> Result<Vec<u8>, StageError> {
    let failed = |e: Box<dyn Error + Send + Sync>| {
        StageError::because("cannot train the vocabulary", e)
            .help("raise `vocab`: every character needs an entry")
    };
    let pre = pre_tokenizer();
    let counts = count(texts, &pre).map_err(failed)?;
    let pieces = pieces(counts, size.saturating_sub(SPECIALS.len() + 1)).map_err(failed)?;
    let tokenizer = tokenizer(pieces, pre).map_err(failed)?;
    Ok(tokenizer.to_string(true).map_err(failed)?.into_bytes())
}

fn pre_tokenizer() -> PreTokenizerWrapper {
    Sequence::new(vec![
        Metaspace::default().into(),
        Punctuation::new(SplitDelimiterBehavior::Isolated).into(),
        Digits::new(true).into(),
    ])
    .into()
}

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How often each pre-token occurs, in order.
fn count<S: AsRef<str>>(texts: &[S], pre: &PreTokenizerWrapper) -> Fallible<BTreeMap<String, u32>> {
    use tokenizers::Normalizer;
    let mut counts = BTreeMap::new();
    for text in texts {
        let mut text = PreTokenizedString::from(text.as_ref());
        text.normalize(|part| NFKC.normalize(part))?;
        pre.pre_tokenize(&mut text)?;
        for (part, _, _) in text.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            if let Some(count) = counts.get_mut(part) {
                *count += 1;
            } else {
                counts.insert(part.to_owned(), 1);
            }
        }
    }
    Ok(counts)
}

/// Pieces with log probabilities, the most probable first, equal ones by text.
fn pieces(mut counts: BTreeMap<String, u32>, size: usize) -> Fallible<Vec<(String, f64)>> {
    // As a word of its own no character is rare enough to be dropped: dropped ones would come back in a hash map's
    // order, and pieces that hold them could not be pruned, so that training might never end.
    let characters: BTreeSet<String> =
        counts.keys().flat_map(|word| word.chars()).map(String::from).collect();
    for character in characters {
        *counts.entry(character).or_default() += 1;
    }
    let trainer = UnigramTrainer::builder().show_progress(false).vocab_size(u32::try_from(size)?).build()?;
    // Sums of floats depend on how threads share the words: one thread, one order.
    let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
    let model = pool.install(|| {
        let mut model = Unigram::default();
        trainer.do_train(counts.into_iter().collect(), &mut model).map(|_| model)
    })?;
    let mut pieces: Vec<(String, f64)> = model.iter().cloned().collect();
    pieces.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    // The trainer may give some more than asked for when there is hardly room for the characters.
    let character = |piece: &str| piece.chars().nth(1).is_none();
    let mut room = size.saturating_sub(pieces.iter().filter(|(piece, _)| character(piece)).count());
    pieces.retain(|(piece, _)| {
        let kept = character(piece) || room > 0;
        room -= usize::from(kept && !character(piece));
        kept
    });
    Ok(pieces)
}

fn tokenizer(pieces: Vec<(String, f64)>, pre: PreTokenizerWrapper) -> Fallible<Tokenizer> {
    let special = |content: &&str| ((*content).to_owned(), 0.0);
    let vocabulary: Vec<(String, f64)> =
        SPECIALS.iter().map(special).chain(pieces).chain([special(&MASK)]).collect();
    let unknown = SPECIALS.iter().position(|s| *s == "<unk>");
    let mut tokenizer = Tokenizer::new(Unigram::from(vocabulary, unknown, false)?);
    tokenizer.with_normalizer(Some(NFKC))?;
    tokenizer.with_pre_tokenizer(Some(pre));
    tokenizer.with_decoder(Some(Metaspace::default()));
    let template = TemplateProcessing::builder()
        .try_single("<s> $A </s>")?
        .try_pair("<s> $A </s> </s> $B </s>")?
        .special_tokens(vec![("<s>", 0), ("</s>", 2)])
        .build()?;
    tokenizer.with_post_processor(Some(template));
    let added: Vec<AddedToken> = SPECIALS.iter().map(|s| AddedToken::from(*s, true)).collect();
    tokenizer.add_special_tokens(added)?;
    tokenizer.add_special_tokens([AddedToken::from(MASK, true).lstrip(true)])?;
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    fn texts() -> Vec<String> {
        let names = ["Durand", "Martin", "Lefèvre", "Garnier", "Œuvrard", "d'Estaing"];
        let towns = ["Angers", "Saint-Étienne", "Le Mans", "L'Haÿ-les-Roses"];
        names
            .iter()
            .flat_map(|name| {
                towns.iter().map(move |town| format!("Mme {name} habite à {town} depuis 12 ans."))
            })
            .collect()
    }

    fn trained() -> String {
        String::from_utf8(train(&texts(), 120).expect("trains")).expect("is UTF-8")
    }

    #[test]
    fn every_character_has_a_piece_and_specials_their_ids() {
        let tokenizer = Tokenizer::from_bytes(trained()).expect("loads");
        for (id, special) in SPECIALS.iter().enumerate() {
            assert_eq!(tokenizer.token_to_id(special), u32::try_from(id).ok());
        }
        assert_eq!(tokenizer.token_to_id(MASK), u32::try_from(tokenizer.get_vocab_size(true) - 1).ok());
        for text in texts() {
            let ids = tokenizer.encode(text.as_str(), false).expect("encodes");
            assert!(!ids.get_ids().contains(&3), "{:?}", ids.get_tokens());
        }
    }

    #[test]
    fn a_vocabulary_of_hardly_more_than_the_characters_is_trained() {
        let characters: BTreeSet<char> = texts().iter().flat_map(|text| text.chars()).collect();
        // `▁` stands for the space.
        let least = characters.len() + SPECIALS.len() + 1;
        let json = train(&texts(), least).expect("trains");
        assert_eq!(Tokenizer::from_bytes(json).expect("loads").get_vocab_size(true), least);
    }

    #[test]
    fn a_vocabulary_too_small_for_the_characters_is_refused() {
        assert!(train(&texts(), 10).is_err());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test starts itself again")]
    fn two_processes_write_the_same_tokenizer() {
        const CHILD: &str = "NER_PIPE_TEST_VOCABULARY_CHILD";
        if let Ok(path) = env::var(CHILD) {
            std::fs::write(path, trained()).expect("writes");
            return;
        }
        let folder = tempfile::tempdir().expect("makes a folder");
        let name = "teach::vocabulary::tests::two_processes_write_the_same_tokenizer";
        for threads in ["1", "2", "3"] {
            let path = folder.path().join(threads);
            let status = Command::new(env::current_exe().expect("has a path"))
                .args(["--exact", name])
                .env(CHILD, &path)
                .env("RAYON_NUM_THREADS", threads)
                .status();
            assert!(status.expect("starts").success());
            assert_eq!(std::fs::read_to_string(&path).expect("reads"), trained(), "on {threads} threads");
        }
    }
}
