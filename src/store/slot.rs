use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{OFlags, RenameFlags};
use stage_contract::StageError;

use super::{
    Entry, Flock, Record, Remote, Store, entry, free_bytes, make_private, remove,
    tree::{make_durable, private_folder, write_private},
};
use crate::{
    disk,
    failpoint::{Point, reach},
    fingerprint::{Key, Manifest, observe},
};

/// A disk with less room than this is full, and what a stage wrote last may be cut: not every program
/// looks whether its writes succeed.
const FULL: u64 = 1 << 20;

/// A private folder in which a result is made, and with the key's lock the right to commit it.
/// Dropped without a commit, it leaves nothing behind.
#[derive(Debug)]
pub struct Slot {
    key: Key,
    folder: PathBuf,
    home: PathBuf,
    lock: Option<Flock>,
    damaged: Option<PathBuf>,
    remote: Option<Arc<dyn Remote>>,
}

impl Slot {
    pub(super) fn create(
        store: &Store,
        key: Key,
        lock: Flock,
        damaged: Option<PathBuf>,
    ) -> Result<Self, StageError> {
        let tmp = store.root().join("tmp");
        let mut builder = tempfile::Builder::new();
        let made = builder
            .prefix(&format!("{key}."))
            .make_in(&tmp, |path| fs::DirBuilder::new().mode(0o700).create(path));
        let folder = made.and_then(|folder| Ok(folder.into_temp_path().keep()?));
        let folder = folder.map_err(|e| StageError::io("create a folder in", &tmp, e))?;
        let (home, remote) = (store.entry_folder(&key), store.remote.clone());
        let slot = Self { key, folder, home, lock: Some(lock), damaged, remote };
        reach(Point::SlotBegun).map_err(|e| StageError::io("create a folder in", &tmp, e))?;
        private_folder(&slot.folder.join("out"))?;
        Ok(slot)
    }

    /// Where an unreadable earlier result was moved to.
    #[must_use]
    pub fn damaged(&self) -> Option<&Path> {
        self.damaged.as_deref()
    }

    /// The key whose result is made here.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Where an output is to be written: its parent exists, and it does not.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn output(&self, name: &str, file: &str) -> Result<PathBuf, StageError> {
        let parent = self.folder.join("out").join(name);
        reach(Point::OutputFolder).map_err(|e| StageError::io("create", &parent, e))?;
        private_folder(&parent)?;
        Ok(parent.join(file))
    }

    /// What the stage prints.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log.txt")
    }

    /// The log, to append to.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open_log(&self) -> Result<File, StageError> {
        let path = self.log();
        reach(Point::LogOpen).map_err(|e| StageError::io("create", &path, e))?;
        disk::open_or_create(&path, OFlags::APPEND).map_err(|e| disk::failed("create", &path, e))
    }

    /// For what travels between the two processes; not part of the result.
    #[must_use]
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the result findable: writes it through to the disk, then renames once.
    ///
    /// # Errors
    /// When the disk refuses, or is full by now; then there is no result.
    pub fn commit(
        mut self,
        manifest: &Manifest,
        record: &Record,
        aside: &[&str],
    ) -> Result<Entry, StageError> {
        let json = |e| StageError::because("cannot write JSON", e);
        let at = |point| reach(point).map_err(|e| StageError::io("write", &self.folder, e));
        at(Point::Commit)?;
        self.expect_room()?;
        for name in aside {
            remove(&self.scratch(name))?;
        }
        drop(self.open_log()?);
        let log = observe(&self.log()).map_err(|e| StageError::because("cannot read the log", e))?.digest;
        at(Point::ManifestWrite)?;
        write_private(&self.scratch("manifest.json"), &serde_json::to_vec_pretty(manifest).map_err(json)?)?;
        at(Point::RecordWrite)?;
        write_private(&self.scratch("entry.json"), &entry::seal(record, log).map_err(json)?)?;
        make_durable(&self.folder)?;
        self.rename_home(&self.folder)?;
        at(Point::Committed)?;
        let entry = Entry::read(&self.home).map_err(|e| StageError::io("read", &self.home, e))?;
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
        if let Some(remote) = &self.remote
            && let Err(error) = push(remote.as_ref(), self.key, &self.home)
        {
            tracing::warn!(key = self.key.short(), %error, "a result is not pushed to the remote store");
        }
        Ok(entry)
    }

    /// Takes the result from the remote store, if that has it and every byte is what its record says.
    pub(super) fn fetch(&self) -> Option<Entry> {
        let remote = self.remote.as_ref()?;
        let folder = self.scratch("fetched");
        let fetched = self.fetch_into(&folder.join(self.key.to_string()), remote.as_ref());
        let removed = remove(&folder);
        fetched.and_then(|entry| removed.map(|()| entry)).unwrap_or_else(|error| {
            tracing::warn!(key = self.key.short(), %error, "a result is not taken from the remote store");
            None
        })
    }

    fn fetch_into(&self, folder: &Path, remote: &dyn Remote) -> Result<Option<Entry>, StageError> {
        private_folder(folder)?;
        if !remote.fetch(&self.key, folder)? {
            return Ok(None);
        }
        make_private(folder)?;
        let read = |folder: &Path| Entry::read(folder).map_err(|e| StageError::io("read", folder, e));
        let entry = read(folder)?;
        if entry.damage().is_some() || !entry.log_matches() {
            return Err(StageError::new("its bytes are not what was recorded"));
        }
        make_durable(folder)?;
        self.rename_home(folder)?;
        read(&self.home).map(Some)
    }

    fn expect_room(&self) -> Result<(), StageError> {
        if free_bytes(&self.folder).is_ok_and(|free| free < FULL) {
            return Err(StageError::new(
                "the disk is full: what the stage wrote may be cut, so nothing was recorded",
            )
            .help("free some space, then type `ner-pipe run`"));
        }
        Ok(())
    }

    /// An older entry of the key (a forced run) changes places with the new one, and is then removed
    /// with the slot.
    fn rename_home(&self, new: &Path) -> Result<(), StageError> {
        let home = &self.home;
        let failed = |e: io::Error| StageError::io("commit to", home, e);
        let old = new.with_added_extension("old");
        if home.exists() {
            let cwd = rustix::fs::CWD;
            let exchange = || Ok(rustix::fs::renameat_with(cwd, new, cwd, home, RenameFlags::EXCHANGE)?);
            if reach(Point::EntryExchange).and_then(|()| exchange()).is_ok() {
                return Ok(());
            }
            // Not every file system can exchange.
            fs::rename(home, &old).and_then(|()| reach(Point::EntryMovedAway)).map_err(failed)?;
        }
        // Should the power fail now, the result is there and complete, or not there.
        let placed = reach(Point::EntryRename).and_then(|()| fs::rename(new, home));
        if placed.is_ok() {
            // What stays is swept by the next run.
            drop(remove(&old));
        } else {
            // If there is one; a result that stood is better than none.
            drop(fs::rename(&old, home));
        }
        placed.map_err(failed)
    }
}

fn push(remote: &dyn Remote, key: Key, folder: &Path) -> Result<(), StageError> {
    if remote.existing(&[key])?.contains(&key) {
        return Ok(());
    }
    remote.push(&key, folder)
}

impl Drop for Slot {
    fn drop(&mut self) {
        let removed = reach(Point::SlotRemove).and_then(|()| disk::remove(&self.folder));
        if let Err(error) = removed
            && error.kind() != ErrorKind::NotFound
        {
            tracing::debug!(slot = %self.folder.display(), %error, "a slot stays until the next run sweeps it");
        }
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
    }
}
