//! What shape to reach: from shares or budgets to the widths of every layer, in one cut or in several.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Invalid, StageError};

use super::Prune;
use crate::prune::{
    allocation::{self, Limit},
    importance::{Criterion, Importance},
};
use encoder::{
    config::Config,
    flops::{TOKENS, flops},
};
use measure::profile::Profile;

/// How removal is shared out among the layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Allocation {
    /// Every layer loses the shares `heads` and `ffn`.
    #[default]
    Layer,
    /// The model loses the shares `heads` and `ffn`, each layer as much as its scores say.
    Global,
    /// Heads and neurons go by what they matter for what they cost, until `params`, `flops` and `latency` are met.
    Budget,
    /// Heads stay and all layers get the same FFN, the widest that the budgets allow: stock transformers loads it.
    Uniform,
}

/// A number of parameters: a share of the teacher's (0.545), a number (60000000) or text ("60M").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Size {
    /// At most 1: a share of the teacher's parameters. More: so many. 0: no limit.
    Number(#[schemars(range(min = 0))] f64),
    /// `60M`, `800k`.
    Text(String),
}

/// The limits of a budget, each with what a shape costs.
pub(super) struct Budget<'a> {
    pub limits: Vec<Limit<'a>>,
}

impl Size {
    pub(super) fn none(&self) -> bool {
        *self == Self::Number(0.0)
    }

    /// In parameters; `teacher` has so many.
    fn parameters(&self, teacher: Option<f64>) -> Result<f64, Invalid> {
        let help =
            "write a share of the teacher's parameters (params = 0.545) or a number (params = \"60M\")";
        let wrong = |what: &str| Invalid::new(format!("`params` is {what}")).at("params").help(help);
        match self {
            Self::Number(share) if *share > 0.0 && *share <= 1.0 => match teacher {
                Some(all) => Ok(share * all),
                None => Err(wrong("a share of the teacher, and no teacher is wired")
                    .help("add `teacher = \"sources.teacher\"` to the inputs")),
            },
            Self::Number(number) if number.is_finite() && *number >= 0.0 => Ok(*number),
            Self::Number(number) => Err(wrong(&format!("{number}, which is no number of parameters"))),
            Self::Text(text) => {
                let (digits, unit) = match text.trim() {
                    text if text.ends_with(['M', 'm']) => (&text[..text.len() - 1], 1e6),
                    text if text.ends_with(['K', 'k']) => (&text[..text.len() - 1], 1e3),
                    text => (text, 1.0),
                };
                match digits.trim().parse::<f64>() {
                    Ok(number) if number > 0.0 && number.is_finite() => Ok(number * unit),
                    _ => Err(wrong(&format!("\"{text}\", which is no number of parameters"))),
                }
            }
        }
    }
}

