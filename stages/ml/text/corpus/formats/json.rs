//! JSON: a record a line, or a document of records, whatever program wrote it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use stage_contract::StageError;

use super::super::{
    files::json_problem,
    format::{File, Format, Want},
    item::{Found, Place},
    names::Names,
    options::Options,
    shape::Shapes,
};
use crate::folder::quoted;

/// JSONL and JSON: `datasets`, doccano, Prodigy, Label Studio, spaCy, our own.
pub struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "JSON"
    }

    fn sniff(&self, file: &File, _want: Want, _options: &Options) -> bool {
        let text = file.text.trim_start();
        let next = |open: char| text.strip_prefix(open).map(|rest| rest.trim_start().chars().next());
        let parses = |text: &str| serde_json::from_str::<de::IgnoredAny>(text).is_ok();
        match (next('{'), next('[')) {
            (Some(Some('"' | '}')), _) | (_, Some(Some('{' | '['))) => true,
            // A list of strings, which a text may begin like.
            (_, Some(_)) => parses(text.lines().next().unwrap_or_default()) || parses(text),
            _ => false,
        }
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let mut found = Found::default();
        let mut shapes = Shapes::new(want, options, Names::beside(file.folders()));
        let first = file.lines().next().map_or("", |(_, line)| line);
        let alone = unique(first).ok().filter(is_record);
        match alone.is_none().then(|| serde_json::from_str::<Value>(&file.text)) {
            // A list or an object over several lines; or all in one line.
            Some(Ok(document)) => read_document(&mut shapes, &mut found, document),
            Some(Err(error)) if !first.trim_end().ends_with(['}', ']']) || first.trim().len() < 3 => {
                read_stream(&mut shapes, &mut found, file, &error)?;
            }
            // One line may be a record, or hold them.
            _ if file.lines().nth(1).is_none() && alone.as_ref().is_some_and(holds_records) => {
                read_document(&mut shapes, &mut found, alone.unwrap_or_default());
            }
            _ => read_lines(&mut shapes, &mut found, file),
        }
        shapes.finish(&mut found);
        Ok(found)
    }
}

/// Whether a line may be a record: an object, or a list of a text and what is said of it.
fn is_record(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(values) => matches!(values.as_slice(), [Value::String(_), Value::Object(_), ..]),
        _ => false,
    }
}

fn holds_records(value: &Value) -> bool {
    value.as_object().is_some_and(|object| !is_one(object))
}

fn read_lines(shapes: &mut Shapes<'_>, found: &mut Found, file: &File) {
    let mut first = true;
    for (number, line) in file.lines() {
        let place = Place::Line(number);
        let value = match unique(line) {
            Ok(value) => value,
            Err(error) => {
                let reason = json_problem(&error);
                // Python writes it, and no other program reads it.
                let nan = if line.contains("NaN") { ": NaN is no JSON, write null" } else { "" };
                found.reject(place, format!("{reason}{nan}"));
                continue;
            }
        };
        if std::mem::take(&mut first) {
            match shapes.explain(&value, "its first line") {
                Ok(false) => {}
                Ok(true) => continue,
                Err(reason) => {
                    found.reject(place, reason);
                    continue;
                }
            }
        }
        for value in opened(value) {
            shapes.take(found, place, &value);
        }
    }
}

/// Values one after another, each over as many lines as it likes.
fn read_stream(
    shapes: &mut Shapes<'_>,
    found: &mut Found,
    file: &File,
    error: &serde_json::Error,
) -> Result<(), StageError> {
    let values = serde_json::Deserializer::from_str(&file.text).into_iter::<Value>();
    let values: Vec<Value> = values.collect::<Result<_, _>>().map_err(|_| whole(file, error))?;
    for (value, number) in values.iter().zip(1..) {
        shapes.take(found, Place::Record(number), value);
    }
    Ok(())
}

fn whole(file: &File, error: &serde_json::Error) -> StageError {
    StageError::new(format!("{}:{}: {}", file.path.display(), error.line(), json_problem(error)))
        .help(format!(
            "write one JSON object a line, or a list of objects; `python3 -m json.tool {}` shows where it breaks",
            quoted(&file.path)
        ))
}

