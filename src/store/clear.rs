//! The cache in use, and its removal: writers hold `locks/use` shared, and `clean --cache` holds it
//! exclusively.

use std::{fs, path::PathBuf};

use stage_contract::StageError;

use super::{
    Flock, Store,
    quarantine::free_name,
    remove,
    tree::{folders, is_empty_folder, private_folder},
};
use crate::failpoint::{Point, reach};

/// Begins the names of what is being taken away, in `tmp`; a killed process's is swept.
pub(super) const REMOVED: &str = "removed.";

impl Store {
    /// The cache is in use until this is dropped; waits while another process removes it.
    pub(super) fn lock_shared(&self) -> Result<Flock, StageError> {
        loop {
            private_folder(&self.root().join("locks"))?;
            // None: it was taken away between the two.
            if let Some(lock) = Flock::shared(&self.use_lock())? {
                return Ok(lock);
            }
        }
    }

    /// The exclusive right to remove the cache; none while it is in use, also by what a killed run left running.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn lock_exclusive(&self) -> Result<Option<Flock>, StageError> {
        private_folder(&self.root().join("locks"))?;
        let held = Flock::try_exclusive(&self.use_lock())?;
        let others = folders(&self.root().join("locks")).into_iter().filter(|path| *path != self.use_lock());
        Ok(held.filter(|_| !others.into_iter().any(|path| Flock::is_held(&path))))
    }

    /// Takes all of it away, but for what was displaced if that is to stay: first out of the sight of those who
    /// look without a lock, so that nothing is found that is half there.
    ///
    /// # Errors
    /// When the disk refuses; what is left is whole, or swept by the next run.
    pub fn clear(&self, held: Flock, keep_displaced: bool) -> Result<(), StageError> {
        let tmp = self.root().join("tmp");
        private_folder(&tmp)?;
        // Anything else there is not ours.
        let mut ours =
            vec!["entries", "stats", "checkpoints", "failed", "damaged", "published", "locked", "hub"];
        ours.extend((!keep_displaced).then_some("displaced"));
        for name in ours {
            let path = self.root().join(name);
            if fs::symlink_metadata(&path).is_err() {
                continue;
            }
            let away = free_name(&tmp, &format!("{REMOVED}{name}"));
            if fs::rename(&path, &away).is_err() {
                // A disk of its own, perhaps.
                remove(&path)?;
            }
        }
        reach(Point::Clear).map_err(|e| StageError::io("remove", self.root(), e))?;
        remove(&tmp)?;
        // Without it nobody knows what the rest means.
        if is_empty_folder(&self.root().join("displaced")) {
            drop(fs::remove_dir(self.root().join("displaced")));
        }
        if !self.root().join("displaced").exists() {
            remove(&self.root().join("version"))?;
        }
        for lock in folders(&self.root().join("locks")).into_iter().filter(|path| *path != self.use_lock()) {
            remove(&lock)?;
        }
        held.remove();
        // Not empty when a run began in this moment, or a link to where the cache is shared.
        drop(fs::remove_dir(self.root().join("locks")).and_then(|()| fs::remove_dir(self.root())));
        Ok(())
    }

    fn use_lock(&self) -> PathBuf {
        self.root().join("locks/use")
    }
}
