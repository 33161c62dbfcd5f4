//! A model's entities over HTTP: `POST /predict`, and what an operator needs around it.
//!
//! The model is behind [`Tagger`]. A request's way: [`routes`] -> [`endpoint`] (or [`stream`] for lines) -> [`queue`], with
//! a bounded number of places -> [`pool`], which makes batches of texts of similar length -> [`worker`], the only threads
//! that run the model -> back by a channel for each text. A text that fails costs nobody else an answer, a model that
//! panics costs one request. [`gate`] knows whether requests are let in; [`loader`] opens the model and opens it anew.
//!
//! Nothing here logs a text or quotes one in an error. There is no authentication.

mod answer;
mod body;
mod endpoint;
mod gate;
mod health;
mod json;
mod limits;
mod lines;
mod loader;
mod media;
mod metrics;
mod model;
mod openapi;
mod page;
mod pool;
mod process;
mod queue;
mod refusal;
mod request;
mod routes;
mod server;
mod service;
mod stream;
mod tagger;
mod timing;
mod worker;

use std::sync::Arc;

use stage_contract::StageError;

pub use limits::Limits;
pub use server::{Control, Server};
pub use tagger::{About, Open, Tagger};

/// Where a server listens unless told otherwise: on this machine alone.
pub const ADDRESS: &str = "127.0.0.1:8080";

/// Serves a model until this process is asked to stop: Ctrl-C and SIGTERM finish what was accepted, SIGHUP opens the model
/// anew. Takes the process's signals, and keeps the words of its panics out of the log.
///
/// # Errors
/// As [`Server::bind`] and [`Server::run`].
pub fn run(address: &str, open: Arc<Open>, limits: Limits) -> Result<(), StageError> {
    let server = Server::bind(address, open, limits)?;
    process::keep_panics_quiet();
    process::obey(server.control())?;
    server.run()
}
