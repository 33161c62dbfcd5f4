use std::io::{self, Write};

use serde_json::{Value, json};
use stage_contract::Event;

use super::{NodeSummary, Outcome, Output, Summary, Watch};

/// One JSON object a line. While it runs: `start`, `note`, and the stages' own events with a `stage`
/// field; then a `stage` line for each node, and `run` last.
pub struct Json<W> {
    out: Output<W>,
}

impl<W: Write> Json<W> {
    pub fn new(out: W) -> Self {
        Self { out: Output::new(out) }
    }

    fn line(&mut self, value: &Value) {
        self.out.put(&value.to_string());
    }
}

impl<W: Write> Watch for Json<W> {
    fn started(&mut self, stage: &str, reasons: &[String]) {
        self.line(&json!({"event": "start", "stage": stage, "reasons": reasons}));
    }

    fn event(&mut self, stage: &str, event: &Event) {
        let Ok(Value::Object(fields)) = serde_json::to_value(event) else { return };
        let mut line = json!({"event": fields.get("event"), "stage": stage});
        if let Some(object) = line.as_object_mut() {
            object.extend(fields);
        }
        self.line(&line);
    }

    fn note(&mut self, text: &str) {
        self.line(&json!({"event": "note", "text": text}));
    }

    fn ended(&mut self, _ending: &NodeSummary) {}

    fn trouble(&mut self) -> Option<io::Error> {
        self.out.trouble.take()
    }

    fn finished(&mut self, summary: &Summary) {
        for node in &summary.nodes {
            let mut line = json!({
                "event": "stage",
                "stage": node.stage,
                "outcome": node.outcome.name(),
                "seconds": milliseconds(node.seconds),
                "key": node.key,
            });
            if let Some(object) = line.as_object_mut() {
                if !node.gates.is_empty() {
                    object.insert("gates".to_owned(), json!(node.gates));
                }
                if let Some(fault) = &node.fault {
                    object.insert("fault".to_owned(), json!(fault));
                }
            }
            self.line(&line);
        }
        let outcome = if summary.is_ok() { "ok" } else { "failed" };
        let mut line = json!({"event": "run", "outcome": outcome});
        if let Some(object) = line.as_object_mut() {
            for outcome in Outcome::ALL {
                object.insert(outcome.name().to_owned(), json!(summary.count(outcome)));
            }
            object.insert("gates_failed".to_owned(), json!(summary.gates("fail").len()));
            object.insert("seconds".to_owned(), json!(milliseconds(summary.seconds)));
        }
        self.line(&line);
    }
}

/// The events of a run that could not begin: a `problem` for each message with its way out, then `run`.
#[must_use]
pub fn refusal(messages: &[(String, Option<String>)]) -> Vec<String> {
    let problems = messages
        .iter()
        .map(|(message, help)| json!({"event": "problem", "message": message, "help": help}).to_string());
    let counts = Outcome::ALL.map(|outcome| (outcome.name().to_owned(), json!(0)));
    let mut last = json!({"event": "run", "outcome": "failed"});
    if let Some(object) = last.as_object_mut() {
        object.extend(counts);
    }
    problems.chain([last.to_string()]).collect()
}

/// Three decimals are all that a time of a process is worth.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
