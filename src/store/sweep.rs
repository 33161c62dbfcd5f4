//! The cache made ready for a run that writes: its folders, without what killed runs left.

use std::{ffi::OsStr, fs, path::PathBuf};

use stage_contract::StageError;

use super::{Flock, Store, ours::was_removed, private_folder, remove};
use crate::{
    disk::{MOVE_AWAY, STAGED, is_random},
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
            if !self.is_there() {
                let _held = self.publish_lock()?;
                self.write_version()?;
            }
            Ok(held)
        };
        let held = write().map_err(|error| match error.advice() {
            Some(MOVE_AWAY) => error,
            _ => error.help("make `cache/` writable, with room on its disk"),
        })?;
        self.sweep();
        Ok(held)
    }

    /// Removes what killed runs left: slots, checkpoints of results that are there, lock files. All of it
    /// belongs to a key, and a live run that needs it holds the key's lock. What cannot be removed
    /// now is so later.
    fn sweep(&self) {
        for (folder, path, key) in ["tmp", "checkpoints", "locks"].into_iter().flat_map(|it| self.keyed(it)) {
            // A checkpoint without a result is there to be resumed.
            if folder == "checkpoints" && self.peek(&key).is_none() {
                continue;
            }
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
        for left in self.ours("tmp") {
            if was_removed(&left) {
                drop(self.remove_removed(&left));
            } else if left.file_stem().is_some_and(|stem| stem == "stats") {
                drop(remove(&left));
            }
        }
        self.sweep_staged();
        self.sweep_half_written();
    }

    /// Removes files that were to replace others in the cache, which is done under this lock.
    fn sweep_half_written(&self) {
        let Ok(Some(_held)) = self.try_publish_lock() else { return };
        for folder in ["", "published", "locked", "hub"] {
            let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.path());
            let half = names.filter(|path| {
                let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
                let random = name.strip_prefix(STAGED).is_some_and(is_random);
                random && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
            });
            for path in half {
                drop(remove(&path));
            }
        }
    }

    /// What of ours in a folder is named after a key.
    fn keyed(&self, folder: &'static str) -> Vec<(&'static str, PathBuf, Key)> {
        let keyed = self.ours(folder).into_iter().filter_map(|path| {
            let key = path.file_name()?.to_str()?.split('.').next()?.parse().ok()?;
            Some((folder, path, key))
        });
        keyed.collect()
    }
}
