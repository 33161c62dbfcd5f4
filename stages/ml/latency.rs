//! How long models take for one short sentence, measured side by side: round after round, every model once, so that what
//! slows the machine down slows all of them down.

use std::time::Duration;

use burn::tensor::Device;
use serde::Serialize;
use stage_contract::{Clock, Context, StageError};

use crate::ml::{
    batch::Batch,
    crf::Crf,
    decode::decode,
    infer::WordLogits,
    layout::host,
    model::{Model, Packed},
};

/// Tokens of the sentence, specials included (FORMATS, "report.json").
pub const TOKENS: usize = 32;

/// How a latency was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Tokens of the sentence, specials included: [`TOKENS`], or less where a model has room for less.
    pub tokens: usize,
    /// Sentences at once.
    pub batch: usize,
    /// Of weights and activations.
    pub precision: &'static str,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads.
    pub threads: usize,
    /// Rounds measured, after [`Setting::warmup`].
    pub rounds: usize,
    /// Rounds thrown away before.
    pub warmup: usize,
}

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Median over the rounds, in milliseconds.
    pub p50_ms: f64,
    /// Median over the first model's (the teacher's) median.
    pub ratio: f64,
}

impl Setting {
    /// The setting that suits all `models`.
    #[must_use]
    pub fn new(cx: &Context<'_>, models: &[&Model], rounds: usize) -> Self {
        let room = models.iter().map(|model| model.config.max_pieces()).min();
        Self {
            tokens: room.unwrap_or(TOKENS).min(TOKENS),
            batch: 1,
            precision: "f32",
            device: cx.device.to_string(),
            threads: cx.threads,
            rounds,
            // A tenth, and at least two: the first fills caches and, on a GPU, compiles kernels.
            warmup: (rounds / 10).max(2),
        }
    }
}

/// Measures `models`, the teacher first: from token ids to tags, so upload, forward pass, and the CRF's decoding where
/// there is one.
///
/// # Errors
/// When the user cancels.
pub fn measure(
    cx: &Context<'_>,
    clock: &Clock,
    setting: &Setting,
    models: &[&Model],
    device: &Device,
) -> Result<Vec<Latency>, StageError> {
    let subjects: Vec<_> = models.iter().map(|model| Subject::new(model, setting.tokens, device)).collect();
    let total = setting.warmup + setting.rounds;
    let mut progress = cx.progress("latency", total as u64, "rounds");
    let mut times = vec![Vec::with_capacity(setting.rounds); models.len()];
    for round in 0..total {
        cx.check_cancelled()?;
        // Each round starts with another model, so that none always follows the largest.
        for turn in 0..subjects.len() {
            let index = (round + turn) % subjects.len();
            let (words, time) = clock.time(|| subjects[index].run());
            debug_assert_eq!(words, setting.tokens);
            if round >= setting.warmup {
                times[index].push(time);
            }
        }
        progress.advance(1);
    }
    let medians: Vec<f64> = times.into_iter().map(|times| median(times).as_secs_f64() * 1e3).collect();
    let first = medians.first().copied().unwrap_or_default();
    Ok(medians.into_iter().map(|p50_ms| Latency { p50_ms, ratio: p50_ms / first }).collect())
}

/// A model with its sentence.
struct Subject<'a> {
    model: &'a Model,
    crf: Option<Crf>,
    batch: Batch,
    device: &'a Device,
}

impl<'a> Subject<'a> {
    fn new(model: &'a Model, tokens: usize, device: &'a Device) -> Self {
        Self { model, crf: model.crf(), batch: sentence(model, tokens), device }
    }

    /// Returns the number of tags, so that the work cannot be left out.
    fn run(&self) -> usize {
        let packed = Packed::new(&self.batch, &self.model.config, self.device);
        let logits = self.model.network.forward(&packed, &[]).logits.select(0, packed.rows);
        let labels = &self.model.config.labels;
        let logits =
            WordLogits { labels: labels.len(), values: host(logits), owned: self.batch.owned.clone() };
        decode(labels, self.crf.as_ref(), &logits, &[]).tags.len()
    }
}

/// One window whose every token is a word: ids spread over the model's own vocabulary, between `<s>` and `</s>`.
fn sentence(model: &Model, tokens: usize) -> Batch {
    let special = model.tokenizer.special();
    let vocab = u32::try_from(model.config.vocab).unwrap_or(u32::MAX).max(1);
    let count = u32::try_from(tokens).unwrap_or(u32::MAX);
    let ids = (0..count).map(|place| match place {
        0 => special.bos,
        _ if place + 1 == count => special.eos,
        // A prime stride (Knuth's multiplicative hash) scatters the rows, as words do.
        _ => place.wrapping_mul(2_654_435_761) % vocab,
    });
    Batch {
        ids: ids.collect(),
        starts: vec![0, count],
        rows: (0..count).collect(),
        owned: vec![true; tokens],
        covered: vec![true; tokens],
        texts: vec![0, count],
        members: vec![0],
    }
}

/// The middle one, of an even number the mean of the middle two.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    match times.len() {
        0 => Duration::ZERO,
        even if even % 2 == 0 => (times[even / 2 - 1] + times[even / 2]) / 2,
        odd => times[odd / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_the_mean_of_the_middle_two() {
        let of = |ms: &[u64]| median(ms.iter().copied().map(Duration::from_millis).collect());
        assert_eq!(of(&[]), Duration::ZERO);
        assert_eq!(of(&[9, 1, 5]), Duration::from_millis(5));
        assert_eq!(of(&[9, 1, 5, 100]), Duration::from_millis(7));
    }
}
