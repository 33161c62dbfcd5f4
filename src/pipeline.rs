//! The pipeline, understood: typed, wired, in the order of work. petgraph stays in here.

use std::path::PathBuf;

use stage_contract::{AnyStage, Kind, StageKind};

/// A whole pipeline file, checked.
pub struct Pipeline {
    /// The project root: the working folder, or `-C DIR`.
    pub root: PathBuf,
    /// The pipeline file, relative to the root.
    pub file: PathBuf,
    /// `seed = 42`; 42 when not given.
    pub seed: u64,
    /// The lock file, relative to the root: the pipeline file with `.lock` for `.toml`.
    pub lock: PathBuf,
    /// Where outputs are published, relative to the root: `artifacts`, or `artifacts/<name>` (FORMATS).
    pub artifacts: PathBuf,
    /// In file order.
    pub sources: Vec<Source>,
    /// In topological order, ties in file order.
    pub nodes: Vec<Node>,
}

/// One entry of `[sources]`.
pub struct Source {
    /// `sources.<id>`.
    pub id: String,
    /// Relative to the root.
    pub path: PathBuf,
    /// What lies there.
    pub kind: Kind,
}

/// One `[stage.<id>]`.
pub struct Node {
    /// The table's name.
    pub id: String,
    /// The stage's name: `use`, else the id.
    pub uses: String,
    /// What is to be done.
    pub work: Work,
    /// Wired inputs, by port name.
    pub inputs: Vec<Wire>,
    /// Outputs, in declared order.
    pub outputs: Vec<Out>,
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
    /// The runner's own stage `command`: `sh -c` in the root, `{name}` still to be filled in.
    Command {
        /// The command line as written.
        run: String,
    },
}

/// An input and where it comes from.
pub struct Wire {
    /// The port.
    pub port: String,
    /// Its origin.
    pub from: Origin,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Index into [`Pipeline::sources`].
    Source(usize),
    /// An output of an earlier node.
    Output {
        /// Index into [`Pipeline::nodes`].
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
}
