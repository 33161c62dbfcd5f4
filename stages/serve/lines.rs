//! Lines of a body, as they come.

use std::mem;

use axum::body::Body;
use bytes::Bytes;
use tokio::time::{Duration, Instant};

use crate::{body, refusal::Refusal};

/// Reads lines of bounded length.
pub struct Lines {
    body: Body,
    limit: usize,
    patience: Duration,
    piece: Bytes,
    line: Vec<u8>,
    number: u64,
}

/// What comes next.
pub enum Next {
    /// A line that is not blank, without its end.
    Line(u64, Vec<u8>),
    /// A line that is too long, and was passed over.
    Long(u64),
    /// No more can be read: the number of the line that was awaited.
    Broken(u64, Refusal),
    End,
}

impl Lines {
    pub fn new(body: Body, limit: usize, patience: Duration) -> Self {
        Self { body, limit, patience, piece: Bytes::new(), line: Vec::new(), number: 0 }
    }

    /// The number of the line that comes next.
    pub fn number(&self) -> u64 {
        self.number + 1
    }

    /// Reads a line. May be cancelled: what was read is kept.
    pub async fn next(&mut self) -> Next {
        loop {
            let Some(end) = self.piece.iter().position(|byte| *byte == b'\n') else {
                self.add(self.piece.len());
                match body::piece(&mut self.body, Instant::now() + self.patience).await {
                    Ok(Some(piece)) => self.piece = piece,
                    Ok(None) => return self.line().unwrap_or(Next::End),
                    Err(refusal) => return Next::Broken(self.number(), refusal),
                }
                continue;
            };
            self.add(end);
            let _ = self.piece.split_to(1);
            if let Some(line) = self.line() {
                return line;
            }
        }
    }

    /// Of a line that is too long only so much is kept that this can be seen.
    fn add(&mut self, length: usize) {
        let piece = self.piece.split_to(length);
        let room = (self.limit + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The line that ends here, unless it is blank; blank ones are numbered like all others.
    fn line(&mut self) -> Option<Next> {
        let line = mem::take(&mut self.line);
        self.number += 1;
        if line.len() > self.limit {
            return Some(Next::Long(self.number));
        }
        (!line.trim_ascii().is_empty()).then_some(Next::Line(self.number, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: &'static str) -> Vec<String> {
        let mut lines = Lines::new(Body::from(body), 4, Duration::from_secs(1));
        let mut read = Vec::new();
        loop {
            read.push(match lines.next().await {
                Next::Line(number, line) => format!("{number} {}", String::from_utf8_lossy(&line)),
                Next::Long(number) => format!("{number} is long"),
                Next::Broken(number, _) => format!("{number} is broken"),
                Next::End => return read,
            });
        }
    }

    #[tokio::test]
    async fn lines_are_numbered_with_blank_and_long_ones() {
        assert_eq!(read("a\n\n  \r\n1234\n12345\nb").await, ["1 a", "4 1234", "5 is long", "6 b"]);
        assert_eq!(read("a\n").await, ["1 a"]);
        assert_eq!(read("12345678").await, ["1 is long"]);
        assert!(read("").await.is_empty());
    }
}
