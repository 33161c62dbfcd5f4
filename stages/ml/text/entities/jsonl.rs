//! A JSON object for each text: docs/formats.md, "Predict output".

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{
    entity::Placed,
    writer::{Offsets, Style, Writer},
};
use crate::corpus::{Document, Entry};

/// The record that a text is read from, with its entities.
pub(super) struct Jsonl {
    style: Style,
    /// The file that is written, where texts say it.
    file: Option<String>,
}

impl Jsonl {
    pub fn new(style: Style) -> Self {
        Self { style, file: None }
    }
}

impl Writer for Jsonl {
    fn begin(&mut self, document: &Document, _outs: &mut [&mut dyn Write]) -> io::Result<()> {
        self.file = self.style.files.then(|| document.name.clone());
        Ok(())
    }

    fn text(&mut self, entry: &Entry, entities: &[Placed], outs: &mut [&mut dyn Write]) -> io::Result<()> {
        let mut object = entry.record.clone().unwrap_or_default();
        let fields = [
            ("file", self.file.as_deref()),
            ("document", entry.document.as_deref().filter(|_| entry.record.is_none())),
            // What offsets count in, where the record has its words alone.
            ("text", Some(&*entry.text).filter(|_| entry.record.is_none() || entry.words.is_some())),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                object.entry(name).or_insert_with(|| value.into());
            }
        }
        let list = entities.iter().map(|entity| self.entity(entity)).collect::<Result<_, _>>()?;
        object.insert("entities".to_owned(), list);
        serde_json::to_writer(&mut *outs[0], &object)?;
        outs[0].write_all(b"\n")
    }
}

impl Jsonl {
    /// With the offsets that are asked for, before the score.
    fn entity(&self, entity: &Placed) -> serde_json::Result<Value> {
        let mut value = serde_json::to_value(entity)?;
        if let Value::Object(object) = &mut value {
            let score = object.shift_remove("score");
            if self.style.offsets == Offsets::Bytes {
                object.retain(|name, _| !["start", "end"].contains(&name.as_str()));
            }
            if self.style.offsets != Offsets::Characters {
                let [start, end] = entity.bytes;
                object.extend([("start_byte".to_owned(), json!(start)), ("end_byte".to_owned(), json!(end))]);
            }
            object.extend(score.map(|score| ("score".to_owned(), score)));
        }
        Ok(value)
    }
}
