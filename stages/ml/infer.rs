//! From texts to word logits, batch by batch.

use burn::tensor::Device;
use rayon::prelude::*;
use stage_contract::{Progress, StageError};

use crate::ml::{
    batch::{Batch, Encoded, buckets},
    layout::host,
    model::{Model, Packed},
};

/// Logits of a word that no piece covers: O for certain.
const ABSENT: f32 = -1e4;

/// Word logits of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct WordLogits {
    /// Columns.
    pub labels: usize,
    /// `[words, labels]`, row after row. A word that no piece covers gets 0 for O and -1e4 elsewhere.
    pub values: Vec<f32>,
    /// `[words]` whether the word owns its first sub-word.
    pub owned: Vec<bool>,
}

impl WordLogits {
    /// The logits of a word.
    #[must_use]
    pub fn word(&self, word: usize) -> &[f32] {
        &self.values[word * self.labels..][..self.labels]
    }

    /// Number of words.
    #[must_use]
    pub fn len(&self) -> usize {
        self.owned.len()
    }

    /// A text without words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owned.is_empty()
    }
}

/// Tokenises texts and cuts them into windows, on all cores, in order.
///
/// # Errors
/// When the tokenizer refuses a text; the message names its index and not its content.
pub fn encode<'a>(
    model: &Model,
    texts: impl IntoIterator<Item = (&'a str, &'a [[usize; 2]])>,
) -> Result<Vec<Encoded>, StageError> {
    let texts: Vec<_> = texts.into_iter().collect();
    let longest = model.config.max_pieces();
    texts
        .par_iter()
        .enumerate()
        .map(|(index, (text, words))| {
            let windows = model
                .tokenizer
                .windows(text, words, longest)
                .map_err(|e| StageError::because(format!("cannot tokenise text {index}"), e))?;
            Ok(Encoded { windows, words: words.len() })
        })
        .collect()
}

/// Runs the model over all texts in batches of at most `budget` tokens, longest first, and returns word logits in
/// the order of `texts`. The network must not be on an autodiff device.
///
/// On the CPU several batches run at once, because only matrix products use all cores by themselves; a batch's result
/// depends on nothing but the batch.
#[must_use]
pub fn word_logits(
    model: &Model,
    texts: &[Encoded],
    budget: usize,
    device: &Device,
    mut progress: Option<&mut Progress<'_>>,
) -> Vec<WordLogits> {
    let mut batches = buckets(texts, budget, None);
    let tokens = |batch: &Vec<usize>| batch.iter().map(|&text| texts[text].tokens()).max().unwrap_or(0);
    batches.sort_by_key(|batch| std::cmp::Reverse(tokens(batch)));
    let at_once = if *device == Device::flex() { rayon::current_num_threads() } else { 1 };

    let mut results: Vec<Option<WordLogits>> = vec![None; texts.len()];
    for group in batches.chunks(at_once) {
        let done: Vec<_> = group
            .par_iter()
            .map(|members| {
                let batch = Batch::pack(texts, members);
                let packed = Packed::new(&batch, &model.config, device);
                let logits = model.network.forward(&packed, &[]).logits;
                let rows =
                    if batch.rows.is_empty() { Vec::new() } else { host(logits.select(0, packed.rows)) };
                split(model, &batch, rows)
            })
            .collect();
        for (text, logits) in done.into_iter().flatten() {
            results[text] = Some(logits);
        }
        if let Some(progress) = progress.as_deref_mut() {
            progress.advance(group.iter().map(|members| members.len() as u64).sum());
        }
    }
    let nothing = || WordLogits { labels: model.config.labels.len(), values: Vec::new(), owned: Vec::new() };
    results.into_iter().map(|result| result.unwrap_or_else(nothing)).collect()
}

