//! How long models take, measured side by side: round after round, every model once, so that what slows the machine down
//! slows all of them down.

use burn::tensor::Device;
use stage_contract::{Clock, Context, StageError};

use crate::bootstrap::{Bootstrap, Estimate};
use encoder::{
    backend::{device, readback::host},
    batch::{Batch, Encoded},
    decode::{Decoding, decode},
    infer::{WordLogits, word_logits},
    inputs::Inputs,
    model::Model,
};

/// Tokens of the sentence, specials included (docs/formats.md, "report.json").
pub const TOKENS: usize = 32;

/// Fewer rounds than these tell nothing.
const LEAST_ROUNDS: usize = 3;

/// More rounds of whole batches than these tell little more.
const MOST_ROUNDS_OF_TEXTS: usize = 10;

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Rounds of a cell, if time lasts; of the cell of [`TOKENS`] tokens and batch 1 always.
    pub rounds: usize,
    /// Tokens and batch of each further cell.
    pub cells: Vec<(usize, usize)>,
    /// Seconds for throughput and the further cells together.
    pub seconds: f64,
    /// Tokens that a model reads at once for throughput.
    pub batch_tokens: usize,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Timings {
    /// [`TOKENS`] tokens (less where a model has room for less), batch 1.
    pub main: Cell,
    /// All cells, by tokens and batch; the main one only where the plan names it.
    pub cells: Vec<Cell>,
    /// Cells of the plan that were left out.
    pub skipped: Vec<(usize, usize)>,
    /// Whole texts.
    pub texts: Rounds,
}

/// Batches of one size.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Tokens of each sentence.
    pub tokens: usize,
    /// Sentences at once.
    pub batch: usize,
    /// Rounds thrown away before.
    pub warmup: usize,
    /// The others.
    pub rounds: Rounds,
}

/// Milliseconds of several models in the same rounds: `[models, rounds]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rounds(pub Vec<Vec<f64>>);

impl Rounds {
    /// Rounds measured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    /// Nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time that this share of a model's rounds did not exceed; at one half the median, of an even number the mean
    /// of the middle two.
    #[must_use]
    pub fn quantile(&self, model: usize, share: f64) -> f64 {
        quantile(self.0[model].clone(), share)
    }

    /// A number made of the quantiles of one or two models, and its interval by drawing rounds.
    #[must_use]
    pub fn estimate(
        &self,
        bootstrap: &Bootstrap,
        name: &str,
        share: f64,
        models: [usize; 2],
        value: impl Fn(f64, f64) -> f64,
    ) -> Estimate {
        let [one, other] = models;
        let of = |model: usize, draw: &[usize]| {
            quantile(draw.iter().map(|&round| self.0[model][round]).collect(), share)
        };
        let draws = bootstrap.draws(name, self.len());
        let values = draws.map(|draw| value(of(one, &draw), of(other, &draw))).collect();
        Estimate {
            value: value(self.quantile(one, share), self.quantile(other, share)),
            interval: if self.is_empty() { None } else { bootstrap.interval(values) },
        }
    }
}

/// Measures `models`, the teacher first, from token ids to tags: upload, forward pass, and the CRF's decoding where there
/// is one. `texts` are the same texts for each model, cut into its own sub-words.
///
/// # Errors
/// When the user cancels.
pub fn measure(
    cx: &Context<'_>,
    clock: &Clock,
    plan: &Plan,
    models: &[&Model],
    texts: &[Vec<Encoded>],
    device: &Device,
) -> Result<Timings, StageError> {
    let decodings: Vec<Decoding> = models.iter().map(|model| Decoding::of(model)).collect();
    let bench = Bench { cx, clock, models, decodings: &decodings, device };
    let room = models.iter().map(|model| model.config.max_pieces()).min().unwrap_or(TOKENS);
    let tokens = room.min(TOKENS);
    // A tenth, and at least two: the first fills caches and, on a GPU, compiles kernels.
    let warmup = (plan.rounds / 10).max(2);
    let main = bench.cell((tokens, 1), warmup, plan.rounds, f64::INFINITY)?;
    let (texts, mut spent) = bench.texts(plan, texts)?;

    let mut order = plan.cells.clone();
    order.sort_unstable_by_key(|&(tokens, batch)| (tokens * batch, tokens));
    order.dedup();
    let (mut cells, mut skipped) = (Vec::new(), Vec::new());
    let mut last = main.clone();
    let mut progress = cx.progress("latency matrix", order.len() as u64, "cells");
    for (at, &(tokens, batch)) in order.iter().enumerate() {
        if (tokens, batch) == (main.tokens, main.batch) {
            cells.push(main.clone());
        } else if tokens > room {
            skipped.push((tokens, batch));
        } else {
            // A round takes about as long for each token as it did in the cell before.
            let left = (1e3 * plan.seconds - spent).max(0.0);
            let expected = total(&last.rounds) * float(tokens * batch) / float(last.tokens * last.batch);
            if expected * float(LEAST_ROUNDS + 1) > left {
                skipped.push((tokens, batch));
            } else {
                let share = left / float(order.len() - at);
                let cell = bench.cell((tokens, batch), 1, plan.rounds, share)?;
                spent += total(&cell.rounds) * float(cell.rounds.len() + 1);
                last = cell.clone();
                cells.push(cell);
            }
        }
        progress.advance(1);
    }
    cells.sort_by_key(|cell| (cell.tokens, cell.batch));
    skipped.sort_unstable();
    Ok(Timings { main, cells, skipped, texts })
}

