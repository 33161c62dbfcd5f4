use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{
    found::Unreadable,
    known::Known,
    tree::{Observed, observe_with},
};

/// Caches what this process observed, so that nothing is hashed twice.
#[derive(Debug, Default)]
pub struct Memo {
    seen: BTreeMap<PathBuf, Observed>,
    known: Known,
}

impl Memo {
    /// Loads the digests that earlier processes saved in the cache.
    #[must_use]
    pub fn open(cache: &Path) -> Self {
        Self { seen: BTreeMap::new(), known: Known::open(cache) }
    }

    /// Saves digests for later processes, unless there is no cache yet.
    pub fn save(&mut self) {
        self.known.save(self.seen.values().flat_map(Observed::files));
    }

    fn look(&self, path: &Path, flush: bool) -> Result<Observed, Unreadable> {
        observe_with(path, flush, &|stat, proven| self.known.digest(stat, proven))
    }

    /// Observes all paths on all cores, and syncs recent writes so that the digests can be saved. Unreadable
    /// paths are skipped: [`Memo::observe`] reports them.
    pub fn observe_all(&mut self, paths: Vec<PathBuf>) {
        let observed = paths
            .into_par_iter()
            .filter(|path| !self.seen.contains_key(path))
            .filter_map(|path| self.look(&path, true).ok().map(|observed| (path, observed)))
            .collect::<Vec<_>>();
        self.seen.extend(observed);
    }

    /// Observes a path unless that was done before.
    ///
    /// # Errors
    /// As [`observe`](super::observe).
    pub fn observe(&mut self, path: &Path) -> Result<&Observed, Unreadable> {
        if !self.seen.contains_key(path) {
            self.seen.insert(path.to_owned(), self.look(path, false)?);
        }
        self.seen.get(path).ok_or_else(|| Unreadable::Missing(path.to_owned()))
    }

    /// How large a path was, if it was observed.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<u64> {
        self.seen.get(path).map(|observed| observed.bytes)
    }

    /// Forgets a path that was written.
    pub fn forget(&mut self, path: &Path) {
        self.seen.remove(path);
    }

    /// Forgets a path if it may have changed since it was observed.
    pub fn recheck(&mut self, path: &Path) {
        if self.seen.get(path).is_some_and(|before| before.moved(path).is_some()) {
            self.seen.remove(path);
        }
    }
}

#[cfg(test)]
mod tests;
