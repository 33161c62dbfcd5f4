//! Load, reload and stop.

mod fake;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use serve::{Limits, Server, Tagger};
use stage_contract::StageError;

use fake::{Fake, Hold, Raw, Running, get, post, predict, until};

fn named(name: &str) -> Arc<dyn Tagger> {
    Arc::new(Fake { name: name.to_owned(), ..Fake::default() })
}

#[test]
fn before_the_first_load_it_lives_and_is_not_ready() {
    let (open, opened) = std::sync::mpsc::channel::<()>();
    let opened = Mutex::new(opened);
    let server = Running::opening(
        Arc::new(move || {
            let _ = opened.lock().expect("whole").recv();
            Ok(named("a"))
        }),
        Limits::default(),
    );
    until(|| get(server.address, "/health").status == 200);
    let health = get(server.address, "/health").json();
    assert_eq!(health, json!({"status": "ok", "ready": false, "model": null, "failed_reload": null}));
    for answer in [get(server.address, "/ready"), predict(server.address, &json!({"text": "a"}))] {
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        assert!(answer.error().contains("being loaded"));
    }
    assert_eq!(post(server.address, "application/x-ndjson", "{}").status, 503);
    for path in ["/", "/metrics", "/openapi.json"] {
        assert_eq!(get(server.address, path).status, 200, "{path}");
    }
    open.send(()).expect("waits");
    server.ready();
    assert_eq!(predict(server.address, &json!({"text": "a"})).status, 200);
    assert_eq!(get(server.address, "/ready").json(), json!({"status": "ready"}));
    assert_eq!(get(server.address, "/health").json()["model"]["name"], "a");
}

#[test]
fn a_model_that_cannot_be_opened_ends_the_server_with_its_help() {
    let server = Running::opening(
        Arc::new(|| Err(StageError::new("no weights").help("copy them"))),
        Limits::default(),
    );
    let error = server.ended().expect_err("does not serve");
    assert_eq!((error.to_string().as_str(), error.advice()), ("no weights", Some("copy them")));
    let server = Running::opening(Arc::new(|| panic!("at the start")), Limits::default());
    assert!(server.ended().expect_err("does not serve").to_string().contains("panicked"));
}

/// A model that is another each time, or fails as `fails` says.
fn counting(fails: fn(usize) -> bool) -> Running {
    let opened = AtomicUsize::new(0);
    let running = Running::opening(
        Arc::new(move || {
            let number = opened.fetch_add(1, Ordering::SeqCst);
            if fails(number) {
                Err(StageError::new("half a file").help("copy it again"))
            } else {
                Ok(named(&format!("model-{number}")))
            }
        }),
        Limits::default(),
    );
    running.ready();
    running
}

#[test]
fn a_reload_puts_the_new_model_in_place() {
    let server = counting(|_| false);
    let name = || get(server.address, "/health").json()["model"]["name"].clone();
    assert_eq!(name(), "model-0");
    server.control.reload();
    until(|| name() == "model-1");
    assert_eq!(predict(server.address, &json!({"text": "Zoé"})).status, 200);
    assert_eq!(get(server.address, "/openapi.json").json()["info"]["title"], "model-1");
}

