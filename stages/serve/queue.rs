//! Texts that wait for the model: a bounded number of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{answer::Tagged, refusal::Refusal};

/// What a text is answered with.
pub type Outcome = Result<Tagged, Refusal>;

/// A text on its way to the model.
pub struct Waiting {
    pub text: String,
    pub since: Instant,
    /// Closed when nobody waits for the answer any more.
    pub reply: oneshot::Sender<Outcome>,
    /// Free again when a batch takes the text.
    _places: [Option<OwnedSemaphorePermit>; 2],
}

/// The queue's end for requests. Batches are made of what comes out of [`Queue::new`]'s receiver.
pub struct Queue {
    places: Arc<Semaphore>,
    /// A part of the places: one long stream does not keep everybody else out.
    of_streams: Arc<Semaphore>,
    capacity: usize,
    sender: mpsc::Sender<Waiting>,
    /// How long the last text that a batch took had waited, in milliseconds.
    waited: Arc<AtomicU64>,
}

impl Queue {
    pub fn new(capacity: usize, waited: Arc<AtomicU64>) -> (Self, mpsc::Receiver<Waiting>) {
        let (sender, receiver) = mpsc::channel();
        let places = Arc::new(Semaphore::new(capacity));
        let of_streams = Arc::new(Semaphore::new(Self::share(capacity)));
        (Self { places, of_streams, capacity, sender, waited }, receiver)
    }

    /// Places that all streams together may take.
    pub fn share(capacity: usize) -> usize {
        (capacity / 2).max(1)
    }

    /// How many texts wait.
    pub fn length(&self) -> usize {
        self.capacity - self.places.available_permits()
    }

    /// Takes all of these texts or none.
    ///
    /// # Errors
    /// 429 when there is no place for all of them.
    pub fn offer(&self, texts: Vec<String>) -> Result<Vec<oneshot::Receiver<Outcome>>, Refusal> {
        let full = || {
            let message = format!("the queue is full: {} texts wait for the model", self.length());
            let seconds = self.waited.load(Ordering::Relaxed).div_ceil(1000).max(1);
            Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                message,
                format!("send the request again in {seconds} s, or fewer texts at once"),
            )
            .retry_after(seconds)
        };
        let count = u32::try_from(texts.len()).map_err(|_| full())?;
        let mut places = self.places.clone().try_acquire_many_owned(count).map_err(|_| full())?;
        texts.into_iter().map(|text| self.push(text, [places.split(1), None])).collect()
    }

    /// Takes a text of a stream as soon as there is a place.
    ///
    /// # Errors
    /// 503 when the server is stopping.
    pub async fn put(&self, text: String) -> Result<oneshot::Receiver<Outcome>, Refusal> {
        // The streams' own places first: who waits for those takes nothing from others.
        let own = self.of_streams.clone().acquire_owned().await;
        let place = self.places.clone().acquire_owned().await;
        self.push(text, [place.ok(), own.ok()])
    }

    fn push(
        &self,
        text: String,
        places: [Option<OwnedSemaphorePermit>; 2],
    ) -> Result<oneshot::Receiver<Outcome>, Refusal> {
        let (reply, outcome) = oneshot::channel();
        let waiting = Waiting { text, since: Instant::now(), reply, _places: places };
        self.sender.send(waiting).map_err(|_| Refusal::stopping())?;
        Ok(outcome)
    }
}

/// Notes how long a text had waited when a batch took it.
pub fn note(waited: &AtomicU64, wait: Duration) {
    waited.store(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}
