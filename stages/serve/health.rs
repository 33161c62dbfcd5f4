//! Whether the server lives, and whether it takes requests.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{json::Json, model::FailedReload, refusal::Refusal, service::Service, tagger::About};

/// What `/health` says.
#[derive(Serialize, JsonSchema)]
pub struct Health {
    /// `ok`: the server lives.
    status: &'static str,
    /// Whether `/predict` takes requests.
    ready: bool,
    /// The model in use; null before the first load.
    model: Option<About>,
    /// Why the last reload failed and the model before is still in use; null unless it did.
    failed_reload: Option<FailedReload>,
}

/// What `/ready` says when it is.
#[derive(Serialize, JsonSchema)]
pub struct Ready {
    /// `ready`.
    status: &'static str,
}

/// 200 as long as the server lives.
pub async fn health(State(service): State<Arc<Service>>) -> impl IntoResponse {
    Json(Health {
        status: "ok",
        ready: service.gate.refusal().is_none(),
        model: service.model.current().map(|loaded| loaded.about),
        failed_reload: service.model.failed_reload(),
    })
}

/// 200 from the first load to a stop, else 503.
pub async fn ready(State(service): State<Arc<Service>>) -> Result<impl IntoResponse, Refusal> {
    match service.gate.refusal() {
        Some(refusal) => Err(refusal),
        None => Ok(Json(Ready { status: "ready" })),
    }
}
