//! A server on the loopback interface with a model that is slow, fails or panics where a text says so.

#![expect(dead_code, unused_imports, reason = "each test binary uses a part")]

mod client;
mod logs;
mod model;

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serve::{Control, Limits, Open, Server, Tagger};
use stage_contract::StageError;

pub use client::{Answer, Raw, get, post, predict, request};
pub use logs::Logs;
pub use model::{Fake, Hold};

/// Words that stand for a patient's text: no log and no error may hold them.
pub const SECRET: &str = "Durand";

/// A server that runs.
pub struct Running {
    pub address: SocketAddr,
    pub control: Control,
    thread: Option<JoinHandle<Result<(), StageError>>>,
}

impl Running {
    /// With a model that is there at once.
    pub fn with(fake: Fake, limits: Limits) -> Self {
        let tagger: Arc<dyn Tagger> = Arc::new(fake);
        let running = Self::opening(Arc::new(move || Ok(tagger.clone())), limits);
        running.ready();
        running
    }

    /// With a way to open a model; does not wait for it.
    pub fn opening(open: Arc<Open>, limits: Limits) -> Self {
        let server = Server::bind("127.0.0.1:0", open, limits).expect("binds");
        let (address, control) = (server.address(), server.control());
        Self { address, control, thread: Some(thread::spawn(move || server.run())) }
    }

    /// Waits until it is ready.
    pub fn ready(&self) {
        until(|| get(self.address, "/ready").status == 200);
    }

    /// Waits for its end, which somebody asked for.
    pub fn ended(mut self) -> Result<(), StageError> {
        self.thread.take().expect("runs").join().expect("does not panic")
    }

    /// A number of `/metrics`, by its name with its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = get(self.address, "/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |number| number.parse().expect("is a number"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.stop();
        self.control.stop();
    }
}

/// Waits for something that comes soon.
pub fn until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not come");
        thread::sleep(Duration::from_millis(5));
    }
}
