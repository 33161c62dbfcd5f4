//! Texts for a model to read, with the records and the words that they are read from: for what is written of its entities.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use stage_contract::StageError;

use super::{
    format::Want,
    formats::columns::retagged,
    gold::joined,
    item::{Content, Item, Place},
    options::Options,
    reading::{Notes, Part, Reading},
    text::note,
};
use crate::words::words;

/// One text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// What offsets count in.
    pub text: String,
    /// `[start, end)` of each word in Unicode scalar values, where the file says what words are.
    pub words: Option<Vec<[usize; 2]>>,
    /// In a file of columns each line, from 1, with the number of its word; none of white space.
    pub lines: Vec<(usize, Option<usize>)>,
    /// The document that it is from, where the file says so.
    pub document: Option<String>,
    /// The record that it is read from, with its fields in their order.
    pub record: Option<Map<String, Value>>,
}

impl Entry {
    /// A text of which no more is known.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// `[start, end)` of each word in Unicode scalar values: those of the file, else the project's own.
    #[must_use]
    pub fn words(&self) -> Cow<'_, [[usize; 2]]> {
        self.words.as_deref().map_or_else(|| Cow::Owned(words(&self.text)), Cow::Borrowed)
    }

    pub(super) fn of(item: Item) -> Option<Self> {
        let Item { document, content, record, .. } = item;
        let base = Self { document, record, ..Self::default() };
        match content {
            Content::Text(text) => Some(Self { text, ..base }),
            Content::Tagged { words, places, .. } => {
                let words: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
                let mut number = 0;
                let lines = words.iter().zip(&places).map(|(word, place)| {
                    let own = (!word.is_empty()).then_some(number);
                    number += usize::from(own.is_some());
                    (place.number(), own)
                });
                let lines = lines.collect();
                let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
                let (text, words) = joined(&words);
                Some(Self { text, words: Some(words), lines, ..base })
            }
            // Only gold is read so.
            Content::Placed { .. } | Content::Spans { .. } => None,
        }
    }
}

/// The texts of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// What the file is called.
    pub name: String,
    /// In file order.
    pub entries: Vec<Entry>,
    /// The file itself, where it is one of columns, and how it was read.
    columns: Option<(String, Options)>,
}

impl Document {
    /// Texts that are in no file, or come one after another.
    #[must_use]
    pub fn new(name: impl Into<String>, entries: Vec<Entry>) -> Self {
        Self { name: name.into(), entries, columns: None }
    }

    /// Whether it is of columns with a word a line.
    #[must_use]
    pub fn has_columns(&self) -> bool {
        self.columns.is_some()
    }

    /// A file of columns with other tags on some lines, from 1; `None` of any other file.
    #[must_use]
    pub fn retagged(&self, tags: &BTreeMap<usize, String>) -> Option<String> {
        self.columns.as_ref().map(|(text, options)| retagged(text, options, tags))
    }
}

/// Reads the files of one input, one after another.
pub struct Entries<'o> {
    reading: Reading<'o>,
    options: &'o Options,
}

impl<'o> Entries<'o> {
    /// Reads as the options say.
    #[must_use]
    pub fn new(options: &'o Options) -> Self {
        Self { reading: Reading::new(options, Want::Entries), options }
    }

    /// The files below a path, or the file itself: name and path of each.
    ///
    /// # Errors
    /// The options contradict themselves; a folder is unreadable, or has no file.
    pub fn files(&mut self, path: &Path) -> Result<Vec<(String, PathBuf)>, StageError> {
        self.reading.files(path)
    }

    /// Reads a file; `None` if it is left out, which is noted.
    ///
    /// # Errors
    /// It is unreadable, or of no encoding or format that is read; with it there are more bad records than
    /// [`Options::errors`].
    pub fn read(&mut self, name: String, path: PathBuf) -> Result<Option<Document>, StageError> {
        let part = self.reading.part(name, path)?;
        self.document(part)
    }

    /// Reads bytes that are a file's.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_bytes(&mut self, name: &str, bytes: Vec<u8>) -> Result<Option<Document>, StageError> {
        let bytes = super::unpack::unpack(bytes, Path::new(name))?;
        let part = self.reading.part_of(name.to_owned(), name.into(), bytes)?;
        self.document(part)
    }

    fn document(&mut self, part: Option<Part>) -> Result<Option<Document>, StageError> {
        let Some(part) = part else { return Ok(None) };
        self.reading.check(!part.found.items.is_empty())?;
        note(&mut self.reading.notes, &part);
        let Part { name, found, columns, .. } = part;
        let columns = columns.map(|text| (text, self.options.clone()));
        let entries = found.items.into_iter().filter_map(Entry::of).collect();
        Ok(Some(Document { name, entries, columns }))
    }

    /// A record is bad.
    ///
    /// # Errors
    /// It is one more than [`Options::errors`].
    pub(super) fn reject(&mut self, path: &Path, place: Place, reason: &str) -> Result<(), StageError> {
        self.reading.reject(path, place, reason);
        self.check()
    }

    /// How many records were bad so far.
    #[must_use]
    pub fn number_of_bad(&self) -> usize {
        self.reading.number_of_bad()
    }

    /// # Errors
    /// More records were bad than [`Options::errors`]: all of them.
    pub fn check(&self) -> Result<(), StageError> {
        self.reading.check(true)
    }

    /// Says what was left out of a file.
    pub(super) fn left_out(&mut self, path: &Path, lost: Vec<String>) {
        self.reading.notes.lost.extend(lost.into_iter().map(|note| format!("{}: {note}", path.display())));
    }

    /// All that is to be said of what was read.
    #[must_use]
    pub fn notes(self) -> Notes {
        self.reading.notes()
    }
}

#[cfg(test)]
mod tests;
