//! Which field of a file's records is what: said by the options, or found in the first record that shows it and kept.

use std::{cmp::Reverse, mem::discriminant};

use serde_json::Value;

use super::super::{
    options::Fields,
    roles::{DOCUMENTS, TOKENS},
    value::{is_scalar, kind},
};
use super::fields::{Record, WORDS, are_words, at, fields, find, string, text_field};

/// How the reason begins that a record has no field that may be a text.
pub(super) const NO_TEXT: &str = "no field of text among";

/// The fields of one file's records.
pub(super) struct Chosen<'o> {
    /// What the options say.
    pub said: &'o Fields,
    /// What the first records have together; `None` where nobody looked.
    pub seen: Option<Record>,
    pub text: Option<String>,
    pub tokens: Option<String>,
    pub tags: Option<String>,
}

impl<'o> Chosen<'o> {
    pub fn new(said: &'o Fields) -> Self {
        Self { said, seen: None, text: None, tokens: None, tags: None }
    }

    /// Looks at the first records together, so that what the very first has not decides nothing.
    pub fn look(&mut self, records: impl Iterator<Item = Record>) {
        // A record of lists, for the fields stay in their order.
        let mut seen = Record::new();
        for (name, value) in records.flatten() {
            let values = seen.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(value);
            }
        }
        self.seen = Some(seen.into_iter().map(|(name, values)| (name, usual(values))).collect());
    }

    /// The text: of the field that is said, or of a usual name, or the only one that is a string.
    ///
    /// # Errors
    /// There is none.
    pub fn text_of(&mut self, record: &Record) -> Result<String, String> {
        let known = self.said.text.clone().or_else(|| self.text.clone());
        let Some(field) = known.or_else(|| text_field(self.seen.as_ref().unwrap_or(record))) else {
            return Err(match find(record, "text") {
                Some((name, value)) => format!("the field `{name}` is {}", kind(value)),
                None => format!("{NO_TEXT} {}", fields(record)),
            });
        };
        let value = string(at(record, &field), &field)?;
        self.text = Some(field);
        Ok(value.to_owned())
    }

    /// The words, where the record has a list of them.
    ///
    /// # Errors
    /// The field that should be it is something else.
    pub fn tokens_of(&mut self, record: &Record) -> Result<Option<Vec<String>>, String> {
        let known = self.said.tokens.clone().or_else(|| self.tokens.clone());
        let usual = || {
            let some = |fits: &dyn Fn(&Value) -> bool| {
                TOKENS.iter().find_map(|name| find(record, name).filter(|(_, value)| fits(value)))
            };
            let none = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
            let found = some(&are_words).or_else(|| some(&none).filter(|_| text_field(record).is_none()));
            found.map(|(name, _)| name.to_owned())
        };
        let Some(field) = known.or_else(usual) else { return Ok(None) };
        let Some(value) = at(record, &field) else { return Err(format!("no field `{field}`")) };
        let Value::Array(values) = value else {
            return Err(format!("the field `{field}` is {}", kind(value)));
        };
        let word = |(place, value): (usize, &Value)| match value {
            Value::String(word) => Ok(word.clone()),
            Value::Object(token) => WORDS
                .iter()
                .find_map(|key| token.get(*key)?.as_str())
                .map(str::to_owned)
                .ok_or_else(|| format!("token {place} has no text")),
            value => Err(format!("token {place} is {}", kind(value))),
        };
        let words = values.iter().enumerate().map(word).collect::<Result<Vec<_>, _>>()?;
        if !words.is_empty() {
            self.tokens = Some(field);
        }
        Ok(Some(words))
    }

    /// The document that it is from, where it says so.
    pub fn document(&self, record: &Record) -> Option<String> {
        let known = DOCUMENTS.iter().filter(|name| self.text.as_deref() != Some(**name)).copied();
        let value = match self.said.document.as_deref() {
            Some(field) => at(record, field),
            None => known
                .filter_map(|name| find(record, name))
                .map(|(_, value)| value)
                .find(|value| is_scalar(value)),
        };
        if value.is_none() && record.contains_key("words") {
            // Our own records: their groups begin with the source, and are their ids where they have no document.
            let group = record
                .get("group")?
                .as_str()
                .filter(|group| record.get("id").and_then(Value::as_str) != Some(group))?;
            let source = record.get("source").and_then(Value::as_str).unwrap_or_default();
            return Some(group.strip_prefix(&format!("{source}/")).unwrap_or(group).to_owned());
        }
        match value? {
            // A name is one line.
            Value::String(name) if !name.trim().is_empty() => {
                Some(name.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned())
            }
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Which fields are what, for the note.
    pub fn form(&self, named: Option<&str>) -> Vec<String> {
        let said =
            |what: &str, field: &Option<String>| field.as_ref().map(|field| format!("{what} `{field}`"));
        let tags = said("tags", &self.tags).map(|said| match named {
            Some(origin) => format!("{said} named by {origin}"),
            None => said,
        });
        [said("text", &self.text), said("words", &self.tokens), tags].into_iter().flatten().collect()
    }
}

/// The first of some values of a field that is of the kind of most, and not empty.
fn usual(values: Value) -> Value {
    let Value::Array(mut values) = values else { return values };
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => false,
    };
    let like = |one: &Value, other: &Value| !empty(other) && discriminant(one) == discriminant(other);
    let full = (0..values.len()).filter(|place| !empty(&values[*place]));
    let count = |place: usize| values.iter().filter(|other| like(&values[place], other)).count();
    let most = full.max_by_key(|place| (count(*place), Reverse(*place)));
    values.swap_remove(most.unwrap_or_default())
}
