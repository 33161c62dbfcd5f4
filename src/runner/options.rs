use std::{collections::BTreeSet, num::NonZero, thread};

/// What to run, and how.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Nodes, closed under what they need.
    pub wanted: BTreeSet<usize>,
    /// Nodes that execute even if their result is in the cache.
    pub forced: BTreeSet<usize>,
    /// `--jobs`: how many nodes may execute at once; as many as there are CPUs when not given.
    pub jobs: Option<NonZero<usize>>,
    /// `--no-wait`: do not wait for another run.
    pub no_wait: bool,
    /// `--show-text`.
    pub show_text: bool,
    /// `--limit-memory`: hold each node to its `resources.memory`.
    pub limit_memory: bool,
}

impl RunOptions {
    pub(super) fn jobs(&self) -> usize {
        self.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get)
    }
}
