//! The records of JSON, of a table or of Parquet: which of their fields are text, words, tags, spans and document, by their
//! names and by what is in them.

mod absent;
mod advice;
mod annotations;
mod chosen;
mod fields;
mod marks;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use csv::StringRecord;
use serde_json::Value;
use stage_contract::StageError;

pub(super) use self::{
    absent::Absent,
    fields::{at, find},
    marks::is_span,
};
use self::{
    advice::advice,
    annotations::Annotations,
    chosen::Chosen,
    fields::{Record, record},
};
use super::{
    format::Want,
    item::{Content, Found, Item, Place},
    names::Names,
    options::Options,
    value::{cell, kind},
    word_rows::WordRows,
};
use crate::labels::split_tag;

/// What may explain numeric tags.
pub(super) const NAMING: [&str; 4] = ["names", "label2id", "id2label", "features"];

/// How numeric tags are named where the file cannot say it.
pub(super) const LABELS: &str = "the option `labels = [\"O\", ..]`";

/// What a record gives.
enum Shaped {
    /// Its document and content.
    Text(Option<String>, Content),
    /// It says that it is not to be used: why.
    LeftOut(&'static str),
}

/// Reads the records of one file. Where a field was found in the first record it is looked for in all.
pub(super) struct Shapes<'o> {
    want: Want,
    options: &'o Options,
    annotations: Annotations<'o>,
    absent: Absent<'o>,
    /// Where a record is a word.
    words: Option<WordRows>,
    /// Records that say that they are not to be used.
    left_out: BTreeMap<&'static str, usize>,
}

impl<'o> Shapes<'o> {
    /// For a file. `names` says what numeric tags mean, unless the options do.
    pub fn new(want: Want, options: &'o Options, names: Option<Names>) -> Self {
        let said = options.labels.as_deref().map(|labels| Names::listed(labels, "the option `labels`"));
        let annotations = Annotations::new(Chosen::new(&options.fields), said.or(names));
        let absent = Absent::new(&options.fields, want);
        Self { want, options, annotations, absent, words: None, left_out: BTreeMap::new() }
    }

    /// How many records are looked at before one is read.
    pub const LOOKED_AT: usize = 100;

    /// Looks at the first records, so that what the very first has not decides nothing.
    pub fn look(&mut self, values: impl Iterator<Item = Value>) {
        let values: Vec<Value> = values.filter(|value| !only_explains(value)).collect();
        self.words = words_of(&values, self.options);
        self.annotations.chosen.look(values.into_iter().filter_map(record));
    }

