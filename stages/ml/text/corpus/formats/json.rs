//! JSON: a record a line, or a document of records, whatever program wrote it.

mod unique;

use std::path::Path;

use serde::de;
use serde_json::{Map, Value};
use stage_contract::StageError;

use self::unique::{Unique, unique};
use super::super::{
    files::json_problem,
    format::{File, Format, Want},
    item::{Found, Place},
    names::Names,
    options::Options,
    roles::{TEXTS, header},
    shape::{NAMING, Shapes, at, find, is_span},
};
use super::columns::Columns;
use crate::folder::quoted;

/// JSONL and JSON: `datasets`, doccano, Prodigy, Label Studio, spaCy, our own.
pub struct Json;

/// How numeric tags are named in JSON.
const NAMED: &str = "the option `labels = [\"O\", ..]` or by a first line `{\"names\": [\"O\", ..]}`";

impl Format for Json {
    fn name(&self) -> &'static str {
        "JSON"
    }

    fn sniff(&self, file: &File, want: Want, options: &Options) -> bool {
        let text = file.text.trim_start();
        let next = |open: char| text.strip_prefix(open).map(|rest| rest.trim_start().chars().next());
        let parses = |text: &str| serde_json::from_str::<de::IgnoredAny>(text).is_ok();
        match (next('{'), next('[')) {
            (Some(Some('"' | '}')), _) | (_, Some(Some('{' | '['))) => !are_columns(file, want, options),
            // A list of strings, which a text may begin like.
            (_, Some(_)) => parses(text.lines().next().unwrap_or_default()) || parses(text),
            _ => want != Want::Gold && are_strings(file),
        }
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let mut found = Found::default();
        let mut shapes = Shapes::new(want, options, Names::beside(file.folders()));
        let first = file.lines().next().map_or("", |(_, line)| line);
        let line = unique(first).ok();
        let alone = line.filter(|value| is_record(value) || value.is_string());
        match alone.is_none().then(|| unique(&file.text)) {
            // A list or an object over several lines; or all in one line.
            Some(Ok(document)) => read_document(&mut shapes, &mut found, document, options),
            Some(Err(error)) if !first.trim_end().ends_with(['}', ']']) || first.trim().len() < 3 => {
                read_stream(&mut shapes, &mut found, file, &error)?;
            }
            // One line may be a record, or hold them.
            _ if file.lines().nth(1).is_none()
                && alone.as_ref().is_some_and(|v| holds_records(v, options)) =>
            {
                read_document(&mut shapes, &mut found, alone.unwrap_or_default(), options);
            }
            _ => read_lines(&mut shapes, &mut found, file),
        }
        shapes.finish(&mut found, &file.path, NAMED)?;
        Ok(found)
    }
}

/// Whether a bracket that a file begins with is a word: `[ [ PUN O`. No line of JSON ends as one of columns does.
fn are_columns(file: &File, want: Want, options: &Options) -> bool {
    let first = file.lines().next().map_or("", |(_, line)| line.trim_end());
    let ends = first.ends_with(['{', '[', '}', ']', ',', ':', '"']);
    !ends && Columns.sniff(file, want, options)
}

/// Whether each line is a string of JSON, and not a sentence between quotes.
fn are_strings(file: &File) -> bool {
    const LOOKED_AT: usize = 50;
    let mut lines = file.lines().take(LOOKED_AT).peekable();
    let named = ["json", "jsonl", "ndjson"].contains(&file.ending().as_str());
    named && lines.peek().is_some() && lines.all(|(_, line)| serde_json::from_str::<String>(line).is_ok())
}

/// Whether a line may be a record: an object, or a list of a text and what is said of it.
fn is_record(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(values) => matches!(values.as_slice(), [Value::String(_), Value::Object(_), ..]),
        _ => false,
    }
}

fn holds_records(value: &Value, options: &Options) -> bool {
    value.as_object().is_some_and(|object| !is_one(object, options))
}

fn read_lines(shapes: &mut Shapes<'_>, found: &mut Found, file: &File) {
    look(shapes, file.lines().map(|(_, line)| line));
    let mut first = true;
    for (number, line) in file.lines() {
        read_line(shapes, found, (number, line), std::mem::take(&mut first));
    }
}

