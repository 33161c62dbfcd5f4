//! A word a line with its BIO tag: in the columns of the file that was read, else in two.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    entity::{Placed, tags},
    writer::Writer,
};
use crate::corpus::{Bio, Document, Entry, Slices};

/// The sentences of a document.
#[derive(Default)]
pub(super) struct Conll {
    bio: Bio,
    /// Whether the document is one of columns.
    columns: bool,
    /// The tag of each line of it.
    tags: BTreeMap<usize, String>,
}

impl Writer for Conll {
    fn begin(&mut self, document: &Document, _outs: &mut [&mut dyn Write]) -> io::Result<()> {
        self.columns = document.has_columns();
        self.tags.clear();
        Ok(())
    }

    fn text(&mut self, entry: &Entry, entities: &[Placed], outs: &mut [&mut dyn Write]) -> io::Result<()> {
        let words = entry.words();
        let tags = tags(&words, entities);
        if self.columns {
            self.tags.extend(
                entry.lines.iter().map(|(line, word)| {
                    (*line, word.map_or_else(|| "O".to_owned(), |word| tags[word].clone()))
                }),
            );
            return Ok(());
        }
        if words.is_empty() {
            return Ok(());
        }
        let text = Slices::new(&entry.text);
        let says = words.iter().map(|&[start, end]| cell(text.of(start, end)));
        self.bio.sentence(&mut *outs[0], entry.document.as_deref(), says.zip(tags.iter().map(String::as_str)))
    }

    fn holds_wordless(&self) -> bool {
        self.columns
    }

    fn end(&mut self, document: &Document, outs: &mut [&mut dyn Write]) -> io::Result<()> {
        match document.retagged(&self.tags) {
            Some(text) => outs[0].write_all(text.as_bytes()),
            None => Ok(()),
        }
    }
}

/// A word as a column can have it: a list of words may have ends of lines in one.
fn cell(word: &str) -> String {
    word.replace(['\t', '\n', '\r'], " ")
}
