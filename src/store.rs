//! `cache/`: results by key. [`Store::lookup`] gives a [`Hit`](Lookup::Hit) or a [`Miss`](Lookup::Miss);
//! only a miss yields a [`Slot`], and only a slot can be committed, by one rename: a result is visible
//! only when complete.
//!
//! ```text
//! cache/version             what the layout below means
//! cache/entries/<key>/      manifest.json  entry.json  log.txt  out/<output>/<file name>
//! cache/tmp/<key>.<random>/ a slot: the same, being made
//! cache/hub/<name>/         links to the files of a source that lies on the hub, in the cache of the hub
//! cache/stats               what files contain, by what the file system says of them (`fingerprint`)
//! cache/locks/use           held by all who write here; by one alone who takes it all away
//! cache/locks/<key>         held (flock) by the run that makes the result; <key>.exec by its child
//! cache/checkpoints/<key>/  what lets a stage resume
//! cache/failed/<node>/      the last failed attempt of a node: failure.json  log.txt
//! cache/damaged/<key>.<n>/  an entry whose bytes were not what was recorded
//! cache/displaced/<digest>/ a user's file found where an output is published, or one that a command moved away
//! cache/published/<place>   what was or will be placed there, and by which pipeline file: ours to replace
//! cache/locked/<path>       a lock that names results, and its pipeline file
//! cache/staged/<random>     in which folder outside of the cache something is staged, in `.ner-pipe-<random>`
//! ```
//!
//! What has another name there, or is a link, is not ours, and stays as it is.
//!
//! The text is medical: folders are 0700 and files 0600.

mod check;
mod clear;
mod entry;
mod failure;
mod flock;
mod gc;
mod links;
mod lookup;
mod ours;
mod part;
mod published;
mod quarantine;
mod remote;
mod slot;
mod staged;
mod sweep;
mod tree;
mod version;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use stage_contract::StageError;

pub use check::{Checked, Damage};
pub use entry::{Entry, Record, Stored};
pub use failure::Failure;
pub use flock::Flock;
pub use gc::{CacheItem, GcLimits, GcPlan, ItemKind, Named};
pub use lookup::{Lookup, LookupError, WaitPolicy};
pub use part::PathPart;
pub use published::{GcRoot, PublishRecord};
pub use remote::Remote;
pub use slot::Slot;
pub use staged::Staging;
pub use tree::{copy_tree, make_private, private_folder, remove, remove_siblings, write_atomic};

use crate::fingerprint::{Digest, Key, Manifest};

/// All results, by key.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    remote: Option<Arc<dyn Remote>>,
}

impl Store {
    /// The store of a project, without touching the disk: for those who only look.
    ///
    /// # Errors
    /// When a newer ner-pipe wrote it, it does not say who did, or a link lies in the place of one of its folders.
    pub fn at(root: &Path) -> Result<Self, StageError> {
        let store = Self { root: root.join("cache"), remote: None };
        store.expect_known()?;
        store.expect_folders()?;
        Ok(store)
    }

    /// With a second store behind it: a lookup that finds nothing here asks that, and what is committed here is
    /// pushed there.
    #[must_use]
    pub fn with_remote(self, remote: Arc<dyn Remote>) -> Self {
        Self { remote: Some(remote), ..self }
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is a cache: another program may have a folder of that name.
    #[must_use]
    pub fn is_there(&self) -> bool {
        fs::symlink_metadata(self.root.join("version")).is_ok_and(|meta| meta.is_file())
    }

    /// The result of a key, if it is there. Takes no lock.
    #[must_use]
    pub fn peek(&self, key: &Key) -> Option<Entry> {
        Entry::read(&self.entry_folder(key)).ok()
    }

    /// Every result, in no particular order; what is unreadable is left out.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.ours("entries").into_iter().filter_map(|folder| Entry::read(&folder).ok())
    }

    /// Keys of results that begin with these digits, sorted.
    #[must_use]
    pub fn keys_with_prefix(&self, start: &str) -> Vec<Key> {
        let folders = fs::read_dir(self.root.join("entries")).ok().into_iter().flatten().flatten();
        let names = folders.filter_map(|folder| folder.file_name().into_string().ok());
        let start = start.to_lowercase();
        let mut keys: Vec<Key> =
            names.filter(|name| name.starts_with(&start)).filter_map(|name| name.parse().ok()).collect();
        keys.sort();
        keys
    }

    /// Every manifest, in no particular order.
    pub fn manifests(&self) -> impl Iterator<Item = Manifest> {
        self.ours("entries").into_iter().filter_map(|folder| entry::read_manifest(&folder).ok())
    }

    /// Whether some result holds exactly this content as an output.
    #[must_use]
    pub fn holds(&self, digest: Digest) -> bool {
        self.entries().any(|entry| {
            let mut outputs = entry.record.outputs.values();
            outputs.any(|stored| stored.digest == digest) && entry.is_complete()
        })
    }

    /// Where a node may keep what lets it resume.
    #[must_use]
    pub fn checkpoint(&self, key: &Key) -> PathBuf {
        self.root.join("checkpoints").join(key.to_string())
    }

    /// The lock that the process itself takes that makes a result: a dying child of a killed run and
    /// the next run's child must not share one checkpoint folder.
    #[must_use]
    pub fn exec_lock(&self, key: &Key) -> PathBuf {
        self.root.join("locks").join(format!("{key}.exec"))
    }

    /// Held for the moment in which artifacts and the lock file are written.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn publish_lock(&self) -> Result<Flock, StageError> {
        Flock::exclusive(&self.root.join("locks/publish"))
    }

    /// The same, unless somebody holds it.
    fn try_publish_lock(&self) -> Result<Option<Flock>, StageError> {
        Flock::try_exclusive(&self.root.join("locks/publish"))
    }

    /// A path of the project, made absolute where other projects may share the cache by a link.
    fn qualified(&self, path: &Path) -> PathBuf {
        match self.root.parent() {
            Some(project) if self.root.is_symlink() => project.join(path),
            _ => path.to_owned(),
        }
    }

    /// The deepest folder in which outputs are made: no path of ours is longer than one in it.
    #[must_use]
    pub fn longest_path(&self) -> PathBuf {
        let key = Digest::of(b"any").to_string();
        self.root.join("tmp").join(format!("{key}.random")).join("out")
    }

    fn entry_folder(&self, key: &Key) -> PathBuf {
        self.root.join("entries").join(key.to_string())
    }

    fn lock_path(&self, key: &Key) -> PathBuf {
        self.root.join("locks").join(key.to_string())
    }
}

/// Bytes free for us on the file system of `path`.
///
/// # Errors
/// When the system does not report it.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests;