fn look<'l>(shapes: &mut Shapes<'_>, lines: impl Iterator<Item = &'l str>) {
    let head = lines.take(Shapes::LOOKED_AT).filter_map(|line| unique(line).ok());
    shapes.look(head.filter_map(|value| opened(value).ok()).flatten());
}

/// Reads the record of a line with its number. The `first` may explain tags that are numbers.
fn read_line(shapes: &mut Shapes<'_>, found: &mut Found, (number, line): (usize, &str), first: bool) {
    let place = Place::Line(number);
    let value = match unique(line) {
        Ok(value) => value,
        Err(error) => {
            let reason = json_problem(&error);
            // Python writes it, and no other program reads it.
            let nan = if line.contains("NaN") { ": NaN is no JSON, write null" } else { "" };
            return found.reject(place, format!("{reason}{nan}"));
        }
    };
    match if first { shapes.explain(&value, "its first line") } else { Ok(false) } {
        Ok(true) => {}
        Ok(false) => take(shapes, found, place, opened(value)),
        Err(reason) => found.reject(place, reason),
    }
}

/// Records that come a line each, read as a file of them is.
pub struct Records<'o> {
    shapes: Shapes<'o>,
    begun: bool,
}

impl<'o> Records<'o> {
    /// Texts with their records.
    pub fn new(options: &'o Options) -> Self {
        Self { shapes: Shapes::new(Want::Entries, options, None), begun: false }
    }

    /// Whether a line is a record.
    pub fn begin_with(line: &str) -> bool {
        unique(line).is_ok_and(|value| is_record(&value))
    }

    /// Looks at the first lines, before the first is read.
    pub fn look<'l>(&mut self, lines: impl Iterator<Item = &'l str>) {
        look(&mut self.shapes, lines);
    }

    /// Reads a line with its number.
    pub fn take(&mut self, found: &mut Found, number: usize, line: &str) {
        let first = !std::mem::replace(&mut self.begun, true);
        read_line(&mut self.shapes, found, (number, line), first);
    }

    /// What is left at the end.
    ///
    /// # Errors
    /// No record had a field that the options name.
    pub fn finish(self, found: &mut Found, path: &Path) -> Result<(), StageError> {
        self.shapes.finish(found, path, NAMED)
    }
}

/// Takes what a record holds, or rejects it as a whole.
fn take(shapes: &mut Shapes<'_>, found: &mut Found, place: Place, values: Result<Vec<Value>, String>) {
    match values {
        Ok(values) => values.iter().for_each(|value| shapes.take(found, place, value)),
        Err(reason) => found.reject(place, reason),
    }
}

/// Values one after another, each over as many lines as it likes.
fn read_stream(
    shapes: &mut Shapes<'_>,
    found: &mut Found,
    file: &File,
    error: &serde_json::Error,
) -> Result<(), StageError> {
    let values = serde_json::Deserializer::from_str(&file.text).into_iter::<Unique>();
    let values = values.map(|value| value.map(|Unique(value)| value));
    let values: Vec<Value> = values.collect::<Result<_, _>>().map_err(|_| whole(file, error))?;
    take_all(shapes, found, values.into_iter().map(opened).collect());
    Ok(())
}

fn whole(file: &File, error: &serde_json::Error) -> StageError {
    StageError::new(format!("{}:{}: {}", file.path.display(), error.line(), json_problem(error)))
        .help(format!(
            "write one JSON object a line, or a list of objects; `python3 -m json.tool {}` shows where it breaks",
            quoted(&file.path)
        ))
}

fn read_document(shapes: &mut Shapes<'_>, found: &mut Found, document: Value, options: &Options) {
    if let Value::Object(object) = &document
        && let Ok(true) = shapes.explain(&explanation(object), "the file itself")
        && lists(object).next().is_none()
    {
        return;
    }
    let records = records(document, options, &mut found.notes);
    take_all(shapes, found, records);
}

fn take_all(shapes: &mut Shapes<'_>, found: &mut Found, records: Vec<Result<Vec<Value>, String>>) {
    shapes.look(records.iter().flatten().flatten().take(Shapes::LOOKED_AT).cloned());
    for (values, number) in records.into_iter().zip(1..) {
        take(shapes, found, Place::Record(number), values);
    }
}

