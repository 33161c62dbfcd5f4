//! Rows of a table, and quotes that swallow them.

use csv::{Reader, ReaderBuilder, StringRecord};

/// A row: its line, whether a blank line is before it, and its cells or what is wrong.
pub(super) type Row = (usize, bool, Result<StringRecord, String>);

/// What is known of a table before its rows are read.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// The byte that it begins at.
    pub start: usize,
    /// Between cells.
    pub separator: u8,
    /// How many cells a row has.
    pub columns: usize,
    /// Whether a row is a word, which no line breaks.
    pub words: bool,
}

/// The rows of a table, its first line among them.
pub(super) struct Rows<'f> {
    text: &'f str,
    layout: Layout,
    quoting: bool,
    reader: Reader<&'f [u8]>,
    /// The byte that `reader` begins at.
    base: usize,
    /// A byte and the number of its line.
    counted: (usize, usize),
}

impl<'f> Rows<'f> {
    pub fn of(text: &'f str, layout: Layout) -> Self {
        // A lone quote between tabs is a word.
        let odd = |line: &str| line.matches('"').count() % 2 == 1;
        let quoting = layout.separator != b'\t' || !text.lines().any(odd);
        let reader = reader(&text[layout.start..], layout.separator, quoting);
        Self { text, layout, quoting, reader, base: layout.start, counted: (0, 1) }
    }

    fn byte(&self) -> usize {
        let read = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        let at = self.base.saturating_add(read).min(self.text.len());
        // The reader stops inside of the end of a line.
        let inside = self.text[..at].ends_with('\r') && self.text[at..].starts_with('\n');
        at + usize::from(inside)
    }

    fn line(&mut self, at: usize) -> usize {
        let (before, line) = self.counted;
        self.counted = (at, line + self.text[before..at].matches('\n').count());
        self.counted.1
    }

    /// Whether a quote runs over lines that are rows without it, or to the end of the file.
    fn runs_away(&self, row: &str, record: &StringRecord, last: bool) -> bool {
        let Layout { separator, columns, words, .. } = self.layout;
        let quotes = row.matches('"').count();
        if !self.quoting || quotes == 0 {
            return false;
        }
        let cells = |line: &str| line.matches(char::from(separator)).count() + 1;
        let end = record.iter().next_back().unwrap_or_default();
        let odd = || quotes % 2 == 1 && (record.len() < cells(row) || row.ends_with(&format!("\"{end}")));
        let open = last && !row.ends_with('"') && (end.contains('\n') || odd());
        let rows = columns > 1 && row.contains('\n') && row.lines().all(|line| cells(line) == columns);
        open || (rows && (words || (columns > 2 && row.lines().nth(2).is_some())))
    }
}

fn reader(text: &str, separator: u8, quoting: bool) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .quoting(quoting)
        .from_reader(text.as_bytes())
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let columns = self.layout.columns;
        let mut record = StringRecord::new();
        let mut gap = false;
        loop {
            // The reader passes over blank lines and does not say so.
            let at = self.byte();
            let rest = &self.text[at..];
            let blank = &rest[..rest.len() - rest.trim_start_matches([' ', '\n', '\r']).len()];
            gap |= blank.contains('\n');
            let begin = at + blank.rfind('\n').map_or(0, |end| end + 1);
            let read = self.reader.read_record(&mut record);
            if let Ok(false) = read {
                return None;
            }
            let line = self.line(begin);
            let end = self.byte();
            let row = self.text[begin..end.max(begin)].trim_end_matches(['\n', '\r']);
            if self.runs_away(row, &record, end == self.text.len()) {
                self.base = begin + row.find('\n').map_or(row.len(), |end| end + 1);
                self.reader = reader(&self.text[self.base..], self.layout.separator, self.quoting);
                return Some((
                    line,
                    gap,
                    Err("a quote opens a cell and no quote closes it in this row".to_owned()),
                ));
            }
            let row = match read {
                Ok(_) if record.iter().all(|cell| cell.trim().is_empty()) => {
                    gap = true;
                    continue;
                }
                // Programs leave empty cells at the end away.
                Ok(_) if record.len() == columns || (1 < record.len() && record.len() < columns) => {
                    Ok(record)
                }
                Ok(_) => Err(format!("{} cells under {columns} names", record.len())),
                Err(_) => Err("no row of a table".to_owned()),
            };
            return Some((line, gap, row));
        }
    }
}
