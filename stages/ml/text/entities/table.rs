//! Numbered texts with their entities below, for people.

use std::io::{self, Write};

use super::{entity::Placed, writer::Writer};
use crate::corpus::Entry;

/// Counts the texts.
#[derive(Default)]
pub(super) struct Table {
    number: usize,
}

impl Writer for Table {
    fn text(&mut self, entry: &Entry, entities: &[Placed], outs: &mut [&mut dyn Write]) -> io::Result<()> {
        self.number += 1;
        let (text, out) = (&entry.text, &mut outs[0]);
        let line = format!("{}  {}", self.number, harmless(text));
        writeln!(out, "{}", line.trim_end())?;
        if entities.is_empty() {
            writeln!(out, "   no entities")?;
        }
        let widest = |of: fn(&Placed) -> usize| entities.iter().map(of).max().unwrap_or(0);
        let (kinds, texts) = (widest(|e| e.kind.chars().count()), widest(|e| e.end - e.start));
        for entity in entities {
            let (kind, text) = (&entity.kind, harmless(&entity.text));
            let place = format!("{}-{}", entity.start, entity.end);
            writeln!(out, "   {kind:kinds$}  {text:texts$}  {place:>9}  {:.3}", entity.score)?;
        }
        Ok(())
    }
}

/// Control characters of a text must not command a terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
