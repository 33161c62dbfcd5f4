//! A smaller vocabulary: which pieces a corpus uses, and the embeddings of those that a trimmed tokenizer keeps.

use serde_json::json;
use stage_contract::StageError;

use crate::{
    config::Config,
    weights::{Along, Weights},
};
use text::tokenizer::{Tokenizer, Trimmed};

/// Leaves the embeddings of the kept pieces.
///
/// # Panics
/// When `weights` and `config` are not of one model.
pub fn cut(config: &mut Config, weights: &mut Weights, trimmed: &Trimmed) {
    let words = weights
        .get_mut(&format!("{}.weight", config.architecture.tensors().word))
        .expect("weights and configuration of one model");
    *words = words.keep(&trimmed.origin, Along::Rows);
    config.vocab = trimmed.origin.len();
    // `pad_token_id` and its like: special tokens keep their names and may get other numbers.
    for (key, id) in config.stock.as_object_mut().into_iter().flatten() {
        let old =
            id.as_u64().and_then(|old| usize::try_from(old).ok()).filter(|_| key.ends_with("_token_id"));
        if let Some(Ok(new)) = old.map(|old| trimmed.origin.binary_search(&old)) {
            *id = json!(new);
        }
    }
}

/// How often texts use each piece of a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `[vocab]`
    pub pieces: Vec<usize>,
    /// Pieces that are `<unk>`.
    pub unknown: usize,
    /// Words, as whitespace parts them.
    pub words: usize,
}

impl Usage {
    /// Counts, on all cores.
    ///
    /// # Errors
    /// When the tokenizer refuses a text.
    pub fn of(tokenizer: &Tokenizer, texts: &[&str]) -> Result<Self, StageError> {
        use rayon::prelude::*;
        let empty = || Self { pieces: vec![0; tokenizer.vocab_size()], unknown: 0, words: 0 };
        let unknown = tokenizer.special().unk;
        texts
            .par_iter()
            .try_fold(empty, |mut usage, text| {
                for piece in tokenizer.pieces(text)? {
                    usage.pieces[piece.id as usize] += 1;
                    usage.unknown += usize::from(Some(piece.id) == unknown);
                }
                usage.words += text.split_whitespace().count();
                Ok(usage)
            })
            .try_reduce(empty, |mut one, other| {
                one.pieces.iter_mut().zip(&other.pieces).for_each(|(one, other)| *one += other);
                Ok(Self {
                    unknown: one.unknown + other.unknown,
                    words: one.words + other.words,
                    pieces: one.pieces,
                })
            })
    }

    /// All pieces.
    #[must_use]
    pub fn total(&self) -> usize {
        self.pieces.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backend::readback::host,
        network::Network,
        testing::{
            fixture::{model, teacher_labels},
            real,
        },
    };

    #[test]
    fn pieces_that_are_used_stay_and_rare_words_fall_to_characters() {
        let model = model(teacher_labels(), &[]);
        let texts = ["Anna Anna", "Paris"];
        let usage = Usage::of(&model.tokenizer, &texts).expect("counted");
        assert_eq!((usage.words, usage.unknown), (3, 0));
        // Four specials and the characters, `▁` among them, and one word more.
        let least = model.config.vocab - 4;
        let trimmed = model.tokenizer.trim(&usage.pieces, least + 1).expect("trimmed");
        let ids = |tokenizer: &Tokenizer, text: &str| -> Vec<u32> {
            tokenizer.pieces(text).expect("pieces").iter().map(|piece| piece.id).collect()
        };
        assert_eq!(trimmed.tokenizer.vocab_size(), least + 1);
        assert_eq!(trimmed.tokenizer.special(), model.tokenizer.special());
        assert_eq!(ids(&trimmed.tokenizer, "Anna").len(), 1);
        assert_eq!(ids(&trimmed.tokenizer, "Paris").len(), 6, "`▁` and five letters");
        let back: Vec<u32> = ids(&trimmed.tokenizer, "Anna")
            .iter()
            .map(|&id| u32::try_from(trimmed.origin[id as usize]).expect("small"))
            .collect();
        assert_eq!(back, ids(&model.tokenizer, "Anna"));

        let (mut config, mut weights) = (model.config.clone(), model.network.weights(&model.config));
        let before =
            weights.get(&format!("{}.weight", config.architecture.tensors().word)).expect("there").clone();
        cut(&mut config, &mut weights, &trimmed);
        assert_eq!(config.vocab, least + 1);
        let device = burn::tensor::Device::flex();
        let network = Network::from_weights(&config, weights, &device).expect("shapes follow");
        let words = host(network.word.weight.val());
        for (row, &old) in words.chunks_exact(config.hidden).zip(&trimmed.origin) {
            assert_eq!(row, &before.values[old * config.hidden..][..config.hidden]);
        }
    }

    #[test]
    fn camemberts_vocabulary_is_halved_and_reads_as_before_what_it_kept() {
        let (Some(folder), Some(corpus)) = (real("camembert-tokenizer"), real("corpus/clinical.txt")) else {
            return;
        };
        let tokenizer = Tokenizer::load(&folder, 32_005).expect("camembert's tokenizer");
        let text = std::fs::read_to_string(corpus).expect("read");
        let lines: Vec<&str> = text.lines().collect();
        let before = Usage::of(&tokenizer, &lines).expect("counted");
        let trimmed = tokenizer.trim(&before.pieces, 16_000).expect("trimmed");
        assert_eq!(trimmed.tokenizer.vocab_size(), 16_000);
        assert_eq!(trimmed.tokenizer.special().pad, tokenizer.special().pad);
        let after = Usage::of(&trimmed.tokenizer, &lines).expect("counted");
        assert_eq!(
            (after.total(), after.unknown),
            (before.total(), before.unknown),
            "every piece in use was kept"
        );
    }
}
