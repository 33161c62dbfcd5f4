//! From texts to word logits, batch by batch.

use burn::tensor::Device;
use rayon::prelude::*;
use stage_contract::{Progress, StageError};

use crate::{
    backend::{device, fused, readback::host},
    batch::{Batch, Encoded, group},
    finite::{OfTexts, finite, place},
    inputs::Inputs,
    model::Model,
};
use text::{labels::Labels, tokenizer::Window};

/// Logits of a word that no piece covers: O for certain.
#[must_use]
pub fn absent(labels: &Labels) -> Vec<f32> {
    const NEVER: f32 = -1e4;
    let mut row = vec![NEVER; labels.len()];
    row[labels.outside()] = 0.0;
    row
}

/// Word logits of one text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WordLogits {
    /// Columns.
    pub labels: usize,
    /// `[words, labels]`, row after row. A word that no piece covers gets 0 for O and -1e4 elsewhere.
    pub values: Vec<f32>,
    /// `[words]` whether the word owns its first sub-word.
    pub owned: Vec<bool>,
    /// `[pieces, labels]` of those that no word is read off, in the order of the windows
    /// ([`Window::continuations`](text::tokenizer::Window)).
    pub continuations: Vec<f32>,
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
/// the order of `texts`. A batch holds windows, not texts, so that a long text takes no more memory than many short ones.
/// The network must not be on an autodiff device.
///
/// # Errors
/// A logit is not finite: it must not read as "no entity". The message names the layer where numbers overflow first, and the
/// texts of the batch ([`crate::finite::naming`] calls them by their records).
///
/// On the CPU several batches run at once, because not all of a pass uses all cores by itself; a batch's result
/// depends on nothing but the batch.
pub fn word_logits(
    model: &Model,
    texts: &[Encoded],
    budget: usize,
    device: &Device,
    progress: Option<&mut Progress<'_>>,
) -> Result<Vec<WordLogits>, StageError> {
    let pack = |windows: &[&Window]| {
        let batch = Batch::windows(windows.iter().copied());
        (Inputs::new(&batch, &model.config, device), batch)
    };
    let logits = |windows: &[&Window]| {
        let (packed, batch) = pack(windows);
        let logits = model.network.forward(&packed, &[]).logits;
        Ok(if batch.rows.is_empty() { Vec::new() } else { host(logits.select(0, packed.rows)) })
    };
    let place = |windows: &[&Window]| place(&model.network, &model.config, &pack(windows).0);
    read_or_place(&model.config.labels, texts, budget, device, progress, logits, place)
}

/// As [`word_logits`], by whatever reads windows: `read` gives the logits `[rows, labels]` of a batch's windows, of the anchors
/// and then of the continuations of each.
///
/// # Errors
/// What `read` says, or a logit is not finite.
pub fn read(
    labels: &Labels,
    texts: &[Encoded],
    budget: usize,
    device: &Device,
    progress: Option<&mut Progress<'_>>,
    read: impl Fn(&[&Window]) -> Result<Vec<f32>, StageError> + Sync,
) -> Result<Vec<WordLogits>, StageError> {
    read_or_place(labels, texts, budget, device, progress, read, |_| None)
}

/// As [`read`]; `place` says where in the model numbers stopped being finite.
fn read_or_place(
    labels: &Labels,
    texts: &[Encoded],
    budget: usize,
    device: &Device,
    mut progress: Option<&mut Progress<'_>>,
    read: impl Fn(&[&Window]) -> Result<Vec<f32>, StageError> + Sync,
    place: impl Fn(&[&Window]) -> Option<String> + Sync,
) -> Result<Vec<WordLogits>, StageError> {
    let absent = absent(labels);
    let labels = labels.len();
    let unread = |text: &Encoded| WordLogits {
        labels,
        values: absent.repeat(text.words),
        owned: vec![false; text.words],
        continuations: vec![0.0; text.continuations() * labels],
    };
    let mut results: Vec<WordLogits> = texts.iter().map(unread).collect();
    let mut left: Vec<usize> = texts.iter().map(|text| text.windows.len()).collect();
    // Of each text and window, the continuations before it.
    let before: Vec<Vec<usize>> = texts.iter().map(continuations_before).collect();
    let at_once = if fused::runs_on(device) { rayon::current_num_threads() } else { 1 };
    for some in batches(texts, budget).chunks(at_once) {
        let read = |members: &Vec<(usize, usize)>| {
            let windows = members.iter().map(|&(text, window)| &texts[text].windows[window]);
            let windows: Vec<&Window> = windows.collect();
            let logits = read(&windows)?;
            if finite(&logits) { Ok(logits) } else { Err(overflow(members, place(&windows))) }
        };
        let found = match some {
            [one] => vec![device::on_pool(device, || read(one))?],
            some => some.par_iter().map(read).collect::<Result<Vec<_>, _>>()?,
        };
        let mut finished = 0;
        for (members, found) in some.iter().zip(found) {
            let mut rows = found.chunks_exact(labels);
            for &(text, index) in members {
                let window = &texts[text].windows[index];
                let first = before[text][index];
                let result = &mut results[text];
                for (anchor, row) in window.anchors.iter().zip(&mut rows) {
                    result.values[anchor.word * labels..][..labels].copy_from_slice(row);
                    result.owned[anchor.word] = anchor.owned;
                }
                let places = result.continuations.chunks_exact_mut(labels).skip(first);
                for (place, row) in places.take(window.continuations.len()).zip(&mut rows) {
                    place.copy_from_slice(row);
                }
                left[text] -= 1;
                finished += u64::from(left[text] == 0);
            }
        }
        if let Some(progress) = progress.as_deref_mut() {
            progress.advance(finished);
        }
    }
    Ok(results)
}