#[test]
fn a_reload_that_fails_keeps_the_model_and_says_so() {
    let server = counting(|number| number == 1);
    server.control.reload();
    let health = || get(server.address, "/health").json();
    until(|| !health()["failed_reload"].is_null());
    assert_eq!(health()["failed_reload"], json!({"message": "half a file", "help": "copy it again"}));
    assert_eq!(
        (health()["model"]["name"].as_str(), health()["ready"].as_bool()),
        (Some("model-0"), Some(true))
    );
    assert!((server.metric(r#"ner_pipe_model_loads_total{outcome="failed"}"#) - 1.0).abs() < 0.1);
    assert_eq!(predict(server.address, &json!({"text": "Zoé"})).status, 200);
    server.control.reload();
    until(|| health()["model"]["name"] == "model-2");
    assert!(health()["failed_reload"].is_null());
}

#[test]
fn a_reload_under_way_leaves_batches_to_the_model_that_began_them() {
    let (hold, opened) = (Hold::held(), AtomicUsize::new(0));
    let slow = hold.clone();
    let server = Running::opening(
        Arc::new(move || {
            let first = opened.fetch_add(1, Ordering::SeqCst) == 0;
            let hold = if first { slow.clone() } else { Hold::default() };
            Ok(Arc::new(Fake { name: first.to_string(), hold, ..Fake::default() }))
        }),
        Limits::default(),
    );
    server.ready();
    let address = server.address;
    let under_way = thread::spawn(move || predict(address, &json!({"text": "Zoé"})));
    until(|| server.metric("ner_pipe_requests_in_flight") > 0.0);
    server.control.reload();
    until(|| get(address, "/health").json()["model"]["name"] == "false");
    hold.release();
    assert_eq!(under_way.join().expect("answers").status, 200);
}

/// A server with one request whose text is with the model.
fn busy(limits: Limits) -> (Running, Hold, thread::JoinHandle<fake::Answer>) {
    let hold = Hold::held();
    let server = Running::with(Fake { hold: hold.clone(), ..Fake::default() }, limits);
    let address = server.address;
    let request = thread::spawn(move || predict(address, &json!({"texts": ["Zoé", "Eve"]})));
    until(|| server.metric("ner_pipe_requests_in_flight") > 0.0);
    (server, hold, request)
}

#[test]
fn a_stop_finishes_what_was_accepted_and_takes_no_more() {
    let (server, hold, request) = busy(Limits::default());
    let mut stream = Raw::new(server.address);
    stream.stream();
    stream.chunk("{\"text\": \"Ali\"}\n");
    until(|| server.metric("ner_pipe_requests_in_flight") > 1.0);
    server.control.stop();
    for answer in [get(server.address, "/ready"), predict(server.address, &json!({"text": "late"}))] {
        assert_eq!(
            (answer.status, answer.header("retry-after"), answer.header("connection")),
            (503, "1", "close")
        );
        assert!(answer.error().contains("stopping"));
    }
    assert_eq!(get(server.address, "/health").status, 200, "it still lives");
    hold.release();
    let answer = request.join().expect("answers");
    assert_eq!((answer.status, &answer.json()["results"][1]["entities"][0]["text"]), (200, &json!("Eve")));
    stream.chunk("{\"text\": \"Max\"}\n");
    stream.send(b"0\r\n\r\n");
    let answer = stream.answer().body;
    assert!(answer.contains("Ali") && answer.contains("Max") && !answer.contains("error"), "{answer}");
    let address = server.address;
    server.ended().expect("ends well");
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn an_idle_server_stops_at_once_whatever_connections_are_open() {
    let server = Running::with(Fake::default(), Limits::default());
    let mut idle = Raw::new(server.address);
    let head = Raw::head("GET", "/health", &[]);
    idle.send(format!("{head}\r\n").as_bytes());
    assert_eq!(idle.answer().status, 200);
    let start = Instant::now();
    server.control.stop();
    server.ended().expect("ends well");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn after_the_grace_or_a_second_stop_the_rest_is_ended_with_words() {
    for grace in [Duration::from_millis(300), Duration::from_mins(1)] {
        let (server, _hold, request) = busy(Limits { grace, ..Limits::default() });
        let mut stream = Raw::new(server.address);
        stream.stream();
        stream.chunk("{\"text\": \"Ali\"}\n");
        until(|| server.metric("ner_pipe_requests_in_flight") > 1.0);
        server.control.stop();
        if grace > Duration::from_secs(1) {
            server.control.stop();
        }
        let answer = request.join().expect("answers");
        assert_eq!(answer.status, 503, "{answer:?}");
        let answer = stream.answer().body;
        assert!(
            answer.starts_with("{\"error\":{\"line\":1,\"message\":\"the server is stopping\""),
            "{answer}"
        );
        server.ended().expect("ends");
    }
}

#[test]
fn an_address_that_cannot_be_had_is_refused_with_what_to_type() {
    let open = Arc::new(|| Ok(named("a")));
    let first = Server::bind("127.0.0.1:0", open.clone(), Limits::default()).expect("binds");
    let taken =
        Server::bind(&first.address().to_string(), open.clone(), Limits::default()).err().expect("is taken");
    assert_eq!(taken.advice(), Some("--address 127.0.0.1:0 takes a free port"));
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "192.0.2.1:80"] {
        let error = Server::bind(address, open.clone(), Limits::default()).err().expect("is refused");
        assert!(error.to_string().contains(address) && error.advice().is_some(), "{error}");
    }
    let limits = Limits { queue: 0, ..Limits::default() };
    assert!(
        Server::bind("127.0.0.1:0", open, limits).err().expect("is refused").to_string().contains("`queue`")
    );
}
