//! The pipeline: parsed, type-checked, wired and topologically sorted. Only this module uses petgraph.
//!
//! [`Pipeline::load`] builds it from its file; most submodules parse or check one part of that.

mod claim;
mod collisions;
mod command;
mod env;
mod file;
mod fill;
mod form;
mod grammar;
mod graph;
mod instances;
mod keys;
mod links;
mod load;
mod locations;
mod marker;
mod node;
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

use stage_contract::Invalid;

use self::locations::NodeLocations;
use crate::problem::{Code, Problem};

pub use command::{Piece, Template};
pub use env::FIXED;
pub use file::{DEFAULT_FILE, is_pipeline, lock_file};
pub use grammar::grammar;
pub(crate) use keys::offer;
pub use links::Links;
pub use marker::MARKER;
pub use node::{Node, Origin, Out, Place, Source, Wire, Work};
pub use overrides::Override;
pub use scheduling::{MACHINE, Scheduling, too_much};
pub(crate) use sources::LACKING;

/// A parsed and validated pipeline file.
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
    /// The same, all symlinks resolved: see [`Links::end`].
    pub artifacts_resolved: PathBuf,
    /// `[resources]`: the total of each resource that the file declares.
    pub totals: BTreeMap<String, u64>,
    /// In file order.
    pub sources: Vec<Source>,
    /// In topological order, ties in file order.
    pub nodes: Vec<Node>,
    /// Source locations of each node, in the order of `nodes`.
    locations: Vec<NodeLocations>,
}

impl Pipeline {
    /// A command line that selects this pipeline file: `ner-pipe log split --file F`.
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

    /// The direct dependencies of a node, each once, in topological order.
    #[must_use]
    pub fn upstream(&self, node: usize) -> Vec<usize> {
        let origins = self.nodes[node].inputs.iter().filter_map(|wire| match &wire.from {
            Origin::Output { node, .. } => Some(*node),
            Origin::Source(_) => None,
        });
        origins.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// These nodes and all their transitive dependencies.
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

    /// A problem that a stage reports about its inputs or parameters, at its location in the file.
    #[must_use]
    pub fn problem(&self, node: usize, invalid: &Invalid) -> Problem {
        let id = &self.nodes[node].id;
        self.locations[node].blame(Code::Preflight, invalid, &format!("stage `{id}` will not start"))
    }

    /// Why an output cannot be published at its path, at the location that declares it.
    #[must_use]
    pub fn misplaced(&self, node: usize, output: &str, code: Code, message: String) -> Problem {
        let locations = &self.locations[node];
        Problem::new(code, message)
            .at(locations.outputs.get(output).unwrap_or(&locations.header), "this output")
    }

    /// A node requests more of a resource than this machine has.
    #[must_use]
    pub fn exceeded(&self, node: usize, resource: &str, wanted: u64, total: u64) -> Problem {
        let locations = &self.locations[node];
        too_much(resource, wanted, total)
            .at(locations.resources.get(resource).unwrap_or(&locations.header), "more than this machine has")
    }
}
