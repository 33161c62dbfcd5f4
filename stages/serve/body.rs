//! Bodies of requests, within bounds of size and time.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout_at};

use crate::refusal::Refusal;

/// Most bytes of a refused body that are read and dropped.
const DRAINED: usize = 64 << 20;

/// How long a refused body is read.
const DRAINING: Duration = Duration::from_secs(5);

/// The next piece of a body. None at its end.
///
/// # Errors
/// 408 when it does not come in time, 400 when the connection breaks.
pub async fn piece(body: &mut Body, deadline: Instant) -> Result<Option<Bytes>, Refusal> {
    loop {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            return Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "the request did not come in time",
                "send it faster, or in smaller parts",
            ));
        };
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                // What is no data is a trailer.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(_)) => return Err(Refusal::bad("the request's body ends early", "send all of it")),
        }
    }
}

/// A whole body.
///
/// # Errors
/// 413 when it has more bytes than `limit`; as [`piece`].
pub async fn whole(body: &mut Body, limit: usize, deadline: Instant) -> Result<Vec<u8>, Refusal> {
    let large = || {
        let message = format!("the body has more than {limit} bytes");
        let help =
            "send fewer texts in a request, or one object a line as `Content-Type: application/x-ndjson`";
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message, help)
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(large());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = piece(body, deadline).await? {
        if bytes.len() + piece.len() > limit {
            return Err(large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Reads on and drops it: most clients send all before they look for an answer, and would see a broken connection in its
/// place.
pub async fn drain(body: &mut Body) {
    let deadline = Instant::now() + DRAINING;
    let mut left = DRAINED;
    while let Ok(Some(piece)) = piece(body, deadline).await {
        let Some(rest) = left.checked_sub(piece.len()) else { return };
        left = rest;
    }
}
