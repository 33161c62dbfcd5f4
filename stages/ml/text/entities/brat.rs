//! brat's standoff: the texts of a file, and the entities of it beside them.

use std::io::{self, Write};

use super::{entity::Placed, writer::Writer};
use crate::corpus::{Document, Entry};

/// Counts characters and entities of a file.
#[derive(Default)]
pub(super) struct Brat {
    /// Characters written so far.
    characters: usize,
    entities: usize,
    /// The document of the last text, where there was one.
    document: Option<String>,
}

impl Writer for Brat {
    fn begin(&mut self, _document: &Document, _outs: &mut [&mut dyn Write]) -> io::Result<()> {
        *self = Self::default();
        Ok(())
    }

    fn text(&mut self, entry: &Entry, entities: &[Placed], outs: &mut [&mut dyn Write]) -> io::Result<()> {
        let [marks, texts] = outs else { return Ok(()) };
        // A blank line tells documents apart, which have one pair of files and one count of characters.
        if self.characters > 0 && entry.document != self.document {
            texts.write_all(b"\n")?;
            self.characters += 1;
        }
        self.document.clone_from(&entry.document);
        let text = as_counted(&entry.text);
        writeln!(texts, "{text}")?;
        for entity in entities {
            self.entities += 1;
            let number = self.entities;
            let (places, says) =
                parts(&text[entity.bytes[0]..entity.bytes[1]], self.characters + entity.start);
            writeln!(marks, "T{number}\t{} {places}\t{says}", entity.tag())?;
            writeln!(marks, "#{number}\tAnnotatorNotes T{number}\tscore {:.6}", entity.score)?;
        }
        self.characters += text.chars().count() + 1;
        Ok(())
    }
}

/// A text whose characters every reader counts alike: some take `\r\n` for one, and drop a byte order mark. What takes their
/// places has as many bytes, so that all offsets stay.
fn as_counted(text: &str) -> String {
    text.replace('\r', " ").replace('\u{feff}', "\u{2060}")
}

/// Where the lines of an entity are, which no part of one may go beyond, and what they say: `4 8;9 13` and `Anna Roux`.
fn parts(says: &str, start: usize) -> (String, String) {
    let mut at = start;
    let (mut places, mut lines) = (Vec::new(), Vec::new());
    for line in says.split('\n') {
        let (from, to) = (at, at + line.chars().count());
        at = to + 1;
        // A blank line has nothing to mark.
        if !line.trim().is_empty() {
            places.push(format!("{from} {to}"));
            lines.push(line.replace('\t', " "));
        }
    }
    (places.join(";"), lines.join(" "))
}
