//! The cache in use, and its removal: writers hold `locks/use` shared, and `clean --cache` holds it
//! exclusively.

use std::{
    fs,
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use super::{
    Flock, Store,
    ours::{REMOVED, ours_in, was_removed},
    quarantine::free_name,
    remove,
    tree::{is_empty_folder, private_folder},
};
use crate::failpoint::{Point, reach};

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
        let others = self.ours("locks").into_iter().filter(|path| *path != self.use_lock());
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
        self.sweep_staged();
        // Anything else there is not ours.
        let mut ours = vec!["entries", "checkpoints", "failed", "damaged", "published", "locked", "hub"];
        ours.extend((!keep_displaced).then_some("displaced"));
        for &name in &ours {
            let path = self.root().join(name);
            if fs::symlink_metadata(&path).is_err() {
                continue;
            }
            let away = free_name(&tmp, &format!("{REMOVED}{name}"));
            if fs::rename(&path, &away).is_err() {
                // A disk of its own, perhaps.
                self.remove_ours(name)?;
            }
        }
        remove(&self.root().join("stats"))?;
        reach(Point::Clear).map_err(|e| StageError::io("remove", self.root(), e))?;
        for left in self.ours("tmp") {
            if was_removed(&left) { self.remove_removed(&left)? } else { remove(&left)? }
        }
        drop(fs::remove_dir(&tmp));
        self.remove_ours("staged")?;
        // Without it nobody knows what the rest means.
        if is_empty_folder(&self.root().join("displaced")) {
            drop(fs::remove_dir(self.root().join("displaced")));
        }
        if !self.root().join("displaced").exists() {
            remove(&self.root().join("version"))?;
        }
        for lock in self.ours("locks").into_iter().filter(|path| *path != self.use_lock()) {
            remove(&lock)?;
        }
        held.remove();
        // Not empty when a run began in this moment, or a link to where the cache is shared.
        drop(fs::remove_dir(self.root().join("locks")).and_then(|()| fs::remove_dir(self.root())));
        Ok(())
    }

    /// Removes what of ours is in a folder of the cache that was moved to `tmp` under the name `removed.<folder>.<n>`; it
    /// goes back to its place with what else is in it.
    pub(super) fn remove_removed(&self, away: &Path) -> Result<(), StageError> {
        let name = away.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((folder, _)) = name.strip_prefix(REMOVED).and_then(|name| name.rsplit_once('.')) else {
            return Ok(());
        };
        for path in ours_in(away, folder) {
            remove(&path)?;
        }
        if fs::remove_dir(away).is_err() {
            // Somebody else's files are in it. A run that began meanwhile has a new folder of that name.
            drop(fs::rename(away, self.root().join(folder)));
        }
        Ok(())
    }

    fn use_lock(&self) -> PathBuf {
        self.root().join("locks/use")
    }
}
