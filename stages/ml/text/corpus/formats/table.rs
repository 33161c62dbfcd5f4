//! Tables with a header: CSV and TSV, a text a row or a word a row.

mod literal;

use csv::{ReaderBuilder, StringRecord};
use serde_json::{Map, Value};
use stage_contract::StageError;

use super::super::{
    format::{File, Format, Want},
    item::{Found, Place},
    names::Names,
    options::Options,
    shape::Shapes,
};
use super::{columns, sentence::Sentence};

/// Values between commas, semicolons, tabs or strokes below a line of names.
pub struct Table;

const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// What separates units in ASCII, and is in no text.
const NONE: u8 = 0x1f;
/// Columns with a text, or the words of one, a row.
const TEXTS: [&str; 8] = ["text", "sentence", "content", "tokens", "words", "texte", "phrase", "document"];
/// Columns that say which sentence a word is of.
const SENTENCES: [&str; 11] = [
    "sentence #",
    "sentence",
    "sentence_id",
    "sentence id",
    "sent_id",
    "sent",
    "sentence_idx",
    "sentence_number",
    "sentenceid",
    "id",
    "unnamed: 0",
];

impl Format for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn sniff(&self, file: &File, want: Want, options: &Options) -> bool {
        head(file).is_some_and(|head| head.fits(file, want, options))
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let mut found = Found::default();
        let Some(head) = head(file) else { return Ok(found) };
        found.form.push(head.said());
        match head.words(options) {
            Some(words) if head.has_a_word_a_row(&words) => head.read_words(file, &words, want, &mut found),
            _ => head.read_texts(file, want, options, &mut found),
        }
        Ok(found)
    }
}

/// The first line.
struct Head {
    separator: u8,
    names: Vec<String>,
}

/// Which columns have a word, its tag and its sentence.
struct Words {
    word: usize,
    tag: usize,
    sentence: Option<usize>,
    document: Option<usize>,
}

/// The first line by the separator that gives the most names.
fn head(file: &File) -> Option<Head> {
    let (_, line) = file.lines().next()?;
    let split = |separator: &u8| {
        let mut reader =
            ReaderBuilder::new().delimiter(*separator).has_headers(false).from_reader(line.as_bytes());
        let record = reader.records().next()?.ok()?;
        Some(Head {
            separator: *separator,
            names: record.iter().map(|name| name.trim().to_owned()).collect(),
        })
    };
    // Of equals the first. Below one name no separator separates.
    let head = SEPARATORS.iter().rev().filter_map(split).max_by_key(|head| head.names.len())?;
    Some(if head.names.len() == 1 { Head { separator: NONE, ..head } } else { head })
}