/// Milliseconds of a mean round: all models once.
fn total(rounds: &Rounds) -> f64 {
    rounds.0.iter().flatten().sum::<f64>() / float(rounds.len().max(1))
}

struct Bench<'a> {
    cx: &'a Context<'a>,
    clock: &'a Clock,
    models: &'a [&'a Model],
    decodings: &'a [Decoding],
    device: &'a Device,
}

impl Bench<'_> {
    /// Rounds of batches, until there are enough or time is over.
    fn cell(
        &self,
        (tokens, batch): (usize, usize),
        warmup: usize,
        rounds: usize,
        milliseconds: f64,
    ) -> Result<Cell, StageError> {
        let batches: Vec<Batch> = self.models.iter().map(|model| sentences(model, tokens, batch)).collect();
        let measured = in_turn(
            self.cx,
            self.clock,
            "latency",
            self.models.len(),
            [warmup, rounds],
            milliseconds,
            |index| {
                let words = self.tag(index, &batches[index], tokens);
                debug_assert_eq!(words, tokens * batch);
            },
        )?;
        Ok(Cell { tokens, batch, warmup, rounds: measured })
    }

    /// Rounds of whole texts in at most half of the time, and what they took.
    fn texts(&self, plan: &Plan, texts: &[Vec<Encoded>]) -> Result<(Rounds, f64), StageError> {
        let half = 500.0 * plan.seconds;
        let rounds = in_turn(
            self.cx,
            self.clock,
            "throughput",
            self.models.len(),
            [1, MOST_ROUNDS_OF_TEXTS],
            half,
            |index| {
                let (model, texts) = (self.models[index], &texts[index]);
                // Logits that are not finite are told by whoever reads the tags, which is not here.
                let logits = word_logits(model, texts, plan.batch_tokens, self.device, None);
                for logits in &logits.unwrap_or_default() {
                    drop(decode(&model.config.labels, &self.decodings[index], logits, &[]));
                }
            },
        )?;
        let spent = total(&rounds) * float(rounds.len() + 1);
        Ok((rounds, spent))
    }

    /// Returns the number of tags, so that the work cannot be left out.
    fn tag(&self, index: usize, batch: &Batch, tokens: usize) -> usize {
        let model = self.models[index];
        let labels = &model.config.labels;
        let rows = device::on_pool(self.device, || {
            let packed = Inputs::new(batch, &model.config, self.device);
            host(model.network.forward(&packed, &[]).logits.select(0, packed.rows))
        });
        let tags = rows.chunks(tokens * labels.len()).map(|rows| {
            let logits = WordLogits {
                labels: labels.len(),
                values: rows.to_vec(),
                owned: vec![true; tokens],
                ..WordLogits::default()
            };
            decode(labels, &self.decodings[index], &logits, &[]).tags.len()
        });
        tags.sum()
    }
}

/// Runs each of `count` things once in every round; each round starts with another, so that none always follows the
/// largest. Stops after so many `milliseconds` and a few rounds.
///
/// # Errors
/// When the user cancels.
pub fn in_turn(
    cx: &Context<'_>,
    clock: &Clock,
    step: &str,
    count: usize,
    [warmup, rounds]: [usize; 2],
    milliseconds: f64,
    run: impl Fn(usize),
) -> Result<Rounds, StageError> {
    let mut progress = cx.progress(step, (warmup + rounds) as u64, "rounds");
    let mut times = vec![Vec::with_capacity(rounds); count];
    let mut spent = 0.0;
    for round in 0..warmup + rounds {
        cx.check_cancelled()?;
        for turn in 0..count {
            let index = (round + turn) % count;
            let ((), time) = clock.time(|| run(index));
            let time = 1e3 * time.as_secs_f64();
            spent += time;
            if round >= warmup {
                times[index].push(time);
            }
        }
        progress.advance(1);
        if spent > milliseconds && round + 1 >= warmup + LEAST_ROUNDS {
            break;
        }
    }
    Ok(Rounds(times))
}

