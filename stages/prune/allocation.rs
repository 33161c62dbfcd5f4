//! How wide each layer becomes under limits: units go in the order of what they matter for what they cost.
//!
//! A greedy knapsack: as long as a limit is exceeded, the head or the block of neurons with the least importance for each
//! part that it takes off what is exceeded goes next. Blocks, because widths must be multiples of what hardware likes.

use stage_contract::StageError;

use crate::prune::importance::Importance;
use encoder::config::{Config, LayerShape};

/// What a shape must not cost more than.
pub struct Limit<'a> {
    /// The parameter that says so.
    pub name: &'static str,
    /// Most that it may be.
    pub most: f64,
    /// What a shape costs.
    pub of: Box<dyn Fn(&Config) -> f64 + 'a>,
}

/// A limit that nothing meets.
#[derive(Clone, Debug, PartialEq)]
pub struct Infeasible {
    /// The limit.
    pub name: &'static str,
    /// Most that it allows.
    pub most: f64,
    /// What the smallest shape costs.
    pub least: f64,
}

/// The widest shape within all limits that can be reached from `config` by removing the least important units first. At
/// least one head and `multiple` neurons stay in every layer; widths become multiples of `multiple` where neurons go.
///
/// # Errors
/// The limit that not even the smallest shape meets.
///
/// # Panics
/// When `importance` is not of this `config`.
pub fn within(
    config: &Config,
    importance: &Importance,
    limits: &[Limit<'_>],
    multiple: usize,
) -> Result<Config, Infeasible> {
    let heads: Vec<_> = importance.heads.iter().map(|scores| ascending(scores)).collect();
    let ffn: Vec<_> = importance.ffn.iter().map(|scores| ascending(scores)).collect();
    let mut now = config.clone();
    loop {
        let over: Vec<&Limit<'_>> = limits.iter().filter(|limit| (limit.of)(&now) > limit.most).collect();
        let Some(first) = over.first() else { return Ok(now) };
        let costs: Vec<f64> = over.iter().map(|limit| (limit.of)(&now)).collect();
        let mut best: Option<(f64, usize, LayerShape)> = None;
        for layer in 0..now.layers.len() {
            let (shape, whole) = (now.layers[layer], config.layers[layer]);
            let fewer_heads = shape.heads.checked_sub(1).filter(|heads| *heads > 0).map(|left| {
                let gone = whole.heads - shape.heads;
                (LayerShape { heads: left, ..shape }, heads[layer][gone])
            });
            let narrower = narrower(shape.ffn, multiple).map(|left| {
                let gone = whole.ffn - shape.ffn;
                let scores = &ffn[layer][gone..whole.ffn - left];
                (LayerShape { ffn: left, ..shape }, scores.iter().sum::<f64>())
            });
            for (smaller, score) in [fewer_heads, narrower].into_iter().flatten() {
                now.layers[layer] = smaller;
                let saved: f64 =
                    over.iter().zip(&costs).map(|(limit, cost)| (cost - (limit.of)(&now)) / limit.most).sum();
                now.layers[layer] = shape;
                // What saves nothing of what is exceeded stays.
                if saved > 0.0 && best.is_none_or(|(least, ..)| score / saved < least) {
                    best = Some((score / saved, layer, smaller));
                }
            }
        }
        match best {
            Some((_, layer, smaller)) => now.layers[layer] = smaller,
            None => return Err(Infeasible { name: first.name, most: first.most, least: costs[0] }),
        }
    }
}

/// The shape whose layers all have the same FFN, the widest multiple of `multiple` within all limits; heads stay. What a
/// stock implementation can load.
///
/// # Errors
/// The limit that not even the narrowest FFN meets.
pub fn uniform(config: &Config, limits: &[Limit<'_>], multiple: usize) -> Result<Config, Infeasible> {
    let widest = config.layers.iter().map(|layer| layer.ffn).min().unwrap_or(multiple);
    let mut now = config.clone();
    let mut width = Some(widest);
    loop {
        let Some(exceeded) = limits.iter().find(|limit| (limit.of)(&now) > limit.most) else {
            return Ok(now);
        };
        let Some(ffn) = width else {
            return Err(Infeasible { name: exceeded.name, most: exceeded.most, least: (exceeded.of)(&now) });
        };
        now.layers.iter_mut().for_each(|layer| layer.ffn = ffn);
        width = narrower(ffn, multiple);
    }
}

/// The next smaller width that is a multiple; none when it is the last.
fn narrower(width: usize, multiple: usize) -> Option<usize> {
    let next = (width - 1) / multiple * multiple;
    (width > 0 && next > 0).then_some(next)
}

fn ascending(scores: &[f64]) -> Vec<f64> {
    let mut scores = scores.to_vec();
    scores.sort_by(f64::total_cmp);
    scores
}

impl Infeasible {
    /// The same for people.
    #[must_use]
    pub fn refusal(&self) -> StageError {
        let Self { name, most, least } = self;
        StageError::new(format!(
            "`{name}` allows {most:.0}, but the smallest shape of this model costs {least:.0}"
        ))
        .help("keep fewer layers in `distill`, keep fewer pieces of the vocabulary, or allow more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::importance::highest;
    use encoder::testing::tiny;

    fn config() -> Config {
        let layer = LayerShape { heads: 4, ffn: 32, from_teacher_layer: 0, ..LayerShape::default() };
        Config { layers: vec![layer; 2], ..tiny() }
    }

    /// The first layer matters ten times as much as the second.
    fn importance() -> Importance {
        let scores =
            |count: u32, scale: f64| (0..count).map(|i| scale * f64::from(i + 1)).collect::<Vec<_>>();
        Importance {
            heads: vec![scores(4, 10.0), scores(4, 1.0)],
            ffn: vec![scores(32, 0.1), scores(32, 0.01)],
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn parameters(most: usize) -> Limit<'static> {
        Limit { name: "params", most: most as f64, of: Box::new(|config| config.parameters() as f64) }
    }

    fn widths(config: &Config) -> Vec<(usize, usize)> {
        config.layers.iter().map(|layer| (layer.heads, layer.ffn)).collect()
    }

    #[test]
    fn what_matters_least_for_its_size_goes_until_the_limit_is_met() {
        let whole = config();
        // A head has 4 * 16 * 4 + 3 * 4 = 268 parameters, a neuron 33. Scores for each parameter: the second layer's
        // neurons 0.0003 to 0.01, its heads 0.004 to 0.015, the first layer's ten times as much.
        let found =
            within(&whole, &importance(), &[parameters(whole.parameters() - 8 * 33)], 8).expect("room");
        assert_eq!(widths(&found), [(4, 32), (4, 24)]);
        let found = within(&whole, &importance(), &[parameters(whole.parameters() - 1200)], 8).expect("room");
        assert!(found.parameters() <= whole.parameters() - 1200);
        assert_eq!(found.layers[0].heads, 4, "{:?}", widths(&found));
        assert!(found.layers.iter().all(|layer| layer.ffn % 8 == 0));
    }

    #[test]
    fn every_limit_is_met_and_nothing_goes_for_one_that_is_met() {
        let whole = config();
        let heads = |most: f64| Limit {
            name: "heads",
            most,
            of: Box::new(|config: &Config| {
                config.layers.iter().map(|layer| f64::from(u32::try_from(layer.heads).expect("small"))).sum()
            }),
        };
        let found = within(&whole, &importance(), &[heads(5.0)], 8).expect("room");
        assert_eq!(widths(&found), [(4, 32), (1, 32)]);
        let found = within(&whole, &importance(), &[heads(5.0), parameters(whole.parameters() - 2000)], 8);
        let found = found.expect("room");
        assert!(found.parameters() <= whole.parameters() - 2000, "{:?}", widths(&found));
        assert!(found.layers.iter().map(|layer| layer.heads).sum::<usize>() <= 5);
    }

    #[test]
    fn a_limit_that_nothing_meets_is_named_with_what_the_smallest_costs() {
        let wrong =
            within(&config(), &importance(), &[parameters(100)], 8).expect_err("embeddings alone are more");
        let smallest = LayerShape { heads: 1, ffn: 8, from_teacher_layer: 0, ..LayerShape::default() };
        let smallest = Config { layers: vec![smallest; 2], ..tiny() };
        assert_eq!(wrong.name, "params");
        assert!((wrong.least - f64::from(u32::try_from(smallest.parameters()).expect("small"))).abs() < 0.5);
        assert!(uniform(&config(), &[parameters(100)], 8).is_err());
    }

    #[test]
    fn a_uniform_shape_keeps_its_heads_and_has_one_width() {
        let whole = config();
        let found = uniform(&whole, &[parameters(whole.parameters() - 900)], 8).expect("room");
        assert_eq!(widths(&found), [(4, 16), (4, 16)]);
        assert_eq!(uniform(&whole, &[parameters(whole.parameters())], 8), Ok(whole));
    }

    #[test]
    fn widths_that_are_no_multiple_shrink_to_one() {
        assert_eq!(
            [100, 96, 33, 32, 8].map(|width| narrower(width, 32)),
            [Some(96), Some(64), Some(32), None, None]
        );
        assert_eq!(highest(&importance().heads[0], 2), [2, 3]);
    }
}
