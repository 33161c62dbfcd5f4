//! Numbered texts with their entities below, for people.

use std::io::{self, Write};

use stage_contract::terminal::harmless_line;

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
        let line = format!("{}  {}", self.number, harmless_line(text));
        writeln!(out, "{}", line.trim_end())?;
        if entities.is_empty() {
            writeln!(out, "   no entities")?;
        }
        let shown: Vec<_> =
            entities.iter().map(|e| (harmless_line(&e.kind), harmless_line(&e.text))).collect();
        let kinds = shown.iter().map(|(kind, _)| kind.chars().count()).max().unwrap_or(0);
        let texts = shown.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
        for (entity, (kind, text)) in entities.iter().zip(&shown) {
            let place = format!("{}-{}", entity.start, entity.end);
            writeln!(out, "   {kind:kinds$}  {text:texts$}  {place:>9}  {:.3}", entity.score)?;
        }
        Ok(())
    }
}
