//! What a pipeline is made of: sources, nodes, and the wires between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use hub::Name;
use serde_json::{Value, json};
use stage_contract::{AnyStage, Kind, StageKind};

use super::scheduling::Scheduling;

/// One entry of `[sources]`.
pub struct Source {
    /// `sources.<id>`.
    pub id: String,
    /// Where it is.
    pub at: Place,
    /// The kind of the file or folder.
    pub kind: Kind,
    /// What the file writes of the kind's options; null where it writes none.
    pub options: Value,
}

/// Where a source is.
pub enum Place {
    /// Relative to the root.
    Path(PathBuf),
    /// A repository of the hub, at what the file calls a revision: the lock has the commit.
    Hub(Name),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Hub(name) => name.fmt(f),
        }
    }
}

/// One `[stage.<id>]`.
pub struct Node {
    /// The table's name; of an instance (`foreach`, `matrix`) `<table>@<key>`.
    pub id: String,
    /// The table's name.
    pub family: String,
    /// The stage's name: `use`, else the id.
    pub uses: String,
    /// What it executes.
    pub work: Work,
    /// Its own, else the pipeline's; its random numbers are seeded with this and the family.
    pub seed: u64,
    /// Scheduling options; not part of its key.
    pub scheduling: Scheduling,
    /// Wired inputs, by port name.
    pub inputs: Vec<Wire>,
    /// Outputs, in declared order.
    pub outputs: Vec<Out>,
}

impl Node {
    /// All parameters, defaults filled in.
    #[must_use]
    pub fn parameters(&self) -> Value {
        match &self.work {
            Work::Stage { stage, .. } => stage.parameters(),
            Work::Command { run, .. } => json!({ "run": run }),
        }
    }

    /// The options of its inputs, by port name; those without are left out.
    #[must_use]
    pub fn options(&self) -> BTreeMap<String, Value> {
        let written = self.inputs.iter().filter(|wire| !wire.options.is_null());
        written.map(|wire| (wire.port.clone(), wire.options.clone())).collect()
    }
}

/// What a node does.
pub enum Work {
    /// A stage of the registry with its parameters set.
    Stage {
        /// Its kind.
        kind: StageKind,
        /// Its parameters.
        stage: Box<dyn AnyStage>,
    },
    /// The runner's own stage `command`: `sh -c` in the root, `{name}` not substituted yet.
    Command {
        /// The command line as written.
        run: String,
        /// Variables of the environment that it gets beside those that every stage has.
        env: BTreeSet<String>,
    },
}

/// An input and where it comes from.
pub struct Wire {
    /// The port.
    pub port: String,
    /// Its origin.
    pub from: Origin,
    /// See [`Source::options`]; null where it comes from a stage.
    pub options: Value,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Index into [`Pipeline::sources`](super::Pipeline::sources).
    Source(usize),
    /// An output of an earlier node.
    Output {
        /// Index into [`Pipeline::nodes`](super::Pipeline::nodes).
        node: usize,
        /// Its name.
        output: String,
    },
}

/// An output.
pub struct Out {
    /// `<stage>.<name>`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it is published, relative to the root: `artifacts/<stage>/<name>[.ext]`, or as a command declares.
    pub published: PathBuf,
    /// The same, symlinks resolved: see [`Links::resolve`](super::Links::resolve).
    pub resolved: PathBuf,
}
