//! What a value of JSON is.

use serde_json::Value;

/// A whole number, also as a float, which pandas makes of it.
pub(super) fn integer(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and labels are few")]
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 1e9).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(whole))
}

/// A number that may be an offset.
pub(super) fn index(value: &Value) -> Option<usize> {
    integer(value).and_then(|number| usize::try_from(number).ok())
}

/// Whether it may name something, or be one word.
pub(super) fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// What it is, for a message.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        number @ Value::Number(_) if integer(number).is_some() => "a number",
        Value::Number(_) => "a number that is not whole",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What stands for it in a table; `None` for a list and an object.
pub(super) fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(integer(value).map_or_else(|| number.to_string(), |n| n.to_string())),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
