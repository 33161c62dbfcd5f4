//! A sentence whose words are a line or a record each, while it is being read.

use super::{
    format::Want,
    item::{Content, Found, Place},
};

/// Words with their tags and places, and what is wrong with it: then it is a bad record as a whole.
#[derive(Debug, Default)]
pub struct Sentence {
    words: Vec<String>,
    tags: Vec<String>,
    places: Vec<Place>,
    bad: Vec<(Place, String)>,
    /// What it says as a whole, where the file tells.
    text: Option<String>,
}

impl Sentence {
    /// A word where it stands.
    pub fn push(&mut self, word: impl Into<String>, tag: impl Into<String>, place: Place) {
        self.words.push(word.into());
        self.tags.push(tag.into());
        self.places.push(place);
    }

    /// What the sentence that begins says, as it was before it became words.
    pub fn says(&mut self, text: &str) {
        self.text = Some(text.to_owned());
    }

    /// Whether it has begun.
    pub fn is_open(&self) -> bool {
        !self.places.is_empty() || !self.bad.is_empty()
    }

    /// A word that is wrong.
    pub fn reject(&mut self, place: Place, reason: impl Into<String>) {
        self.bad.push((place, reason.into()));
    }

    /// Ends it, and begins another.
    pub fn end(&mut self, document: Option<&String>, want: Want, found: &mut Found) {
        let Self { words, tags, places, bad, text } = std::mem::take(self);
        if !bad.is_empty() {
            return found.bad.extend(bad);
        }
        let Some(place) = places.first().copied() else { return };
        let content = match want {
            Want::Text => Content::Text(text.unwrap_or_else(|| words.join(" "))),
            Want::Gold | Want::Entries => Content::Tagged { words, tags, places },
        };
        found.push(place, document.cloned(), content);
    }
}
