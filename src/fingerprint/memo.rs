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

/// What was observed during this process, so that nothing is hashed twice.
#[derive(Debug, Default)]
pub struct Memo {
    seen: BTreeMap<PathBuf, Observed>,
    known: Known,
}

impl Memo {
    /// With what earlier processes saved in the cache.
    #[must_use]
    pub fn open(cache: &Path) -> Self {
        Self { seen: BTreeMap::new(), known: Known::open(cache) }
    }

    /// Saves what was learnt about files for later processes, unless there is no cache yet.
    pub fn save(&mut self) {
        self.known.save(self.seen.values().flat_map(Observed::files));
    }

    fn look(&self, path: &Path, flush: bool) -> Result<Observed, Unreadable> {
        observe_with(path, flush, &|stat, proven| self.known.digest(stat, proven))
    }

    /// Observes all paths at once on all cores, such that it can be saved. What cannot be read is left
    /// out: whoever needs it finds out in [`Memo::observe`].
    pub fn observe_all(&mut self, paths: Vec<PathBuf>) {
        let observed = paths
            .into_par_iter()
            .filter(|path| !self.seen.contains_key(path))
            .filter_map(|path| self.look(&path, true).ok().map(|observed| (path, observed)))
            .collect::<Vec<_>>();
        self.seen.extend(observed);
    }

    /// Looks at a path unless that was done before.
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

    /// Forgets a path: it was written.
    pub fn forget(&mut self, path: &Path) {
        self.seen.remove(path);
    }

    /// Forgets a path unless it looks as when it was observed: time went by since.
    pub fn recheck(&mut self, path: &Path) {
        if self.seen.get(path).is_some_and(|before| before.moved(path).is_some()) {
            self.seen.remove(path);
        }
    }
}

#[cfg(test)]
mod tests;
