use std::{
    io::Write,
    time::{Duration, Instant},
};

use stage_contract::StageError;

use super::schedule::Request;
use crate::{
    fingerprint::{Fingerprint, Key},
    pipeline::Scheduling,
    store::Slot,
    watch::{Fault, NodeSummary, Watch},
};

/// A node that has to execute and has not ended, however many attempts that takes.
pub(super) struct Pending {
    pub begun: Instant,
    pub summary: NodeSummary,
    pub fingerprint: Fingerprint,
    pub key: Key,
    pub request: Request,
    /// Those that it was granted.
    pub gpus: Vec<u64>,
    /// Attempts that failed.
    pub failed: u32,
    /// Between two attempts: the log is in it.
    pub slot: Option<Slot>,
}

impl Pending {
    pub fn new(begun: Instant, summary: NodeSummary, fingerprint: Fingerprint, request: Request) -> Self {
        let key = fingerprint.manifest.key();
        Self { begun, summary, fingerprint, key, request, gpus: Vec::new(), failed: 0, slot: None }
    }

    /// Says why there is another attempt, also in the log, and how long it is to wait.
    pub fn back_off(
        &mut self,
        scheduling: &Scheduling,
        slot: Slot,
        fault: &Fault,
        watch: &mut dyn Watch,
    ) -> Duration {
        self.failed += 1;
        let wait = backoff(scheduling.backoff, self.failed);
        let said = format!(
            "attempt {} of {} failed: {}; the next one starts in {}",
            self.failed,
            scheduling.retries + 1,
            fault.message,
            humantime::format_duration(wait),
        );
        watch.note(&format!("{}: {said}", self.summary.stage));
        if let Err(error) = slot.open_log().and_then(|mut log| {
            writeln!(log, "ner-pipe: {said}").map_err(|e| StageError::io("write", &slot.log(), e))
        }) {
            watch.note(&format!("the log could not be kept: {error}"));
        }
        self.slot = Some(slot);
        wait
    }
}

/// The wait before an attempt after `failed` ones: it doubles each time, up to ten minutes or what the
/// file says, whichever is more.
fn backoff(first: Option<Duration>, failed: u32) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_mins(10);
    let first = first.unwrap_or(DEFAULT);
    let factor = 2_u32.saturating_pow(failed.saturating_sub(1));
    first.saturating_mul(factor).min(LONGEST.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_has_an_end() {
        let waits = |first| [1, 2, 3, 100].map(|failed| backoff(first, failed).as_secs());
        assert_eq!(waits(None), [1, 2, 4, 600]);
        assert_eq!(waits(Some(Duration::from_secs(5))), [5, 10, 20, 600]);
        assert_eq!(waits(Some(Duration::from_hours(1))), [3600; 4]);
        assert_eq!(waits(Some(Duration::ZERO)), [0; 4]);
    }
}
