//! What a request, or a line of a stream, asks for.

use std::{collections::BTreeSet, fmt, str};

use axum::http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{limits::Limits, refusal::Refusal};

/// A field as it came: numbers keep all their digits.
pub type Field = (String, Box<RawValue>);

/// One text, or several.
#[derive(Debug)]
pub enum Shape {
    /// `text`, which is among the fields.
    One(String),
    /// `texts`, which is not.
    Many(Vec<String>),
}

/// Texts, and the fields that come back with the answer, in their order.
#[derive(Debug)]
pub struct Request {
    pub fields: Vec<Field>,
    pub shape: Shape,
}

const FORM: &str = r#"send {"text": "…"} or {"texts": ["…", "…"]}, in UTF-8"#;

/// What the answer adds, and what tells a bad line.
const RESERVED: [&str; 3] = ["entities", "error", "results"];

impl Request {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// 400 when it is none or has no text, 413 when there are too many or too long ones. The message says where, and
    /// quotes neither values nor names.
    pub fn parse(json: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let Object(mut fields) = object(json)?;
        let mut names = BTreeSet::new();
        if let Some(at) = fields.iter().position(|(name, _)| !names.insert(name.as_str())) {
            let message = format!("field {} has the name of an earlier one", at + 1);
            return Err(Refusal::bad(message, "give each field once"));
        }
        if let Some(name) = RESERVED.into_iter().find(|name| names.contains(name)) {
            let message = format!("there is a field `{name}`, which answers have");
            return Err(Refusal::bad(message, "leave it out, or give it another name"));
        }
        let place = |name: &str| fields.iter().position(|(field, _)| field == name);
        let shape = match (place("text"), place("texts")) {
            (Some(at), None) => Shape::One(text(&fields[at].1, "`text`", limits)?),
            (None, Some(at)) => Shape::Many(texts(&fields.remove(at).1, limits)?),
            (Some(_), Some(_)) => return Err(Refusal::bad("there is both a `text` and `texts`", FORM)),
            (None, None) => return Err(Refusal::bad("there is neither a `text` nor `texts`", FORM)),
        };
        Ok(Self { fields, shape })
    }
}

fn object(json: &[u8]) -> Result<Object, Refusal> {
    let json = str::from_utf8(json).map_err(|e| {
        let message = format!("byte {} is not UTF-8", e.valid_up_to() + 1);
        Refusal::bad(message, "send it in UTF-8: iconv -f WINDOWS-1252 -t UTF-8")
    })?;
    // RFC 8259, 8.1: a reader may ignore a byte order mark.
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    serde_json::from_str(json).map_err(|e| match e.classify() {
        // Of syntax serde says only where and what was expected; of values it would quote them.
        serde_json::error::Category::Data => Refusal::bad("this is not a JSON object", FORM),
        _ => Refusal::bad(
            format!("this is not JSON: {e}"),
            format!("{FORM}; several objects, one a line, are `Content-Type: application/x-ndjson`"),
        ),
    })
}

fn text(raw: &RawValue, name: &str, limits: &Limits) -> Result<String, Refusal> {
    let text: String = serde_json::from_str(raw.get()).map_err(|e| {
        if e.is_data() {
            Refusal::bad(format!("{name} is not a string"), FORM)
        } else {
            let message = format!("{name} has an escape that is no character: half a surrogate pair");
            Refusal::bad(message, "send the character itself, in UTF-8")
        }
    })?;
    let characters = text.chars().count();
    if characters > limits.characters {
        let message = format!("{name} has {characters} characters, more than {}", limits.characters);
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            message,
            "cut it where a paragraph or sentence ends",
        ));
    }
    Ok(text)
}

fn texts(raw: &RawValue, limits: &Limits) -> Result<Vec<String>, Refusal> {
    let texts: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Refusal::bad("`texts` is not a list of strings", FORM))?;
    if texts.len() > limits.texts {
        let message = format!("`texts` has {} texts, more than {}", texts.len(), limits.texts);
        let help = format!(
            "send at most {} in a request, or one object a line as `Content-Type: application/x-ndjson`",
            limits.texts
        );
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message, help));
    }
    let number = |at| format!("text {} of `texts`", at + 1);
    texts.iter().enumerate().map(|(at, raw)| text(raw, &number(at), limits)).collect()
}

/// A JSON object with its fields in order, repeated ones too.
struct Object(Vec<Field>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Request, Refusal> {
        Request::parse(json.as_bytes(), &Limits { texts: 2, characters: 7, queue: 8, ..Limits::default() })
    }

    #[test]
    fn fields_come_back_as_they_came() {
        let request =
            parse("\u{feff}{\"id\": 12345678901234567890123, \"text\": \"caf\\u00e9\"}").expect("is good");
        assert!(matches!(request.shape, Shape::One(text) if text == "café"));
        assert_eq!(request.fields[0].1.get(), "12345678901234567890123");
        assert_eq!(request.fields[1].1.get(), "\"caf\\u00e9\"");
        let request = parse(r#"{"texts": ["a", ""], "id": 1.50}"#).expect("is good");
        assert!(matches!(request.shape, Shape::Many(texts) if texts == ["a", ""]));
        assert_eq!(request.fields.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_without_a_quotation() {
        for (json, said) in [
            ("", "not JSON"),
            ("secret", "not JSON"),
            (r#"{"text": "secret""#, "not JSON"),
            (r#"{"text": "secret"} {"text": "secret"}"#, "not JSON"),
            (r#""secret""#, "not a JSON object"),
            (r#"["secret"]"#, "not a JSON object"),
            (r#"{"secret": "secret"}"#, "neither"),
            (r#"{"text": "secret", "texts": ["secret"]}"#, "both"),
            (r#"{"text": ["secret"]}"#, "`text` is not a string"),
            (r#"{"text": null}"#, "`text` is not a string"),
            (r#"{"text": "\ud800secret"}"#, "surrogate"),
            (r#"{"text": "a", "text": "secret"}"#, "field 2"),
            (r#"{"text": "secret", "entities": []}"#, "`entities`"),
            (r#"{"texts": "secret"}"#, "`texts` is not a list"),
            (r#"{"texts": ["a", {"secret": 1}]}"#, "text 2 of `texts` is not a string"),
        ] {
            let refusal = parse(json).expect_err(json);
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{json}");
            let shown = format!("{refusal:?}");
            assert!(shown.contains(said), "{json}: {shown}");
            assert!(!shown.contains("secret"), "{json}: {shown}");
        }
        let refusal = Request::parse(b"{\"text\": \"caf\xe9\"}", &Limits::default()).expect_err("Latin-1");
        assert!(format!("{refusal:?}").contains("byte 14 is not UTF-8"), "{refusal:?}");
    }

    #[test]
    fn characters_and_texts_are_bounded() {
        assert!(parse(r#"{"text": "éééé7éé"}"#).is_ok());
        for json in
            [r#"{"text": "12345678"}"#, r#"{"texts": ["", "12345678"]}"#, r#"{"texts": ["", "", ""]}"#]
        {
            assert_eq!(parse(json).expect_err(json).status, StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
}
