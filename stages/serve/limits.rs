use std::time::Duration;

use stage_contract::Invalid;

/// What the server takes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body, and of a line of a stream.
    pub body: usize,
    /// Texts of one request. A stream has no limit.
    pub texts: usize,
    /// Characters (Unicode scalar values) of one text.
    pub characters: usize,
    /// Texts that wait for the model, of all requests together; streams take at most half of the places.
    pub queue: usize,
    /// Tokens that the model reads at once, padding included.
    pub batch_tokens: usize,
    /// How long a text waits for others to share its batch while the model is idle.
    pub wait: Duration,
    /// How long a client may take to send a request, and how long an answer may take from then on.
    pub timeout: Duration,
    /// How long a stop waits for the requests that were accepted.
    pub grace: Duration,
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Threads that run the model, each on a batch of its own.
    pub workers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 2 << 20,
            texts: 256,
            characters: 50_000,
            queue: 512,
            // As `predict` does.
            batch_tokens: 2048,
            wait: Duration::from_millis(2),
            timeout: Duration::from_secs(30),
            grace: Duration::from_secs(20),
            connections: 512,
            workers: 1,
        }
    }
}

impl Limits {
    /// Whether anything can be served within them.
    ///
    /// # Errors
    /// One is 0 or beyond what the system counts, or a request may never fit into the queue.
    pub fn check(&self) -> Result<(), Invalid> {
        let counts = [
            ("body", self.body),
            ("texts", self.texts),
            ("characters", self.characters),
            ("queue", self.queue),
            ("batch_tokens", self.batch_tokens),
            ("connections", self.connections),
            ("workers", self.workers),
        ];
        for (name, count) in counts {
            // Tokio's semaphores count so far; nothing that fits into memory comes near.
            if count == 0 || count > (u32::MAX >> 3) as usize {
                return Err(Invalid::new(format!("the limit `{name}` is {count}"))
                    .at(name)
                    .help(format!("use 1 to {}", u32::MAX >> 3)));
            }
        }
        if self.timeout.is_zero() {
            return Err(Invalid::new("the limit `timeout` is 0").at("timeout").help("use 1 second or more"));
        }
        if self.texts > self.queue {
            let message =
                format!("a request may have {} texts, and the queue has {} places", self.texts, self.queue);
            return Err(Invalid::new(message)
                .at("texts")
                .help(format!("use at most {} texts, or at least {} places", self.queue, self.texts)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_nothing_can_meet_are_refused_by_name() {
        assert_eq!(Limits::default().check(), Ok(()));
        let refused = |limits: Limits| limits.check().expect_err("is refused").at.expect("names it");
        assert_eq!(refused(Limits { queue: 0, ..Limits::default() }), "queue");
        assert_eq!(refused(Limits { workers: 0, ..Limits::default() }), "workers");
        assert_eq!(refused(Limits { body: usize::MAX, ..Limits::default() }), "body");
        assert_eq!(refused(Limits { timeout: Duration::ZERO, ..Limits::default() }), "timeout");
        assert_eq!(refused(Limits { texts: 9, queue: 8, ..Limits::default() }), "texts");
    }
}
