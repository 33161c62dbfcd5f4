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

/// A text without what would command a terminal, or turn what it shows around.
#[must_use]
pub fn harmless(text: &str) -> String {
    let commands = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if commands(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_commands_a_terminal_is_not_shown() {
        let shown = harmless("a\u{1b}[2Jb\u{9b}\u{202e}c\u{2066}é\u{200d}");
        assert_eq!(shown, "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}é\u{200d}");
    }
}
