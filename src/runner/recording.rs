//! Results go into the lock as they come, and the lock to the disk as often as that costs little: its size
//! grows with the number of stages, and so the first hundred would pay for it a hundred times. Whoever stops
//! the run in between finds a lock that lags behind; what it names is there.

use std::{
    collections::BTreeSet,
    mem,
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use super::{
    Loss,
    course::{Message, Run},
};
use crate::{lock::Locked, watch::Outcome};

/// Results that are placed, and that the lock file does not name yet.
pub(super) struct Unwritten {
    nodes: BTreeSet<usize>,
    /// When the file may be written again.
    due: Instant,
}

impl Unwritten {
    pub(super) fn new() -> Self {
        Self { nodes: BTreeSet::new(), due: Instant::now() }
    }
}

impl Run<'_, '_> {
    /// Records a result that is placed. The caller holds [`crate::store::Store::publishing`].
    pub(super) fn record(&mut self, node: usize, locked: Locked) {
        self.project.lock.record(&self.project.pipeline.nodes[node].id, locked);
        self.unwritten.nodes.insert(node);
        if Instant::now() >= self.unwritten.due {
            self.try_to_write();
        }
    }

    /// The next message; none when there was something to write first.
    pub(super) fn next_message(&mut self) -> Option<Message> {
        if self.unwritten.nodes.is_empty() {
            return self.messages.recv().ok();
        }
        let wait = self.unwritten.due.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                // Who holds the cache's lock now may hold it for long, and the end of the run is soon enough.
                if let Ok(_held) = self.project.store.publishing() {
                    self.try_to_write();
                }
                None
            }
        }
    }

    /// What cannot be written now is tried again, and at last in [`Self::write_last`], where it counts.
    fn try_to_write(&mut self) {
        /// At most a tenth of the time goes into the lock.
        const SHARE: u32 = 10;
        const LEAST: Duration = Duration::from_millis(50);
        let begun = Instant::now();
        match self.project.save() {
            Ok(()) => self.unwritten.nodes.clear(),
            Err(error) => tracing::debug!(%error, "the lock is written later"),
        }
        self.unwritten.due = Instant::now() + LEAST.max(begun.elapsed() * SHARE);
    }

    /// Writes what is left; a result that cannot be recorded is none.
    pub(super) fn write_last(&mut self) {
        let nodes = mem::take(&mut self.unwritten.nodes);
        if nodes.is_empty() {
            return;
        }
        let here = self.project.home.expect_here();
        let written =
            here.and_then(|()| self.project.store.publishing()).and_then(|_held| self.project.save());
        let Err(Loss::Fault(fault)) = written.map_err(Loss::from) else { return };
        for node in nodes {
            let Some(ending) = self.endings.get_mut(&node) else { continue };
            ending.outcome = Outcome::Failed;
            ending.fault = Some((*fault).clone());
            self.watch.ended(ending);
        }
    }
}
