//! `POST /predict`.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use crate::{
    answer::{Answer, Tagged},
    body,
    gate::Visit,
    json::Json,
    media::Media,
    refusal::Refusal,
    request::{self, Shape},
    service::Service,
    stream,
    timing::Timing,
};

/// Answers with entities, or says why not.
pub async fn predict(
    State(service): State<Arc<Service>>,
    Extension(timing): Extension<Arc<Timing>>,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    let (media, visit) = match admit(&service, &head.headers) {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(refusal, &head.headers, body).await,
    };
    match media {
        Media::Lines => stream::answer(service, visit, timing, body),
        Media::Json => match one(&service, &mut body).await {
            Ok(response) => response,
            Err(refusal) => {
                drop(visit);
                refuse(refusal, &head.headers, body).await
            }
        },
    }
}

fn admit(service: &Service, headers: &HeaderMap) -> Result<(Media, Visit), Refusal> {
    let media = Media::of(headers)?;
    Ok((media, service.gate.enter()?))
}

async fn refuse(refusal: Refusal, headers: &HeaderMap, mut body: Body) -> Response {
    // Who expects `100 Continue` has sent nothing yet, and who is slow had time enough.
    if !headers.contains_key(header::EXPECT) && refusal.status != StatusCode::REQUEST_TIMEOUT {
        body::drain(&mut body).await;
    }
    refusal.into_response()
}

async fn one(service: &Service, body: &mut Body) -> Result<Response, Refusal> {
    let deadline = Instant::now() + service.limits.timeout;
    let json = body::whole(body, service.limits.body, deadline).await?;
    let request::Request { fields, shape } = request::Request::parse(&json, &service.limits)?;
    match shape {
        Shape::One(text) => {
            let tagged = all(service, vec![text]).await?;
            let added = &tagged.first().ok_or_else(Refusal::stopping)?.entities;
            Ok(Json(Answer { fields: &fields, name: "entities", added }).into_response())
        }
        Shape::Many(texts) => {
            let added = &all(service, texts).await?;
            Ok(Json(Answer { fields: &fields, name: "results", added }).into_response())
        }
    }
}

/// Entities of all texts, or why one of them has none.
async fn all(service: &Service, texts: Vec<String>) -> Result<Vec<Tagged>, Refusal> {
    let of = texts.len();
    let deadline = Instant::now() + service.limits.timeout;
    let mut tagged = Vec::with_capacity(of);
    for (at, outcome) in service.queue.offer(texts)?.into_iter().enumerate() {
        let answered = service.answered(outcome, deadline).await;
        let number = |refusal: Refusal| {
            // That the server is slow or stops is about no text.
            let of_text = of > 1 && refusal.is_about_the_text();
            if of_text { refusal.about(at + 1, of) } else { refusal }
        };
        tagged.push(answered.map_err(number)?);
    }
    Ok(tagged)
}