/// What of a document names its numeric tags.
fn explanation(object: &Map<String, Value>) -> Value {
    let explains = |key: &str| NAMING.contains(&key);
    Value::Object(
        object.iter().filter(|(key, _)| explains(key)).map(|(k, v)| (k.clone(), v.clone())).collect(),
    )
}

/// The fields of an object that are lists of records.
fn lists(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Vec<Value>)> {
    let lists = object.iter().filter_map(|(name, value)| Some((name, value.as_array()?)));
    lists.filter(|(name, values)| !NAMING.contains(&name.as_str()) && values.iter().any(is_record))
}

/// The records of a document: of a list, of the fields that are lists of records, of columns, or itself.
fn records(document: Value, options: &Options, notes: &mut Vec<String>) -> Vec<Result<Vec<Value>, String>> {
    let all = |values: &[Value]| values.iter().cloned().map(opened).collect();
    let object = match document {
        Value::Array(values) => return values.into_iter().map(opened).collect(),
        Value::Object(object) if !is_one(&object, options) => object,
        value => return vec![opened(value)],
    };
    if let Some(rows) = transposed(&object) {
        return rows.into_iter().map(opened).collect();
    }
    let carries = |values: &[Value]| values.iter().any(|value| carries_text(value, options));
    let texts: Vec<_> = lists(&object).filter(|(_, values)| carries(values)).collect();
    match texts.as_slice() {
        [] => {}
        [(_, values)] => return all(values),
        several => {
            let names: Vec<_> = several.iter().map(|(name, _)| format!("`{name}`")).collect();
            notes.push(format!("the records of {} are read", names.join(", ")));
            return several.iter().flat_map(|(_, values)| all(values)).collect();
        }
    }
    // `{"a": {"text": ..}, "b": {"text": ..}}`
    let by_name = object.values().all(|value| value.as_object().is_some_and(|one| is_one(one, options)));
    if by_name && !object.is_empty() {
        return object.into_iter().map(|(_, value)| opened(value)).collect();
    }
    let own = object.values().filter_map(Value::as_str).map(str::len).max().unwrap_or(0);
    match lists(&object).max_by_key(|(_, values)| longest(values)) {
        Some((_, values)) if longest(values) >= own => all(values),
        _ => vec![opened(Value::Object(object))],
    }
}

/// The longest string of some records.
fn longest(values: &[Value]) -> usize {
    let strings = |value: &Value| match value {
        Value::Object(object) => object.values().filter_map(Value::as_str).map(str::len).max(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::len).max(),
        _ => None,
    };
    values.iter().filter_map(strings).max().unwrap_or(0)
}

/// Whether a value of a list is a record with a text, and not a span of one.
fn carries_text(value: &Value, options: &Options) -> bool {
    match value {
        Value::Object(object) => match object.get("row") {
            Some(row @ Value::Object(_)) => carries_text(row, options),
            _ => is_one(object, options) && !is_span(value),
        },
        value => is_record(value),
    }
}

/// Whether an object is a record and not what holds records.
fn is_one(object: &Map<String, Value>, options: &Options) -> bool {
    let said = [&options.fields.text, &options.fields.tokens];
    let mut said = said.into_iter().flatten().peekable();
    if said.peek().is_some() {
        return said.any(|field| at(object, field).is_some_and(|v| v.is_string() || v.is_array()));
    }
    let has = |key: &str, fits: fn(&Value) -> bool| object.get(key).is_some_and(fits);
    let words = |value: &Value| {
        value.as_array().is_some_and(|values| !values.iter().any(|v| v.is_array() || v.is_object()))
    };
    // What holds sentences may be called a document.
    let text = |name: &&str| {
        find(object, name).is_some_and(|(_, value)| value.is_string())
            && (**name != *"document" || lists(object).next().is_none())
    };
    TEXTS.iter().any(text)
        || has("data", Value::is_object)
        || object.contains_key("paragraphs")
        || (object.contains_key("sentences") && object.contains_key("ner"))
        || ["tokens", "words", "tokenized_text"].iter().any(|key| has(key, words))
        || (["tokens", "words"].iter().any(|key| has(key, Value::is_array))
            && !object.values().any(|v| v.is_array() && nested(v)))
}

fn nested(value: &Value) -> bool {
    value.as_array().is_some_and(|values| values.iter().any(Value::is_array))
}

