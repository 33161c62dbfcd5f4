//! Whether requests are let in, and how many are inside.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use tokio::{sync::watch, time::timeout};

use crate::refusal::Refusal;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The first load of the model is under way.
    #[default]
    Starting,
    Serving,
    /// Who is inside is answered, and nobody else.
    Draining,
    /// Who is still inside is sent away.
    Over,
}

#[derive(Debug, Default)]
struct Inside {
    phase: Phase,
    visits: usize,
}

/// The one place that knows where in its life the server is.
#[derive(Debug, Default)]
pub struct Gate(watch::Sender<Inside>);

/// A request that was let in, until its answer is ready.
#[derive(Debug)]
pub struct Visit(Arc<Gate>);

impl Gate {
    /// The model is there.
    pub fn open(&self) {
        self.0.send_if_modified(|inside| {
            let starting = inside.phase == Phase::Starting;
            if starting {
                inside.phase = Phase::Serving;
            }
            starting
        });
    }

    /// Lets nobody in any more; asked again, sends away who is inside.
    pub fn stop(&self) {
        self.0.send_modify(|inside| {
            inside.phase = if inside.phase < Phase::Draining { Phase::Draining } else { Phase::Over };
        });
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// 503 before the model is there and from a stop on.
    pub fn enter(self: &Arc<Self>) -> Result<Visit, Refusal> {
        // Phase and number change under one lock: nobody slips in after the last has left.
        let mut refused = None;
        self.0.send_if_modified(|inside| {
            refused = refusal(inside.phase);
            inside.visits += usize::from(refused.is_none());
            refused.is_none()
        });
        refused.map_or_else(|| Ok(Visit(self.clone())), Err)
    }

    /// Why nobody is let in now.
    pub fn refusal(&self) -> Option<Refusal> {
        refusal(self.0.borrow().phase)
    }

    /// How many are inside.
    pub fn visits(&self) -> usize {
        self.0.borrow().visits
    }

    /// Ends when whoever is inside must leave.
    pub async fn over(&self) {
        self.until(|inside| inside.phase == Phase::Over).await;
    }

    /// Ends when after a stop all have left, or `grace` is over: then they must.
    pub async fn drained(&self, grace: Duration) {
        self.until(|inside| inside.phase >= Phase::Draining).await;
        let empty = self.until(|inside| inside.visits == 0 || inside.phase == Phase::Over);
        if timeout(grace, empty).await.is_err() {
            tracing::warn!("{} requests are not answered after {grace:?}, and are ended", self.visits());
        }
        self.0.send_modify(|inside| inside.phase = Phase::Over);
    }

    async fn until(&self, condition: impl FnMut(&Inside) -> bool) {
        // An error would mean that the sender is gone, which is `self`.
        let _ = self.0.subscribe().wait_for(condition).await;
    }
}

fn refusal(phase: Phase) -> Option<Refusal> {
    match phase {
        Phase::Starting => {
            let refusal = Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the model is being loaded",
                "send the request again in a moment; /ready says when",
            );
            Some(refusal.retry_after(1))
        }
        Phase::Serving => None,
        Phase::Draining | Phase::Over => Some(Refusal::stopping()),
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.0.send_modify(|inside| inside.visits -= 1);
    }
}
