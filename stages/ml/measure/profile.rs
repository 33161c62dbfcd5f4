//! How long layers of different widths take on one machine: what a latency budget is computed with.

use std::{fs, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Artifact, Kind, StageError};

use encoder::config::Config;
use text::corpus::Report;

/// Milliseconds of parts of an encoder, medians over rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Hidden width of the model whose layers were measured.
    pub hidden: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Tokens of the sentence.
    pub tokens: usize,
    /// CPU threads.
    pub threads: usize,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// What an encoder without layers takes: embeddings and head.
    pub rest_ms: f64,
    /// `[heads, ms]` of a layer, by its number of heads, without FFN's part; ascending.
    pub heads: Vec<(usize, f64)>,
    /// `[neurons, ms]` of a layer's FFN; ascending.
    pub ffn: Vec<(usize, f64)>,
}

impl Profile {
    /// What a model of this shape takes, in milliseconds: parts between two measured widths lie on the line between them,
    /// and beyond the last on its continuation.
    #[must_use]
    pub fn latency(&self, config: &Config) -> f64 {
        let layers = config.layers.iter();
        self.rest_ms + layers.map(|l| between(&self.heads, l.heads) + between(&self.ffn, l.ffn)).sum::<f64>()
    }

    /// Checks that it is about layers of this model.
    ///
    /// # Errors
    /// Another hidden width, or another width of a head.
    pub fn check(&self, config: &Config) -> Result<(), StageError> {
        if (self.hidden, self.head_dim) == (config.hidden, config.head_dim) {
            return Ok(());
        }
        Err(StageError::new(format!(
            "the profile is of layers of hidden width {} with heads of {}, and the model's are {} and {}",
            self.hidden, self.head_dim, config.hidden, config.head_dim
        ))
        .help("give `profile` the teacher of this model"))
    }
}

/// The measured value at a width, or on the line through the two nearest.
#[expect(clippy::cast_precision_loss, reason = "widths are small")]
fn between(measured: &[(usize, f64)], width: usize) -> f64 {
    match measured {
        [] => 0.0,
        [(only, ms)] => ms * width as f64 / (*only).max(1) as f64,
        measured => {
            let after = measured.partition_point(|(known, _)| *known < width).clamp(1, measured.len() - 1);
            let ((x0, y0), (x1, y1)) = (measured[after - 1], measured[after]);
            y0 + (y1 - y0) * (width as f64 - x0 as f64) / (x1 as f64 - x0 as f64)
        }
    }
}

/// Makes measured values rise with the width: a wider layer does not take less, whatever noise says. The pool-adjacent-
/// violators algorithm (Barlow et al. 1972): the nearest rising sequence in least squares.
#[must_use]
pub fn rising(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        pools.push((value, 1));
        while let [.., (before, many), (after, few)] = pools[..]
            && before > after
        {
            #[expect(clippy::cast_precision_loss, reason = "a handful of widths")]
            let mean = (before * many as f64 + after * few as f64) / (many + few) as f64;
            pools.truncate(pools.len() - 2);
            pools.push((mean, many + few));
        }
    }
    pools.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count)).collect()
}

impl Artifact for Profile {
    const KIND: Kind = Kind { name: "profile", doc: "how long layers of each width take", ..Report::KIND };

    fn load(path: &Path) -> Result<Self, StageError> {
        let text = fs::read_to_string(path).map_err(|e| StageError::io("read", path, e))?;
        serde_json::from_str(&text).map_err(|e| {
            StageError::because(format!("{} is not what `profile` writes", path.display()), e)
                .help("wire `profile = \"profile.table\"`")
        })
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| StageError::because("cannot write the profile", e))?;
        fs::write(path, text + "\n").map_err(|e| StageError::io("write", path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoder::testing::tiny;

    #[test]
    fn a_shape_takes_the_sum_of_its_parts() {
        let profile = Profile {
            hidden: 16,
            head_dim: 4,
            tokens: 32,
            threads: 1,
            device: "cpu".to_owned(),
            rest_ms: 1.0,
            heads: vec![(2, 2.0), (4, 3.0)],
            ffn: vec![(16, 4.0), (24, 8.0), (32, 9.0)],
        };
        let config = tiny();
        profile.check(&config).expect("the same widths");
        // Layers of 4 heads and 24 neurons, and of 3 and 16.
        assert!((profile.latency(&config) - (1.0 + 3.0 + 8.0 + 2.5 + 4.0)).abs() < 1e-12);
        assert!((between(&profile.heads, 1) - 1.5).abs() < 1e-12, "the line goes on");
        assert!((between(&profile.ffn, 28) - 8.5).abs() < 1e-12);
        let other = Config { hidden: 32, ..config };
        assert!(profile.check(&other).is_err());
    }

    #[test]
    fn noise_does_not_make_a_wider_layer_cheaper() {
        assert_eq!(rising(&[1.0, 3.0, 2.0, 4.0]), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(rising(&[3.0, 2.0, 1.0]), [2.0, 2.0, 2.0]);
        assert_eq!(rising(&[]), [0.0; 0]);
    }
}
