//! What writes texts with their entities.

use std::{
    io::{self, Write},
    str::FromStr,
};

use super::entity::Placed;
use crate::corpus::{Document, Entry};

/// Writes texts with their entities in one format, into as many files as the format has ([`Format::endings`](super::Format::endings)).
pub trait Writer {
    /// A document begins.
    ///
    /// # Errors
    /// What is written to refuses, as for the others.
    fn begin(&mut self, _document: &Document, _outs: &mut [&mut dyn Write]) -> io::Result<()> {
        Ok(())
    }

    /// Writes a text. Entities are in its order and do not overlap.
    ///
    /// # Errors
    /// As [`Self::begin`].
    fn text(&mut self, entry: &Entry, entities: &[Placed], outs: &mut [&mut dyn Write]) -> io::Result<()>;

    /// Whether a text without a word has a place in what is written.
    fn holds_wordless(&self) -> bool {
        true
    }

    /// The document ends.
    ///
    /// # Errors
    /// As [`Self::begin`].
    fn end(&mut self, _document: &Document, _outs: &mut [&mut dyn Write]) -> io::Result<()> {
        Ok(())
    }
}

/// What JSONL says of each entity and text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// What offsets count.
    pub offsets: Offsets,
    /// Whether each text says the file that it is from.
    pub files: bool,
}

/// What offsets count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offsets {
    /// Unicode scalar values: `start` and `end`.
    #[default]
    Characters,
    /// Bytes of UTF-8: `start_byte` and `end_byte`.
    Bytes,
    /// All four.
    Both,
}

impl Offsets {
    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Characters => "characters",
            Self::Bytes => "bytes",
            Self::Both => "both",
        }
    }
}

impl FromStr for Offsets {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Characters, Self::Bytes, Self::Both]
            .into_iter()
            .find(|offsets| offsets.name() == name)
            .ok_or_else(|| "expected characters, bytes or both".to_owned())
    }
}
