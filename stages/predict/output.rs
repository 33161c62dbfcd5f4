//! Entities for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use text::entities::{Entity, Placed};

/// Where entities are written.
pub(super) struct Output<W> {
    writer: W,
    format: Format,
    /// Texts written so far.
    number: usize,
}

/// One line of docs/formats.md, "Predict output".
#[derive(Serialize)]
struct Object<'a> {
    text: &'a str,
    entities: &'a [Placed],
}

impl<W: Write> Output<W> {
    pub fn new(writer: W, format: Format) -> Self {
        Self { writer, format, number: 0 }
    }

    /// Writes one text with its entities.
    pub fn text(&mut self, text: &str, found: &[Entity]) -> io::Result<()> {
        self.number += 1;
        let entities = Placed::all(text, found)
            .ok_or_else(|| io::Error::other(format!("text {} cannot have such entities", self.number)))?;
        match self.format {
            Format::Jsonl => {
                serde_json::to_writer(&mut self.writer, &Object { text, entities: &entities })?;
                self.writer.write_all(b"\n")
            }
            Format::Table => self.table(text, &entities),
        }
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn table(&mut self, text: &str, entities: &[Placed]) -> io::Result<()> {
        let line = format!("{}  {}", self.number, harmless(text));
        writeln!(self.writer, "{}", line.trim_end())?;
        if entities.is_empty() {
            writeln!(self.writer, "   no entities")?;
        }
        let widest = |of: fn(&Placed) -> usize| entities.iter().map(of).max().unwrap_or(0);
        let (kinds, texts) = (widest(|e| e.kind.chars().count()), widest(|e| e.text.chars().count()));
        for entity in entities {
            let (kind, text) = (entity.kind.as_str(), harmless(&entity.text));
            let place = format!("{}-{}", entity.start, entity.end);
            writeln!(self.writer, "   {kind:kinds$}  {text:texts$}  {place:>9}  {:.3}", entity.score)?;
        }
        Ok(())
    }
}

/// Control characters of a text must not command a terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
