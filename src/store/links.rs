//! Folders of links to files outside of the cache: a source of the hub, without the files that it does not need.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use super::{Store, private_folder, remove};
use crate::failpoint::{Point, reach};

impl Store {
    /// Where the folder of this name is, or will be.
    #[must_use]
    pub fn linked(&self, name: &str) -> PathBuf {
        self.root.join("hub").join(name)
    }

    /// Makes the folder of this name, of links by their paths in it, unless it is there: it appears whole. The name says
    /// what the links are. The cache was prepared.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn link<'l>(
        &self,
        name: &str,
        links: impl Iterator<Item = (&'l Path, PathBuf)>,
    ) -> Result<PathBuf, StageError> {
        let place = self.linked(name);
        if place.is_dir() {
            return Ok(place);
        }
        // Of all that make the same, one does, and what a killed one left gives way.
        let _held = self.publish_lock()?;
        if place.is_dir() {
            return Ok(place);
        }
        let new = self.linked(&format!("{name}.new"));
        remove(&new)?;
        private_folder(&self.root.join("hub"))?;
        let make = || -> io::Result<()> {
            fs::create_dir(&new)?;
            for (inside, target) in links {
                let link = new.join(inside);
                fs::create_dir_all(link.parent().unwrap_or(&new))?;
                symlink(target, link)?;
            }
            reach(Point::SourceLink)?;
            fs::rename(&new, &place)
        };
        make().map_err(|e| StageError::io("write", &place, e))?;
        Ok(place)
    }
}
