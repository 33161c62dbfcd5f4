//! Requests until they come to something: what passes by is tried again, and the rest is said in words.

use std::{error::Error, fmt, thread, time::Duration};

use stage_contract::StageError;
use url::Url;

use crate::{
    connection::{Connection, Reply},
    listener::Listener,
    refusal::{Asked, refusal},
    settings::Settings,
};

/// How long a hub that does not answer is borne with.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts at one thing, before which none came nearer to it.
    pub attempts: u32,
    /// Before the second attempt; twice as long before each that follows.
    pub first: Duration,
    /// The longest wait that a hub may ask for (429): the limits of Hugging Face's are for five minutes.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 4, first: Duration::from_millis(500), longest: Duration::from_mins(5) }
    }
}

impl Patience {
    /// Waits before the next attempt, when `failed` came to nothing.
    pub(crate) fn pause(&self, failed: u32, listener: &dyn Listener) -> Result<(), StageError> {
        sleep(self.first * 2_u32.saturating_pow(failed.saturating_sub(1)), listener)
    }
}

fn sleep(mut left: Duration, listener: &dyn Listener) -> Result<(), StageError> {
    const SLICE: Duration = Duration::from_millis(50);
    while !left.is_zero() {
        if listener.is_cancelled() {
            return Err(StageError::Cancelled);
        }
        let slice = left.min(SLICE);
        thread::sleep(slice);
        left -= slice;
    }
    Ok(())
}

/// The network or the hub is not there: what the cache has may do.
#[derive(Debug)]
struct Unreachable(String);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unreachable {}

/// Whether an error says that the hub or the network is not there, and nothing of what was asked for.
#[must_use]
pub fn is_unreachable(error: &StageError) -> bool {
    error.source().is_some_and(<dyn Error>::is::<Unreachable>)
}

/// The hub, borne with.
pub(crate) struct Client {
    pub connection: Connection,
    pub patience: Patience,
    cache: String,
}

impl Client {
    pub fn new(settings: &Settings, patience: Patience) -> Self {
        Self { connection: Connection::new(settings), patience, cache: settings.cache.to_string() }
    }

    /// Gets what is at an address, from byte `from`: status 200, 206 or 416. Tries again what may pass by.
    pub fn get(
        &self,
        url: &Url,
        from: u64,
        asked: &Asked<'_>,
        listener: &dyn Listener,
    ) -> Result<Reply, StageError> {
        let (mut failed, mut waited) = (0, Duration::ZERO);
        loop {
            if listener.is_cancelled() {
                return Err(StageError::Cancelled);
            }
            let why = match self.connection.follow(url, from) {
                Ok(reply) => match reply.status() {
                    200 | 206 | 416 => return Ok(reply),
                    429 => {
                        self.wait_as_asked(&reply, &mut waited, listener)?;
                        continue;
                    }
                    status @ (500 | 502..=504) => format!("it answers {status}"),
                    _ => return Err(refusal(&self.connection, asked, &reply)),
                },
                Err(error) => {
                    if matches!(error, ureq::Error::HostNotFound) {
                        failed = self.patience.attempts;
                    }
                    error.to_string()
                }
            };
            failed += 1;
            if failed >= self.patience.attempts {
                return Err(self.unreachable(why));
            }
            listener.note(&format!("{}: {why}; trying again", self.connection.host()));
            self.patience.pause(failed, listener)?;
        }
    }

    /// Too many requests: the hub says how long to wait.
    fn wait_as_asked(
        &self,
        reply: &Reply,
        waited: &mut Duration,
        listener: &dyn Listener,
    ) -> Result<(), StageError> {
        const UNSAID: u64 = 10;
        let seconds = reply.header("retry-after").and_then(|text| text.trim().parse().ok());
        // "api";r=0;t=55
        let reset = || {
            let fields = reply.header("ratelimit")?.split(';');
            fields.filter_map(|field| field.trim().strip_prefix("t=")).find_map(|text| text.parse().ok())
        };
        let wait = Duration::from_secs(seconds.or_else(reset).unwrap_or(UNSAID)).max(self.patience.first);
        *waited += wait;
        if *waited > self.patience.longest {
            let help = if self.connection.has_token() {
                "try again later, or use a `path`"
            } else {
                "try again later, or set HF_TOKEN: who says who they are may ask more often"
            };
            let message = format!(
                "{} asks to wait {} s: too many requests came from here",
                self.connection.host(),
                wait.as_secs()
            );
            return Err(StageError::new(message).help(help));
        }
        listener.note(&format!(
            "{} answers 429, too many requests: waiting {} s",
            self.connection.host(),
            wait.as_secs()
        ));
        sleep(wait, listener)
    }

    fn unreachable(&self, why: String) -> StageError {
        StageError::because(format!("{} cannot be reached", self.connection.host()), Unreachable(why)).help(format!(
            "check the network and the proxy (HTTPS_PROXY); without one, `HF_HUB_OFFLINE=1` takes what is in {}, \
             and a source may have a `path` in place of `hub`",
            self.cache
        ))
    }
}
