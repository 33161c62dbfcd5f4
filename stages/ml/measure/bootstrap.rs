//! Paired bootstrap (Efron and Tibshirani 1993, §13.3: percentile intervals): what a number might have been with other
//! sentences of the same kind. Every model sees the same draws, so that differences are far better known than the
//! scores themselves (Koehn 2004).

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scores::{Counts, Scores};
use text::random;

/// Lower and upper end.
pub type Interval = [f64; 2];

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bootstrap {
    /// Draws.
    pub samples: usize,
    /// Share of the draws inside of an interval.
    pub confidence: f64,
    /// What they are drawn from.
    #[serde(skip)]
    pub seed: u64,
}

impl Bootstrap {
    /// Draws as many of `count` things as there are, with replacement, once for each sample. The draws follow from
    /// seed, `name` and `count` alone.
    pub fn draws(&self, name: &str, count: usize) -> impl Iterator<Item = Vec<usize>> {
        let mut rng = random::rng(self.seed, &format!("bootstrap {name}"));
        (0..self.samples).map(move |_| (0..count).map(|_| rng.random_range(0..count)).collect())
    }

    /// The interval that holds the middle of `values`, rounded outwards to values that occur; none without any.
    #[must_use]
    pub fn interval(&self, mut values: Vec<f64>) -> Option<Interval> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        // 1 - 0.9 is a little less than a tenth, and 5 of 100 must not become 4.
        let tail = (1.0 - self.confidence) / 2.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a count is a count"
        )]
        let low = (tail * last as f64 + 1e-9).floor() as usize;
        Some([values[low], values[last - low]])
    }
}

/// Counts of one model for each sentence: `[sentences, types]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Types, the columns.
    pub types: usize,
    /// Row after row.
    pub counts: Vec<Counts>,
}

/// Which number of a model's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Of all types pooled.
    Micro(Part),
    /// Mean over the types that occur.
    Macro(Part),
    /// Of the type in this column.
    Type(usize, Part),
}

/// Which part of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// See [`crate::scores::Score`].
    Precision,
    /// Likewise.
    Recall,
    /// Likewise.
    F1,
}

impl Measure {
    /// F1 of all types pooled.
    pub const F1: Self = Self::Micro(Part::F1);

    /// Its value for counts by type; none where it is undefined.
    fn of(self, counts: &[Counts]) -> Option<f64> {
        let (score, part) = match self {
            Self::Micro(part) => {
                let all: Counts = counts.iter().copied().sum();
                (all.any().then(|| all.score())?, part)
            }
            Self::Type(column, part) => {
                let own = counts.get(column).copied().unwrap_or_default();
                (own.any().then(|| own.score())?, part)
            }
            Self::Macro(part) => {
                // The names do not matter to the mean.
                let names: Vec<String> = (0..counts.len()).map(|column| column.to_string()).collect();
                let scores = Scores::of(names.iter().map(String::as_str).zip(counts.iter().copied()));
                (if scores.per_type.is_empty() { None } else { Some(scores.macro_) }?, part)
            }
        };
        match part {
            Part::Precision => score.precision,
            Part::Recall => score.recall,
            Part::F1 => score.f1,
        }
    }

    /// See [`Part`].
    fn part(self) -> Part {
        match self {
            Self::Micro(part) | Self::Macro(part) | Self::Type(_, part) => part,
        }
    }
}

/// What a value rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Sentences with such an entity: what draws can tell apart. Sentences without one say nothing.
    pub texts: usize,
    /// Entities: those found for a precision, those there are for recall and F1. Of a mean over types, those of the type with
    /// the fewest, because each counts as much.
    pub entities: usize,
}

impl Evidence {
    /// The less of each.
    fn least(self, other: Self) -> Self {
        Self { texts: self.texts.min(other.texts), entities: self.entities.min(other.entities) }
    }
}

/// A value with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Of the sentences themselves.
    pub value: f64,
    /// Of the draws; null where none of them held an entity.
    pub interval: Option<Interval>,
}

/// In how many sentences there is an entity.
#[derive(Clone, Copy, Debug, Default)]
struct Occurring {
    gold: usize,
    found: usize,
}

/// Of rows `[sentences, models, types]`: `[models, types + 1]`, the last of each model of any type.
fn occurring(rows: &[Counts], models: usize, types: usize) -> Vec<Occurring> {
    let mut occurring = vec![Occurring::default(); models * (types + 1)];
    let mut add = |place: usize, counts: Counts| {
        occurring[place].gold += usize::from(counts.gold > 0);
        occurring[place].found += usize::from(counts.found > 0);
    };
    for row in rows.chunks_exact((models * types).max(1)) {
        for (model, counts) in row.chunks_exact(types.max(1)).enumerate() {
            for (column, counts) in counts.iter().enumerate() {
                add(model * (types + 1) + column, *counts);
            }
            add(model * (types + 1) + types, counts.iter().copied().sum());
        }
    }
    occurring
}

