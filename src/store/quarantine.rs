//! Moving out of the way what is damaged, and what is the user's: nothing of it is deleted.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use super::{
    Entry, LookupError, Record, Store, WaitPolicy, copy_tree, private_folder, remove, tree::make_durable,
};
use crate::{
    failpoint::{Point, reach},
    fingerprint::{Digest, Key},
};

impl Store {
    /// Moves a damaged entry out of the way, and says where to; nothing is deleted. None when there is
    /// none, or what is there is intact by now: another run has been faster. `found` is the record that was found
    /// damaged, which a second look does not clear.
    ///
    /// # Errors
    /// As [`Store::lookup`].
    pub fn quarantine(
        &self,
        key: &Key,
        found: Option<&Record>,
        mut policy: WaitPolicy<'_>,
    ) -> Result<Option<PathBuf>, LookupError> {
        let lock = self.lock_key(key, &mut policy)?;
        let whole = |now: Entry| found != Some(&now.record) && now.damage().is_none() && now.log_matches();
        let moved = if self.peek(key).is_some_and(whole) { None } else { self.quarantine_locked(key)? };
        lock.remove();
        Ok(moved)
    }

    /// The caller holds the key's lock. None when there is no entry.
    pub(super) fn quarantine_locked(&self, key: &Key) -> Result<Option<PathBuf>, StageError> {
        let from = self.entry_folder(key);
        if fs::symlink_metadata(&from).is_err() {
            return Ok(None);
        }
        let damaged = self.root.join("damaged");
        private_folder(&damaged)?;
        let to = free_name(&damaged, &key.to_string());
        let moved = reach(Point::SetAside).and_then(|()| fs::rename(&from, &to));
        moved.map(|()| Some(to)).map_err(|e| StageError::io("move away", &from, e))
    }

    /// Moves a file or folder that is not ours into the store, and says where to.
    ///
    /// # Errors
    /// When the disk refuses; then it is where it was.
    pub fn displace(&self, path: &Path, digest: Option<Digest>) -> Result<PathBuf, StageError> {
        let folder = self.root.join("displaced");
        private_folder(&folder)?;
        let name = digest.map_or_else(|| "unreadable".to_owned(), |digest| digest.short());
        let home = free_name(&folder, &name);
        private_folder(&home)?;
        let to = home.join(path.file_name().unwrap_or_default());
        let failed = |e| StageError::io("move away", path, e);
        match reach(Point::Displace).and_then(|()| fs::rename(path, &to)) {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                copy_tree(path, &to)?;
                make_durable(&home)?;
                remove(path)?;
            }
            result => result.map_err(failed)?,
        }
        reach(Point::Displaced).map_err(failed)?;
        Ok(to)
    }
}

/// `<folder>/<name>.<n>` with the first free n.
pub(super) fn free_name(folder: &Path, name: &str) -> PathBuf {
    let mut n = 1_u32;
    loop {
        let path = folder.join(format!("{name}.{n}"));
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
        n += 1;
    }
}