/// Sentences whose every token is a word: ids spread over the model's own vocabulary, between `<s>` and `</s>`.
fn sentences(model: &Model, tokens: usize, batch: usize) -> Batch {
    let special = model.tokenizer.special();
    let vocab = u32::try_from(model.config.vocab).unwrap_or(u32::MAX).max(1);
    let whole = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let ids = (0..tokens * batch).map(|at| match at % tokens {
        0 => special.bos,
        place if place + 1 == tokens => special.eos,
        // A prime stride (Knuth's multiplicative hash) scatters the rows, as words do.
        _ => whole(at).wrapping_mul(2_654_435_761) % vocab,
    });
    Batch {
        ids: ids.collect(),
        starts: (0..=batch).map(|text| whole(text * tokens)).collect(),
        rows: (0..whole(tokens * batch)).collect(),
        owned: vec![true; tokens * batch],
        covered: vec![true; tokens * batch],
        texts: (0..=batch).map(|text| whole(text * tokens)).collect(),
        members: (0..batch).collect(),
        ..Batch::default()
    }
}

fn quantile(mut times: Vec<f64>, share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let count = times.len();
    if count == 0 {
        return 0.0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count"
    )]
    let rank = (share * float(count)).ceil() as usize;
    let at = times[rank.clamp(1, count) - 1];
    // Of an even number, the median is the mean of the middle two.
    if (share - 0.5).abs() < f64::EPSILON && count.is_multiple_of(2) {
        f64::midpoint(at, times[count / 2])
    } else {
        at
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and sizes far below 2^52")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_the_mean_of_the_middle_two() {
        let of = |ms: &[f64]| quantile(ms.to_vec(), 0.5);
        assert_eq!(of(&[]).to_bits(), 0.0_f64.to_bits());
        assert_eq!(of(&[9.0, 1.0, 5.0]).to_bits(), 5.0_f64.to_bits());
        assert_eq!(of(&[9.0, 1.0, 5.0, 100.0]).to_bits(), 7.0_f64.to_bits());
    }

    #[test]
    fn a_quantile_is_a_time_that_so_many_rounds_did_not_exceed() {
        let times: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (share, right) in [(0.9, 90.0), (0.99, 99.0), (1.0, 100.0)] {
            assert_eq!(quantile(times.clone(), share).to_bits(), f64::to_bits(right));
        }
        assert_eq!(quantile(vec![3.0, 4.0], 0.99).to_bits(), 4.0_f64.to_bits());
    }

    #[test]
    fn a_ratio_is_paired_by_round_and_a_constant_one_leaves_no_doubt() {
        let bootstrap = Bootstrap { samples: 500, confidence: 0.95, seed: 1 };
        let teacher: Vec<f64> = (0..20).map(|round| 10.0 + f64::from(round)).collect();
        let half = teacher.iter().map(|time| time / 2.0).collect();
        let rounds = Rounds(vec![teacher, half]);
        let ratio = rounds.estimate(&bootstrap, "x", 0.5, [1, 0], |one, other| one / other);
        assert_eq!(ratio, Estimate { value: 0.5, interval: Some([0.5, 0.5]) });
        let alone = rounds.estimate(&bootstrap, "x", 0.5, [0, 0], |one, _| one);
        let [low, high] = alone.interval.expect("twenty rounds");
        assert!(low < alone.value && alone.value < high && low >= 10.0 && high <= 29.0, "{alone:?}");
    }

    #[test]
    fn a_batch_is_so_many_sentences_between_their_specials() {
        let model = encoder::testing::fixture::model(encoder::testing::fixture::teacher_labels(), &[]);
        let batch = sentences(&model, 4, 3);
        assert_eq!(batch.starts, [0, 4, 8, 12]);
        let ends: Vec<_> = (0..3).map(|text| (batch.ids[4 * text], batch.ids[4 * text + 3])).collect();
        assert_eq!(ends, [(0, 2); 3]);
        assert!(batch.ids.iter().all(|&id| (id as usize) < model.config.vocab));
    }
}
