use std::sync::Arc;

use crate::{gate::Gate, limits::Limits, metrics::Metrics, model::Model, queue::Queue};

/// What all requests share.
pub struct Service {
    pub limits: Limits,
    pub gate: Arc<Gate>,
    pub queue: Queue,
    pub model: Arc<Model>,
    pub metrics: Arc<Metrics>,
}
