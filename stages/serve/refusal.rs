//! Why a request, or a line of a stream, gets no entities.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use stage_contract::{Invalid, StageError};

/// A status, what is wrong, and what to do. It quotes nothing of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    message: String,
    help: String,
    /// Seconds until another try may succeed.
    retry_after: Option<u64>,
}

/// The body of an answer without entities, and a line of a stream in the place of a bad one.
#[derive(Serialize, JsonSchema)]
pub struct Failed {
    error: Reason,
}

/// What is wrong, and what to do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
struct Reason {
    /// The line of a stream, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// What is wrong.
    message: String,
    /// What to do.
    help: String,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { status, message: message.into(), help: help.into(), retry_after: None }
    }

    /// The request itself is wrong.
    pub fn bad(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, help)
    }

    /// The model gives an error for a text.
    pub fn of(error: &StageError) -> Self {
        let Invalid { message, help, .. } = Invalid::of(error);
        let help = help.unwrap_or_else(|| "send the request without this text".to_owned());
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message, help)
    }

    /// The server ends before there is an answer.
    pub fn stopping() -> Self {
        let message = "the server is stopping";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message, "send the request again in a moment")
            .retry_after(1)
    }

    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Whether the model itself has no answer for a text.
    pub fn is_about_the_text(&self) -> bool {
        matches!(self.status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Which of several texts it is about, from 1.
    #[must_use]
    pub fn about(self, number: usize, of: usize) -> Self {
        Self { message: format!("text {number} of {of}: {}", self.message), ..self }
    }

    /// As JSON; `line` is that of a stream.
    pub fn body(self, line: Option<u64>) -> Failed {
        Failed { error: Reason { line, message: self.message, help: self.help } }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status, self.retry_after);
        let mut response = (status, crate::json::Json(self.body(None))).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // The next try may find another server behind the same address.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
