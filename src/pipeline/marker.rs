//! Two pipeline files must not publish to the same folder. No file lists all pipelines, so every artifact
//! folder names the pipeline file that owns it.

use std::path::{Path, PathBuf};

use super::Pipeline;
use crate::{
    disk,
    problem::{Code, Problem},
};

/// A file of this name in a folder of artifacts holds the path of the pipeline file that publishes there.
pub const MARKER: &str = ".pipeline";

impl Pipeline {
    /// The marker to write when publishing, relative to the root, and its content.
    #[must_use]
    pub fn marker(&self) -> (PathBuf, String) {
        (self.artifacts.join(MARKER), format!("{}\n", self.file.display()))
    }

    /// Checks that no other pipeline file publishes to the same folders.
    ///
    /// # Errors
    /// When one does, and still exists.
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
        let owner = disk::read_text(&self.root.join(&folder).join(MARKER)).ok()?;
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
}
