//! More than the model can take.

mod fake;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use serve::Limits;

use fake::{Fake, Hold, Running, get, post, predict, request, until};

#[test]
fn a_full_queue_is_429_with_retry_after_and_then_recovers() {
    let hold = Hold::held();
    let fake = Fake { hold: hold.clone(), ..Fake::default() };
    let batches = fake.batches.clone();
    let server = Running::with(fake, Limits { texts: 4, queue: 4, ..Limits::default() });
    let address = server.address;
    let mut accepted = vec![thread::spawn(move || predict(address, &json!({"text": "first"})))];
    until(|| batches.lock().expect("whole").len() == 1);
    accepted.push(thread::spawn(move || predict(address, &json!({"texts": ["a", "b", "c"]}))));
    until(|| server.metric("ner_pipe_queue_length") >= 3.0);
    for _ in 0..3 {
        let full = predict(address, &json!({"texts": ["d", "e"]}));
        assert_eq!(full.status, 429, "{full:?}");
        assert!(full.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{full:?}");
        assert!(full.error().contains("3 texts wait"));
    }
    accepted.push(thread::spawn(move || predict(address, &json!({"text": "the last place"}))));
    until(|| server.metric("ner_pipe_queue_length") >= 4.0);
    assert_eq!(get(address, "/ready").status, 200, "full is not broken");
    hold.release();
    for request in accepted {
        assert_eq!(request.join().expect("answers").status, 200);
    }
    assert_eq!(predict(address, &json!({"texts": ["d", "e", "f", "g"]})).status, 200);
    let refused = server.metric(r#"ner_pipe_requests_total{route="/predict",status="429"}"#);
    assert!((refused - 3.0).abs() < 0.1, "{refused}");
}

#[test]
fn texts_whose_client_left_do_not_reach_the_model() {
    let hold = Hold::held();
    let fake = Fake { hold: hold.clone(), ..Fake::default() };
    let batches = fake.batches.clone();
    let server = Running::with(fake, Limits { timeout: Duration::from_millis(200), ..Limits::default() });
    for text in ["first", "late"] {
        assert_eq!(predict(server.address, &json!({"text": text})).status, 504);
    }
    hold.release();
    until(|| server.metric(r#"ner_pipe_texts_total{outcome="abandoned"}"#) >= 1.0);
    assert_eq!(*batches.lock().expect("whole"), [["first"]]);
}

/// Resident memory of this process, in MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("is there");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("is a number") / 1024
}

/// The model takes 8 texts in 20 ms, and twice as many clients ask as it can answer within the queue's 8 places.
#[test]
fn at_twice_the_load_all_are_answered_and_nothing_grows() {
    let fake = Fake { pause: Duration::from_millis(20), ..Fake::default() };
    let limits = Limits { texts: 8, queue: 8, batch_tokens: 8, ..Limits::default() };
    let server = Running::with(fake, limits);
    let address = server.address;
    let over = Arc::new(AtomicBool::new(false));
    // Of 50 KB, so that what is kept would show.
    let body = json!({"text": "x".repeat(50_000)}).to_string();
    let client = |over: Arc<AtomicBool>, body: String| {
        move || {
            let mut seen = BTreeMap::<u16, usize>::new();
            while !over.load(Ordering::Relaxed) {
                let answer = post(address, "application/json", &body);
                *seen.entry(answer.status).or_default() += 1;
                match answer.status {
                    200 => {}
                    429 => thread::sleep(Duration::from_millis(10)),
                    other => panic!("{other}"),
                }
            }
            seen
        }
    };
    let clients: Vec<_> = (0..32).map(|_| thread::spawn(client(over.clone(), body.clone()))).collect();
    let start = Instant::now();
    let (mut longest, mut early) = (0.0_f64, 0);
    while start.elapsed() < Duration::from_secs(6) {
        longest = longest.max(server.metric("ner_pipe_queue_length"));
        if start.elapsed() < Duration::from_secs(2) {
            early = early.max(resident());
        }
        assert_eq!(get(address, "/health").status, 200);
        thread::sleep(Duration::from_millis(50));
    }
    let late = resident();
    over.store(true, Ordering::Relaxed);
    let mut seen = BTreeMap::<u16, usize>::new();
    for client in clients {
        for (status, count) in client.join().expect("sees 200 and 429 alone") {
            *seen.entry(status).or_default() += count;
        }
    }
    assert!(seen[&200] > 100 && seen[&429] > 100, "{seen:?}");
    assert!(longest <= 8.0, "{longest}");
    // The texts that were answered in these four seconds are more than that, those that were refused ten times.
    assert!(late <= early + 8, "{early} MiB, then {late} MiB");
    until(|| server.metric("ner_pipe_requests_in_flight") == 0.0);
    let health = request(address, "GET", "/ready", &[], b"");
    assert_eq!(health.status, 200);
}
