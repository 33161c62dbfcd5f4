//! The cache made ready for a run that writes: its folders, without what killed runs left.

use std::{ffi::OsString, fs};

use stage_contract::StageError;

use super::{FORMAT, Flock, Store, clear::REMOVED, private_folder, remove, write_atomic};
use crate::{
    failpoint::{Point, reach},
    fingerprint::Key,
};

impl Store {
    /// Makes the folders, and sweeps what killed runs left. The cache is in use until the returned lock is
    /// dropped: `clean --cache` waits.
    ///
    /// # Errors
    /// When the disk refuses. A run that makes and places nothing can do without.
    pub fn prepare(&self) -> Result<Flock, StageError> {
        let write = || -> Result<Flock, StageError> {
            reach(Point::Prepare).map_err(|e| StageError::io("create", &self.root, e))?;
            let held = self.lock_shared()?;
            for name in ["entries", "tmp"] {
                private_folder(&self.root.join(name))?;
            }
            let version = self.root.join("version");
            if !version.exists() {
                let _held = self.publish_lock()?;
                write_atomic(&version, format!("{FORMAT}\n").as_bytes())?;
            }
            Ok(held)
        };
        let held = write().map_err(|error| error.help("make `cache/` writable, with room on its disk"))?;
        self.sweep();
        Ok(held)
    }

    /// Removes what killed runs left: slots, checkpoints of results that are there, lock files. All of it
    /// belongs to a key, and a live run that needs it holds the key's lock. What cannot be removed
    /// now is so later.
    fn sweep(&self) {
        for (folder, name, key) in ["tmp", "checkpoints", "locks"].into_iter().flat_map(|it| self.keyed(it)) {
            // A checkpoint without a result is there to be resumed.
            if folder == "checkpoints" && self.peek(&key).is_none() {
                continue;
            }
            let path = self.root.join(folder).join(name);
            // A child's lock (`<key>.exec`) is a lock of its own.
            let lock = if folder == "locks" { path.clone() } else { self.lock_path(&key) };
            let Ok(Some(lock)) = Flock::try_exclusive(&lock) else { continue };
            tracing::debug!(path = %path.display(), "sweeping what a dead run left");
            if folder != "locks"
                && let Err(error) = reach(Point::Sweep)
                    .map_err(|e| StageError::io("remove", &path, e))
                    .and_then(|()| remove(&path))
            {
                tracing::debug!(%error, "it stays");
            }
            lock.remove();
        }
        // Of a run that died while it saved what files contain (a living one whose file is gone saves nothing
        // this time), and of one that took the cache away.
        for left in fs::read_dir(self.root.join("tmp")).into_iter().flatten().flatten() {
            let name = left.file_name();
            if ["stats.", REMOVED].iter().any(|ours| name.as_encoded_bytes().starts_with(ours.as_bytes())) {
                drop(remove(&left.path()));
            }
        }
    }

    /// What in one of our folders is named after a key.
    fn keyed(&self, folder: &'static str) -> Vec<(&'static str, OsString, Key)> {
        let entries = fs::read_dir(self.root.join(folder)).ok().into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        names
            .filter_map(|name| {
                let key = name.to_str()?.split('.').next()?.parse().ok()?;
                Some((folder, name, key))
            })
            .collect()
    }
}
