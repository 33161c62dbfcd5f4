//! What a text is answered with: entities as `predict` writes them.

use schemars::{JsonSchema, Schema};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{request::Field, tagger::Entity};

/// A text with its entities.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tagged {
    /// The text, as it came.
    pub text: String,
    /// Its entities, in the order of the text.
    pub entities: Vec<Placed>,
}

/// An entity with the characters that it covers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Entity")]
pub struct Placed {
    /// The type, as the model has it.
    #[serde(rename = "type")]
    kind: String,
    /// The text from `start` to `end`.
    text: String,
    /// The first character, in Unicode scalar values from 0.
    start: usize,
    /// One past the last character.
    end: usize,
    /// The model's probability, to six digits.
    #[schemars(transform = probability)]
    score: f64,
}

fn probability(schema: &mut Schema) {
    schema.insert("minimum".to_owned(), 0.into());
    schema.insert("maximum".to_owned(), 1.into());
}

impl Tagged {
    /// None when an entity lies outside of the text or its score is no probability.
    #[must_use]
    pub fn new(text: String, entities: Vec<Entity>) -> Option<Self> {
        let bytes: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
        let place = |Entity { kind, start, end, score }| {
            let covered = (start < end).then(|| Some(text[*bytes.get(start)?..*bytes.get(end)?].to_owned()));
            // A sum of probabilities may round to a little more than 1.
            let score = (score * 1e6).round() / 1e6;
            let text = covered.flatten().filter(|_| (0.0..=1.0).contains(&score))?;
            Some(Placed { kind, text, start, end, score })
        };
        let entities = entities.into_iter().map(place).collect::<Option<_>>()?;
        Some(Self { text, entities })
    }
}

/// Fields of a request, and what the server adds to them.
pub struct Answer<'a, T> {
    pub fields: &'a [Field],
    pub name: &'static str,
    pub added: &'a T,
}

impl<T: Serialize> Serialize for Answer<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len() + 1))?;
        for (name, value) in self.fields {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry(self.name, self.added)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(start: usize, end: usize, score: f64) -> Option<Tagged> {
        Tagged::new("à Évry".to_owned(), vec![Entity { kind: "LOC".to_owned(), start, end, score }])
    }

    #[test]
    fn places_count_characters_and_not_bytes() {
        let tagged = tagged(2, 6, 0.123_456_78).expect("lies inside");
        let written = serde_json::to_string(&tagged).expect("writes");
        let entity = r#"{"type":"LOC","text":"Évry","start":2,"end":6,"score":0.123457}"#;
        assert_eq!(written, format!(r#"{{"text":"à Évry","entities":[{entity}]}}"#));
    }

    #[test]
    fn a_score_that_rounds_to_1_is_1() {
        assert!(tagged(2, 6, 1.0 + 1e-9).is_some());
    }

    #[test]
    fn an_entity_that_no_text_can_have_is_noticed() {
        for (start, end, score) in
            [(2, 7, 0.5), (7, 9, 0.5), (3, 3, 0.5), (4, 2, 0.5), (2, 6, f64::NAN), (2, 6, 1.5)]
        {
            assert!(tagged(start, end, score).is_none(), "{start} {end} {score}");
        }
    }
}
