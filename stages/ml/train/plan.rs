//! What a training run is told, and its learning rate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::optimizer::Groups;

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Straight down to 0 at the last step.
    #[default]
    Linear,
    /// Half a cosine down to 0.
    Cosine,
    /// Stays.
    Constant,
}

/// What a training run is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Passes over the texts.
    pub epochs: u32,
    /// Peak learning rate.
    pub rate: f64,
    /// Factors and weight decay.
    pub groups: Groups,
    /// Share of all steps in which the rate rises from 0.
    pub warmup: f64,
    /// What it does then.
    pub decay: Decay,
    /// Limit of the global gradient norm; 0 = none.
    pub clip: f64,
    /// Tokens in a batch.
    pub batch_tokens: usize,
    /// Batches a step.
    pub accumulate: usize,
    /// Stop after so many epochs without a better dev F1; 0 = never.
    pub patience: u32,
    /// Whether what is quick to compute again is not kept for the backward pass.
    pub recompute: bool,
    /// For the `pruning_ratio` column of the history: share of the teacher's heads that are gone.
    pub pruned: f64,
}

impl Plan {
    /// Learning rate at a 0-based step of `steps`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
    pub fn rate_at(&self, step: usize, steps: usize) -> f64 {
        let warmup = (self.warmup * steps as f64).ceil();
        let at = step as f64;
        if at < warmup {
            return self.rate * (at + 1.0) / (warmup + 1.0);
        }
        let left = (steps as f64 - at) / (steps as f64 - warmup).max(1.0);
        match self.decay {
            Decay::Linear => self.rate * left,
            Decay::Cosine => self.rate * 0.5 * (1.0 - (std::f64::consts::PI * left).cos()),
            Decay::Constant => self.rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(decay: Decay) -> Plan {
        Plan {
            epochs: 1,
            rate: 1.0,
            groups: Groups { head: 1.0, crf: 1.0, layer: 1.0, weight_decay: 0.0 },
            warmup: 0.1,
            decay,
            clip: 1.0,
            batch_tokens: 1,
            accumulate: 1,
            patience: 0,
            recompute: false,
            pruned: 0.0,
        }
    }

    #[test]
    fn the_rate_rises_through_the_warm_up_and_falls_to_almost_nothing() {
        for decay in [Decay::Linear, Decay::Cosine] {
            let rates: Vec<f64> = (0..100).map(|step| plan(decay).rate_at(step, 100)).collect();
            assert!(rates[..11].is_sorted() && rates[0] > 0.0, "{rates:?}");
            assert!(rates[10..].is_sorted_by(|a, b| a >= b), "{rates:?}");
            assert!((rates[10] - 1.0).abs() < 1e-12 && rates[99] < 0.02, "{rates:?}");
        }
    }

    #[test]
    fn a_constant_rate_stays_after_the_warm_up() {
        assert!((10..100).all(|step| (plan(Decay::Constant).rate_at(step, 100) - 1.0).abs() < 1e-12));
    }
}
