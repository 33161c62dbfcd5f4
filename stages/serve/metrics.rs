//! What `/metrics` counts.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Came {
    outcome: &'static str,
}

type Seconds = Family<Route, Histogram>;

/// Counters and histograms; routes are those of the server, so that nobody makes more of them.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    request_duration: Seconds,
    in_flight: Gauge,
    queue_length: Gauge,
    queue_wait: Histogram,
    batch_texts: Histogram,
    batch_tokens: Histogram,
    batch_duration: Histogram,
    texts: Family<Came, Counter>,
    loads: Family<Came, Counter>,
}

/// 1 ms to 33 s, doubling: the timeout's default lies within.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ner_pipe");
        let metrics = Self {
            requests: Family::default(),
            request_duration: Family::new_with_constructor(seconds),
            in_flight: Gauge::default(),
            queue_length: Gauge::default(),
            queue_wait: seconds(),
            batch_texts: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            batch_tokens: Histogram::new(exponential_buckets(8.0, 2.0, 12)),
            batch_duration: seconds(),
            texts: Family::default(),
            loads: Family::default(),
            registry: Registry::default(),
        };
        let of = Unit::Seconds;
        registry.register("requests", "Requests by route and status", metrics.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From a request's head to its answer, of a stream to its end",
            of.clone(),
            metrics.request_duration.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests that were let in and are not answered yet",
            metrics.in_flight.clone(),
        );
        registry.register("queue_length", "Texts that wait for the model", metrics.queue_length.clone());
        registry.register_with_unit(
            "queue_wait",
            "How long texts waited for the model",
            of.clone(),
            metrics.queue_wait.clone(),
        );
        registry.register("batch_texts", "Texts of a batch", metrics.batch_texts.clone());
        registry.register(
            "batch_tokens",
            "Estimated tokens of a batch, padding included",
            metrics.batch_tokens.clone(),
        );
        registry.register_with_unit(
            "batch_duration",
            "How long the model took for a batch",
            of,
            metrics.batch_duration.clone(),
        );
        registry.register(
            "texts",
            "Texts by outcome: tagged, failed, or abandoned by their client",
            metrics.texts.clone(),
        );
        registry.register(
            "model_loads",
            "Loads of the model by outcome; a failed one keeps the model before",
            metrics.loads.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// The media type of [`Metrics::text_format`].
    pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.requests.get_or_create(&Answered { route: route.clone(), status }).inc();
        self.request_duration.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }

    pub fn waited(&self, wait: Duration) {
        self.queue_wait.observe(wait.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "no batch has 2^52 tokens")]
    pub fn batch(&self, texts: usize, tokens: usize, took: Duration) {
        self.batch_texts.observe(texts as f64);
        self.batch_tokens.observe(tokens as f64);
        self.batch_duration.observe(took.as_secs_f64());
    }

    pub fn text(&self, tagged: bool) {
        let outcome = if tagged { "tagged" } else { "failed" };
        self.texts.get_or_create(&Came { outcome }).inc();
    }

    pub fn abandoned(&self, count: usize) {
        self.texts.get_or_create(&Came { outcome: "abandoned" }).inc_by(count as u64);
    }

    pub fn loaded(&self, well: bool) {
        self.loads.get_or_create(&Came { outcome: if well { "loaded" } else { "failed" } }).inc();
    }

    /// All of it in the text format of OpenMetrics, which Prometheus reads; the two numbers are of now.
    pub fn text_format(&self, in_flight: usize, queue_length: usize) -> String {
        self.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        self.queue_length.set(i64::try_from(queue_length).unwrap_or(i64::MAX));
        let mut text = String::new();
        // A String refuses nothing.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
