//! The pipeline, understood: typed, wired, in the order of work. petgraph stays in here.
//!
//! [`Pipeline::load`] is the whole way from the file to this; below it, one file per thing it understands.

mod claim;
mod command;
mod fill;
mod grammar;
mod graph;
mod instances;
mod keys;
mod links;
mod load;
mod outputs;
mod overrides;
mod params;
mod paths;
mod scheduling;
pub mod schema;
mod sources;
mod stages;
mod wires;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::{Value, json};
use stage_contract::{AnyStage, Invalid, Kind, StageKind};

use crate::problem::{Code, Location, Problem};

pub use claim::{MARKER, is_pipeline};
pub use command::{Piece, Template};
pub use grammar::grammar;
pub(crate) use keys::offer;
pub use links::Links;
pub use load::lock_file;
pub use overrides::Override;
pub use scheduling::{MACHINE, Scheduling, too_much};
pub(crate) use sources::LACKING;

/// The pipeline file where `--file` names no other.
pub const DEFAULT_FILE: &str = "pipeline.toml";

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
    /// Where outputs are published, relative to the root: `artifacts`, or `artifacts/<name>`.
    pub artifacts: PathBuf,
    /// Where that leads to: see [`Links::end`].
    pub artifacts_resolved: PathBuf,
    /// `[resources]`: how much there is of each, where the file says it.
    pub totals: BTreeMap<String, u64>,
    /// In file order.
    pub sources: Vec<Source>,
    /// In topological order, ties in file order.
    pub nodes: Vec<Node>,
    /// Where each node stands in its file, in the order of `nodes`.
    locations: Vec<NodeLocations>,
}

/// Where to underline what is said about a node.
struct NodeLocations {
    header: Location,
    inputs: BTreeMap<String, Location>,
    outputs: BTreeMap<String, Location>,
    resources: BTreeMap<String, Location>,
    parameters: params::ParameterLocations,
}

impl Pipeline {
    /// A command line as it is typed for this pipeline file: `ner-pipe log split --file F`.
    #[must_use]
    pub fn typed(&self, command: &str) -> String {
        match self.file.to_str() {
            Some(DEFAULT_FILE) => format!("`ner-pipe {command}`"),
            _ => format!("`ner-pipe {command} --file {}`", self.file.display()),
        }
    }

    /// The node of this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    /// The node of this id, or all instances of the table of this name.
    #[must_use]
    pub fn find_all(&self, name: &str) -> Vec<usize> {
        let wanted = |node: &Node| node.id == name || node.family == name;
        (0..self.nodes.len()).filter(|&node| wanted(&self.nodes[node])).collect()
    }

    /// The nodes that this one reads from, each once, in the order of work.
    #[must_use]
    pub fn upstream(&self, node: usize) -> Vec<usize> {
        let origins = self.nodes[node].inputs.iter().filter_map(|wire| match &wire.from {
            Origin::Output { node, .. } => Some(*node),
            Origin::Source(_) => None,
        });
        origins.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// These nodes and all that they need, directly or not.
    #[must_use]
    pub fn closure(&self, nodes: &[usize]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = nodes.to_vec();
        while let Some(node) = open.pop() {
            if found.insert(node) {
                open.extend(self.upstream(node));
            }
        }
        found
    }

    /// What a stage has against its inputs or parameters, underlined where the file speaks of it.
    #[must_use]
    pub fn problem(&self, node: usize, invalid: &Invalid) -> Problem {
        let id = &self.nodes[node].id;
        self.locations[node].blame(Code::Preflight, invalid, &format!("stage `{id}` will not start"))
    }
}

impl Pipeline {
    /// What keeps an output from its place, underlined where the file declares it.
    #[must_use]
    pub fn misplaced(&self, node: usize, output: &str, code: Code, message: String) -> Problem {
        let locations = &self.locations[node];
        Problem::new(code, message)
            .at(locations.outputs.get(output).unwrap_or(&locations.header), "this output")
    }

    /// A node asks for more of a resource than this machine has.
    #[must_use]
    pub fn exceeded(&self, node: usize, resource: &str, wanted: u64, total: u64) -> Problem {
        let locations = &self.locations[node];
        too_much(resource, wanted, total)
            .at(locations.resources.get(resource).unwrap_or(&locations.header), "more than this machine has")
    }
}

impl NodeLocations {
    /// Underlines the input, else the parameter that `invalid` names, else the stage's header.
    fn blame(&self, code: Code, invalid: &Invalid, otherwise: &str) -> Problem {
        let named = invalid.at.as_deref();
        let input = named.and_then(|name| self.inputs.get(name));
        let place = input.or_else(|| self.parameters.value(&named?.split('.').collect::<Vec<_>>()));
        let problem = Problem::invalid(code, invalid);
        match (place, named) {
            (Some(place), Some(name)) => {
                let typed = invalid.help.as_deref().and_then(|help| overrides::typed(help, place, name));
                let problem = problem.at(place, "this");
                match typed {
                    Some(help) => problem.help(help),
                    None => problem,
                }
            }
            // A default: the file does not say it, so the message must name it.
            (None, Some(name)) => problem.at(&self.header, format!("{otherwise}: `{name}`")),
            (_, None) => problem.at(&self.header, otherwise),
        }
    }
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
    /// The table's name; of an instance (`foreach`, `matrix`) `<table>@<key>`.
    pub id: String,
    /// The table's name.
    pub family: String,
    /// The stage's name: `use`, else the id.
    pub uses: String,
    /// What is to be done.
    pub work: Work,
    /// Its own, else the pipeline's; what it draws from is mixed from this and the family.
    pub seed: u64,
    /// How it is executed; no part of its key.
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
            Work::Command { run } => json!({ "run": run }),
        }
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
    /// The same, links resolved: see [`Links::resolve`].
    pub resolved: PathBuf,
}