impl Head {
    fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.names.iter().position(|own| own.eq_ignore_ascii_case(name)))
    }

    fn said(&self) -> String {
        let separator = match self.separator {
            NONE => return "1 column".to_owned(),
            b'\t' => "tab".to_owned(),
            other => format!("`{}`", char::from(other)),
        };
        format!("{} columns by {separator}", self.names.len())
    }

    /// Whether the names are those of a table, and not words of a text.
    fn fits(&self, file: &File, want: Want, options: &Options) -> bool {
        let ending = ["csv", "tsv"].contains(&file.ending().as_str());
        let fields = [&options.fields.text, &options.fields.tokens, &options.fields.tags];
        let said = fields.into_iter().flatten().any(|name| self.column(&[name.as_str()]).is_some());
        let several = self.names.len() > 1 && file.lines().nth(1).is_some();
        let texts = self.column(&TEXTS).is_some();
        let words = self.words(options).is_some_and(|words| self.has_a_word_a_row(&words));
        match want {
            Want::Text => {
                said || (ending && (texts || words)) || (several && (texts || words) && self.is_certain(file))
            }
            // Words between tabs and blank lines, without quotes, are columns.
            Want::Gold if words => {
                self.separator != b'\t' || self.words(options).is_some_and(|words| words.sentence.is_some())
            }
            Want::Gold => said || (several && texts),
        }
    }

    /// Whether it is no sentence with commas in it: names without blanks around them, and rows of as many cells.
    fn is_certain(&self, file: &File) -> bool {
        const LOOKED_AT: usize = 50;
        let line = file.lines().next().map_or("", |(_, line)| line);
        let names = line.split(char::from(self.separator)).all(|name| {
            let known = |c: char| c.is_alphanumeric() || "_-#.: \"".contains(c);
            name.trim() == name && name.chars().all(known) && name.split(' ').count() <= 2
        });
        names
            && self
                .rows(file)
                .take(LOOKED_AT)
                .all(|(.., row)| row.is_ok_and(|row| row.len() == self.names.len()))
    }

    fn words(&self, options: &Options) -> Option<Words> {
        let fields = &options.fields;
        let named = |name: &Option<String>| name.as_deref().and_then(|name| self.column(&[name]));
        let (word, tag) = match (named(&fields.tokens), named(&fields.tags)) {
            (Some(word), Some(tag)) => (word, tag),
            _ => columns::header(&self.names)?,
        };
        let sentence =
            named(&fields.sentence).or_else(|| self.column(&SENTENCES)).filter(|s| ![word, tag].contains(s));
        let document =
            named(&fields.document).or_else(|| self.column(&["document", "doc_id", "document_id", "doc"]));
        Some(Words { word, tag, sentence, document: document.filter(|d| ![word, tag].contains(d)) })
    }

    /// By the name of the column: one word, or several.
    fn has_a_word_a_row(&self, words: &Words) -> bool {
        let name = self.names[words.word].to_lowercase();
        !["tokens", "words", "text"].contains(&name.as_str()) || words.sentence.is_some() && name != "text"
    }

    /// The rows below the head: the line of each, whether a blank one is before it, and its cells; or what is wrong.
    fn rows<'f>(
        &self,
        file: &'f File,
    ) -> impl Iterator<Item = (usize, bool, Result<StringRecord, String>)> + use<'f> {
        // A lone quote between tabs is a word.
        let odd = |line: &str| line.matches('"').count() % 2 == 1;
        let quoting = self.separator != b'\t' || !file.text.lines().any(odd);
        let mut reader = ReaderBuilder::new()
            .delimiter(self.separator)
            .has_headers(false)
            .flexible(true)
            .quoting(quoting)
            .from_reader(file.text.as_bytes());
        let columns = self.names.len();
        let mut record = StringRecord::new();
        let mut head = true;
        std::iter::from_fn(move || {
            let mut gap = false;
            loop {
                // The reader passes over blank lines and does not say so.
                let start = usize::try_from(reader.position().byte())
                    .map_or(file.text.len(), |at| at.min(file.text.len()));
                let rest = &file.text[start..];
                let blank = rest.len() - rest.trim_start_matches([' ', '\n']).len();
                let skipped = rest[..blank].matches('\n').count();
                let line = usize::try_from(reader.position().line()).unwrap_or(0) + skipped;
                let read = match reader.read_record(&mut record) {
                    Ok(false) => return None,
                    Ok(true) if record.iter().all(|cell| cell.trim().is_empty()) => {
                        gap = true;
                        continue;
                    }
                    // Programs leave empty cells at the end away.
                    Ok(true) if record.len() == columns || (1 < record.len() && record.len() < columns) => {
                        Ok(record.clone())
                    }
                    Ok(true) => Err(format!("{} cells under {columns} names", record.len())),
                    Err(_) => Err("no row of a table".to_owned()),
                };
                if !std::mem::take(&mut head) {
                    return Some((line, gap || skipped > 0, read));
                }
            }
        })
    }

    fn read_texts(&self, file: &File, want: Want, options: &Options, found: &mut Found) {
        let mut shapes = Shapes::new(want, options, Names::beside(file.folders()));
        for (line, _, row) in self.rows(file) {
            match row {
                Ok(row) => {
                    let cell = |(name, place): (&String, usize)| {
                        (name.clone(), value(row.get(place).unwrap_or_default()))
                    };
                    let record: Map<String, Value> = self.names.iter().zip(0..).map(cell).collect();
                    shapes.take(found, Place::Line(line), &Value::Object(record));
                }
                Err(reason) => found.reject(Place::Line(line), reason),
            }
        }
        shapes.finish(found);
    }

    fn read_words(&self, file: &File, columns: &Words, want: Want, found: &mut Found) {
        let name = |column: usize| format!("`{}`", self.names[column]);
        found.form.extend([format!("words {}", name(columns.word)), format!("tags {}", name(columns.tag))]);
        found.form.extend(columns.sentence.map(|column| format!("sentences {}", name(column))));
        let mut sentence = Sentence::default();
        let mut gaps = false;
        let (mut name, mut document) = (None, None);
        for (line, gap, row) in self.rows(file) {
            gaps |= gap;
            let row = match row {
                Ok(row) => row,
                Err(reason) => {
                    sentence.reject(line, reason);
                    continue;
                }
            };
            let cell = |column: usize| row.get(column).unwrap_or_default().trim();
            let named =
                |column: Option<usize>| column.map(cell).filter(|name| !name.is_empty()).map(str::to_owned);
            // A sentence is named at its first word, or at each.
            let own = named(columns.sentence);
            if gap || (own.is_some() && own != name) {
                sentence.end(document.as_ref(), want, found);
            }
            name = own.or(name);
            document = named(columns.document);
            sentence.push(cell(columns.word), cell(columns.tag), line);
        }
        sentence.end(document.as_ref(), want, found);
        if columns.sentence.is_none() && !gaps {
            found.notes.push("no column of sentences and no blank line: all is one sentence".to_owned());
        }
    }
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