    /// Reads a record into what was found; lists of a text and what is said of it are records too.
    pub fn take(&mut self, found: &mut Found, place: Place, value: &Value) {
        let pair;
        let record = match value {
            Value::Object(record) => record,
            Value::Array(_) => match record(value.clone()) {
                Some(record) => {
                    pair = record;
                    &pair
                }
                None => return found.reject(place, "a list that is not a text and its annotations"),
            },
            Value::String(text) if self.want != Want::Gold => {
                return found.push(place, None, Content::Text(text.clone()));
            }
            value => return found.reject(place, format!("{} and no record", kind(value))),
        };
        self.absent.see(|field| at(record, field).is_some());
        if let Some(words) = &mut self.words {
            return match row(record, words.names()) {
                Ok(row) => words.take(place, false, &row, self.want, found),
                Err(reason) => words.reject(place, reason),
            };
        }
        match self.read(record) {
            Ok(Shaped::Text(document, content)) => {
                let record = (self.want == Want::Entries).then(|| record.clone());
                found.items.push(Item { place, document, content, record });
            }
            Ok(Shaped::LeftOut(why)) => *self.left_out.entry(why).or_default() += 1,
            Err(reason) => found.reject(place, reason),
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with it, without any of its text.
    fn read(&mut self, record: &Record) -> Result<Shaped, String> {
        if let Some(answer) = record.get("answer").and_then(Value::as_str)
            && ["reject", "ignore"].contains(&answer)
        {
            return Ok(Shaped::LeftOut("whose `answer` is not `accept`"));
        }
        let content = match self.want {
            Want::Text => match self.text(record)? {
                Content::Tagged { words, .. } => Content::Text(words.join(" ")),
                content => content,
            },
            Want::Entries => self.text(record)?,
            Want::Gold => match self.annotations.of(record)? {
                Some(content) => content,
                None => return Ok(Shaped::LeftOut("that nobody annotated")),
            },
        };
        Ok(Shaped::Text(self.annotations.chosen.document(record), content))
    }

    /// The text, or else the words, without tags.
    fn text(&mut self, record: &Record) -> Result<Content, String> {
        let chosen = &mut self.annotations.chosen;
        chosen.text_of(record).map(Content::Text).or_else(|reason| match chosen.tokens_of(record) {
            Ok(Some(words)) if chosen.said.text.is_none() => {
                Ok(Content::Tagged { words, tags: Vec::new(), places: Vec::new() })
            }
            _ => Err(reason),
        })
    }

    /// Takes the names of numeric tags from a record that holds nothing else.
    ///
    /// # Errors
    /// It gives one number two names.
    pub fn explain(&mut self, record: &Value, origin: &str) -> Result<bool, String> {
        let names = if only_explains(record) { Names::of(record, origin)? } else { None };
        let found = names.is_some();
        if self.options.labels.is_none() {
            self.annotations.names = names.or_else(|| self.annotations.names.take());
        }
        Ok(found)
    }

    /// Says what was guessed and what was left out. `explained` says how numeric tags may be named in such a file.
    ///
    /// # Errors
    /// No record could be read, all for one reason that an option mends.
    pub fn finish(self, found: &mut Found, path: &Path, explained: &str) -> Result<(), StageError> {
        let Annotations { chosen, names, changes, several, multiple } = self.annotations;
        if let Some(seen) = chosen.seen.as_ref().filter(|seen| !seen.is_empty()) {
            self.absent.into_result(path, seen.keys())?;
        }
        if let Some(words) = self.words {
            return words.finish(self.want, names.as_ref(), (path, explained), found);
        }
        if found.items.is_empty()
            && let Some((place, reason)) = found.bad.first()
            && let Some(help) = advice(&found.bad, &chosen, self.want, explained)
        {
            return Err(StageError::new(format!("{}{place}: {reason}", path.display())).help(help));
        }
        found.form.extend(chosen.form(names.as_ref().map(|names| names.origin.as_str())));
        found.lost.extend(self.left_out.iter().map(|(why, number)| match number {
            1 => format!("1 record {why} is left out"),
            number => format!("{number} records {why} are left out"),
        }));
        found.count(
            several,
            "text was annotated by several people: the first is taken",
            "texts were annotated by several people: the first is taken",
        );
        found.count(
            multiple,
            "span has several labels: the first is taken",
            "spans have several labels: the first is taken",
        );
        found.count(
            changes.overlapping,
            "span overlaps a longer one and is left out",
            "spans overlap longer ones and are left out",
        );
        Ok(())
    }
}

/// Whether a record only says what numeric tags mean.
fn only_explains(record: &Value) -> bool {
    record.as_object().is_some_and(|object| object.keys().all(|key| NAMING.contains(&key.as_str())))
}

/// Where these first records are a word each: most have but one value in each field, and they are no spans alone.
fn words_of(values: &[Value], options: &Options) -> Option<WordRows> {
    let records: Vec<&Record> = values.iter().filter_map(Value::as_object).collect();
    let names: BTreeSet<&str> = records.iter().flat_map(|record| record.keys().map(String::as_str)).collect();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let rows: Vec<StringRecord> = records.iter().filter_map(|record| row(record, &names).ok()).collect();
    if 2 * rows.len() <= values.len() {
        return None;
    }
    let words = WordRows::of(&names, &rows, options)?;
    // What a model found, without the words in between.
    let outside =
        |row: &StringRecord| matches!(split_tag(row.get(words.tag).unwrap_or_default()), Some(None));
    (!values.iter().all(is_span) || rows.iter().any(outside)).then_some(words)
}

/// The values of a record in the order of some names; nothing where it has none.
///
/// # Errors
/// One is a list or an object.
fn row(record: &Record, names: &[String]) -> Result<StringRecord, String> {
    let value = |name: &String| {
        let value = record.get(name).unwrap_or(&Value::Null);
        cell(value).ok_or_else(|| format!("the field `{name}` is {}", kind(value)))
    };
    names.iter().map(value).collect::<Result<Vec<_>, _>>().map(StringRecord::from)
}
