//! Tables with a header: CSV and TSV, a text a row or a word a row.

mod head;
mod literal;
mod rows;

use csv::StringRecord;
use serde_json::Value;
use stage_contract::StageError;

use self::{head::Head, rows::Row};
use crate::corpus::{
    files::as_it_stands,
    format::{File, Format, Want},
    item::{Found, Place},
    names::Names,
    options::Options,
    shape::{Absent, LABELS, Shapes},
    word_rows::{WordRows, column},
};

/// Values between commas, semicolons, tabs or strokes below a line of names.
pub struct Table;

impl Format for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn sniff(&self, file: &File, want: Want, options: &Options) -> bool {
        Head::of(file, want, options).is_some_and(|head| head.fits(file, want, options))
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let mut found = Found::default();
        let Some(mut head) = Head::of(file, want, options) else { return Ok(found) };
        found.form.push(head.said());
        let rows = head.rows(file);
        match head.words.take() {
            Some(words) => read_words(words, rows, file, (want, options), &mut found)?,
            None => read_texts(&head, file, want, options, &mut found)?,
        }
        Ok(found)
    }
}

fn read_texts(
    head: &Head,
    file: &File,
    want: Want,
    options: &Options,
    found: &mut Found,
) -> Result<(), StageError> {
    let said = head.text_said(file, options)?;
    let mut shapes = Shapes::new(want, &said, Names::beside(file.folders()));
    // Offsets count the ends of lines inside of a cell as they stand.
    let standing = if want == Want::Gold && file.path.exists() {
        Some(File { text: as_it_stands(&file.path, options.encoding.as_deref())?, ..file.clone() })
    } else {
        None
    };
    let record = |row: &StringRecord| {
        let cell =
            |(name, place): (&String, usize)| (name.clone(), value(row.get(place).unwrap_or_default()));
        Value::Object(head.names.iter().zip(0..).map(cell).collect())
    };
    let rows = || head.rows(standing.as_ref().unwrap_or(file));
    shapes.look(rows().take(Shapes::LOOKED_AT).filter_map(|(.., row)| Some(record(&row.ok()?))));
    for (line, _, row) in rows() {
        match row {
            Ok(row) => shapes.take(found, Place::Line(line), &record(&row)),
            Err(reason) => found.reject(Place::Line(line), reason),
        }
    }
    shapes.finish(found, &file.path, LABELS)
}

fn read_words(
    mut words: WordRows,
    rows: impl Iterator<Item = Row>,
    file: &File,
    (want, options): (Want, &Options),
    found: &mut Found,
) -> Result<(), StageError> {
    let mut absent = Absent::new(&options.fields, want);
    absent.see(|field| column(words.names(), &[field]).is_some());
    absent.into_result(&file.path, words.names())?;
    for (line, gap, row) in rows {
        match row {
            Ok(row) => words.take(Place::Line(line), gap, &row, want, found),
            Err(reason) => words.reject(Place::Line(line), reason),
        }
    }
    words.finish(want, Names::beside(file.folders()).as_ref(), (&file.path, LABELS), found)
}

/// A cell: a list or an object as Python or JSON writes it, nothing, or a string.
fn value(cell: &str) -> Value {
    let text = cell.trim();
    if text.is_empty() {
        return Value::Null;
    }
    let literal = text.starts_with(['[', '{', '(']).then(|| literal::read(text)).flatten();
    literal.unwrap_or_else(|| Value::String(cell.to_owned()))
}

#[cfg(test)]
mod tests;
