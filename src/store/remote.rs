use std::{collections::BTreeSet, fmt, path::Path};

use stage_contract::StageError;

use crate::fingerprint::Key;

/// A second store behind `cache/`, shared by machines: registered by [`Store::with_remote`](super::Store::with_remote),
/// asked by a lookup that finds nothing here, and sent every commit. What it returns counts only once every byte
/// is verified; what it cannot do is said in the log, and stops no run.
///
/// An entry is a folder with `manifest.json`, `entry.json`, `log.txt` and `out/`.
pub trait Remote: fmt::Debug + Send + Sync {
    /// Which of these keys it has.
    ///
    /// # Errors
    /// When it cannot be reached.
    fn existing(&self, keys: &[Key]) -> Result<BTreeSet<Key>, StageError>;

    /// Writes the entry of a key into `folder`, which is there and empty; false when it has none.
    ///
    /// # Errors
    /// When it cannot be reached or the disk refuses; then `folder` may hold anything.
    fn fetch(&self, key: &Key, folder: &Path) -> Result<bool, StageError>;

    /// Takes the entry in `folder`. It must become visible only when complete.
    ///
    /// # Errors
    /// When it cannot be reached.
    fn push(&self, key: &Key, folder: &Path) -> Result<(), StageError>;
}
