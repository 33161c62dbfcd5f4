//! Entities of a text: where they are in it, and how JSON has them.

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::labels::as_tag;

/// An entity with its place in the text, in Unicode scalar values.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Type, as the model has it.
    pub kind: String,
    /// First character.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// How sure the model is, from 0 to 1: the mean over its words of the probability of its type.
    pub score: f64,
}

/// An entity with the characters that it covers (docs/formats.md, "Predict output").
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Entity")]
pub struct Placed {
    /// The type, as the model has it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text from `start` to `end`.
    pub text: String,
    /// The first character, in Unicode scalar values from 0.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// `start` and `end` in bytes of UTF-8.
    #[serde(skip)]
    pub bytes: [usize; 2],
    /// The model's probability, to six digits.
    #[schemars(transform = probability)]
    pub score: f64,
}

fn probability(schema: &mut Schema) {
    schema.insert("minimum".to_owned(), 0.into());
    schema.insert("maximum".to_owned(), 1.into());
}

impl Placed {
    /// All entities of a text; none when one lies outside of it or its score is no probability.
    #[must_use]
    pub fn all(text: &str, entities: &[Entity]) -> Option<Vec<Self>> {
        if entities.is_empty() {
            return Some(Vec::new());
        }
        let bytes: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
        let place = |&Entity { ref kind, start, end, score }: &Entity| {
            let bytes = [*bytes.get(start)?, *bytes.get(end)?];
            // A sum of probabilities may round to a little more than 1.
            let score = (score * 1e6).round() / 1e6;
            let sound = start < end && (0.0..=1.0).contains(&score);
            let text = text[..bytes[1]].get(bytes[0]..).filter(|_| sound)?.to_owned();
            Some(Self { kind: kind.clone(), text, start, end, bytes, score })
        };
        entities.iter().map(place).collect()
    }

    /// The type as a tag can have it: without white space.
    #[must_use]
    pub fn tag(&self) -> String {
        as_tag(&self.kind)
    }
}

/// A text in pieces, in its order: what is in no entity, and entities.
pub(super) fn pieces<'t, 'e>(
    text: &'t str,
    entities: &'e [Placed],
) -> impl Iterator<Item = (&'t str, Option<&'e Placed>)> {
    let last = entities.last().map_or(0, |entity| entity.bytes[1]);
    let mut at = 0;
    let mut pieces = Vec::new();
    for entity in entities {
        let [start, end] = entity.bytes;
        pieces.extend([(&text[at..start], None), (&text[start..end], Some(entity))]);
        at = end;
    }
    pieces.push((&text[last..], None));
    pieces.into_iter().filter(|(piece, _)| !piece.is_empty())
}

/// The BIO tag of each word. Words and entities are in the order of the text, and an entity is of whole words.
pub(super) fn tags(words: &[[usize; 2]], entities: &[Placed]) -> Vec<String> {
    let mut entities = entities.iter().peekable();
    let tag = |&[start, end]: &[usize; 2]| {
        while entities.next_if(|entity| entity.end <= start).is_some() {}
        match entities.peek().filter(|entity| entity.start < end) {
            Some(entity) => format!("{}-{}", if start <= entity.start { "B" } else { "I" }, entity.tag()),
            None => "O".to_owned(),
        }
    };
    words.iter().map(tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(start: usize, end: usize, score: f64) -> Option<Vec<Placed>> {
        Placed::all("à Évry", &[Entity { kind: "LOC".to_owned(), start, end, score }])
    }

    #[test]
    fn places_count_characters_and_bytes() {
        let placed = placed(2, 6, 0.123_456_78).expect("lies inside");
        assert_eq!(placed[0].bytes, [3, 8]);
        let written = serde_json::to_string(&placed).expect("writes");
        assert_eq!(written, r#"[{"type":"LOC","text":"Évry","start":2,"end":6,"score":0.123457}]"#);
    }

    #[test]
    fn a_score_that_rounds_to_1_is_1() {
        assert!(placed(2, 6, 1.0 + 1e-9).is_some());
    }

    #[test]
    fn an_entity_that_no_text_can_have_is_noticed() {
        for (start, end, score) in
            [(2, 7, 0.5), (7, 9, 0.5), (3, 3, 0.5), (4, 2, 0.5), (2, 6, f64::NAN), (2, 6, 1.5)]
        {
            assert!(placed(start, end, score).is_none(), "{start} {end} {score}");
        }
    }
}
