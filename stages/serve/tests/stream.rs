//! Lines, answered in their order while they come.

mod fake;

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};
use serve::Limits;

use fake::{Fake, Hold, Raw, Running, SECRET, post, predict, until};

const LINES: &str = "application/x-ndjson";

fn small() -> Limits {
    Limits { body: 200, texts: 4, characters: 50, queue: 4, ..Limits::default() }
}

fn lines(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
}

#[test]
fn lines_are_answered_in_their_order_with_their_fields() {
    let server = Running::with(Fake::default(), small());
    let mut body = String::new();
    for id in 0..500 {
        let _ = writeln!(body, r#"{{"id":{id},"text":"{}Zoé","page":null}}"#, "mot ".repeat(id * 7 % 11));
    }
    let answer = post(server.address, LINES, &body);
    assert_eq!((answer.status, answer.header("content-type")), (200, LINES));
    let answers = lines(&answer.body);
    assert_eq!(answers.len(), 500, "more than fit into the queue at once");
    for (id, line) in answers.iter().enumerate() {
        assert_eq!(line["id"], id);
        assert_eq!(line["entities"][0]["text"], "Zoé");
        assert_eq!(line["page"], Value::Null);
    }
    until(|| server.metric(r#"ner_pipe_texts_total{outcome="tagged"}"#) >= 500.0);
}

#[test]
fn a_bad_line_is_answered_in_its_place_by_its_number() {
    let server = Running::with(Fake::default(), small());
    let long = "Durand ".repeat(50);
    let bad = [
        r#"{"text": "Zoé"}"#,
        "",
        "Durand",
        r#"{"text": "Durand fail"}"#,
        r#"{"texts": ["Durand"]}"#,
        r#"{"text": 1}"#,
        long.as_str(),
        r#"{"text": "Durand panic"}"#,
        r#"{"text": "Durand", "entities": []}"#,
        r#"{"text": "Eve"}"#,
    ];
    let mut body = bad.join("\r\n").into_bytes();
    body.extend(b"\n\xff\n");
    let answer = post(server.address, LINES, &body);
    assert!(!answer.body.contains(SECRET), "{answer:?}");
    let answers = lines(&answer.body);
    let errors: Vec<_> = answers.iter().map(|line| line["error"]["line"].as_u64()).collect();
    let expected = [None, Some(3), Some(4), Some(5), Some(6), Some(7), Some(8), Some(9), None, Some(11)];
    assert_eq!(errors, expected);
    let said = [
        (1, "not JSON"),
        (2, "no piece"),
        (3, "`texts`"),
        (4, "not a string"),
        (5, "more than 200 bytes"),
        (6, "panicked"),
        (9, "UTF-8"),
    ];
    for (at, said) in said {
        let error = &answers[at]["error"];
        assert!(error["message"].as_str().is_some_and(|message| message.contains(said)), "{error}");
        assert!(error["help"].is_string());
    }
    assert_eq!(answers[8]["entities"][0]["text"], "Eve");
}

#[test]
fn a_stream_without_lines_or_a_last_line_end_is_whole() {
    let server = Running::with(Fake::default(), small());
    assert_eq!(post(server.address, LINES, "").body, "");
    assert_eq!(post(server.address, LINES, "\n\n").body, "");
    assert_eq!(lines(&post(server.address, LINES, "{\"text\":\"a\"}\n{\"text\":\"b\"}").body).len(), 2);
}

#[test]
fn a_line_is_answered_before_the_next_one_comes() {
    let server = Running::with(Fake::default(), small());
    let mut raw = Raw::new(server.address);
    raw.stream();
    assert_eq!(raw.answer_head().0, 200);
    for name in ["Zoé", "Ali", "Eve"] {
        raw.chunk(&format!("{{\"text\": \"{name}"));
        raw.chunk("\"}\n");
        assert_eq!(lines(&raw.next_chunk())[0]["entities"][0]["text"], name);
    }
    raw.chunk("");
    raw.send(b"0\r\n\r\n");
    assert_eq!(raw.next_chunk(), "");
}

#[test]
fn who_does_not_read_is_not_read_from() {
    let server = Running::with(
        Fake::default(),
        Limits { body: 1 << 20, characters: 1 << 20, timeout: Duration::from_secs(3), ..small() },
    );
    let mut raw = Raw::new(server.address);
    raw.stream();
    let line = format!("{{\"text\": \"{}\"}}\n", "x".repeat(1 << 19));
    let chunk = format!("{:x}\r\n{line}\r\n", line.len());
    let blocked = (0..400).any(|_| raw.is_blocked(chunk.as_bytes()));
    assert!(blocked, "200 MB are taken from a client that reads none of its answers");
    assert_eq!(predict(server.address, &json!({"text": "ok"})).status, 200, "others are served meanwhile");
    until(|| server.metric("ner_pipe_requests_in_flight") == 0.0);
}

#[test]
fn a_stream_leaves_half_of_the_queue_to_others() {
    let hold = Hold::held();
    let fake = Fake { hold: hold.clone(), ..Fake::default() };
    let batches = fake.batches.clone();
    let server = Running::with(fake, small());
    let mut raw = Raw::new(server.address);
    raw.stream();
    raw.chunk(&"{\"text\": \"a\"}\n".repeat(20));
    // One batch is with the model, which else would take what comes next too; two of four places hold more.
    until(|| !batches.lock().expect("whole").is_empty());
    until(|| server.metric("ner_pipe_queue_length") >= 2.0);
    let address = server.address;
    let other = std::thread::spawn(move || predict(address, &json!({"texts": ["b", "c"]})));
    until(|| server.metric("ner_pipe_queue_length") >= 4.0);
    hold.release();
    assert_eq!(other.join().expect("answers").status, 200);
    raw.send(b"0\r\n\r\n");
    assert_eq!(lines(&raw.answer().body).len(), 20);
}

#[test]
fn a_stream_that_pauses_too_long_says_so_and_ends() {
    let server = Running::with(Fake::default(), Limits { timeout: Duration::from_millis(300), ..small() });
    let mut raw = Raw::new(server.address);
    raw.stream();
    raw.chunk("{\"text\": \"a\"}\n{\"text\":");
    let answers = lines(&raw.answer().body);
    assert_eq!(answers[0]["entities"], json!([]));
    assert_eq!(answers[1]["error"]["line"], 2);
    assert_eq!(answers.len(), 2);
}

#[test]
fn a_stream_whose_client_leaves_is_forgotten() {
    let hold = Hold::held();
    let server = Running::with(Fake { hold: hold.clone(), ..Fake::default() }, small());
    let mut raw = Raw::new(server.address);
    raw.stream();
    raw.chunk(&"{\"text\": \"a\"}\n".repeat(20));
    until(|| server.metric("ner_pipe_queue_length") >= 2.0);
    drop(raw);
    hold.release();
    until(|| server.metric("ner_pipe_requests_in_flight") == 0.0);
    until(|| server.metric("ner_pipe_queue_length") == 0.0);
}
