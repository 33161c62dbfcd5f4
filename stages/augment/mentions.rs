//! Mentions of entities, and sentences in which they change places.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use text::{
    corpus::Record,
    labels::{Scheme, same_type, spans},
};

/// Distinct mentions by type, in order.
pub(super) struct Mentions(BTreeMap<String, Vec<String>>);

/// Where an entity lies in its text, in characters.
pub(super) struct Place {
    pub start: usize,
    pub end: usize,
    pub kind: String,
}

/// Shorter ones are initials and slips more often than names.
const SHORTEST: usize = 3;

impl Mentions {
    pub fn of(records: &[Record]) -> Self {
        let mut mentions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for record in records {
            let characters: Vec<char> = record.text.chars().collect();
            for Place { start, end, kind } in places(record) {
                if end - start >= SHORTEST {
                    mentions.entry(kind).or_default().insert(characters[start..end].iter().collect());
                }
            }
        }
        Self(mentions.into_iter().map(|(kind, texts)| (kind, texts.into_iter().collect())).collect())
    }

    pub fn counts(&self) -> Value {
        self.0.iter().map(|(kind, texts)| (kind.clone(), json!(texts.len()))).collect()
    }

    /// One of a type, or of one that is called otherwise (PERSON for PER); none when there is none.
    pub fn any(&self, kind: &str, rng: &mut ChaCha8Rng) -> Option<&str> {
        let named = || self.0.iter().find(|(own, _)| same_type(own, kind)).map(|(_, texts)| texts);
        self.0.get(kind).or_else(named)?.choose(rng).map(String::as_str)
    }

    /// The text of a record with each of its entities replaced by another of its type; none without an entity.
    pub fn substituted(&self, record: &Record, rng: &mut ChaCha8Rng) -> Option<String> {
        let characters: Vec<char> = record.text.chars().collect();
        let mut text = String::new();
        let mut from = 0;
        let places = places(record);
        for Place { start, end, kind } in &places {
            let old: String = characters[*start..*end].iter().collect();
            text.extend(&characters[from..*start]);
            let known = self.0.get(kind.as_str());
            // An article that elides asks for the same kind of first letter.
            let fits = |new: &&String| {
                **new != old
                    && (!ELIDED.iter().any(|elided| text.ends_with(elided)) || vowel(new) == vowel(&old))
            };
            let fitting: Vec<&String> = known.into_iter().flatten().filter(fits).collect();
            let new = fitting.choose(rng).map_or(old.as_str(), |new| new.as_str());
            agree(&mut text, new);
            text.push_str(new);
            from = *end;
        }
        text.extend(&characters[from..]);
        (!places.is_empty()).then_some(text)
    }
}

const ELIDED: [&str; 4] = ["l'", "l’", "L'", "L’"];

/// *d'* before a vowel and *de* before a consonant.
fn agree(before: &mut String, name: &str) {
    for (elided, whole) in [("d'", "de "), ("d’", "de "), ("D'", "De "), ("D’", "De ")] {
        let alone = |text: &str| text.is_empty() || text.ends_with([' ', '(', '«']);
        if let Some(rest) = before.strip_suffix(elided).filter(|rest| alone(rest) && !vowel(name)) {
            *before = format!("{rest}{whole}");
            return;
        }
        if let Some(rest) = before.strip_suffix(whole).filter(|rest| alone(rest) && vowel(name)) {
            *before = format!("{rest}{elided}");
            return;
        }
    }
}

/// Whether a word elides what stands before it. A mute h does and an aspirated one does not; names with h are left alone.
fn vowel(name: &str) -> bool {
    name.chars()
        .next()
        .is_some_and(|c| "aeiouyàâäéèêëîïôöùûüœæ".contains(c.to_lowercase().next().unwrap_or(c)))
}

/// The entities of a record.
pub(super) fn places(record: &Record) -> Vec<Place> {
    let place = |span: text::labels::Span| Place {
        start: record.words[span.start][0],
        end: record.words[span.end - 1][1],
        kind: span.kind,
    };
    spans(&record.tags, Scheme::Bio).into_iter().map(place).collect()
}
