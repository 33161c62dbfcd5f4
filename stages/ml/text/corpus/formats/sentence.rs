//! A sentence whose words are a line each, while it is being read.

use super::super::{
    format::Want,
    item::{Content, Found, Place},
};

/// Words with their tags and lines, and what is wrong with it: then it is a bad record as a whole.
#[derive(Debug, Default)]
pub struct Sentence {
    words: Vec<String>,
    tags: Vec<String>,
    lines: Vec<usize>,
    bad: Vec<(usize, String)>,
    /// What it says as a whole, where the file tells.
    text: Option<String>,
}

impl Sentence {
    /// A word on a line.
    pub fn push(&mut self, word: impl Into<String>, tag: impl Into<String>, line: usize) {
        self.words.push(word.into());
        self.tags.push(tag.into());
        self.lines.push(line);
    }

    /// What the sentence that begins says, as it was before it became words.
    pub fn says(&mut self, text: &str) {
        self.text = Some(text.to_owned());
    }

    /// Whether it has a line.
    pub fn is_open(&self) -> bool {
        !self.lines.is_empty() || !self.bad.is_empty()
    }

    /// A line that is wrong.
    pub fn reject(&mut self, line: usize, reason: impl Into<String>) {
        self.bad.push((line, reason.into()));
    }

    /// Ends it, and begins another.
    pub fn end(&mut self, document: Option<&String>, want: Want, found: &mut Found) {
        let Self { words, tags, lines, bad, text } = std::mem::take(self);
        if !bad.is_empty() {
            for (line, reason) in bad {
                found.reject(Place::Line(line), reason);
            }
            return;
        }
        let Some(first) = lines.first() else { return };
        let place = Place::Line(*first);
        let content = match want {
            Want::Text => Content::Text(text.unwrap_or_else(|| words.join(" "))),
            Want::Gold => Content::Tagged { words, tags, lines },
        };
        found.push(place, document.cloned(), content);
    }
}
