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
        let (mut failed, mut waits) = (0, Waits::default());
        loop {
            if listener.is_cancelled() {
                return Err(StageError::Cancelled);
            }
            let why = match self.connection.follow(url, from) {
                Ok(reply) => match reply.status() {
                    200 | 206 | 416 => return Ok(reply),
                    429 => {
                        self.wait_as_asked(&reply, &mut waits, listener)?;
                        continue;
                    }
                    status @ (408 | 500..) => Failure::Status(status),
                    _ => return Err(refusal(&self.connection, asked, &reply)),
                },
                Err(error) => {
                    if matches!(error, ureq::Error::HostNotFound) {
                        failed = self.patience.attempts;
                    }
                    Failure::Connection(error)
                }
            };
            failed += 1;
            if failed >= self.patience.attempts {
                return Err(self.unreachable(&why));
            }
            listener.note(&format!("{}: {why}; trying again", self.connection.host()));
            self.patience.pause(failed, listener)?;
        }
    }

    /// Too many requests: the hub says how long to wait.
    fn wait_as_asked(
        &self,
        reply: &Reply,
        waits: &mut Waits,
        listener: &dyn Listener,
    ) -> Result<(), StageError> {
        const UNSAID: u64 = 10;
        let seconds = reply.header("retry-after").and_then(|text| text.trim().parse().ok());
        // "api";r=0;t=55
        let reset = || {
            let fields = reply.header("ratelimit")?.split(';');
            fields.filter_map(|field| field.trim().strip_prefix("t=")).find_map(|text| text.parse().ok())
        };
        let unsaid = || UNSAID.saturating_mul(2_u64.saturating_pow(waits.count));
        let wait =
            Duration::from_secs(seconds.or_else(reset).unwrap_or_else(unsaid)).max(self.patience.first);
        let host = self.connection.host();
        if waits.total + wait > self.patience.longest {
            let message = format!(
                "{host} answers 429, too many requests came from here: {}, and {} s more are asked for",
                tries(waits.count + 1, waits.total),
                wait.as_secs()
            );
            let token = if self.connection.has_token() {
                ""
            } else {
                "; or set HF_TOKEN: who says who they are may ask more often"
            };
            return Err(StageError::new(message).help(format!(
                "wait so long, then try again{token}; or take what is in {} with `HF_HUB_OFFLINE=1`",
                self.cache
            )));
        }
        waits.count += 1;
        waits.total += wait;
        listener.note(&format!("{host} answers 429, too many requests: waiting {} s", wait.as_secs()));
        sleep(wait, listener)
    }

    /// The hub fails, or is not there: the cache may do.
    fn unreachable(&self, why: &Failure) -> StageError {
        let (host, cache) = (self.connection.host(), &self.cache);
        let instead = format!(
            "`HF_HUB_OFFLINE=1` takes what is in {cache}, and a source may have a `path` in place of `hub`"
        );
        let (message, help) = match why {
            Failure::Status(_) => (
                format!("{host} cannot answer now"),
                format!("wait some minutes, then try again; or see that HF_ENDPOINT is right; {instead}"),
            ),
            Failure::Connection(_) => (
                format!("{host} cannot be reached"),
                format!(
                    "check the network and the proxy (HTTPS_PROXY), and HF_ENDPOINT; without a network, {instead}"
                ),
            ),
        };
        let why = match why {
            Failure::Connection(ureq::Error::HostNotFound) => why.to_string(),
            _ => format!("{why}, {}", tries(self.patience.attempts, Duration::ZERO)),
        };
        StageError::because(message, Unreachable(why)).help(help)
    }
}

/// How often the hub asked to wait, and how long that was.
#[derive(Default)]
struct Waits {
    count: u32,
    total: Duration,
}

/// What passes by.
enum Failure {
    Status(u16),
    Connection(ureq::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "it answers {status}"),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

fn tries(count: u32, waited: Duration) -> String {
    let times = if count == 1 { "tried once".to_owned() } else { format!("tried {count} times") };
    if waited.is_zero() { times } else { format!("{times}, waited {} s", waited.as_secs()) }
}
