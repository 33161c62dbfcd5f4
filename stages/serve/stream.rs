//! A stream of lines, answered in their order while they come.
//!
//! One task reads and one writes. Between them is a bounded channel of texts that wait for the model, so that who does not
//! read the answers is not read from either.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{
    answer::Answer,
    gate::Visit,
    json,
    lines::{Lines, Next},
    media::Media,
    queue::{Outcome, Queue},
    refusal::Refusal,
    request::{Field, Request, Shape},
    service::Service,
    timing::Timing,
};

/// A line that was read, in its place.
enum Read {
    Waiting { line: u64, fields: Vec<Field>, outcome: oneshot::Receiver<Outcome>, deadline: Instant },
    Refused { line: u64, refusal: Refusal },
}

/// Pieces of an answer that are written and not taken yet.
const UNTAKEN: usize = 16;

/// Answers at once, and writes as it reads.
pub fn answer(service: Arc<Service>, visit: Visit, timing: Arc<Timing>, body: Body) -> Response {
    let (sender, answer) = Channel::<Bytes, axum::Error>::new(UNTAKEN);
    let (read, to_write) = mpsc::channel(Queue::share(service.limits.queue));
    let lines = Lines::new(body, service.limits.body, service.limits.timeout);
    tokio::spawn(take(service.clone(), lines, read));
    tokio::spawn(async move {
        write(&service, to_write, sender).await;
        drop((visit, timing));
    });
    ([(header::CONTENT_TYPE, HeaderValue::from_static(Media::LINES))], Body::new(answer)).into_response()
}

/// Reads lines until there are no more, or nobody takes the answers.
async fn take(service: Arc<Service>, mut lines: Lines, read: mpsc::Sender<Read>) {
    loop {
        let next = tokio::select! {
            biased;
            () = service.gate.over() => Next::Broken(lines.number(), Refusal::stopping()),
            () = read.closed() => return,
            next = lines.next() => next,
        };
        let (next, last) = match next {
            Next::End => return,
            Next::Line(line, json) => (put(&service, line, &json).await, false),
            Next::Long(line) => (Read::Refused { line, refusal: long(service.limits.body) }, false),
            Next::Broken(line, refusal) => (Read::Refused { line, refusal }, true),
        };
        if read.send(next).await.is_err() || last {
            return;
        }
    }
}

async fn put(service: &Service, line: u64, json: &[u8]) -> Read {
    let request = match Request::parse(json, &service.limits) {
        Ok(request) => request,
        Err(refusal) => return Read::Refused { line, refusal },
    };
    let Shape::One(text) = request.shape else {
        let refusal = Refusal::bad("a line has `texts`", r#"send {"text": "…"} on each line"#);
        return Read::Refused { line, refusal };
    };
    let outcome = tokio::select! {
        outcome = timeout(service.limits.timeout, service.queue.put(text)) => outcome.unwrap_or_else(|_| Err(busy())),
        () = service.gate.over() => Err(Refusal::stopping()),
    };
    match outcome {
        Ok(outcome) => {
            let deadline = Instant::now() + service.limits.timeout;
            Read::Waiting { line, fields: request.fields, outcome, deadline }
        }
        Err(refusal) => Read::Refused { line, refusal },
    }
}

/// Writes answers in the order of the lines, until there are no more or nobody takes them.
async fn write(
    service: &Service,
    mut to_write: mpsc::Receiver<Read>,
    mut sender: Sender<Bytes, axum::Error>,
) {
    while let Some(read) = to_write.recv().await {
        let mut written = match read {
            Read::Refused { line, refusal } => json::bytes(&refusal.body(Some(line))),
            Read::Waiting { line, fields, outcome, deadline } => {
                match service.answered(outcome, deadline).await {
                    Ok(tagged) => {
                        json::bytes(&Answer { fields: &fields, name: "entities", added: &tagged.entities })
                    }
                    Err(refusal) => json::bytes(&refusal.body(Some(line))),
                }
            }
        };
        written.push(b'\n');
        let sent = timeout(service.limits.timeout, sender.send_data(written.into())).await;
        if !matches!(sent, Ok(Ok(()))) {
            // An answer that ends like a whole one would hide what is missing.
            sender.abort(axum::Error::new("the client does not read the answer"));
            return;
        }
    }
}

fn long(limit: usize) -> Refusal {
    let message = format!("the line has more than {limit} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message, "cut its text where a paragraph or sentence ends")
}

fn busy() -> Refusal {
    let help = "send the line again when the server is less busy";
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "the queue stays full", help)
}
