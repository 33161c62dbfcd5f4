//! What spaCy's `Doc.to_json` gives of a text, and `Doc.from_json` reads.

use std::io::{self, Write};

use serde::Serialize;

use super::{entity::Placed, writer::Writer};
use crate::corpus::Entry;

/// A line each.
pub(super) struct Spacy;

#[derive(Serialize)]
struct Doc<'t> {
    text: &'t str,
    ents: Vec<Ent<'t>>,
    tokens: Vec<Token>,
}

#[derive(Serialize)]
struct Ent<'t> {
    start: usize,
    end: usize,
    label: &'t str,
}

#[derive(Serialize)]
struct Token {
    id: usize,
    start: usize,
    end: usize,
}

impl Writer for Spacy {
    fn text(&mut self, entry: &Entry, entities: &[Placed], outs: &mut [&mut dyn Write]) -> io::Result<()> {
        let ents =
            entities.iter().map(|entity| Ent { start: entity.start, end: entity.end, label: &entity.kind });
        let tokens =
            entry.words().iter().zip(0..).map(|(&[start, end], id)| Token { id, start, end }).collect();
        let doc = Doc { text: &entry.text, ents: ents.collect(), tokens };
        serde_json::to_writer(&mut *outs[0], &doc)?;
        outs[0].write_all(b"\n")
    }
}
