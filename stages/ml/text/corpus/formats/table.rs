//! Tables with a header: CSV and TSV, a text a row or a word a row.

mod head;
mod literal;
mod rows;

use csv::StringRecord;
use serde_json::Value;
use stage_contract::StageError;

use self::head::{Head, Words};
use super::sentence::Sentence;
use crate::corpus::{
    files::as_it_stands,
    format::{File, Format, Want},
    item::{Content, Found, Place},
    names::{NAMELESS, Names},
    options::Options,
    shape::{LABELS, Shapes},
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
        let Some(head) = Head::of(file, want, options) else { return Ok(found) };
        found.form.push(head.said());
        match &head.words {
            Some(words) => {
                read_words(&head, file, words, want, &mut found);
                if options.labels.is_none() {
                    name_tags(file, &head.names[words.tag], &mut found)?;
                }
            }
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

fn read_words(head: &Head, file: &File, columns: &Words, want: Want, found: &mut Found) {
    let name = |column: usize| format!("`{}`", head.names[column]);
    found.form.extend([format!("words {}", name(columns.word)), format!("tags {}", name(columns.tag))]);
    found.form.extend(columns.sentence.map(|column| format!("sentences {}", name(column))));
    let counting = columns.counting.filter(|_| columns.sentence.is_none());
    found.notes.extend(
        counting
            .map(|column| format!("{} has another value in each row: it counts no sentences", name(column))),
    );
    let mut sentence = Sentence::default();
    let mut gaps = false;
    let mut before = (None, None);
    for (line, gap, row) in head.rows(file) {
        gaps |= gap;
        let row = match row {
            Ok(row) => row,
            Err(reason) => {
                sentence.reject(line, reason);
                continue;
            }
        };
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        let named = |column: Option<usize>| column.map(cell).filter(|n| !n.is_empty()).map(str::to_owned);
        // A sentence and a document are named at their first word, or at each; sentences may count from 1 in each document.
        let (document, own) = &before;
        let now = (
            named(columns.document).or_else(|| document.clone()),
            named(columns.sentence).or_else(|| own.clone()),
        );
        if gap || now != before {
            sentence.end(before.0.as_ref(), want, found);
        }
        before = now;
        sentence.push(cell(columns.word), cell(columns.tag), line);
    }
    sentence.end(before.0.as_ref(), want, found);
    if columns.sentence.is_none() && columns.document.is_none() && !gaps {
        found.notes.push("no column of sentences and no blank line: all is one sentence".to_owned());
    }
}

/// Gives tags that are all numbers the names that a file beside this one has for them.
///
/// # Errors
/// There is no such file, or it does not name them all.
fn name_tags(file: &File, field: &str, found: &mut Found) -> Result<(), StageError> {
    let number = |tag: &String| tag.parse::<i64>().ok();
    let lists = || {
        found.items.iter().filter_map(|item| match &item.content {
            Content::Tagged { tags, .. } => Some(tags),
            _ => None,
        })
    };
    if lists().next().is_none() || !lists().flatten().all(|tag| number(tag).is_some()) {
        return Ok(());
    }
    let refused = |reason: &str| {
        StageError::new(format!("{}: {reason}", file.path.display()))
            .help(format!("name them by {LABELS}, in the order of the numbers"))
    };
    let names = Names::beside(file.folders());
    let ids = names.as_ref().and_then(|names| names.ids(field)).ok_or_else(|| refused(NAMELESS))?;
    for item in &mut found.items {
        let Content::Tagged { tags, .. } = &mut item.content else { continue };
        for tag in tags {
            let name = number(tag).and_then(|id| ids.get(&id));
            *tag = name
                .ok_or_else(|| refused(&format!("a tag is {tag}, and {} names are given", ids.len())))?
                .clone();
        }
    }
    found.form.extend(names.map(|names| format!("named by {}", names.origin)));
    Ok(())
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
