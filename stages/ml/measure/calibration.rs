//! How far a model's scores are from how often it is right (docs/math.md, "Calibration").

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bins of equal width between 0 and 1.
const BINS: usize = 10;

/// The expected calibration error of some entities, and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibrated {
    /// Mean over the entities of how far their bin's mean score is from the share of it that is right: 0 to 1, less is better.
    pub ece: f64,
    /// The same of the scores before the model's temperatures; null where it has none.
    pub before: Option<f64>,
    /// Entities that the model found.
    pub entities: usize,
    /// Scores from 0 to 1 in tenths, those without an entity left out.
    pub bins: Vec<Bin>,
}

/// Entities with similar scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bin {
    /// Their lowest possible score.
    pub from: f64,
    /// How many.
    pub entities: usize,
    /// Their mean score.
    pub score: f64,
    /// The share of them that is right.
    pub right: f64,
}

/// Of the scores of entities and whether each is right; none without an entity. `before` are the scores of the same entities
/// without temperatures, where there are any.
#[must_use]
pub fn calibrated(scored: &[(f64, bool)], before: Option<&[(f64, bool)]>) -> Option<Calibrated> {
    let ece = |bins: &[Bin]| {
        let of = |bin: &Bin| share(bin.entities, scored.len()) * (bin.score - bin.right).abs();
        bins.iter().map(of).sum::<f64>()
    };
    let own = bins(scored);
    (!scored.is_empty()).then(|| Calibrated {
        ece: ece(&own),
        before: before.map(|before| ece(&bins(before))),
        entities: scored.len(),
        bins: own,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "scores are from 0 to 1, and there are ten bins"
)]
fn bins(scored: &[(f64, bool)]) -> Vec<Bin> {
    let mut totals = [(0_usize, 0.0, 0_usize); BINS];
    for &(score, right) in scored {
        let (entities, total, hits) = &mut totals[((score * BINS as f64) as usize).min(BINS - 1)];
        *entities += 1;
        *total += score;
        *hits += usize::from(right);
    }
    let there = totals.iter().enumerate().filter(|(_, (entities, ..))| *entities > 0);
    there
        .map(|(at, &(entities, total, hits))| Bin {
            from: at as f64 / BINS as f64,
            entities,
            score: total / entities as f64,
            right: share(hits, entities),
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 entities")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, right: f64) {
        assert!((found - right).abs() < 1e-12, "{found} for {right}");
    }

    #[test]
    fn the_error_is_the_mean_gap_over_entities() {
        // 0.95 said and 0.5 right of four, 0.35 said and 1 right of one: (4 · 0.45 + 0.65) / 5.
        let scored = [(0.95, true), (0.95, false), (0.95, true), (0.95, false), (0.35, true)];
        let found = calibrated(&scored, None).expect("five entities");
        near(found.ece, (4.0 * 0.45 + 0.65) / 5.0);
        assert_eq!((found.entities, found.before), (5, None));
        let of = |bin: &Bin| (bin.from, bin.entities, bin.right);
        assert_eq!(found.bins.iter().map(of).collect::<Vec<_>>(), [(0.3, 1, 1.0), (0.9, 4, 0.5)]);
    }

    #[test]
    fn scores_of_exactly_0_and_1_have_a_bin() {
        let found = calibrated(&[(0.0, false), (1.0, true)], Some(&[(0.0, true), (1.0, true)])).expect("two");
        near(found.ece, 0.0);
        near(found.before.expect("given"), 0.5);
    }

    #[test]
    fn without_an_entity_there_is_no_error() {
        assert_eq!(calibrated(&[], Some(&[])), None);
    }
}
