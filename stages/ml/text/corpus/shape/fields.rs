//! Fields of a record: by name, by a way of names, by what is in them.

use serde_json::{Map, Value};

use super::super::{roles::TEXTS, value::kind};

/// A record's fields.
pub(in super::super) type Record = Map<String, Value>;

/// Where an object that is a token has its text.
pub(super) const WORDS: [&str; 4] = ["text", "orth", "form", "word"];

/// A field by its name, case aside.
pub(in super::super) fn find<'r>(record: &'r Record, name: &str) -> Option<(&'r str, &'r Value)> {
    let exact = record.get_key_value(name);
    let found = exact.or_else(|| record.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)));
    found.map(|(key, value)| (key.as_str(), value))
}

/// A field by its name, or by the names on the way to it.
pub(in super::super) fn at<'r>(record: &'r Record, path: &str) -> Option<&'r Value> {
    let inside = || {
        let (head, rest) = path.split_once('.')?;
        at(record.get(head)?.as_object()?, rest)
    };
    record.get(path).or_else(inside)
}

/// The string in a field.
///
/// # Errors
/// There is none.
pub(super) fn string<'r>(value: Option<&'r Value>, field: &str) -> Result<&'r str, String> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(value) => Err(format!("the field `{field}` is {}", kind(value))),
        None => Err(format!("no field `{field}`")),
    }
}

/// The list in a field.
///
/// # Errors
/// There is none.
pub(super) fn list<'r>(value: Option<&'r Value>, field: &str) -> Result<&'r Vec<Value>, String> {
    match value {
        Some(Value::Array(values)) => Ok(values),
        Some(value) => Err(format!("the field `{field}` is {}", kind(value))),
        None => Err(format!("no field `{field}`")),
    }
}

/// A record, or a text and what is said of it as one.
pub(super) fn record(value: Value) -> Option<Record> {
    match value {
        Value::Object(record) => Some(record),
        Value::Array(values) => match values.as_slice() {
            [text @ Value::String(_), Value::Object(said), ..] => {
                Some([("text".to_owned(), text.clone())].into_iter().chain(said.clone()).collect())
            }
            _ => None,
        },
        _ => None,
    }
}

/// The field that is the text: of a usual name, also in `data`, or the only one that is a string.
pub(super) fn text_field(record: &Record) -> Option<String> {
    let usual = |record: &Record| {
        let found = TEXTS.iter().find_map(|name| find(record, name).filter(|(_, value)| value.is_string()));
        found.map(|(name, _)| name.to_owned())
    };
    let only = |record: &Record| only_string(record).map(|(name, _)| name.to_owned());
    let nested = || {
        let data = record.get("data")?.as_object()?;
        usual(data).or_else(|| only(data)).map(|name| format!("data.{name}"))
    };
    usual(record).or_else(nested).or_else(|| only(record))
}

/// The only field with a string, but for those that say what the record is.
fn only_string(record: &Record) -> Option<(&str, &Value)> {
    let about = |key: &str| {
        ["id", "label", "lang", "language", "split", "source", "url"].contains(&key.to_lowercase().as_str())
    };
    let mut strings = record.iter().filter(|(key, value)| value.is_string() && !about(key));
    let first = strings.next();
    first.filter(|_| strings.next().is_none()).map(|(key, value)| (key.as_str(), value))
}

/// A list of strings, or of objects with a text each; what is wrong with one is told later.
pub(super) fn are_words(value: &Value) -> bool {
    let Value::Array(values) = value else { return false };
    let text = |value: &Value| value.is_string() || WORDS.iter().any(|key| value.get(*key).is_some());
    values.iter().any(text) && values.iter().all(|value| !value.is_number() && !value.is_array())
}

/// Another list of as many strings, some of them O or with a prefix.
pub(super) fn by_shape<'r>(
    record: &'r Record,
    words: usize,
    tokens: Option<&str>,
) -> Option<(&'r str, &'r Value)> {
    let fits = |value: &Value| value.as_array().is_some_and(|tags| tags.len() == words) && is_tags(value);
    let mut found = record.iter().filter(|(name, value)| tokens != Some(name.as_str()) && fits(value));
    found.next().map(|(name, value)| (name.as_str(), value))
}

/// A list of strings, some of them O or with a prefix.
pub(super) fn is_tags(value: &Value) -> bool {
    let is_tag = |value: &Value| crate::labels::split_tag(value.as_str().unwrap_or_default()).is_some();
    value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string) && tags.iter().any(is_tag))
}

/// The names of a record's fields, for a message.
pub(super) fn fields(record: &Record) -> String {
    const MOST: usize = 12;
    let names: Vec<_> = record.keys().take(MOST).map(|key| format!("`{key}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
