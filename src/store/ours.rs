//! What in `cache/` is ours. All that we make there has a name of a certain form, and is no link: all else is somebody
//! else's, is not looked into, and stays.

use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use super::Store;
use crate::{
    disk,
    fingerprint::{Digest, Key},
};

/// Begins the names of what is being taken away, in `tmp`; a killed process's is swept.
pub(super) const REMOVED: &str = "removed.";

/// The folders of the cache.
pub(super) const FOLDERS: [&str; 11] = [
    "entries",
    "tmp",
    "hub",
    "locks",
    "checkpoints",
    "failed",
    "damaged",
    "displaced",
    "published",
    "locked",
    "staged",
];

impl Store {
    /// A link in the place of a folder would have us write, and remove, where it leads to.
    pub(super) fn expect_folders(&self) -> Result<(), StageError> {
        let link = FOLDERS.iter().find(|name| self.root.join(name).is_symlink());
        link.map_or(Ok(()), |name| {
            let path = self.root.join(name);
            Err(StageError::new(format!("{} is a link, and inside of `cache/` none is followed", path.display()))
                .help(format!(
                    "move it away: `mv cache/{name} another-name`; to keep the cache on another disk, make `cache` itself a link"
                )))
        })
    }

    /// What of ours is in a folder of the cache, sorted; nothing when there is none.
    pub(super) fn ours(&self, folder: &str) -> Vec<PathBuf> {
        ours_in(&self.root.join(folder), folder)
    }

    /// Removes what of ours is in a folder, and the folder if that was all.
    pub(super) fn remove_ours(&self, folder: &str) -> Result<(), StageError> {
        for path in self.ours(folder) {
            disk::remove(&path).map_err(|e| StageError::io("remove", &path, e))?;
        }
        // It is not there, or not empty.
        drop(fs::remove_dir(self.root.join(folder)));
        Ok(())
    }
}

/// What of ours is in the folder at `path`, which is or was called `folder`.
pub(super) fn ours_in(path: &Path, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        // Of a link it is the link's.
        let meta = entry.metadata();
        name.to_str().zip(meta.ok()).is_some_and(|(name, meta)| is_ours(folder, name, &meta))
    });
    let mut paths: Vec<_> = ours.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Whether we made what has this name in a folder of the cache.
fn is_ours(folder: &str, name: &str, meta: &Metadata) -> bool {
    let (start, rest) = name.split_once('.').map_or((name, None), |(start, rest)| (start, Some(rest)));
    let numbered = rest.is_some_and(|rest| rest.parse::<u32>().is_ok());
    match folder {
        "entries" | "checkpoints" => meta.is_dir() && is_key(name),
        "damaged" => meta.is_dir() && is_key(start) && numbered,
        "tmp" if start == "stats" => meta.is_file() && rest.is_some_and(disk::is_random),
        "tmp" if start == "gone" => meta.is_dir() && numbered,
        "tmp" if name.starts_with(REMOVED) => meta.is_dir() && was_moved(name),
        // A slot, and the entry whose place it takes.
        "tmp" => {
            let random = rest.map(|rest| rest.strip_suffix(".old").unwrap_or(rest));
            let slot = random.is_some_and(|random| random.chars().all(|it| it.is_ascii_alphanumeric()));
            meta.is_dir() && is_key(start) && slot
        }
        "failed" => meta.is_dir() && is_short(name),
        "displaced" => meta.is_dir() && (is_short(start) || start == "unreadable") && numbered,
        "published" | "locked" => meta.is_file() && is_short(name),
        "staged" => meta.is_file() && disk::is_random(name),
        "hub" => !meta.is_symlink() && is_of_hub(name),
        "locks" => {
            let lock =
                ["use", "publish"].contains(&name) || (is_key(start) && matches!(rest, None | Some("exec")));
            meta.is_file() && meta.len() == 0 && lock
        }
        _ => false,
    }
}

/// Whether this is what is being taken away.
pub(super) fn was_removed(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(REMOVED.as_bytes()))
}

/// `removed.<folder>.<n>`.
fn was_moved(name: &str) -> bool {
    let moved = name.strip_prefix(REMOVED).and_then(|name| name.rsplit_once('.'));
    moved.is_some_and(|(folder, n)| FOLDERS.contains(&folder) && n.parse::<u32>().is_ok())
}

fn is_key(name: &str) -> bool {
    name.parse::<Key>().is_ok()
}

fn is_short(name: &str) -> bool {
    name.len() == Digest::SHORT && is_hex(name)
}

fn is_hex(name: &str) -> bool {
    name.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

/// `owner--name@<commit>-<digest>`, and what lies beside such a folder.
fn is_of_hub(name: &str) -> bool {
    let name = [".new", ".digest"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let parts = name.rsplit_once('@').and_then(|(_, rest)| rest.split_once('-'));
    parts.is_some_and(|(commit, digest)| !commit.is_empty() && is_hex(commit) && is_short(digest))
}
