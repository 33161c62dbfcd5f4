//! Two pipeline files must not publish an output to the same path. The cache records which pipeline file
//! published each output that a command declares.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use stage_contract::Registry;

use super::Pipeline;
use crate::problem::{Code, Problems};

impl Pipeline {
    /// Checks that no output of these nodes overlaps one that another pipeline file publishes. `claims` has
    /// the pipeline file that published each path; a claim is void once that file is gone or publishes there
    /// no longer.
    ///
    /// # Errors
    /// One problem for each conflicting output.
    pub fn expect_unshared(
        &self,
        nodes: &[usize],
        registry: &Registry,
        claims: &BTreeMap<PathBuf, PathBuf>,
    ) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let mut others = BTreeMap::new();
        // Instances of one table are reported once.
        let mut told = BTreeSet::new();
        for &index in nodes {
            let node = &self.nodes[index];
            for out in &node.outputs {
                let above = out.resolved.ancestors().filter_map(|place| claims.get_key_value(place));
                let below =
                    claims.range(out.resolved.clone()..).take_while(|(it, _)| it.starts_with(&out.resolved));
                let mut claimed = above.chain(below).filter(|(_, owner)| **owner != self.file);
                let taken = claimed.find(|(place, owner)| {
                    let published =
                        others.entry(*owner).or_insert_with(|| self.published_by(owner, registry));
                    published.includes(place)
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
    fn published_by(&self, file: &Path, registry: &Registry) -> Published {
        if !self.root.join(file).is_file() {
            return Published::Gone;
        }
        let Ok(other) = Self::load(&self.root, file, registry, &[]) else {
            return Published::Unclear;
        };
        let outputs = other.nodes.into_iter().flat_map(|node| node.outputs);
        Published::Known(outputs.map(|out| out.resolved).collect())
    }
}

/// The paths that a pipeline file publishes to.
enum Published {
    /// The file no longer exists.
    Gone,
    /// The file does not load now: its claims stay valid.
    Unclear,
    Known(BTreeSet<PathBuf>),
}

impl Published {
    fn includes(&self, place: &Path) -> bool {
        match self {
            Self::Gone => false,
            Self::Unclear => true,
            Self::Known(places) => places.contains(place),
        }
    }
}
