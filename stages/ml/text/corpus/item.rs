//! What every format gives: texts with or without annotations, and what was wrong.

use std::fmt;

use serde_json::{Map, Value};

/// One text of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// Where it begins.
    pub place: Place,
    /// The document that it is from, where the file says so.
    pub document: Option<String>,
    /// Text and annotations.
    pub content: Content,
    /// The record that it is read from, where that is asked for ([`Want::Entries`](super::format::Want::Entries)).
    pub record: Option<Map<String, Value>>,
}

/// Where in a file, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A line.
    Line(usize),
    /// A record of a file whose records are no lines.
    Record(usize),
}

impl Place {
    /// Line or record.
    pub fn number(self) -> usize {
        match self {
            Self::Line(number) | Self::Record(number) => number,
        }
    }
}

impl fmt::Display for Place {
    /// What follows a file's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, ":{number}"),
            Self::Record(number) => write!(f, ": record {number}"),
        }
    }
}

/// Text and annotations as the file has them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// Text alone.
    Text(String),
    /// Words with a tag each, in whatever scheme.
    Tagged {
        /// As they stand.
        words: Vec<String>,
        /// One a word.
        tags: Vec<String>,
        /// Where each word is; empty where all are at the item's place.
        places: Vec<Place>,
    },
    /// Words with a tag each, and where the words are in a text.
    Placed {
        /// What the offsets count in.
        text: String,
        /// `[start, end)` in Unicode scalar values.
        words: Vec<[usize; 2]>,
        /// One a word.
        tags: Vec<String>,
    },
    /// Text with spans of it.
    Spans {
        /// What the offsets count in.
        text: String,
        /// In any order.
        marks: Vec<Mark>,
    },
}

/// A span as a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// First character, byte or UTF-16 unit.
    pub start: usize,
    /// One past the last.
    pub end: usize,
    /// The type.
    pub kind: String,
    /// What it says, where the file repeats that.
    pub surface: Option<String>,
}

/// What a format found in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In file order.
    pub items: Vec<Item>,
    /// Bad records with what is wrong, without any of their text.
    pub bad: Vec<(Place, String)>,
    /// What was guessed of the form: `4 columns, word 2, tag 3`.
    pub form: Vec<String>,
    /// What else is to be said of how it was read.
    pub notes: Vec<String>,
    /// What was left out, and why.
    pub lost: Vec<String>,
}

impl Found {
    /// A text.
    pub fn push(&mut self, place: Place, document: Option<String>, content: Content) {
        self.items.push(Item { place, document, content, record: None });
    }

    /// A bad record.
    pub fn reject(&mut self, place: Place, reason: impl Into<String>) {
        self.bad.push((place, reason.into()));
    }

    /// Says how many of something there were, if there were any: `3 words of white space are left out`.
    pub fn count(&mut self, number: usize, one: &str, several: &str) {
        match number {
            0 => {}
            1 => self.notes.push(format!("1 {one}")),
            number => self.notes.push(format!("{number} {several}")),
        }
    }
}
