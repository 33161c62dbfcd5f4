//! The scores on the card of an export: what `evaluate` reported of its model.

use std::path::Path;

use serde_json::Value;
use stage_contract::{Artifact, Kind, StageError};

use encoder::config::Config;
use measure::EVALUATION;
use text::corpus::Report;

/// The report of `evaluate`, as far as a card quotes it.
pub(super) struct Scores(Value);

impl Artifact for Scores {
    const KIND: Kind = EVALUATION;

    fn load(path: &Path) -> Result<Self, StageError> {
        let Report(value) = Report::load(path)?;
        if value["models"].is_object() {
            return Ok(Self(value));
        }
        Err(StageError::new(format!("{} is no report of `evaluate`", path.display()))
            .help("give the `report.json` of the stage `evaluate`"))
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        Report(self.0.clone()).save(path)
    }
}

impl Scores {
    /// A section for the card of a model that the report calls `name`.
    ///
    /// # Errors
    /// It speaks of no such model, or of another one.
    pub fn section(&self, config: &Config, name: &str) -> Result<String, StageError> {
        let model = &self.0["models"][name];
        if !of_same_shape(config, model) {
            let models = self.0["models"].as_object().into_iter().flatten();
            let same: Vec<&str> = models
                .filter(|(_, model)| of_same_shape(config, model))
                .map(|(name, _)| name.as_str())
                .collect();
            let what = if model.is_null() {
                "has no model"
            } else {
                "is of another model than the one to export, of"
            };
            let error = StageError::new(format!("the report {what} `{name}`"));
            return Err(if same.is_empty() {
                error.help("give the report of an `evaluate` that has measured this model")
            } else {
                error.help(format!("name the model as the report does: `{}`", same.join("`, or `")))
            });
        }
        let confidence = 100.0 * self.0["bootstrap"]["confidence"].as_f64().unwrap_or_default();
        let mut lines = vec!["## Scores".to_owned(), String::new()];
        lines.push(format!(
            "Strict entities, in points; intervals at {confidence:.0} % by bootstrap over sentences."
        ));
        for (table, against) in [("quality", "gold"), ("fidelity", "what its teacher says")] {
            lines.push(String::new());
            if model[table]["micro"].is_object() {
                lines.extend(rows(&model[table], against));
            } else {
                lines.push(format!("Not measured against {against}."));
            }
        }
        lines.extend(self.gates(name));
        Ok(lines.join("\n"))
    }

    fn gates(&self, name: &str) -> Vec<String> {
        let own = |gate: &Value| {
            gate["metric"].as_str().is_some_and(|metric| metric.starts_with(&format!("{name}.")))
        };
        let gates = self.0["gates"].as_object().into_iter().flatten().filter(|(_, gate)| own(gate));
        let row = |(gate, said): (&String, &Value)| {
            let number =
                |value: &Value| value.as_f64().map_or("none".to_owned(), |number| format!("{number:.4}"));
            let bound = if said["direction"] == "max" { "at most" } else { "at least" };
            let text = |key: &str| said[key].as_str().unwrap_or_default();
            format!(
                "| {gate} | {} | {bound} {} | {} | {} |",
                text("metric"),
                number(&said["bound"]),
                number(&said["measured"]),
                text("outcome")
            )
        };
        let rows: Vec<String> = gates.map(row).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        let head = ["", "| gate | metric | bound | measured | outcome |", "|---|---|---|---|---|"]
            .map(str::to_owned);
        head.into_iter().chain(rows).collect()
    }
}

fn of_same_shape(config: &Config, model: &Value) -> bool {
    let layers = model["shape"]["layers"].as_array().map_or(&[][..], Vec::as_slice);
    let same = |(own, said): (&encoder::config::LayerShape, &Value)| {
        said["heads"] == own.heads && said["ffn"] == own.ffn
    };
    model["parameters"] == config.all_parameters()
        && layers.len() == config.layers.len()
        && config.layers.iter().zip(layers).all(same)
}

fn rows(table: &Value, against: &str) -> Vec<String> {
    let points =
        |value: &Value| value.as_f64().map_or("none".to_owned(), |share| format!("{:.2}", 100.0 * share));
    let row = |name: &str, score: &Value| {
        let interval = match &score["f1_interval"] {
            Value::Array(ends) => ends.iter().map(points).collect::<Vec<_>>().join(" to "),
            _ => "none".to_owned(),
        };
        let [precision, recall, f1] = ["precision", "recall", "f1"].map(|key| points(&score[key]));
        format!("| {name} | {precision} | {recall} | {f1} | {interval} | {} |", score["support"])
    };
    let mut rows = vec![
        format!("Against {against}, on {} sentences:", table["texts"]),
        String::new(),
        "| | precision | recall | F1 | interval | entities |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
        row("all", &table["micro"]),
    ];
    rows.extend(table["per_type"].as_object().into_iter().flatten().map(|(name, score)| row(name, score)));
    rows
}
