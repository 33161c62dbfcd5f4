use serde::{Deserialize, Serialize};

/// What a stage tells the runner while it works. One JSON line each between the two processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// How far a step of the work is.
    Progress {
        /// The step: `reading`, `epoch 2/3`.
        step: String,
        /// Units done.
        done: u64,
        /// Units in all; 0 when unknown.
        total: u64,
        /// What is counted: `sentences`, `tokens`.
        unit: String,
    },
    /// A result worth comparing between runs; goes into the lock unless the stage measured it.
    Metric {
        /// Dotted name: `dev.f1`.
        name: String,
        /// Its value.
        value: f64,
        /// True for latency, memory, throughput: never recorded in the lock.
        measured: bool,
    },
    /// A line or a table for people, printed as it is.
    Show {
        /// The text, without a final newline.
        text: String,
    },
    /// A gate's verdict (a result, and not a failure).
    Gate {
        /// The gate's name.
        name: String,
        /// `pass`, `fail` or `inconclusive`.
        outcome: String,
    },
}

/// Where a stage's events go.
pub trait Sink: Send + Sync {
    /// Takes one event. Never fails: a stage must not die of a closed terminal.
    fn send(&self, event: Event);
}
