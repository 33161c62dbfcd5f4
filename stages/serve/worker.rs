//! Threads that run the model, and no request.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    thread,
    time::Instant,
};

use axum::http::StatusCode;
use stage_contract::StageError;
use tokio::sync::oneshot;

use crate::{
    answer::Tagged,
    metrics::Metrics,
    model::{Model, guarded},
    pool::Pool,
    queue::{self, Outcome},
    refusal::Refusal,
    tagger::Tagger,
};
use text::entities::{Entity, Placed};

/// Takes batches from the pool until the queue is gone.
#[derive(Clone)]
pub struct Worker {
    pub pool: Arc<Mutex<Pool>>,
    pub model: Arc<Model>,
    pub metrics: Arc<Metrics>,
    pub waited: Arc<AtomicU64>,
}

/// Why a batch has no entities.
enum Failure {
    Error(StageError),
    Panicked,
    /// As many lists of entities as texts were expected, with places inside of the texts.
    Unsound,
}

impl Worker {
    /// Starts a thread.
    ///
    /// # Errors
    /// The system has none.
    pub fn start(self, number: usize) -> io::Result<()> {
        let thread = thread::Builder::new().name(format!("serve-model-{number}"));
        thread.spawn(move || while self.step() {}).map(drop)
    }

    /// Answers a batch; false when there are no more.
    fn step(&self) -> bool {
        // Who waits for a batch holds the pool: a second thread would only split it.
        let batch = self.pool.lock().unwrap_or_else(PoisonError::into_inner).next(|text| self.tokens(text));
        let Some(batch) = batch else { return false };
        let Some(loaded) = self.model.current() else {
            // Nobody is let in before the first load.
            return true;
        };
        for waiting in &batch.texts {
            queue::note(&self.waited, waiting.since.elapsed());
            self.metrics.waited(waiting.since.elapsed());
        }
        let start = Instant::now();
        let size = batch.texts.len();
        let (texts, replies) = batch.texts.into_iter().map(|waiting| (waiting.text, waiting.reply)).unzip();
        self.answer(&*loaded.tagger, texts, replies);
        self.metrics.batch(size, batch.tokens, start.elapsed());
        true
    }

    /// An estimate, whatever the model does.
    fn tokens(&self, text: &str) -> usize {
        let loaded = self.model.current();
        let tokens = loaded.and_then(|loaded| guarded(|| loaded.tagger.tokens(text)).ok());
        tokens.unwrap_or(text.len())
    }

    fn answer(&self, tagger: &dyn Tagger, texts: Vec<String>, replies: Vec<oneshot::Sender<Outcome>>) {
        match tag(tagger, &texts) {
            Ok(found) => {
                for ((text, entities), reply) in texts.into_iter().zip(found).zip(replies) {
                    let entities = Placed::all(&text, &entities);
                    let outcome = entities.map(|entities| Tagged { text, entities });
                    let outcome = outcome.ok_or_else(|| Failure::Unsound.refusal());
                    self.metrics.text(outcome.is_ok());
                    // Who does not wait any more needs no answer.
                    let _ = reply.send(outcome);
                }
            }
            Err(failure) if texts.len() == 1 => {
                // What the model says may be about the text, and is for its sender alone.
                tracing::warn!("a text of {} bytes could not be tagged{}", texts[0].len(), failure.of_what());
                let refusal = failure.refusal();
                for reply in replies {
                    self.metrics.text(false);
                    let _ = reply.send(Err(refusal.clone()));
                }
            }
            Err(_) => {
                for (text, reply) in texts.into_iter().zip(replies) {
                    self.answer(tagger, vec![text], vec![reply]);
                }
            }
        }
    }
}

fn tag(tagger: &dyn Tagger, texts: &[String]) -> Result<Vec<Vec<Entity>>, Failure> {
    let found = guarded(|| tagger.tag(texts)).map_err(|_| Failure::Panicked)?.map_err(Failure::Error)?;
    if found.len() == texts.len() { Ok(found) } else { Err(Failure::Unsound) }
}

impl Failure {
    fn of_what(&self) -> &'static str {
        match self {
            Self::Error(_) => "",
            Self::Panicked => ": the model panicked",
            Self::Unsound => ": the model gave entities that the text cannot have",
        }
    }

    fn refusal(self) -> Refusal {
        let ours = |message| {
            let help =
                "send the request without this text, and report the text's shape (length, script) as a bug";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message, help)
        };
        match self {
            Self::Error(error) => Refusal::of(&error),
            Self::Panicked => ours("the model panicked"),
            Self::Unsound => ours("the model gave entities that the text cannot have"),
        }
    }
}
