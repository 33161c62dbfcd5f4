//! A hub on the loopback interface, for tests: it answers as Hugging Face's does, sends who asks for a large file to a
//! second server, and fails where a test says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Files from this size on come from the second server.
pub const LARGE: usize = 1000;

/// What goes wrong, once.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This status, and how many seconds to wait.
    Status(u16, Option<u64>),
    /// The connection ends after so many bytes of the body.
    Break(usize),
    /// `Range` is not understood: all of it comes.
    Whole,
    /// Other bytes come.
    Garbled,
    /// The content comes, but late.
    Slow(Duration),
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whether the second server was asked.
    pub second: bool,
    /// What it asked for.
    pub path: String,
    /// By name in small letters.
    pub headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct Repository {
    revisions: BTreeMap<String, String>,
    commits: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    gated: bool,
}

#[derive(Default)]
struct State {
    second: Option<SocketAddr>,
    repositories: BTreeMap<String, Repository>,
    data_sets: BTreeSet<String>,
    faults: Vec<(String, Fault)>,
    requests: Vec<Request>,
}

/// The hub.
pub struct FakeHub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// Only this opens what is gated.
pub const TOKEN: &str = "hf_of_a_test";

impl FakeHub {
    /// Starts both servers.
    ///
    /// # Panics
    /// When the system gives no port.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let second = serve(true, &state);
        lock(&state).second = Some(second);
        Self { address: serve(false, &state), state }
    }

    /// For `HF_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A commit of these files, which the branch `main` is then; gives its name.
    #[expect(clippy::must_use_candidate, reason = "it is made, whether its name is needed or not")]
    pub fn commit(&self, repo: &str, files: &[(&str, &[u8])]) -> String {
        let mut state = lock(&self.state);
        let repository = state.repositories.entry(repo.to_owned()).or_default();
        let commit = hex(Sha1::digest(format!("{repo} {}", repository.commits.len())).as_slice());
        let files = files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec()));
        repository.commits.insert(commit.clone(), files.collect());
        repository.revisions.insert("main".to_owned(), commit.clone());
        commit
    }

    /// Changes a file of a commit, which no real hub does.
    pub fn change(&self, repo: &str, commit: &str, file: &str, content: &[u8]) {
        let mut state = lock(&self.state);
        let repository = state.repositories.entry(repo.to_owned()).or_default();
        repository.commits.entry(commit.to_owned()).or_default().insert(file.to_owned(), content.to_vec());
    }

    /// Calls a commit by one more name.
    pub fn tag(&self, repo: &str, name: &str, commit: &str) {
        let mut state = lock(&self.state);
        state
            .repositories
            .entry(repo.to_owned())
            .or_default()
            .revisions
            .insert(name.to_owned(), commit.to_owned());
    }

    /// Has a data set of this name.
    pub fn data_set(&self, repo: &str) {
        lock(&self.state).data_sets.insert(repo.to_owned());
    }

    /// Asks for [`TOKEN`] from now on.
    pub fn gate(&self, repo: &str) {
        lock(&self.state).repositories.entry(repo.to_owned()).or_default().gated = true;
    }

    /// Lets the next request whose path has `part` in it fail; several happen one after the other.
    pub fn fail(&self, part: &str, fault: Fault) {
        lock(&self.state).faults.push((part.to_owned(), fault));
    }

    /// Takes the requests that came since the last call.
    #[expect(clippy::must_use_candidate, reason = "who only forgets them needs none")]
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut lock(&self.state).requests)
    }
}

fn lock(state: &Arc<Mutex<State>>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(second: bool, state: &Arc<Mutex<State>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let state = Arc::clone(state);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            // Who hangs up is no fault of the hub's.
            thread::spawn(move || drop(answer(second, &state, stream)));
        }
    });
    address
}

fn answer(second: bool, state: &Arc<Mutex<State>>, mut stream: TcpStream) -> std::io::Result<()> {
    let Some(request) = read(second, &stream)? else { return Ok(()) };
    let fault = {
        let mut state = lock(state);
        state.requests.push(request.clone());
        let found = state.faults.iter().position(|(part, _)| request.path.contains(part.as_str()));
        found.map(|at| state.faults.remove(at).1)
    };
    let mut reply = match fault {
        Some(Fault::Status(status, wait)) => {
            let wait = wait.map(|wait| ("Retry-After".to_owned(), wait.to_string()));
            Reply { status, headers: wait.into_iter().collect(), body: Vec::new() }
        }
        Some(Fault::Slow(wait)) => {
            thread::sleep(wait);
            reply(&request, &lock(state))
        }
        _ => reply(&request, &lock(state)),
    };
    let from = request
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let from: usize = from.filter(|_| !matches!(fault, Some(Fault::Whole))).unwrap_or(0);
    let total = reply.body.len();
    if reply.status == 200 && from > 0 {
        if from < total {
            reply.status = 206;
            reply.headers.push(("Content-Range".to_owned(), format!("bytes {from}-{}/{total}", total - 1)));
            reply.body.drain(..from);
        } else {
            reply = Reply {
                status: 416,
                headers: vec![("Content-Range".to_owned(), format!("bytes */{total}"))],
                body: Vec::new(),
            };
        }
    }
    let mut text = format!(
        "HTTP/1.1 {} .\r\nConnection: close\r\nContent-Length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    let headers: Vec<_> = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    text.push_str(&headers.concat());
    match fault {
        Some(Fault::Break(at)) => reply.body.truncate(at),
        Some(Fault::Garbled) => reply.body.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    stream.write_all(format!("{text}\r\n").as_bytes())?;
    stream.write_all(&reply.body)
}

fn read(second: bool, stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream.take(1 << 20)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let Some(path) = first.split(' ').nth(1) else { return Ok(None) };
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    Ok(Some(Request { second, path: path.to_owned(), headers }))
}

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn json(value: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: value.to_string().into_bytes() }
    }

    fn refusal(status: u16, code: &str) -> Self {
        Self { status, headers: vec![("X-Error-Code".to_owned(), code.to_owned())], body: b"{}".to_vec() }
    }
}

