//! Two pipeline files must not publish an output to one place: the cache knows of each output that a command declares
//! who placed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use stage_contract::Registry;

use super::Pipeline;
use crate::problem::{Code, Problems};

impl Pipeline {
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
