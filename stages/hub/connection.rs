//! Requests, once each: the token goes to the hub alone.

use std::{sync::Arc, time::Duration};

use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, RootCerts, TlsConfig},
};
use url::Url;

use crate::settings::{Settings, Token};

/// What the hub, or where it sent us, answered.
pub(crate) struct Reply {
    /// What the hub itself says that the content is.
    pub etag: Option<String>,
    pub response: Response<Body>,
}

impl Reply {
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The whole body; it is no file's.
    pub fn text(mut self) -> Result<String, ureq::Error> {
        const MOST: u64 = 100_000_000;
        self.response.body_mut().with_config().limit(MOST).read_to_string()
    }
}

/// A connection to the hub.
pub(crate) struct Connection {
    endpoint: Url,
    token: Option<Token>,
    agent: Agent,
}

impl Connection {
    pub fn new(settings: &Settings) -> Self {
        const CONNECT: Duration = Duration::from_secs(15);
        /// Nothing came for so long: the connection is dead, though nobody said so (as long as `huggingface_hub` waits).
        const READ: Duration = Duration::from_secs(10);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(READ))
            .user_agent(concat!("ner-pipe/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots()).build())
            .build()
            .new_agent();
        Self { endpoint: settings.endpoint.clone(), token: settings.token.clone(), agent }
    }

    /// Its name, for people.
    pub fn host(&self) -> String {
        self.endpoint.as_str().trim_end_matches('/').to_owned()
    }

    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// An address at the hub; a `/` in a part of `before` and `after` is no separator.
    pub fn url(&self, before: &[&str], repo: &str, after: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(before).extend(repo.split('/')).extend(after);
        }
        url
    }

    /// Follows redirects by hand: only the hub is told the token.
    pub fn follow(&self, url: &Url, from: u64) -> Result<Reply, ureq::Error> {
        const MOST: usize = 8;
        let (mut at, mut linked) = (url.clone(), None);
        for _ in 0..MOST {
            let is_hub = at.origin() == self.endpoint.origin();
            let mut request = self.agent.get(at.as_str());
            if from > 0 {
                request = request.header("Range", format!("bytes={from}-"));
            }
            if let (true, Some(token)) = (is_hub, &self.token) {
                request = request.header("Authorization", token.header());
            }
            let response = request.call()?;
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let said = |name| header(name).filter(|_| is_hub).map(unquoted);
            linked = linked.or_else(|| said("x-linked-etag"));
            let next = header("location").filter(|_| response.status().is_redirection());
            match next.map(|next| at.join(next)) {
                // The etag of a redirect is not that of where it leads.
                None => return Ok(Reply { etag: linked.or_else(|| said("etag")), response }),
                Some(Ok(next)) => at = next,
                Some(Err(error)) => return Err(ureq::Error::BadUri(error.to_string())),
            }
        }
        Err(ureq::Error::TooManyRedirects)
    }

    /// One attempt, for what only helps to say what is wrong.
    pub fn glance(&self, url: &Url) -> Option<serde_json::Value> {
        let reply = self.follow(url, 0).ok().filter(|reply| reply.status() == 200)?;
        serde_json::from_str(&reply.text().ok()?).ok()
    }
}

/// `W/"a"` gives `a`.
fn unquoted(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Those of the system, which know the proxies of a company; else Mozilla's.
fn roots() -> RootCerts {
    let system = rustls_native_certs::load_native_certs().certs;
    if system.is_empty() {
        return RootCerts::WebPki;
    }
    RootCerts::Specific(Arc::new(system.iter().map(|one| Certificate::from_der(one).to_owned()).collect()))
}
