use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// An answer, as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// `error.message`, and that there is an `error.help`.
    pub fn error(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["help"].as_str().is_some_and(|help| !help.is_empty()), "{self:?}");
        error["message"].as_str().expect("is text").to_owned()
    }
}

/// One request on a connection of its own.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut raw = Raw::new(address);
    let head = Raw::head(method, path, headers);
    raw.send(format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).as_bytes());
    raw.send(body);
    if method == "HEAD" {
        let (status, headers) = raw.answer_head();
        return Answer { status, headers, body: String::new() };
    }
    raw.answer()
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[], b"")
}

pub fn post(address: SocketAddr, media: &str, body: impl AsRef<[u8]>) -> Answer {
    request(address, "POST", "/predict", &[("Content-Type", media)], body.as_ref())
}

pub fn predict(address: SocketAddr, json: &Value) -> Answer {
    post(address, "application/json", json.to_string())
}

/// A connection on which anything can be sent.
pub struct Raw(BufReader<TcpStream>);

impl Raw {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("is a duration");
        Self(BufReader::new(stream))
    }

    pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: here\r\n");
        for (name, value) in headers {
            head.extend([*name, ": ", *value, "\r\n"]);
        }
        head
    }

    /// Begins a stream of lines.
    pub fn stream(&mut self) {
        let head = Self::head(
            "POST",
            "/predict",
            &[("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked")],
        );
        self.send(format!("{head}\r\n").as_bytes());
    }

    pub fn chunk(&mut self, data: &str) {
        self.send(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes());
    }

    /// A server that refuses early may have closed: what it answered is still there to read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    /// Whether the server takes no more now.
    pub fn is_blocked(&mut self, bytes: &[u8]) -> bool {
        let stream = self.0.get_mut();
        stream.set_write_timeout(Some(Duration::from_millis(300))).expect("is a duration");
        stream.write_all(bytes).is_err()
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("reads");
        line.trim_end().to_owned()
    }

    /// Status and headers.
    pub fn answer_head(&mut self) -> (u16, Vec<(String, String)>) {
        let status = self.line();
        let status = status.split(' ').nth(1).unwrap_or_else(|| panic!("{status:?} is no status line"));
        let status = status.parse().expect("is a number");
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { return (status, headers) };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    /// The next piece of a body; empty at its end.
    pub fn next_chunk(&mut self) -> String {
        let length = usize::from_str_radix(&self.line(), 16).expect("is a length");
        let mut data = vec![0; length + 2];
        self.0.read_exact(&mut data).expect("reads");
        data.truncate(length);
        String::from_utf8(data).expect("is UTF-8")
    }

    pub fn answer(&mut self) -> Answer {
        let (status, headers) = self.answer_head();
        let find =
            |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let mut body = String::new();
        if find("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.next_chunk();
                if chunk.is_empty() {
                    break;
                }
                body.push_str(&chunk);
            }
        } else {
            let length = find("content-length").map_or(0, |length| length.parse().expect("is a number"));
            let mut bytes = vec![0; length];
            self.0.read_exact(&mut bytes).expect("reads");
            body = String::from_utf8(bytes).expect("is UTF-8");
        }
        Answer { status, headers, body }
    }
}