/// Columns turned into rows: `{"tokens": [[..], ..], "ner_tags": [[..], ..]}`, and what pandas makes of a table.
fn transposed(object: &Map<String, Value>) -> Option<Vec<Value>> {
    let first = object.values().next()?;
    let known = ["text", "tokens", "words", "sentence", "tokenized_text"];
    let names: Vec<&str> = object.keys().map(String::as_str).collect();
    // A word a row, as pandas writes it: lists of them may be one sentence.
    let words = first.is_object() && header(&names).is_some();
    if !words && !names.iter().any(|name| known.contains(name)) {
        return None;
    }
    let keys: Vec<String> = match first {
        Value::Array(values) if nested(first) || values.iter().all(Value::is_string) => {
            (0..values.len()).map(|row| row.to_string()).collect()
        }
        Value::Object(cells) if cells.keys().all(|key| key.parse::<usize>().is_ok()) => {
            cells.keys().cloned().collect()
        }
        _ => return None,
    };
    let cell = |column: &Value, key: &str| match column {
        Value::Array(values) => values.get(key.parse::<usize>().ok()?).cloned(),
        Value::Object(cells) => cells.get(key).cloned(),
        _ => None,
    };
    let row = |key: &String| {
        let cells = object.iter().map(|(name, column)| Some((name.clone(), cell(column, key)?)));
        cells.collect::<Option<Map<_, _>>>().map(Value::Object)
    };
    keys.iter().map(row).collect::<Option<Vec<_>>>().filter(|rows| !rows.is_empty())
}

/// The sentences of one record: of spaCy's training form, of documents whose words are in lists (`DyGIE`), of `{"row": ..}`.
///
/// # Errors
/// The lists of a document do not fit each other.
fn opened(value: Value) -> Result<Vec<Value>, String> {
    let Value::Object(mut object) = value else { return Ok(vec![value]) };
    if let Some(row @ Value::Object(_)) = object.get_mut("row") {
        return Ok(vec![row.take()]);
    }
    let document = ["id", "doc_key"].iter().find_map(|key| object.get(*key).cloned()).unwrap_or_default();
    if let Some(Value::Array(paragraphs)) = object.get("paragraphs") {
        let sentences =
            paragraphs.iter().filter_map(|paragraph| paragraph.get("sentences")?.as_array()).flatten();
        return Ok(sentences.map(|sentence| with_document(sentence.clone(), &document)).collect());
    }
    match (object.get("sentences"), object.get("ner")) {
        (Some(Value::Array(sentences)), Some(Value::Array(ner))) => {
            Ok(dygie(sentences, ner)?.into_iter().map(|value| with_document(value, &document)).collect())
        }
        _ => Ok(vec![Value::Object(object)]),
    }
}

/// Sentences whose spans count the words of the document.
fn dygie(sentences: &[Value], ner: &[Value]) -> Result<Vec<Value>, String> {
    if sentences.len() != ner.len() {
        return Err(format!("{} sentences but {} lists in `ner`", sentences.len(), ner.len()));
    }
    let mut before = 0;
    let mut found = Vec::new();
    for ((words, marks), number) in sentences.iter().zip(ner).zip(1..) {
        let place = |value: &Value| match value.as_i64() {
            Some(at) if at < before => Err(format!("a span of sentence {number} begins before it")),
            Some(at) => Ok((at - before).into()),
            None => Ok(value.clone()),
        };
        let shift = |mark: &Value| {
            mark.as_array().map_or_else(|| Ok(mark.clone()), |mark| mark.iter().map(place).collect())
        };
        let marks = marks.as_array().map_or(&[][..], Vec::as_slice);
        let marks: Vec<Value> = marks.iter().map(shift).collect::<Result<_, String>>()?;
        found.push(serde_json::json!({"tokenized_text": words, "ner": marks}));
        before += words.as_array().map_or(0, |words| i64::try_from(words.len()).unwrap_or(i64::MAX));
    }
    Ok(found)
}

fn with_document(mut value: Value, document: &Value) -> Value {
    if let Value::Object(object) = &mut value
        && !document.is_null()
    {
        object.entry("document").or_insert_with(|| document.clone());
    }
    value
}

#[cfg(test)]
mod tests;
