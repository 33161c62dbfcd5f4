//! Progress and results of a run: bars on a terminal, plain lines elsewhere, JSON lines for programs.

mod json;
mod lines;
mod terminal;
mod text;
mod wrap;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;
use stage_contract::{
    Event,
    terminal::{stderr, stdout},
};

use crate::fingerprint::Key;

pub use json::refusal;
pub use text::{duration, size, tell};
pub use wrap::{columns, wrap};

/// What happened to a node in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The stage ran.
    Executed,
    /// Its artifacts were current already.
    Reused,
    /// Its artifacts were placed from the cache.
    Restored,
    /// It failed.
    Failed,
    /// A stage that it needs has no result.
    Skipped,
    /// The user stopped the run.
    Cancelled,
}

impl Outcome {
    /// All of them, in the order of a summary.
    pub const ALL: [Self; 6] =
        [Self::Executed, Self::Reused, Self::Restored, Self::Failed, Self::Skipped, Self::Cancelled];

    /// As events write it (docs/formats.md).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Reused => "reused",
            Self::Restored => "restored",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a node has no result, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A lower-case fragment.
    pub message: String,
    /// The underlying causes, outermost first.
    pub causes: Vec<String>,
    /// What was kept.
    pub kept: Vec<String>,
    /// What the user can do.
    pub help: Vec<String>,
    /// The last lines of its log; for people only, as they may be long.
    #[serde(skip)]
    pub log: Vec<String>,
}

/// How one node of a run ended.
#[derive(Clone, Debug)]
pub struct NodeSummary {
    /// The node's id.
    pub stage: String,
    /// What happened.
    pub outcome: Outcome,
    /// How long it took in this run.
    pub seconds: f64,
    /// The result's key; none where it is not known.
    pub key: Option<Key>,
    /// Why it executed.
    pub reasons: Vec<String>,
    /// Verdicts of its gates, by name.
    pub gates: BTreeMap<String, String>,
    /// Where it has no result.
    pub fault: Option<Fault>,
}

impl NodeSummary {
    /// Of a node that has not started.
    #[must_use]
    pub fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            outcome: Outcome::Skipped,
            seconds: 0.0,
            key: None,
            reasons: Vec::new(),
            gates: BTreeMap::new(),
            fault: None,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Every node of the run, in the order of work.
    pub nodes: Vec<NodeSummary>,
    /// How long it all took.
    pub seconds: f64,
    /// What to type to read what was said of gates, where that was not shown now.
    pub logs: Vec<String>,
}

impl Summary {
    /// How many nodes ended so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.nodes.iter().filter(|node| node.outcome == outcome).count()
    }

    /// Whether every node has its result.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        let without = [Outcome::Failed, Outcome::Skipped, Outcome::Cancelled];
        without.into_iter().all(|outcome| self.count(outcome) == 0)
    }

    /// Gates with this verdict, as `stage.gate`.
    #[must_use]
    pub fn gates(&self, verdict: &str) -> Vec<String> {
        let gates = self.nodes.iter().flat_map(|node| {
            node.gates.iter().map(|(gate, outcome)| (format!("{}.{gate}", node.stage), outcome))
        });
        gates.filter(|(_, outcome)| *outcome == verdict).map(|(name, _)| name).collect()
    }
}

/// Reports a run. Nothing in here can fail: a closed terminal stops no stage, and that the output is
/// incomplete is said at the end.
pub trait Watch {
    /// A node begins to execute, for these reasons.
    fn started(&mut self, stage: &str, reasons: &[String]);
    /// A node that executes says something.
    fn event(&mut self, stage: &str, event: &Event);
    /// Files of a source come, of which its events tell.
    fn fetching(&mut self, _source: &str) {}
    /// They are there, or will not come.
    fn fetched(&mut self, _source: &str) {}
    /// The runner has something to say.
    fn note(&mut self, text: &str);
    /// A node is done with.
    fn ended(&mut self, node: &NodeSummary);
    /// The run is over.
    fn finished(&mut self, summary: &Summary);
    /// Why not all of it reached standard output: a full disk, but not a reader that has seen enough.
    fn trouble(&mut self) -> Option<io::Error> {
        None
    }
}

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The watch for this process's standard output; `names` are the ids of the run, to align them.
#[must_use]
pub fn watch(format: Format, names: &[&str]) -> Box<dyn Watch> {
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let interactive = io::stdout().is_terminal() && io::stderr().is_terminal();
    // A build server's terminal is a log file, and a dumb one cannot take back what it shows.
    let draws = interactive && !anstyle_query::is_ci() && anstyle_query::term_supports_color();
    match format {
        Format::Json => Box::new(json::Json::new(stdout())),
        Format::Text if draws => Box::new(terminal::Terminal::new(width, coloured(true))),
        Format::Text => Box::new(lines::Lines::new(stdout(), stderr(), width)),
    }
}

/// Whether a stream gets colour: what the environment says (`NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR`, `TERM`),
/// else whether it is a terminal.
#[must_use]
pub fn coloured(terminal: bool) -> bool {
    let forced = anstyle_query::clicolor_force();
    let able = terminal && anstyle_query::term_supports_color() && anstyle_query::clicolor() != Some(false);
    !anstyle_query::no_color() && (forced || able)
}

/// Where lines go. What went wrong first is kept for the end.
struct Output<W> {
    stream: W,
    trouble: Option<io::Error>,
}

impl<W: Write> Output<W> {
    fn new(stream: W) -> Self {
        Self { stream, trouble: None }
    }

    fn put(&mut self, line: &str) {
        let written = writeln!(self.stream, "{line}").and_then(|()| self.stream.flush());
        let trouble = written.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
        self.trouble = self.trouble.take().or(trouble);
    }
}

/// Writes a line, and does not mind a closed pipe.
fn put(out: &mut impl Write, line: &str) {
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}