fn overflow(members: &[(usize, usize)], place: Option<String>) -> StageError {
    let place = place.map_or_else(String::new, |place| format!(": its numbers overflow in {place}"));
    let texts = OfTexts::new(members.iter().map(|(text, _)| *text).collect());
    StageError::because(format!("the model's logits are not finite{place}"), texts).help(
        "use another checkpoint of this model, or another precision: where numbers overflow, what the model says \
         means nothing",
    )
}

/// `[windows]` how many of a text's continuations come before each of its windows.
fn continuations_before(text: &Encoded) -> Vec<usize> {
    let counts = text.windows.iter().map(|window| window.continuations.len());
    counts
        .scan(0, |before, count| {
            *before += count;
            Some(*before - count)
        })
        .collect()
}

/// Indices of texts and of their windows, in batches of at most `budget` tokens (a longer window stands alone), longest
/// first.
fn batches(texts: &[Encoded], budget: usize) -> Vec<Vec<(usize, usize)>> {
    let windows: Vec<(usize, usize)> = texts
        .iter()
        .enumerate()
        .flat_map(|(text, encoded)| (0..encoded.windows.len()).map(move |window| (text, window)))
        .collect();
    let lengths: Vec<usize> =
        windows.iter().map(|&(text, window)| texts[text].windows[window].ids.len()).collect();
    let mut groups = group(&lengths, budget, None);
    groups.sort_by_key(|members| std::cmp::Reverse(members.iter().map(|&window| lengths[window]).max()));
    groups.into_iter().map(|members| members.into_iter().map(|window| windows[window]).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::post_norm::{DOWN, VALUE};
    use crate::{
        backend::prepacked::WeightFormat,
        network::Network,
        testing::{tiny, tokenizer, trained},
    };

    #[test]
    fn results_come_in_order_whatever_the_batches() {
        let (config, device) = (tiny(), Device::flex());
        let network = trained(&config, &device);
        let model = Model { config, network, tokenizer: tokenizer(&["un", "deux", "trois"]) };
        let texts = ["un deux trois un", "deux", "", "trois trois", "un un un un un un"];
        let words: Vec<_> = texts.iter().map(|text| text::words::words(text)).collect();
        let encoded = encode(&model, texts.into_iter().zip(words.iter().map(Vec::as_slice))).expect("tokens");
        let together = word_logits(&model, &encoded, 1000, &device, None).expect("finite");
        let alone = word_logits(&model, &encoded, 1, &device, None).expect("finite");
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
        let logits = word_logits(&model, &encoded, 10, &device, None).expect("finite").remove(0);
        assert_eq!(logits.word(1), [0.0, -1e4, -1e4, -1e4, -1e4, -1e4, -1e4]);
        assert_eq!(logits.owned, [true, false, true]);
    }

    #[test]
    fn a_long_text_takes_no_larger_batches_than_short_ones_and_loses_no_word() {
        let (config, device) = (tiny(), Device::flex());
        let network = trained(&config, &device);
        let model = Model { config, network, tokenizer: tokenizer(&["un", "deux", "trois"]) };
        let text = "un deux trois ".repeat(40);
        let words = text::words::words(&text);
        let encoded = encode(&model, [(text.as_str(), words.as_slice())]).expect("tokens");
        assert!(encoded[0].windows.len() > 5, "the model reads 18 pieces at once");
        for budget in [18, 50, 1000] {
            let tokens = |batch: &Vec<(usize, usize)>| {
                batch.iter().map(|&(text, window)| encoded[text].windows[window].ids.len()).sum::<usize>()
            };
            assert!(batches(&encoded, budget).iter().all(|batch| tokens(batch) <= budget));
        }
        let small = word_logits(&model, &encoded, 18, &device, None).expect("finite").remove(0);
        let large = word_logits(&model, &encoded, 1000, &device, None).expect("finite").remove(0);
        assert_eq!(small.owned, vec![true; 120]);
        assert!(small.values.iter().zip(&large.values).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn numbers_that_overflow_are_an_error_that_names_the_layer() {
        let (config, device) = (tiny(), Device::flex());
        let tensors = config.architecture.tensors();
        let part = |part: usize| format!("{}.weight", tensors.part(1, tensors.parts[part]));
        for (tensor, place) in [
            (format!("{}.weight", tensors.norm.name()), "the embeddings"),
            (part(DOWN), "layer 2 of 2 (roberta.encoder.layer.1)"),
            (part(VALUE), "layer 2 of 2 (roberta.encoder.layer.1)"),
            (format!("{}.weight", tensors.head), "the classifier"),
        ] {
            let mut weights = trained(&config, &device).weights(&config);
            weights
                .get_mut(&tensor)
                .expect("there")
                .values
                .iter_mut()
                .for_each(|value| *value = value.signum() * 3e38);
            let network = Network::from_weights(&config, weights, &device).expect("a network");
            let model = Model { config: config.clone(), network, tokenizer: tokenizer(&["un", "deux"]) };
            let text = "un deux deux un";
            let words = text::words::words(text);
            let encoded = encode(&model, [(text, words.as_slice())]).expect("tokens");
            for form in [None, Some(WeightFormat::F32), Some(WeightFormat::Int8)] {
                let model = form.map_or_else(|| model.clone(), |form| model.clone().prepack(form));
                let error = word_logits(&model, &encoded, 100, &device, None).expect_err("overflows");
                assert!(error.to_string().ends_with(place), "{tensor} {form:?}: {error}");
                let of = std::error::Error::source(&error).expect("a cause").to_string();
                assert_eq!(of, "in a batch of text 1");
            }
        }
    }
}