impl Prune {
    /// Checks what the parameters say of the goal.
    pub(super) fn check_goal(&self) -> Result<(), Invalid> {
        self.params.parameters(Some(1.0))?;
        let given =
            [("params", !self.params.none()), ("flops", self.flops > 0.0), ("latency", self.latency > 0.0)];
        let budget = given.iter().find(|(_, given)| *given).map(|(name, _)| *name);
        match (self.allocation, budget) {
            (Allocation::Layer | Allocation::Global, Some(name)) => {
                Err(Invalid::new(format!("`{name}` is a budget, and `allocation` goes by shares"))
                    .at(name)
                    .help("write allocation = \"budget\" (or \"uniform\")"))
            }
            (Allocation::Budget | Allocation::Uniform, None) => {
                Err(Invalid::new("there is no budget to meet")
                    .at("allocation")
                    .help("write params = 0.6 (a share of the teacher's), or flops, or latency"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that what the budgets are compared with is there.
    pub(super) fn check_goal_inputs(&self, wired: &[&str]) -> Result<(), Invalid> {
        let teacher = "add the input `teacher = \"sources.teacher\"`";
        let share = matches!(self.params, Size::Number(share) if share > 0.0 && share <= 1.0);
        for (name, needs, port, help) in [
            ("params", share, "teacher", teacher),
            ("flops", self.flops > 0.0, "teacher", teacher),
            ("latency", self.latency > 0.0, "teacher", teacher),
            (
                "latency",
                self.latency > 0.0,
                "profile",
                "add a `[stage.profile]` with `inputs = { model = \"sources.teacher\" }`, and the input \
                 `profile = \"profile.table\"` here",
            ),
        ] {
            if needs && !wired.contains(&port) {
                return Err(Invalid::new(format!("`{name}` needs the input `{port}`")).at(name).help(help));
            }
        }
        Ok(())
    }

    /// The budgets in absolute numbers.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 parameters and operations")]
    pub(super) fn budget<'a>(
        &self,
        teacher: Option<&Config>,
        profile: Option<&'a Profile>,
    ) -> Result<Budget<'a>, StageError> {
        let mut limits: Vec<Limit<'a>> = Vec::new();
        if !self.params.none() {
            let most = self.params.parameters(teacher.map(|t| t.all_parameters() as f64))?;
            let of = Box::new(|config: &Config| config.all_parameters() as f64);
            limits.push(Limit { name: "params", most, of });
        }
        if let (true, Some(teacher)) = (self.flops > 0.0, teacher) {
            let of = Box::new(|config: &Config| flops(config, TOKENS) as f64);
            limits.push(Limit { name: "flops", most: self.flops * flops(teacher, TOKENS) as f64, of });
        }
        if let (true, Some(teacher), Some(profile)) = (self.latency > 0.0, teacher, profile) {
            profile.check(teacher)?;
            // In microseconds, so that what is said of it has digits.
            let of = Box::new(|config: &Config| 1e3 * profile.latency(config));
            let most = self.latency * 1e3 * profile.latency(teacher);
            limits.push(Limit { name: "latency", most, of });
        }
        Ok(Budget { limits })
    }

    /// The shape after cut `round` of `self.rounds`, of which `start` is the shape before the first and `now` that before
    /// this one.
    pub(super) fn shape(
        &self,
        start: &Config,
        now: &Config,
        importance: &Importance,
        budget: &Budget<'_>,
        round: u32,
    ) -> Result<Config, StageError> {
        let part = f64::from(round) / f64::from(self.rounds);
        match self.allocation {
            Allocation::Layer => {
                let mut shape = now.clone();
                for (layer, whole) in shape.layers.iter_mut().zip(&start.layers) {
                    layer.heads = layer.heads.min(keeps_heads(part * self.heads, whole.heads));
                    layer.ffn = layer.ffn.min(self.keeps_neurons(part * self.ffn, whole.ffn));
                }
                Ok(shape)
            }
            Allocation::Global => {
                let limits = [
                    count("heads", start, part * self.heads, |layer| layer.heads),
                    count("ffn", start, part * self.ffn, |layer| layer.ffn),
                ];
                let scores = importance.clone().normalised();
                allocation::within(now, &scores, &limits, self.multiple).map_err(|e| e.refusal())
            }
            Allocation::Budget => {
                let scores = match self.criterion {
                    Criterion::Taylor | Criterion::Fisher => importance.clone(),
                    Criterion::Magnitude | Criterion::Random => importance.clone().by_cost(now),
                };
                let limits = budget.on_the_way(start, part);
                allocation::within(now, &scores, &limits, self.multiple).map_err(|e| e.refusal())
            }
            Allocation::Uniform => allocation::uniform(now, &budget.on_the_way(start, part), self.multiple)
                .map_err(|e| e.refusal()),
        }
    }

    pub(super) fn keeps_neurons(&self, share: f64, neurons: usize) -> usize {
        (neurons - removed(share, neurons)).next_multiple_of(self.multiple).min(neurons)
    }
}

impl Budget<'_> {
    /// The limits after a part of the way from what `start` costs.
    fn on_the_way(&self, start: &Config, part: f64) -> Vec<Limit<'_>> {
        let limit = |limit: &'_ Limit<'_>| {
            let cost = (limit.of)(start);
            limit.most.max(cost + part * (limit.most - cost))
        };
        self.limits
            .iter()
            .map(|one| Limit {
                name: one.name,
                most: limit(one),
                of: Box::new(move |config| (one.of)(config)),
            })
            .collect()
    }
}

/// A limit on how many of something all layers have together.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn count(
    name: &'static str,
    start: &Config,
    share: f64,
    of: fn(&encoder::config::LayerShape) -> usize,
) -> Limit<'static> {
    let all: usize = start.layers.iter().map(of).sum();
    let sum = move |config: &Config| config.layers.iter().map(of).sum::<usize>() as f64;
    Limit { name, most: (all - removed(share, all)) as f64, of: Box::new(sum) }
}

pub(super) fn keeps_heads(share: f64, heads: usize) -> usize {
    heads - removed(share, heads).min(heads - 1)
}

/// A share of `count`, rounded down.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts"
)]
fn removed(share: f64, count: usize) -> usize {
    // 0.29 * 100 is 28.999999999999996: a share that means a whole number gives that number.
    (share * count as f64 + 1e-9).floor() as usize
}
