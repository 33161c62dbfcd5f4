use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Instant,
};

use crate::metrics::Metrics;

/// Counts a request when its last holder lets go: of a stream that is the end of the stream.
pub struct Timing {
    metrics: Arc<Metrics>,
    route: String,
    start: Instant,
    status: AtomicU16,
}

/// The status in the count when a client leaves before it gets one, as nginx has it.
const CLIENT_LEFT: u16 = 499;

impl Timing {
    /// Starts the clock.
    pub fn new(metrics: Arc<Metrics>, route: String) -> Self {
        Self { metrics, route, start: Instant::now(), status: AtomicU16::new(CLIENT_LEFT) }
    }

    /// The answer's status.
    pub fn answered(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        let (status, took) = (self.status.load(Ordering::Relaxed), self.start.elapsed());
        self.metrics.request(&self.route, status, took);
        tracing::debug!("{} {status} {} ms", self.route, took.as_millis());
    }
}
