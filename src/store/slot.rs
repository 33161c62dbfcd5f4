use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
};

use rustix::fs::RenameFlags;
use stage_contract::StageError;

use super::{
    Entry, Flock, Record, Store, remove,
    tree::{make_durable, private_folder, write_private},
};
use crate::fingerprint::{Key, Manifest};

/// A private folder in which a result is made, and the right to commit it: it holds the key's lock.
/// Dropped without a commit, it leaves nothing behind.
#[derive(Debug)]
pub struct Slot {
    key: Key,
    folder: PathBuf,
    home: PathBuf,
    lock: Option<Flock>,
}

impl Slot {
    pub(super) fn create(store: &Store, key: Key, lock: Flock) -> Result<Self, StageError> {
        let tmp = store.root().join("tmp");
        let mut builder = tempfile::Builder::new();
        let made = builder
            .prefix(&format!("{key}."))
            .make_in(&tmp, |path| fs::DirBuilder::new().mode(0o700).create(path));
        let folder = made.and_then(|folder| Ok(folder.into_temp_path().keep()?));
        let folder = folder.map_err(|e| StageError::io("create a folder in", &tmp, e))?;
        private_folder(&folder.join("out"))?;
        Ok(Self { key, folder, home: store.entry_folder(&key), lock: Some(lock) })
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
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        file.map_err(|e| StageError::io("create", &path, e))
    }

    /// For what travels between the two processes; not part of the result.
    #[must_use]
    pub fn aside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the result findable: writes it through to the disk, then renames once.
    ///
    /// # Errors
    /// When the disk refuses; then there is no result.
    pub fn commit(
        mut self,
        manifest: &Manifest,
        record: &Record,
        aside: &[&str],
    ) -> Result<Entry, StageError> {
        let json = |e| StageError::because("cannot write JSON", e);
        for name in aside {
            remove(&self.aside(name))?;
        }
        write_private(&self.aside("manifest.json"), &serde_json::to_vec_pretty(manifest).map_err(json)?)?;
        write_private(&self.aside("entry.json"), &serde_json::to_vec_pretty(record).map_err(json)?)?;
        drop(self.open_log()?);
        make_durable(&self.folder)?;
        self.rename_home()?;
        let entry = Entry::read(&self.home).map_err(|e| StageError::io("read", &self.home, e))?;
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
        Ok(entry)
    }

    /// An older entry of the key (a forced run) changes places with the new one, and is then removed
    /// with the slot.
    fn rename_home(&self) -> Result<(), StageError> {
        let cwd = rustix::fs::CWD;
        let failed = |e: std::io::Error| StageError::io("commit to", &self.home, e);
        if self.home.exists() {
            match rustix::fs::renameat_with(cwd, &self.folder, cwd, &self.home, RenameFlags::EXCHANGE) {
                Ok(()) => return Ok(()),
                // Not every file system can exchange.
                Err(_) => remove(&self.home)?,
            }
        }
        // Should the power fail now, the result is there or not there, but whole.
        fs::rename(&self.folder, &self.home).map_err(failed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::debug!(slot = %self.folder.display(), %error, "a slot stays until the next run sweeps it");
        }
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
    }
}
