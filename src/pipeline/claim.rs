//! Two pipeline files must not publish to one place. No file lists all pipelines, so every folder of
//! artifacts says whose it is, and the cache knows of each output that a command declares who placed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use stage_contract::Registry;

use super::{Pipeline, lock_file};
use crate::problem::{Code, Problem, Problems};

/// A file of this name in a folder of artifacts holds the path of the pipeline file that publishes there.
pub const MARKER: &str = ".pipeline";

impl Pipeline {
    /// The marker to write when publishing, relative to the root, and its content.
    #[must_use]
    pub fn marker(&self) -> (PathBuf, String) {
        (self.artifacts.join(MARKER), format!("{}\n", self.file.display()))
    }

    /// Looks whether another pipeline file publishes to the same folder.
    ///
    /// # Errors
    /// When one does, and is still there.
    pub fn expect_unclaimed(&self) -> Result<(), Problem> {
        let stages = self.nodes.iter().map(|node| self.artifacts.join(&node.id));
        match std::iter::once(self.artifacts.clone())
            .chain(stages)
            .find_map(|folder| self.other_owner(folder))
        {
            Some((folder, owner)) => Err(self.taken(&folder, &owner)),
            None => Ok(()),
        }
    }

    fn other_owner(&self, folder: PathBuf) -> Option<(PathBuf, String)> {
        let owner = fs::read_to_string(self.root.join(&folder).join(MARKER)).ok()?;
        let owner = owner.trim_end().to_owned();
        let alive = Path::new(&owner) != self.file && self.root.join(&owner).is_file();
        alive.then_some((folder, owner))
    }

    fn taken(&self, folder: &Path, owner: &str) -> Problem {
        let shown = folder.display();
        let problem = Problem::new(Code::NameTaken, format!("`{owner}` publishes to `{shown}` already"));
        let other = if folder == self.artifacts && self.artifacts != Path::new("artifacts") {
            "give this file a name of its own"
        } else {
            "give that file another name"
        };
        problem.help(format!("{other}, with `[pipeline]` and `name = \"..\"` in it"))
    }

    /// Looks whether outputs of these nodes go where another pipeline file publishes, or into a folder that it
    /// publishes, or would replace a folder in which it does; `claims` says whose a place is. Who is gone, or
    /// publishes there no longer, has no claim.
    ///
    /// # Errors
    /// All that are another's, at once.
    pub fn expect_unshared(
        &self,
        nodes: &[usize],
        registry: &Registry,
        claims: &BTreeMap<PathBuf, PathBuf>,
    ) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let mut others = BTreeMap::new();
        // Of what is expanded from one table, one says it for all.
        let mut told = BTreeSet::new();
        for &index in nodes {
            let node = &self.nodes[index];
            for out in &node.outputs {
                let above = out.resolved.ancestors().filter_map(|place| claims.get_key_value(place));
                let below =
                    claims.range(out.resolved.clone()..).take_while(|(it, _)| it.starts_with(&out.resolved));
                let mut claimed = above.chain(below).filter(|(_, owner)| **owner != self.file);
                let taken = claimed.find(|(place, owner)| {
                    let claims = others.entry(*owner).or_insert_with(|| self.places_of(owner, registry));
                    claims.publish(place)
                });
                let Some((place, owner)) = taken else { continue };
                if told.insert((&node.family, &out.name)) {
                    let (owner, shown) = (owner.display(), place.display());
                    let mut message =
                        format!("output `{}` would go where `{owner}` publishes: `{shown}`", out.name);
                    if out.resolved != out.published {
                        let path = out.published.display();
                        message = format!("{message}; by links, `{path}` is `{}`", out.resolved.display());
                    }
                    let problem = self.misplaced(index, &out.name, Code::DuplicateOutput, message);
                    problems.push(problem.help(format!(
                        "publish it elsewhere, here or in `{owner}`; or remove `{owner}`, if this file took its place"
                    )));
                }
            }
        }
        problems.into_result()
    }

    /// Where another pipeline file publishes.
    fn places_of(&self, file: &Path, registry: &Registry) -> ParameterLocations {
        if !self.root.join(file).is_file() {
            return ParameterLocations::Gone;
        }
        let Ok(other) = Self::load(&self.root, file, registry, &[]) else {
            return ParameterLocations::Unclear;
        };
        let outputs = other.nodes.into_iter().flat_map(|node| node.outputs);
        ParameterLocations::Known(outputs.map(|out| out.resolved).collect())
    }
}

/// Where a pipeline file publishes.
enum ParameterLocations {
    /// It is not there any more.
    Gone,
    /// It cannot be understood now: what it placed is still its own.
    Unclear,
    Known(BTreeSet<PathBuf>),
}

impl ParameterLocations {
    fn publish(&self, place: &Path) -> bool {
        match self {
            Self::Gone => false,
            Self::Unclear => true,
            Self::Known(places) => places.contains(place),
        }
    }
}

/// Whether a file is a pipeline file, as far as that shows without understanding it.
#[must_use]
pub fn is_pipeline(path: &Path) -> bool {
    let is_toml = path.extension().is_some_and(|extension| extension == "toml") && path.is_file();
    let table = || fs::read_to_string(path).ok()?.parse::<toml::Table>().ok();
    is_toml && table().is_some_and(|table| table.get("stage").is_some_and(toml::Value::is_table))
}

/// The pipeline file whose lock lies at this path, or will.
pub(super) fn locked_by(root: &Path, path: &Path) -> Option<PathBuf> {
    let file = path.with_extension("toml");
    (lock_file(&file) == path && is_pipeline(&root.join(&file))).then_some(file)
}
