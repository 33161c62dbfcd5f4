//! Spans of a text, as tools write them.

use serde_json::Value;

use super::super::{
    item::Mark,
    value::{index, integer},
};
use super::fields::{Record, at, fields, find, list};

/// How the reason begins that a record has no annotation.
pub(super) const NO_MARKS: &str = "no tags and no spans among";

const SPANS: [&str; 9] =
    ["entities", "spans", "ents", "label", "labels", "annotations", "ner", "tags", "named_entities"];
const SURFACES: [&str; 4] = ["text", "word", "surface", "span"];
const STARTS: [&str; 6] = ["start", "start_offset", "begin", "start_char", "startOffset", "offset"];
/// Start and end in bytes of UTF-8.
const BYTES: [&str; 2] = ["start_byte", "end_byte"];
const ENDS: [&str; 5] = ["end", "end_offset", "end_char", "endOffset", "stop"];
const LABELS: [&str; 9] =
    ["label", "labels", "type", "entity_group", "entity", "tag", "category", "kind", "hypertextlabels"];

/// What a record says of its spans.
#[derive(Debug)]
pub(super) struct Marks {
    /// The field that they are in.
    pub field: String,
    /// Whether several people annotated it: the first is taken.
    pub several: bool,
    /// Spans with several labels: the first is taken.
    pub multiple: usize,
    /// `None` where nobody has annotated it yet.
    pub spans: Option<Vec<Mark>>,
}

/// The spans of a record: in the field `said`, or in one of a usual name. `text` is what they are of, `name` gives a numeric
/// label its name.
///
/// # Errors
/// There are none; or one has no start, end or label.
pub(super) fn of(
    record: &Record,
    said: Option<&str>,
    text: &str,
    name: &dyn Fn(&Value) -> Result<String, String>,
) -> Result<Marks, String> {
    let (field, several, spans) = if let Some(task) = label_studio(record) {
        task
    } else {
        let (field, spans) = field(record, said)?;
        (field, false, Some(spans))
    };
    let mut multiple = 0;
    let marks = spans.map(|spans| {
        spans
            .into_iter()
            .enumerate()
            .map(|(place, value)| mark(place, value, text, name, &mut multiple))
            .collect()
    });
    let marks = marks.transpose()?;
    Ok(Marks { field, several, multiple, spans: marks })
}

/// The field with spans: one that has some, else one that is an empty list.
fn field<'r>(record: &'r Record, said: Option<&str>) -> Result<(String, Vec<&'r Value>), String> {
    let named =
        |name: &&str| find(record, name).and_then(|(name, value)| Some((name.to_owned(), value.as_array()?)));
    let candidates: Vec<_> = match said {
        Some(field) => vec![(field.to_owned(), list(at(record, field), field)?)],
        None => SPANS.iter().filter_map(named).collect(),
    };
    let of_spans = |values: &[Value]| !values.is_empty() && values.iter().all(is_span);
    let full = candidates.iter().find(|(_, values)| of_spans(values));
    match full.or_else(|| candidates.iter().find(|(_, values)| values.is_empty())) {
        Some((field, values)) => Ok((field.clone(), values.iter().collect())),
        // Prodigy leaves `spans` away where there are none.
        None if record.contains_key("_input_hash") || record.contains_key("answer") => {
            Ok(("spans".to_owned(), Vec::new()))
        }
        None => Err(format!("{NO_MARKS} {}", fields(record))),
    }
}

/// The results of the first of those who annotated a task of Label Studio, and whether there are more.
fn label_studio(record: &Record) -> Option<(String, bool, Option<Vec<&Value>>)> {
    let (key, people) =
        ["annotations", "completions"].iter().find_map(|key| Some((*key, record.get(*key)?.as_array()?)))?;
    let shaped = people.iter().all(|one| one.get("result").is_some());
    if !shaped || !record.get("data").is_some_and(Value::is_object) {
        return None;
    }
    let done: Vec<_> = people
        .iter()
        .filter(|one| one.get("was_cancelled").and_then(Value::as_bool) != Some(true))
        .filter_map(|one| one.get("result")?.as_array())
        .collect();
    // Other results are choices, relations and ratings.
    let spans = done.first().map(|results| {
        results.iter().filter_map(|result| result.get("value")).filter(|v| is_span(v)).collect()
    });
    Some((key.to_owned(), done.len() > 1, spans))
}

