//! What a request is answered with, good and bad.

mod fake;

use std::{thread, time::Duration};

use serde_json::{Value, json};
use serve::Limits;

use fake::{Answer, Fake, Hold, Raw, Running, SECRET, get, post, predict, request};

fn small() -> Limits {
    Limits {
        body: 1000,
        texts: 3,
        characters: 100,
        queue: 8,
        timeout: Duration::from_secs(10),
        ..Limits::default()
    }
}

fn running() -> Running {
    Running::with(Fake::default(), small())
}

fn refused(answer: &Answer, status: u16, said: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.error().contains(said), "{answer:?}");
    assert!(!answer.body.contains(SECRET), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[test]
fn a_text_is_answered_as_predict_writes_it() {
    let server = running();
    let answer = predict(server.address, &json!({"text": "à Évry Durand 🏥 Zoé"}));
    assert_eq!(answer.status, 200, "{answer:?}");
    let entity = |text: &str, start: usize, end: usize| {
        format!(r#"{{"type":"PER","text":"{text}","start":{start},"end":{end},"score":0.987654}}"#)
    };
    let entities = [entity("Évry", 2, 6), entity("Durand", 7, 13), entity("Zoé", 16, 19)].join(",");
    assert_eq!(answer.body, format!(r#"{{"text":"à Évry Durand 🏥 Zoé","entities":[{entities}]}}"#));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[test]
fn several_texts_are_answered_in_their_order() {
    let server = running();
    let answer = predict(server.address, &json!({"id": 7, "texts": ["Zoé", "", "a b c d e Evry"]}));
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["id"], 7);
    let texts: Vec<_> =
        body["results"].as_array().expect("is a list").iter().map(|result| &result["text"]).collect();
    assert_eq!(texts, ["Zoé", "", "a b c d e Evry"]);
    assert_eq!(body["results"][2]["entities"][0]["start"], 10);
    assert_eq!(body["results"][1]["entities"], json!([]));
    assert_eq!(predict(server.address, &json!({"texts": []})).json(), json!({"results": []}));
}

#[test]
fn further_fields_come_back_as_they_came() {
    let server = running();
    let fields = r#""id":12345678901234567890123,"score":1.50,"text":"caf\u00e9","nested":{"a":[1,2]}"#;
    let answer = post(server.address, "application/json; charset=utf-8", format!("{{{fields}}}"));
    assert_eq!(answer.body, format!(r#"{{{fields},"entities":[]}}"#));
}

#[test]
fn a_body_that_is_no_request_is_refused_without_quoting_it() {
    let server = running();
    for (body, said) in [
        ("", "not JSON"),
        ("Durand", "not JSON"),
        (r#"{"text": "Durand"#, "line 1 column 16"),
        (r#"["Durand"]"#, "not a JSON object"),
        (r#"{"Durand": "Durand"}"#, "neither"),
        (r#"{"text": {"Durand": 1}}"#, "`text` is not a string"),
        (r#"{"texts": ["a", 1]}"#, "text 2 of `texts`"),
        (r#"{"text": "Durand", "texts": []}"#, "both"),
    ] {
        refused(&post(server.address, "application/json", body), 400, said);
    }
    refused(&post(server.address, "application/json", b"{\"text\": \"\xe9\"}"), 400, "not UTF-8");
    assert_eq!(predict(server.address, &json!({"text": "ok"})).status, 200, "it goes on");
}

#[test]
fn what_is_too_large_is_413() {
    let server = running();
    refused(&predict(server.address, &json!({"text": "Durand ".repeat(200)})), 413, "more than 1000 bytes");
    refused(
        &predict(server.address, &json!({"text": "é".repeat(101)})),
        413,
        "101 characters, more than 100",
    );
    refused(&predict(server.address, &json!({"texts": ["", "", "", ""]})), 413, "4 texts, more than 3");
    assert_eq!(predict(server.address, &json!({"text": "é".repeat(100)})).status, 200);
    // A client that sends all of it before it looks sees the answer and no broken connection.
    refused(&post(server.address, "application/json", vec![b' '; 8 << 20]), 413, "more than 1000 bytes");
}

#[test]
fn a_large_body_in_pieces_is_413_too() {
    let server = running();
    let mut raw = Raw::new(server.address);
    let head = Raw::head(
        "POST",
        "/predict",
        &[("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")],
    );
    raw.send(format!("{head}\r\n").as_bytes());
    for _ in 0..20 {
        raw.chunk(&" ".repeat(100));
    }
    raw.chunk("");
    refused(&raw.answer(), 413, "more than 1000 bytes");
}

#[test]
fn who_waits_for_100_continue_is_refused_before_sending() {
    let server = running();
    let mut raw = Raw::new(server.address);
    let head =
        Raw::head("POST", "/predict", &[("Content-Type", "application/json"), ("Expect", "100-continue")]);
    raw.send(format!("{head}Content-Length: 5000000\r\n\r\n").as_bytes());
    refused(&raw.answer(), 413, "more than 1000 bytes");
}

#[test]
fn other_media_types_are_415() {
    let server = running();
    let json = json!({"text": "Durand"}).to_string();
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=iso-8859-1"] {
        refused(&post(server.address, media, &json), 415, "Content-Type");
    }
    refused(&request(server.address, "POST", "/predict", &[], json.as_bytes()), 415, "no Content-Type");
    let gzip = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    refused(&request(server.address, "POST", "/predict", &gzip, json.as_bytes()), 415, "compressed");
}

#[test]
fn unknown_paths_are_404_and_other_methods_405() {
    let server = running();
    for path in ["/Durand", "/predict/", "/predict/Durand", "/favicon.ico"] {
        refused(&get(server.address, path), 404, "nothing at this path");
    }
    for (method, path, allowed) in [
        ("GET", "/predict", "POST"),
        ("DELETE", "/predict", "POST"),
        ("POST", "/", "GET,HEAD"),
        ("PUT", "/metrics", "GET,HEAD"),
        ("DURAND", "/health", "GET,HEAD"),
    ] {
        let answer = request(server.address, method, path, &[], b"");
        refused(&answer, 405, "does not take");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        assert!(!answer.body.contains("DURAND"));
    }
}

#[test]
fn a_request_that_does_not_come_is_408() {
    let server = Running::with(Fake::default(), Limits { timeout: Duration::from_millis(300), ..small() });
    let mut raw = Raw::new(server.address);
    let head = Raw::head("POST", "/predict", &[("Content-Type", "application/json")]);
    raw.send(format!("{head}Content-Length: 100\r\n\r\n{{\"text\"").as_bytes());
    refused(&raw.answer(), 408, "in time");
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let server = Running::with(Fake::default(), Limits { timeout: Duration::from_millis(300), ..small() });
    let mut raw = Raw::new(server.address);
    raw.send(b"POST /predict HTTP/1.1\r\nHost: ");
    assert_eq!(raw.line(), "", "no answer, and an end");
}

#[test]
fn an_answer_that_takes_too_long_is_504_and_the_next_one_is_not() {
    let hold = Hold::held();
    let limits = Limits { timeout: Duration::from_millis(300), ..small() };
    let server = Running::with(Fake { hold: hold.clone(), ..Fake::default() }, limits);
    refused(&predict(server.address, &json!({"text": "Durand"})), 504, "did not answer within 300ms");
    hold.release();
    assert_eq!(predict(server.address, &json!({"text": "ok"})).status, 200);
}

/// Tags several requests in one batch, and gives their answers in order.
fn together(texts: &[&str]) -> (Vec<Answer>, Vec<usize>) {
    let hold = Hold::held();
    let fake = Fake { hold: hold.clone(), ..Fake::default() };
    let batches = fake.batches.clone();
    let server = Running::with(fake, Limits { queue: 64, ..small() });
    let address = server.address;
    // The first keeps the model busy until all others wait.
    let first = thread::spawn(move || predict(address, &json!({"text": "first"})));
    fake::until(|| batches.lock().expect("whole").len() == 1);
    let requests: Vec<_> = texts
        .iter()
        .map(|text| {
            let body = json!({"text": text});
            thread::spawn(move || predict(address, &body))
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    fake::until(|| server.metric("ner_pipe_queue_length") >= texts.len() as f64);
    hold.release();
    assert_eq!(first.join().expect("answers").status, 200);
    let answers = requests.into_iter().map(|request| request.join().expect("answers")).collect();
    let sizes = batches.lock().expect("whole").iter().map(Vec::len).collect();
    (answers, sizes)
}

#[test]
fn requests_that_wait_together_are_tagged_together() {
    let (answers, sizes) = together(&["Zoé", "Ali", "Eve"]);
    assert_eq!(sizes, [1, 3]);
    for (answer, name) in answers.iter().zip(["Zoé", "Ali", "Eve"]) {
        assert_eq!(answer.json()["entities"][0]["text"], name, "each gets its own");
    }
}

#[test]
fn a_text_that_fails_costs_its_neighbours_nothing() {
    for (word, status, said) in
        [("fail", 422, "a word has no piece"), ("panic", 500, "panicked"), ("unsound", 500, "cannot have")]
    {
        let (answers, sizes) = together(&["Zoé", &format!("{word} Durand"), "Eve"]);
        refused(&answers[1], status, said);
        if word != "unsound" {
            assert_eq!(sizes, [1, 3, 1, 1, 1], "{word}: each is tried again alone");
            assert_eq!(answers[0].json()["entities"][0]["text"], "Zoé");
            assert_eq!(answers[2].json()["entities"][0]["text"], "Eve");
        }
    }
}

#[test]
fn of_several_texts_the_one_that_fails_is_named() {
    let server = running();
    let answer = predict(server.address, &json!({"texts": ["Zoé", "Durand fail"]}));
    refused(&answer, 422, "text 2 of 2: a word has no piece");
    assert_eq!(answer.json()["error"]["help"], "leave that word out");
    assert_eq!(
        predict(server.address, &json!({"text": "uncountable"})).status,
        200,
        "an estimate is no answer"
    );
}

#[test]
fn a_connection_is_used_for_several_requests() {
    let server = running();
    let mut raw = Raw::new(server.address);
    for name in ["Zoé", "Eve"] {
        let body = json!({"text": name}).to_string();
        let head = Raw::head("POST", "/predict", &[("Content-Type", "application/json")]);
        raw.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        let answer: Value = raw.answer().json();
        assert_eq!(answer["entities"][0]["text"], name);
    }
}