fn read_document(shapes: &mut Shapes<'_>, found: &mut Found, document: Value) {
    if let Value::Object(object) = &document
        && let Ok(true) = shapes.explain(&explanation(object), "the file itself")
        && !object.values().any(|value| value.as_array().is_some_and(|values| values.iter().any(is_record)))
    {
        return;
    }
    for (value, number) in records(document).iter().zip(1..) {
        shapes.take(found, Place::Record(number), value);
    }
}

/// What of a document names its numeric tags.
fn explanation(object: &Map<String, Value>) -> Value {
    let keys = ["names", "label2id", "id2label"];
    Value::Object(
        object
            .iter()
            .filter(|(key, _)| keys.contains(&key.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    )
}

/// The records of a document: of a list, of the first field that is a list of records, of columns, or itself.
fn records(document: Value) -> Vec<Value> {
    match document {
        Value::Array(values) => values.into_iter().flat_map(opened).collect(),
        Value::Object(object) if !is_one(&object) => {
            let holds = |value: &Value| value.as_array().is_some_and(|values| values.iter().any(is_record));
            let by_name =
                || !object.is_empty() && object.values().all(|value| value.as_object().is_some_and(is_one));
            match (transposed(&object), object.values().position(holds)) {
                (Some(rows), _) => rows,
                // `{"a": {"text": ..}, "b": {"text": ..}}`
                (None, None) if by_name() => object.into_iter().map(|(_, value)| value).collect(),
                (None, None) => opened(Value::Object(object)),
                (None, Some(at)) => {
                    object.into_iter().nth(at).map(|(_, list)| records(list)).unwrap_or_default()
                }
            }
        }
        value => opened(value),
    }
}

/// Whether an object is a record and not what holds records.
fn is_one(object: &Map<String, Value>) -> bool {
    let has = |key: &str, fits: fn(&Value) -> bool| object.get(key).is_some_and(fits);
    let words = |value: &Value| {
        value.as_array().is_some_and(|values| !values.iter().any(|v| v.is_array() || v.is_object()))
    };
    has("text", Value::is_string)
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
    if !["text", "tokens", "words", "sentence", "tokenized_text"]
        .iter()
        .any(|name| object.contains_key(*name))
    {
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
fn opened(value: Value) -> Vec<Value> {
    let Value::Object(mut object) = value else { return vec![value] };
    if let Some(row @ Value::Object(_)) = object.get_mut("row") {
        return vec![row.take()];
    }
    let document = ["id", "doc_key"].iter().find_map(|key| object.get(*key).cloned()).unwrap_or_default();
    if let Some(Value::Array(paragraphs)) = object.get("paragraphs") {
        let sentences =
            paragraphs.iter().filter_map(|paragraph| paragraph.get("sentences")?.as_array()).flatten();
        return sentences.map(|sentence| with_document(sentence.clone(), &document)).collect();
    }
    if let (Some(Value::Array(sentences)), Some(Value::Array(ner))) =
        (object.get("sentences"), object.get("ner"))
    {
        let mut before = 0;
        let mut found = Vec::new();
        for (words, marks) in sentences.iter().zip(ner) {
            let shift = |mark: &Value| {
                let moved = |value: &Value| {
                    value.as_u64().map_or_else(|| value.clone(), |at| at.saturating_sub(before).into())
                };
                mark.as_array().map_or_else(|| mark.clone(), |mark| mark.iter().map(moved).collect())
            };
            let marks: Vec<Value> =
                marks.as_array().map(|marks| marks.iter().map(shift).collect()).unwrap_or_default();
            let sentence = serde_json::json!({"tokenized_text": words, "ner": marks});
            found.push(with_document(sentence, &document));
            before += words.as_array().map_or(0, |words| words.len() as u64);
        }
        return found;
    }
    vec![Value::Object(object)]
}

fn with_document(mut value: Value, document: &Value) -> Value {
    if let Value::Object(object) = &mut value
        && !document.is_null()
    {
        object.entry("document").or_insert_with(|| document.clone());
    }
    value
}

/// JSON of which an object has no field twice: which of the two was meant, nobody knows.
fn unique(text: &str) -> Result<Value, serde_json::Error> {
    if !text.trim_start().starts_with('{') {
        return serde_json::from_str(text);
    }
    serde_json::from_str::<Unique>(text).map(|Unique(fields)| Value::Object(fields))
}

struct Unique(Map<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if fields.contains_key(&name) {
                        return Err(de::Error::custom(format!("duplicate field `{name}`")));
                    }
                    fields.insert(name, value);
                }
                Ok(Unique(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
