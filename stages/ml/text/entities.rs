//! Entities of a text, and how JSON has them.

use schemars::{JsonSchema, Schema};
use serde::Serialize;

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
            let covered = (start < end).then(|| Some(text[*bytes.get(start)?..*bytes.get(end)?].to_owned()));
            // A sum of probabilities may round to a little more than 1.
            let score = (score * 1e6).round() / 1e6;
            let text = covered.flatten().filter(|_| (0.0..=1.0).contains(&score))?;
            Some(Self { kind: kind.clone(), text, start, end, score })
        };
        entities.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(start: usize, end: usize, score: f64) -> Option<Vec<Placed>> {
        Placed::all("à Évry", &[Entity { kind: "LOC".to_owned(), start, end, score }])
    }

    #[test]
    fn places_count_characters_and_not_bytes() {
        let placed = placed(2, 6, 0.123_456_78).expect("lies inside");
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
