//! What was kept: as JSON, and as a chart for people.

use std::path::Path;

use serde_json::{Value, json};
use stage_contract::{Artifact, Kind, Stage, StageError};

use super::{Prune, goal::Budget, rounds::Done};
use encoder::config::Config;
use text::corpus::Report;

/// `report.json` of `prune`.
pub(crate) struct Pruning(pub Value);

impl Artifact for Pruning {
    const KIND: Kind = Kind { name: "pruning", doc: "a JSON report of what was pruned", ..Report::KIND };

    fn load(path: &Path) -> Result<Self, StageError> {
        Report::load(path).map(|Report(value)| Self(value))
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        Report(self.0.clone()).save(path)
    }
}

impl Prune {
    /// What the model's card says of it. `f1` on dev, before and after.
    pub(super) fn facts(&self, start: &Config, end: &Config, done: &Done, f1: [Option<f64>; 2]) -> Value {
        let sizes = |config: &Config| {
            let of = |count: fn(&encoder::config::LayerShape) -> usize| {
                config.layers.iter().map(count).sum::<usize>()
            };
            json!({
                "weights": config.all_parameters(), "layers": config.layers.len(), "heads": of(|layer| layer.heads),
                "neurons": of(|layer| layer.ffn), "vocabulary": config.vocab,
            })
        };
        let mut facts = json!({
            "stage": Prune::SPEC.name,
            "before": sizes(start),
            "after": sizes(end),
            "removed by": { "criterion": self.criterion, "allocation": self.allocation },
            "cuts": done.rounds,
        });
        if let [Some(before), Some(after)] = f1 {
            facts["F1 on dev (agreement with the teacher's tags)"] =
                json!({ "before": before, "after": after });
        }
        facts
    }

    /// The report: `start` is the model as it was given, `end` what is left of it.
    pub(super) fn report(
        &self,
        start: &Config,
        end: &Config,
        budget: &Budget<'_>,
        done: &Done,
        dev: &Value,
    ) -> Pruning {
        let limits = budget.limits.iter().map(|limit| {
            let cost = |config: &Config| (limit.of)(config);
            let value = json!({"limit": limit.most, "before": cost(start), "after": cost(end)});
            (limit.name.to_owned(), value)
        });
        Pruning(json!({
            "criterion": self.criterion,
            "allocation": self.allocation,
            "measured_on": done.measured,
            "parameters": {
                "before": start.all_parameters(),
                "after": end.all_parameters(),
                "crf": end.crf_parameters(),
            },
            "budget": limits.collect::<serde_json::Map<_, _>>(),
            "vocabulary": done.vocabulary,
            "dev": dev,
            "rounds": done.report,
            "layers": layers(start, done),
        }))
    }
}

/// The report's part on each layer; neurons are too many to list.
fn layers(start: &Config, done: &Done) -> Vec<Value> {
    let layer = |(layer, kept): (usize, &crate::prune::surgery::Kept)| {
        let scores = done.scores.as_ref();
        let of = |keep: bool| {
            let neurons = scores.map_or(&[][..], |scores| &scores.ffn[layer]).iter().enumerate();
            let some = neurons.filter(move |(neuron, _)| kept.ffn.binary_search(neuron).is_ok() == keep);
            some.map(|(_, score)| *score)
        };
        json!({
            "layer": layer,
            "from_teacher_layer": start.layers[layer].from_teacher_layer,
            "heads": {
                "before": start.layers[layer].heads,
                "kept": kept.heads,
                "scores": scores.map(|scores| &scores.heads[layer]),
            },
            "ffn": {
                "before": start.layers[layer].ffn,
                "after": kept.ffn.len(),
                "lowest_kept": of(true).reduce(f64::min),
                "highest_removed": of(false).reduce(f64::max),
            },
        })
    };
    done.kept.iter().enumerate().map(layer).collect()
}

/// A line a layer: a mark for each head, and a bar for the FFN.
pub(super) fn chart(start: &Config, done: &Done) -> String {
    const BAR: usize = 24;
    let widest = start.layers.iter().map(|layer| layer.heads).max().unwrap_or(0).max(5);
    let mut lines = vec![format!("layer  {:<widest$}  kept   FFN", "heads")];
    for (layer, (kept, shape)) in done.kept.iter().zip(&start.layers).enumerate() {
        let heads: String =
            (0..shape.heads).map(|head| if kept.heads.contains(&head) { '●' } else { '·' }).collect();
        let full = (kept.ffn.len() * BAR).div_ceil(shape.ffn.max(1)).min(BAR);
        lines.push(format!(
            "{layer:>5}  {heads:<widest$}  {:>2}/{:<2}  {}{} {}/{}",
            kept.heads.len(),
            shape.heads,
            "█".repeat(full),
            "░".repeat(BAR - full),
            kept.ffn.len(),
            shape.ffn,
        ));
    }
    lines.join("\n")
}
