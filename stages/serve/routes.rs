//! Which path is answered by what.

use std::sync::Arc;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    endpoint::predict, health, json::Json, metrics::Metrics, openapi, page, refusal::Refusal,
    service::Service, timing::Timing,
};

/// All routes, each of which `/openapi.json` describes.
pub fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/predict", post(predict))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(document))
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(middleware::from_fn_with_state(service.clone(), around))
        .with_state(service)
}

/// Times a request and secures its answer.
async fn around(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    // A path that is none may hold anything, and is neither counted nor logged.
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let timing = Arc::new(Timing::new(service.metrics.clone(), route));
    request.extensions_mut().insert(timing.clone());
    let mut response = next.run(request).await;
    timing.answered(response.status().as_u16());
    let headers = response.headers_mut();
    // Answers hold text: no cache keeps them, and no browser takes them for a page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let text = service.metrics.text_format(service.gate.visits(), service.queue.length());
    ([(header::CONTENT_TYPE, Metrics::MEDIA_TYPE)], text)
}

async fn document(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let about = service.model.current().map(|loaded| loaded.about);
    Json(openapi::document(about.as_ref(), &service.limits))
}

async fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "there is nothing at this path",
        "POST /predict, or GET /, /health, /ready, /metrics or /openapi.json",
    )
}

async fn other_method(method: Method) -> Refusal {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    // A made-up method may be any word.
    let name = if known.contains(&method) { method.as_str() } else { "this method" };
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("this path does not take {name}"),
        "use the method that the header Allow names",
    )
}