/// `[words, labels]` of a batch to its texts.
fn split(model: &Model, batch: &Batch, mut rows: Vec<f32>) -> Vec<(usize, WordLogits)> {
    let labels = model.config.labels.len();
    let outside = model.config.labels.outside();
    for (row, _) in rows.chunks_exact_mut(labels).zip(&batch.covered).filter(|(_, covered)| !**covered) {
        row.fill(ABSENT);
        row[outside] = 0.0;
    }
    let words = batch.texts.windows(2).map(|pair| pair[0] as usize..pair[1] as usize);
    batch
        .members
        .iter()
        .zip(words)
        .map(|(&text, words)| {
            let values = rows[words.start * labels..words.end * labels].to_vec();
            (text, WordLogits { labels, values, owned: batch.owned[words].to_vec() })
        })
        .collect()
}

#[cfg(test)]
mod tests {

    use stage_contract::Artifact;

    use super::*;
    use crate::ml::{
        corpus::Gold,
        decode::decode,
        labels::{Scheme, spans},
        model::tests::{tiny, tokenizer, trained},
        scores::score,
    };

    #[test]
    fn results_come_in_order_whatever_the_batches() {
        let (config, device) = (tiny(), Device::flex());
        let network = trained(&config, &device);
        let model = Model { config, network, tokenizer: tokenizer(&["un", "deux", "trois"]) };
        let texts = ["un deux trois un", "deux", "", "trois trois", "un un un un un un"];
        let words: Vec<_> = texts.iter().map(|text| crate::ml::words::words(text)).collect();
        let encoded = encode(&model, texts.into_iter().zip(words.iter().map(Vec::as_slice))).expect("tokens");
        let together = word_logits(&model, &encoded, 1000, &device, None);
        let alone = word_logits(&model, &encoded, 1, &device, None);
        assert_eq!(together.iter().map(WordLogits::len).collect::<Vec<_>>(), [4, 1, 0, 2, 6]);
        for (together, alone) in together.iter().zip(&alone) {
            assert_eq!(together.owned, alone.owned);
            assert!(together.values.iter().zip(&alone.values).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        assert_ne!(together[3].word(0), together[3].word(1), "a word's place matters");
    }

    #[test]
    fn a_word_that_no_piece_covers_is_outside() {
        let (config, device) = (tiny(), Device::flex());
        let network = trained(&config, &device);
        let model = Model { config, network, tokenizer: tokenizer(&["un"]) };
        // The second word is the space: no piece reaches it.
        let encoded = encode(&model, [("un un", &[[0, 2], [2, 3], [3, 5]][..])]).expect("tokens");
        let logits = word_logits(&model, &encoded, 10, &device, None).remove(0);
        assert_eq!(logits.word(1), [0.0, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT]);
        assert_eq!(logits.owned, [true, false, true]);
    }

    /// README of the real case: the teacher reaches 91.1 on the whole of this set.
    #[test]
    fn the_real_teacher_finds_what_it_is_known_to_find() {
        let Some(real) = crate::ml::fixture::real("") else { return };
        let device = Device::flex();
        let model = Model::load(&real.join("teacher"), &device).expect("the teacher");
        let gold = Gold::load(&real.join("gold/encyclopedia_dev.bio")).expect("gold").sets.remove(0).records;
        let gold = &gold[..400];
        let encoded =
            encode(&model, gold.iter().map(|r| (r.text.as_str(), r.words.as_slice()))).expect("tokens");
        let logits = word_logits(&model, &encoded, 2048, &device, None);
        let tags = |logits: &WordLogits| decode(&model.config.labels, None, logits, &["MISC"]).tags;
        let found: Vec<_> = logits.iter().map(|logits| spans(&tags(logits), Scheme::Bio)).collect();
        let entities = |tags: &[String]| {
            spans(tags, Scheme::Bio).into_iter().filter(|span| span.kind != "MISC").collect::<Vec<_>>()
        };
        let gold: Vec<_> = gold.iter().map(|record| entities(&record.tags)).collect();
        let scores = score(&gold, &found);
        assert!(scores.micro.f1 > 0.90, "{scores:?}");
    }
}
