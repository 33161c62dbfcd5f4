//! Folders of links to files outside of the cache: a source of the hub, without the files that it does not need. Beside
//! each lies the digest that its content had when it was compared with what was pinned.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use super::{Store, private_folder, remove, write_atomic};
use crate::{
    disk,
    failpoint::{Point, reach},
    fingerprint::Digest,
};

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

    /// Whether what the links of this name lead to was right when it had this digest.
    #[must_use]
    pub fn is_proven(&self, name: &str, digest: Digest) -> bool {
        let said = disk::read_own(&proof(&self.linked(name)));
        said.is_ok_and(|text| String::from_utf8_lossy(&text).trim().parse() == Ok(digest))
    }

    /// Notes that what the links of this name lead to is right with this digest.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn prove(&self, name: &str, digest: Digest) -> Result<(), StageError> {
        let _held = self.publish_lock()?;
        write_atomic(&proof(&self.linked(name)), format!("{digest}\n").as_bytes())
    }

    /// All such folders, those that a killed run left, and digests without one.
    pub(super) fn links(&self) -> Vec<PathBuf> {
        let alone = |path: &PathBuf| {
            let of = path.extension().is_some_and(|it| it == PROOF).then(|| path.with_extension(""));
            of.is_none_or(|links| !links.exists())
        };
        self.ours("hub").into_iter().filter(alone).collect()
    }
}

/// Where the digest of what a folder's links lead to is.
pub(super) fn proof(links: &Path) -> PathBuf {
    links.with_added_extension(PROOF)
}

/// The repository and the beginning of the commit that a folder of links leads to, unless a killed run left it; its name is
/// `owner--name@<commit>-<digest>`.
pub(super) fn repository(links: &Path) -> Option<String> {
    let name = links.file_name()?.to_str()?;
    let (repository, digest) = name.rsplit_once('-')?;
    (!digest.contains('.')).then(|| repository.to_owned())
}

/// How the name of a folder's digest ends.
const PROOF: &str = "digest";
