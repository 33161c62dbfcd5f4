//! The process: its signals, its log, the words of its panics. One test, as all of these are of the process.

mod fake;

use std::{
    net::SocketAddr,
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::process::{Signal, getpid, kill_process};
use serde_json::json;
use serve::Limits;
use stage_contract::StageError;

use fake::{Fake, Logs, SECRET, get, post, predict, until};

fn send(signal: Signal) {
    kill_process(getpid(), signal).expect("is ours");
}

#[test]
fn signals_reload_and_stop_and_no_text_is_logged() {
    let logs = Logs::capture();
    let printed = Arc::new(Mutex::new(String::new()));
    let hook = printed.clone();
    panic::set_hook(Box::new(move |panic| hook.lock().expect("whole").push_str(&panic.to_string())));
    let opened = AtomicUsize::new(0);
    let open =
        Arc::new(move || match opened.fetch_add(1, Ordering::SeqCst) {
            1 => Err(StageError::new("half a file").help("copy it again")),
            number => Ok(Arc::new(Fake { name: format!("model-{number}"), ..Fake::default() })
                as Arc<dyn serve::Tagger>),
        });
    let server = thread::spawn(move || serve::run("127.0.0.1:0", open, Limits::default()));

    let address = || -> Option<SocketAddr> {
        let text = logs.text();
        let (_, rest) = text.split_once("listening on http://")?;
        rest.lines().next()?.trim().parse().ok()
    };
    until(|| address().is_some());
    let address = address().expect("was logged");
    until(|| get(address, "/ready").status == 200);

    for word in ["well", "fail", "panic", "unsound", "uncountable"] {
        predict(address, &json!({"text": format!("{SECRET} {word}")}));
        post(address, "application/x-ndjson", format!("{{\"text\": \"{SECRET} {word}\"}}\n{SECRET}\n"));
    }
    post(address, "application/json", SECRET);
    post(address, SECRET, SECRET);
    get(address, &format!("/{SECRET}?text={SECRET}"));
    get(address, &format!("/health?text={SECRET}"));

    send(Signal::HUP);
    until(|| logs.text().contains("cannot reload the model"));
    assert!(logs.text().contains("half a file") && logs.text().contains("copy it again"));
    assert_eq!(get(address, "/health").json()["model"]["name"], "model-0");
    send(Signal::HUP);
    until(|| get(address, "/health").json()["model"]["name"] == "model-2");
    send(Signal::TERM);
    server.join().expect("does not panic").expect("ends well");

    let text = logs.text();
    assert!(text.contains("panicked at ") && text.contains("model.rs"), "where it was is logged: {text}");
    assert!(text.contains("could not be tagged") && text.contains("stopped"), "{text}");
    // The filter lets through what this package logs of each request.
    assert!(text.contains("/predict 422"), "{text}");
    assert!(!text.contains(SECRET), "{text}");
    assert_eq!(*printed.lock().expect("whole"), "", "no hook from before is told");
}
