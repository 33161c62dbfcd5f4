//! The page, the metrics, and that `/openapi.json` is true.

mod fake;

use std::collections::BTreeSet;

use boon::{Compiler, Draft, Schemas};
use serde_json::{Value, json};
use serve::Limits;

use fake::{Answer, Fake, Hold, Running, get, post, predict, request};

const URL: &str = "file:///openapi.json";

fn running() -> Running {
    Running::with(Fake { name: "student".to_owned(), ..Fake::default() }, Limits::default())
}

/// What the schema at a JSON pointer of the document says against a value.
fn violation(document: &Value, pointer: &str, value: &Value) -> Option<String> {
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.add_resource(URL, document.clone()).expect("is a document");
    let schema = compiler
        .compile(&format!("{URL}#{pointer}"), &mut schemas)
        .unwrap_or_else(|e| panic!("{pointer}: {e}"));
    schemas.validate(value, schema).err().map(|e| e.to_string())
}

/// The schema of an answer.
fn schema(method: &str, path: &str, answer: &Answer) -> String {
    let media = answer.header("content-type").split(';').next().unwrap_or_default();
    let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
    let (path, media) = (escaped(path), escaped(media));
    format!("/paths/{path}/{method}/responses/{}/content/{media}/schema", answer.status)
}

#[test]
fn every_answer_is_as_the_document_says() {
    let server = running();
    let document = get(server.address, "/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    for path in ["/health", "/ready", "/openapi.json"] {
        let answer = get(server.address, path);
        assert_eq!(violation(&document, &schema("get", path, &answer), &answer.json()), None, "{path}");
    }
    let media = "application/json";
    for (body, status) in [
        (json!({"text": "à Évry", "id": 1}), 200),
        (json!({"texts": ["Zoé", ""]}), 200),
        (json!({"text": 1}), 400),
        (json!({"texts": vec![""; 257]}), 413),
        (json!({"text": "fail"}), 422),
        (json!({"text": "panic"}), 500),
    ] {
        let answer = predict(server.address, &body);
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(
            violation(&document, &schema("post", "/predict", &answer), &answer.json()),
            None,
            "{answer:?}"
        );
        // Schema and server refuse the same requests.
        let asked =
            violation(&document, "/paths/~1predict/post/requestBody/content/application~1json/schema", &body);
        assert_eq!(asked.is_some(), [400, 413].contains(&status), "{body}: {asked:?}");
    }
    let answer = post(server.address, "text/plain", "");
    assert_eq!(violation(&document, &schema("post", "/predict", &answer), &answer.json()), None);
    let answer = post(server.address, "application/x-ndjson", "{\"text\":\"Zoé\"}\nbad\n");
    let pointer = schema("post", "/predict", &answer);
    for line in answer.body.lines() {
        let line = serde_json::from_str(line).expect("is JSON");
        assert_eq!(violation(&document, &pointer, &line), None, "{line}");
    }
    drop(predict(server.address, &json!({"text": media})));
}

#[test]
fn the_document_would_notice_another_answer() {
    let server = running();
    let document = get(server.address, "/openapi.json").json();
    let answer = predict(server.address, &json!({"text": "Zoé"}));
    let pointer = schema("post", "/predict", &answer);
    let change = |pointer: &str, value: Value| {
        let mut answer = answer.json();
        *answer.pointer_mut(pointer).expect("is there") = value;
        answer
    };
    for other in [
        change("/entities/0/type", json!("NOTHING")),
        change("/entities/0/start", json!(-1)),
        change("/entities/0/score", json!(2)),
        change("/entities", json!(null)),
    ] {
        assert!(violation(&document, &pointer, &other).is_some(), "{other}");
    }
}

#[test]
fn the_document_has_all_routes_and_statuses() {
    let hold = Hold::held();
    let server = Running::with(
        Fake { hold, ..Fake::default() },
        Limits { timeout: std::time::Duration::from_millis(100), ..Limits::default() },
    );
    let document = get(server.address, "/openapi.json").json();
    let paths = document["paths"].as_object().expect("is a map");
    for (path, operations) in paths {
        for method in operations.as_object().expect("is a map").keys() {
            let answer = request(server.address, &method.to_uppercase(), path, &[], b"");
            assert!(![404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
        }
    }
    let paths: BTreeSet<_> = paths.keys().map(String::as_str).collect();
    assert_eq!(paths, BTreeSet::from(["/", "/health", "/metrics", "/openapi.json", "/predict", "/ready"]));
    let answer = predict(server.address, &json!({"text": "late"}));
    assert_eq!(answer.status, 504);
    assert_eq!(violation(&document, &schema("post", "/predict", &answer), &answer.json()), None);
    server.control.stop();
}

#[test]
fn the_page_asks_nobody_else_and_runs_nothing_else() {
    let server = running();
    let page = get(server.address, "/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'sha256-",
        "style-src 'sha256-",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.body.contains(outside), "{outside}");
    }
    let head = request(server.address, "HEAD", "/", &[], b"");
    assert_eq!(head.status, 200);
}

#[test]
fn metrics_count_requests_texts_batches_and_time() {
    let server = running();
    assert_eq!(predict(server.address, &json!({"texts": ["Zoé", "a b c"]})).status, 200);
    assert_eq!(get(server.address, "/nowhere/at/all").status, 404);
    let answer = get(server.address, "/metrics");
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answer.body.ends_with("# EOF\n"));
    for line in [
        r#"ner_pipe_requests_total{route="/predict",status="200"} 1"#,
        r#"ner_pipe_requests_total{route="other",status="404"} 1"#,
        r#"ner_pipe_request_duration_seconds_count{route="/predict"} 1"#,
        "ner_pipe_queue_wait_seconds_count 2",
        "ner_pipe_queue_length 0",
        "ner_pipe_requests_in_flight 0",
        r#"ner_pipe_texts_total{outcome="tagged"} 2"#,
        r#"ner_pipe_model_loads_total{outcome="loaded"} 1"#,
        "# TYPE ner_pipe_batch_texts histogram",
        "# TYPE ner_pipe_batch_tokens histogram",
        "# TYPE ner_pipe_batch_duration_seconds histogram",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line} is not in:\n{}", answer.body);
    }
    assert!(!answer.body.contains("nowhere"));
}
