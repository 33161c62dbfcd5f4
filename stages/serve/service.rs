use std::sync::Arc;

use axum::http::StatusCode;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{
    answer::Tagged,
    gate::Gate,
    limits::Limits,
    metrics::Metrics,
    model::Model,
    queue::{Outcome, Queue},
    refusal::Refusal,
};

/// What all requests share.
pub struct Service {
    pub limits: Limits,
    pub gate: Arc<Gate>,
    pub queue: Queue,
    pub model: Arc<Model>,
    pub metrics: Arc<Metrics>,
}

impl Service {
    /// What the model gives for a text in the queue.
    ///
    /// # Errors
    /// As the model says; 504 when it does not in time, 503 when the server is over before that.
    pub async fn answered(
        &self,
        outcome: oneshot::Receiver<Outcome>,
        deadline: Instant,
    ) -> Result<Tagged, Refusal> {
        tokio::select! {
            biased;
            outcome = timeout_at(deadline, outcome) => match outcome {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(Refusal::stopping()),
                Err(_) => Err(Refusal::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    format!("the model did not answer within {:?}", self.limits.timeout),
                    "send the request again when the server is less busy, or shorter texts",
                )),
            },
            () = self.gate.over() => Err(Refusal::stopping()),
        }
    }
}
