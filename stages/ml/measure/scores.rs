//! Strict entity-level precision, recall and F1 (`CoNLL` 2003: type and both boundaries), as seqeval's
//! `mode="strict", scheme=IOB2`.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Sum,
    ops::AddAssign,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use text::labels::Span;

/// Counts behind a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entities found that are right.
    pub correct: usize,
    /// Entities found.
    pub found: usize,
    /// Entities there are.
    pub gold: usize,
}

impl Counts {
    /// Precision, recall and F1; what would be a division by 0 is undefined, where seqeval says 0.
    #[must_use]
    pub fn score(self) -> Score {
        let (precision, recall) = (ratio(self.correct, self.found), ratio(self.correct, self.gold));
        let f1 = match (precision, recall) {
            (None, None) => None,
            (Some(precision), Some(recall)) if precision + recall > 0.0 => {
                Some(2.0 * precision * recall / (precision + recall))
            }
            _ => Some(0.0),
        };
        Score { precision, recall, f1, support: self.gold, found: self.found }
    }

    /// Whether there is an entity on either side, without which no score says anything.
    #[must_use]
    pub fn any(self) -> bool {
        self.found + self.gold > 0
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.correct += other.correct;
        self.found += other.found;
        self.gold += other.gold;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut all, counts| {
            all += counts;
            all
        })
    }
}

/// Precision, recall, F1 as fractions 0-1, and what they rest on; what is undefined is null, and never 0 or 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// correct / found; null when nothing was found.
    pub precision: Option<f64>,
    /// correct / gold; null when there is nothing to find.
    pub recall: Option<f64>,
    /// Harmonic mean, 2 correct / (found + gold); null when there is no entity on either side.
    pub f1: Option<f64>,
    /// Entities there are.
    pub support: usize,
    /// Entities found.
    #[serde(default)]
    pub found: usize,
}

/// Scores of a whole set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// All entities pooled.
    pub micro: Score,
    /// Unweighted mean over the types that occur in gold or prediction (seqeval's), in which what is undefined of one of them
    /// counts 0; null when none occurs.
    #[serde(rename = "macro")]
    pub macro_: Score,
    /// By type name: every type that occurs in gold or prediction.
    pub per_type: BTreeMap<String, Score>,
}

/// Compares predicted with gold entities, sentence by sentence.
///
/// # Panics
/// When the two have different numbers of sentences.
#[must_use]
pub fn score(gold: &[Vec<Span>], found: &[Vec<Span>]) -> Scores {
    assert_eq!(gold.len(), found.len(), "one prediction for each sentence");
    let mut types: BTreeMap<&str, Counts> = BTreeMap::new();
    for (gold, found) in gold.iter().zip(found) {
        for (kind, counts) in count(gold, found) {
            *types.entry(kind).or_default() += counts;
        }
    }
    Scores::of(types)
}

/// Compares the entities of one sentence, type by type. One that is listed twice counts once.
#[must_use]
pub fn count<'s>(
    gold: impl IntoIterator<Item = &'s Span>,
    found: impl IntoIterator<Item = &'s Span>,
) -> BTreeMap<&'s str, Counts> {
    let gold: BTreeSet<&Span> = gold.into_iter().collect();
    let found: BTreeSet<&Span> = found.into_iter().collect();
    let mut types: BTreeMap<&str, Counts> = BTreeMap::new();
    for span in &gold {
        types.entry(&span.kind).or_default().gold += 1;
    }
    for span in &found {
        let counts = types.entry(&span.kind).or_default();
        counts.found += 1;
        counts.correct += usize::from(gold.contains(span));
    }
    types
}

impl Scores {
    /// The scores that these counts of each type come to.
    #[must_use]
    pub fn of<'a>(types: impl IntoIterator<Item = (&'a str, Counts)>) -> Self {
        let types: BTreeMap<&str, Counts> = types.into_iter().filter(|(_, counts)| counts.any()).collect();
        let all: Counts = types.values().copied().sum();
        let per_type: BTreeMap<_, _> =
            types.iter().map(|(kind, counts)| ((*kind).to_owned(), counts.score())).collect();
        let mean = |of: fn(&Score) -> Option<f64>| match per_type.len() {
            0 => None,
            types => {
                Some(per_type.values().map(|score| of(score).unwrap_or(0.0)).sum::<f64>() / float(types))
            }
        };
        let macro_ = Score {
            precision: mean(|s| s.precision),
            recall: mean(|s| s.recall),
            f1: mean(|s| s.f1),
            support: all.gold,
            found: all.found,
        };
        Self { micro: all.score(), macro_, per_type }
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 entities")]
fn float(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