fn mark(
    place: usize,
    value: &Value,
    text: &str,
    name: &dyn Fn(&Value) -> Result<String, String>,
    multiple: &mut usize,
) -> Result<Mark, String> {
    let wrong = |what: &str| format!("span {place} has no {what}");
    let (start, end, label, surface) = match value {
        Value::Array(values) => {
            let numbers: Vec<_> = values.iter().filter(|value| value.is_number()).collect();
            let strings: Vec<_> = values.iter().filter(|value| value.is_string()).collect();
            let (label, surface) = label_and_surface(&strings, text)
                .ok_or_else(|| format!("nothing says which string of span {place} is its label"))?;
            (numbers.first().copied(), numbers.get(1).copied(), label, surface)
        }
        value => {
            let any =
                |keys: &[&str]| keys.iter().find_map(|key| value.get(*key)).filter(|value| !value.is_null());
            (any(&STARTS), any(&ENDS), any(&LABELS), any(&SURFACES))
        }
    };
    let (start, end) = match BYTES.map(|key| value.get(key).and_then(index)) {
        [Some(from), Some(to)] if start.is_none() => {
            let character = |byte| text.get(..byte).map(|before| Value::from(before.chars().count()));
            let ends = character(from).zip(character(to));
            let (from, to) =
                ends.ok_or_else(|| format!("span {place} cuts a character, or leaves the text"))?;
            (Some(from), Some(to))
        }
        _ => (start.cloned(), end.cloned()),
    };
    let start = start.as_ref().and_then(index).ok_or_else(|| wrong("start that is a number of 0 or more"))?;
    let end = match end {
        Some(end) => index(&end).ok_or_else(|| wrong("end that is a number of 0 or more"))?,
        None => start + value.get("length").and_then(index).ok_or_else(|| wrong("end"))?,
    };
    let label = match label {
        Some(Value::Array(labels)) => {
            *multiple += usize::from(labels.len() > 1);
            labels.first()
        }
        label => label,
    };
    let kind = match label {
        Some(Value::String(label)) if !label.trim().is_empty() => label.clone(),
        Some(value) if integer(value).is_some() => name(value)?,
        _ => return Err(wrong("label")),
    };
    // Sub-words of a tokenizer are not what stands in the text.
    let surface = surface.and_then(Value::as_str).filter(|text| !text.contains("##")).map(str::to_owned);
    Ok(Mark { start, end, kind, surface })
}

/// Of the strings of a span the label, and what the span says: that stands in the text.
fn label_and_surface<'v>(
    strings: &[&'v Value],
    text: &str,
) -> Option<(Option<&'v Value>, Option<&'v Value>)> {
    let [one, other] = strings else { return Some((strings.first().copied(), None)) };
    let stands = |value: &Value| value.as_str().is_some_and(|own| text.contains(own));
    match (stands(one), stands(other)) {
        (true, false) => Some((Some(other), Some(one))),
        (false, true) => Some((Some(one), Some(other))),
        _ if one == other => Some((Some(one), None)),
        _ => None,
    }
}

/// Whether a value has the shape of a span.
pub(in super::super) fn is_span(value: &Value) -> bool {
    match value {
        Value::Array(values) => {
            values.len() >= 3 && values.iter().filter(|value| value.is_number()).count() >= 2
        }
        Value::Object(object) => {
            STARTS.iter().chain(&BYTES[..1]).any(|key| object.contains_key(*key))
                && LABELS.iter().any(|key| object.contains_key(*key))
        }
        _ => false,
    }
}