fn reply(request: &Request, state: &State) -> Reply {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let parts: Vec<String> = path.split('/').skip(1).map(|part| part.replace("%2F", "/")).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if request.second {
        let wanted = parts.last().copied().unwrap_or_default();
        let commits = state.repositories.values().flat_map(|repository| repository.commits.values());
        let found = commits.flat_map(BTreeMap::values).find(|content| sha256(content) == wanted);
        return found.map_or_else(
            || Reply::refusal(404, ""),
            |content| Reply { status: 200, headers: Vec::new(), body: content.clone() },
        );
    }
    match parts.as_slice() {
        ["api", "models"] => {
            let wanted = query.split('&').find_map(|pair| pair.strip_prefix("search=")).unwrap_or_default();
            let near = state.repositories.keys().filter(|name| name.contains(wanted));
            Reply::json(&near.map(|name| json!({ "id": name })).collect())
        }
        ["api", "datasets", owner, name] if state.data_sets.contains(&format!("{owner}/{name}")) => {
            Reply::json(&json!({}))
        }
        ["api", "models", owner, name, rest @ ..] => {
            with(request, state, owner, name, |repository| match rest {
                ["refs"] => {
                    let all: Vec<_> =
                        repository.revisions.keys().map(|name| json!({ "name": name })).collect();
                    Reply::json(&json!({ "branches": all, "tags": [] }))
                }
                ["revision", revision] => match find(repository, revision) {
                    Some((commit, files)) => Reply::json(&listing(commit, files)),
                    None => Reply::refusal(404, "RevisionNotFound"),
                },
                _ => Reply::json(&json!({})),
            })
        }
        [owner, name, "resolve", revision, file @ ..] => with(request, state, owner, name, |repository| {
            let Some((commit, files)) = find(repository, revision) else {
                return Reply::refusal(404, "RevisionNotFound");
            };
            let Some(content) = files.get(&file.join("/")) else {
                return Reply::refusal(404, "EntryNotFound");
            };
            content_of(commit, content, state)
        }),
        _ => Reply::refusal(404, ""),
    }
}

fn with(
    request: &Request,
    state: &State,
    owner: &str,
    name: &str,
    of: impl Fn(&Repository) -> Reply,
) -> Reply {
    // As the real one: whoever is not known is not told whether it exists.
    let Some(repository) = state.repositories.get(&format!("{owner}/{name}")) else {
        return Reply::refusal(401, "RepoNotFound");
    };
    let token = request.headers.get("authorization").map(String::as_str);
    if repository.gated && token != Some(&format!("Bearer {TOKEN}")) {
        return Reply::refusal(if token.is_some() { 403 } else { 401 }, "GatedRepo");
    }
    of(repository)
}

fn find<'r>(
    repository: &'r Repository,
    revision: &str,
) -> Option<(&'r String, &'r BTreeMap<String, Vec<u8>>)> {
    let commit = repository.revisions.get(revision).map_or(revision, String::as_str);
    repository.commits.get_key_value(commit)
}

fn listing(commit: &str, files: &BTreeMap<String, Vec<u8>>) -> Value {
    let siblings = files.iter().map(|(name, content)| {
        let mut sibling = json!({ "rfilename": name, "size": content.len(), "blobId": git_blob(content) });
        if content.len() >= LARGE {
            sibling["lfs"] = json!({ "sha256": sha256(content), "size": content.len(), "pointerSize": 134 });
        }
        sibling
    });
    json!({ "sha": commit, "siblings": siblings.collect::<Vec<_>>() })
}

fn content_of(commit: &str, content: &[u8], state: &State) -> Reply {
    let mut headers = vec![("X-Repo-Commit".to_owned(), commit.to_owned())];
    if content.len() < LARGE {
        headers.push(("ETag".to_owned(), format!("W/\"{}\"", git_blob(content))));
        return Reply { status: 200, headers, body: content.to_vec() };
    }
    let hash = sha256(content);
    headers.push(("X-Linked-ETag".to_owned(), format!("\"{hash}\"")));
    headers.push(("ETag".to_owned(), "\"of the redirect\"".to_owned()));
    if let Some(second) = state.second {
        headers.push(("Location".to_owned(), format!("http://{second}/blobs/{hash}")));
    }
    Reply { status: 302, headers, body: Vec::new() }
}

fn sha256(content: &[u8]) -> String {
    hex(Sha256::digest(content).as_slice())
}

fn git_blob(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    hex(hash.finalize().as_slice())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