/// Counts of several models over the same sentences, and over every draw of them.
#[derive(Clone, Debug)]
pub struct Resampled {
    /// Sentences.
    pub texts: usize,
    bootstrap: Bootstrap,
    types: usize,
    /// `[models, types + 1]` in how many sentences each occurs: of each type, and of any.
    occurring: Vec<Occurring>,
    /// `[models, types]`
    totals: Vec<Counts>,
    /// `[samples, models, types]`
    drawn: Vec<Counts>,
    /// A model that is right by definition.
    perfect: Option<usize>,
}

impl Resampled {
    /// Draws from `texts`, rows of every model's tally. `perfect` is a model whose every score is 1 by definition, where there is
    /// an entity at all.
    #[must_use]
    pub fn new(
        bootstrap: Bootstrap,
        name: &str,
        models: &[Tally],
        texts: &[usize],
        perfect: Option<usize>,
    ) -> Self {
        let types = models.first().map_or(0, |tally| tally.types);
        let width = models.len() * types;
        // One sentence's counts of all models side by side: a draw then reads memory in one piece.
        let mut rows = Vec::with_capacity(texts.len() * width);
        for &text in texts {
            rows.extend(models.iter().flat_map(|tally| &tally.counts[text * types..][..types]));
        }
        let add = |sum: &mut [Counts], row: usize| {
            for (sum, counts) in sum.iter_mut().zip(&rows[row * width..][..width]) {
                *sum += *counts;
            }
        };
        let mut totals = vec![Counts::default(); width];
        for row in 0..texts.len() {
            add(&mut totals, row);
        }
        let mut drawn = vec![Counts::default(); width * bootstrap.samples];
        if width > 0 && !texts.is_empty() {
            for (sum, draw) in drawn.chunks_exact_mut(width).zip(bootstrap.draws(name, texts.len())) {
                for row in draw {
                    add(sum, row);
                }
            }
        }
        let occurring = occurring(&rows, models.len(), types);
        Self { texts: texts.len(), bootstrap, types, occurring, totals, drawn, perfect }
    }

    /// A model's counts by type, all sentences together.
    #[must_use]
    pub fn counts(&self, model: usize) -> &[Counts] {
        &self.totals[model * self.types..][..self.types]
    }

    /// What a model's value rests on.
    #[must_use]
    pub fn evidence(&self, model: usize, measure: Measure) -> Evidence {
        let of = |column: Option<usize>| {
            let Occurring { gold, found } =
                self.occurring[model * (self.types + 1) + column.unwrap_or(self.types)];
            let counts: Counts = match column {
                Some(column) => self.counts(model).get(column).copied().unwrap_or_default(),
                None => self.counts(model).iter().copied().sum(),
            };
            match measure.part() {
                Part::Precision => Evidence { texts: found, entities: counts.found },
                Part::Recall | Part::F1 => Evidence { texts: gold, entities: counts.gold },
            }
        };
        let occur = (0..self.types).filter(|column| self.counts(model)[*column].any());
        match measure {
            Measure::Micro(_) => of(None),
            Measure::Type(column, _) => of(Some(column)),
            Measure::Macro(_) => {
                occur.map(|column| of(Some(column))).reduce(Evidence::least).unwrap_or_else(|| of(None))
            }
        }
    }

    /// What a difference of two models rests on.
    #[must_use]
    pub fn evidence_of_both(&self, models: [usize; 2], measure: Measure) -> Evidence {
        let [one, other] = models.map(|model| self.evidence(model, measure));
        one.least(other)
    }

    /// A model's value; none where it is undefined.
    #[must_use]
    pub fn estimate(&self, model: usize, measure: Measure) -> Option<Estimate> {
        self.occurs(model, measure).then(|| self.of(|counts| self.value(counts, model, measure))).flatten()
    }

    /// How much less a model has than another: positive is worse.
    #[must_use]
    pub fn drop(&self, model: usize, against: usize, measure: Measure) -> Option<Estimate> {
        if ![model, against].into_iter().all(|model| self.occurs(model, measure)) {
            return None;
        }
        self.of(|counts| Some(self.value(counts, against, measure)? - self.value(counts, model, measure)?))
    }

    fn of(&self, value: impl Fn(&[Counts]) -> Option<f64>) -> Option<Estimate> {
        let here = value(&self.totals)?;
        let width = self.totals.len().max(1);
        let values = self.drawn.chunks_exact(width).filter_map(value).collect();
        Some(Estimate { value: here, interval: self.bootstrap.interval(values) })
    }

    /// Whether a model's value is defined; who is right by definition is right about nothing where there is nothing.
    fn occurs(&self, model: usize, measure: Measure) -> bool {
        measure.of(self.counts(model)).is_some()
    }

    fn value(&self, counts: &[Counts], model: usize, measure: Measure) -> Option<f64> {
        if self.perfect == Some(model) {
            return Some(1.0);
        }
        measure.of(&counts[model * self.types..][..self.types])
    }
}

#[cfg(test)]
mod tests;
