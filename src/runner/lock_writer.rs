//! Results go into the lock as they come, and the lock to the disk as often as that costs little: its size
//! grows with the number of stages, and so the first hundred would pay for it a hundred times. Whoever stops
//! the run in between finds a lock that lags behind; what it names is there.

use std::{
    collections::BTreeSet,
    mem,
    time::{Duration, Instant},
};

use stage_contract::StageError;

use super::project::Project;
use crate::lock::Locked;

/// Writes the lock file.
pub(super) struct LockWriter {
    /// Nodes whose results are published, and that the file does not name yet.
    unwritten: BTreeSet<usize>,
    /// When the file may be written again.
    due: Instant,
}

impl LockWriter {
    pub fn new() -> Self {
        Self { unwritten: BTreeSet::new(), due: Instant::now() }
    }

    /// Records a result that is published. The caller holds [`crate::store::Store::publish_lock`].
    pub fn record(&mut self, project: &mut Project<'_>, node: usize, locked: Locked) {
        project.lock.record(&project.pipeline.nodes[node].id, locked);
        self.unwritten.insert(node);
        if Instant::now() >= self.due {
            self.write(project);
        }
    }

    /// How long until there is something to write; none when there is nothing.
    pub fn wait(&self) -> Option<Duration> {
        (!self.unwritten.is_empty()).then(|| self.due.saturating_duration_since(Instant::now()))
    }

    /// Writes what has waited long enough.
    pub fn write_due(&mut self, project: &mut Project<'_>) {
        // Who holds the cache's lock now may hold it for long, and the end of the run is soon enough.
        if let Ok(_held) = project.store.publish_lock() {
            self.write(project);
        }
    }

    /// What cannot be written now is tried again, and at last in [`Self::write_last`], where it counts.
    fn write(&mut self, project: &mut Project<'_>) {
        /// At most a tenth of the time goes into the lock.
        const SHARE: u32 = 10;
        const LEAST: Duration = Duration::from_millis(50);
        let begun = Instant::now();
        match project.save() {
            Ok(()) => self.unwritten.clear(),
            Err(error) => tracing::debug!(%error, "the lock is written later"),
        }
        self.due = Instant::now() + LEAST.max(begun.elapsed() * SHARE);
    }

    /// Writes what is left; a result that cannot be recorded is none.
    ///
    /// # Errors
    /// The nodes that the file does not name, and why.
    pub fn write_last(&mut self, project: &mut Project<'_>) -> Result<(), (BTreeSet<usize>, StageError)> {
        let nodes = mem::take(&mut self.unwritten);
        if nodes.is_empty() {
            return Ok(());
        }
        let here = project.folder.expect_unmoved();
        let written = here.and_then(|()| project.store.publish_lock()).and_then(|_held| project.save());
        written.map_err(|error| (nodes, error))
    }
}
