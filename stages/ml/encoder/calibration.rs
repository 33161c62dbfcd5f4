//! How sure a model says it is of an entity, brought to how often it is right (docs/math.md, "Calibration").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decode::Entity;
use text::labels::Span;

/// With fewer entities than this a type has no temperature of its own.
const ENOUGH: usize = 50;

/// No temperature is lower or, as its inverse, higher: beyond, scores are 0 and 1 for every purpose, or a half.
const COLDEST: f64 = 0.05;

/// What scores of one type are divided by, as log-odds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Temperature {
    /// Above 1: it was too sure.
    pub temperature: f64,
    /// Entities that it was fitted to.
    pub entities: usize,
}

#[derive(Deserialize)]
struct Raw {
    temperature: f64,
    entities: usize,
}

impl TryFrom<Raw> for Temperature {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        if raw.temperature.is_finite() && raw.temperature > 0.0 {
            Ok(Self { temperature: raw.temperature, entities: raw.entities })
        } else {
            Err(format!("the temperature {} is not a number above 0", raw.temperature))
        }
    }
}

/// Temperatures by type; scores of other types stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration(BTreeMap<String, Temperature>);

impl Calibration {
    /// Of the entities that a model found in some texts, and those that are there: each type's temperature is the one at which
    /// the scores' likelihood is greatest. A type of which it found fewer than 50 gets that of all types together, and none
    /// where those are fewer too.
    #[must_use]
    pub fn fit(found: &[Vec<Entity>], right: &[Vec<Span>]) -> Self {
        let mut by_type: BTreeMap<&str, Vec<(f64, bool)>> = BTreeMap::new();
        for (found, right) in found.iter().zip(right) {
            for entity in found {
                let is_right = right.contains(&entity.span());
                by_type.entry(&entity.kind).or_default().push((entity.score, is_right));
            }
        }
        let all: Vec<_> = by_type.values().flatten().copied().collect();
        let of = |(kind, own): (&&str, &Vec<(f64, bool)>)| {
            let enough = [own, &all].into_iter().find(|scored| scored.len() >= ENOUGH)?;
            let fitted = Temperature { temperature: temperature(enough), entities: enough.len() };
            Some(((*kind).to_owned(), fitted))
        };
        Self(by_type.iter().filter_map(of).collect())
    }

    /// Nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How often an entity of this type with such a `score` is right. In the order of scores nothing changes within a type.
    #[must_use]
    pub fn calibrated(&self, kind: &str, score: f64) -> f64 {
        self.0.get(kind).map_or(score, |own| sigmoid(log_odds(score) / own.temperature))
    }
}

/// The temperature at which the likelihood of what was right is greatest: the log-likelihood is concave in its inverse, and
/// its slope is halved in until nothing is left of the bracket.
fn temperature(scored: &[(f64, bool)]) -> f64 {
    let slope = |inverse: f64| -> f64 {
        let of = |&(score, right): &(f64, bool)| {
            let odds = log_odds(score);
            (f64::from(u8::from(right)) - sigmoid(inverse * odds)) * odds
        };
        scored.iter().map(of).sum()
    };
    let (mut low, mut high) = (COLDEST, 1.0 / COLDEST);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    1.0 / (low * high).sqrt()
}

/// Scores of exactly 0 and 1 are taken for nearly that: a likelihood has no room for them.
fn log_odds(score: f64) -> f64 {
    let score = score.clamp(1e-9, 1.0 - 1e-9);
    (score / (1.0 - score)).ln()
}

fn sigmoid(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `number` entities of a score, of which the first `right` are right, a text each.
    fn scored(kind: &str, score: f64, number: usize, right: usize) -> (Vec<Vec<Entity>>, Vec<Vec<Span>>) {
        let entity = Entity { kind: kind.to_owned(), start_word: 0, end_word: 1, score };
        let span = Span { start: 0, end: 1, kind: kind.to_owned() };
        let spans = (0..number).map(|at| if at < right { vec![span.clone()] } else { Vec::new() });
        (vec![vec![entity]; number], spans.collect())
    }

    fn near(found: f64, right: f64) {
        assert!((found - right).abs() < 1e-6, "{found} for {right}");
    }

    #[test]
    fn a_score_becomes_how_often_it_was_right() {
        let (found, right) = scored("PER", 0.99, 200, 160);
        let calibration = Calibration::fit(&found, &right);
        near(calibration.calibrated("PER", 0.99), 0.8);
        let sure = calibration.calibrated("PER", 0.999);
        assert!(sure > 0.8 && sure < 0.999, "{sure}");
        near(calibration.calibrated("PER", 0.5), 0.5);
        near(calibration.calibrated("LOC", 0.99), 0.99);
    }

    #[test]
    fn who_was_too_modest_becomes_surer() {
        let (found, right) = scored("PER", 0.7, 200, 180);
        near(Calibration::fit(&found, &right).calibrated("PER", 0.7), 0.9);
    }

    #[test]
    fn types_with_few_entities_share_a_temperature() {
        let (mut found, mut right) = scored("PER", 0.99, 100, 80);
        let (more, of_these) = scored("LOC", 0.99, 100, 60);
        found.extend(more);
        right.extend(of_these);
        let (few, none) = scored("ORG", 0.99, 10, 0);
        found.extend(few);
        right.extend(none);
        let calibration = Calibration::fit(&found, &right);
        near(calibration.calibrated("PER", 0.99), 0.8);
        near(calibration.calibrated("LOC", 0.99), 0.6);
        near(calibration.calibrated("ORG", 0.99), 140.0 / 210.0);
        let (few, right) = scored("ORG", 0.99, ENOUGH - 1, 3);
        assert!(Calibration::fit(&few, &right).is_empty());
    }

    #[test]
    fn an_entity_counts_with_its_type_and_both_ends() {
        let (found, mut right) = scored("PER", 0.9, 100, 100);
        for (at, spans) in right.iter_mut().enumerate() {
            match at % 5 {
                0 => spans[0].kind = "LOC".to_owned(),
                1 => spans[0].end = 2,
                _ => {}
            }
        }
        near(Calibration::fit(&found, &right).calibrated("PER", 0.9), 0.6);
    }

    #[test]
    fn scores_at_the_ends_stay_finite_and_in_order() {
        let (mut found, mut right) = scored("PER", 1.0, 100, 100);
        let (never, none) = scored("PER", 0.0, 100, 0);
        found.extend(never);
        right.extend(none);
        let calibration = Calibration::fit(&found, &right);
        let said: Vec<f64> = [0.0, 0.2, 0.5, 0.8, 1.0].map(|s| calibration.calibrated("PER", s)).to_vec();
        assert!(said.iter().all(|s| (0.0..=1.0).contains(s)) && said.is_sorted(), "{said:?}");
    }

    #[test]
    fn a_temperature_that_is_none_is_refused() {
        for text in ["0.0", "-1.0", "1e999", "null"] {
            let json = format!(r#"{{"PER":{{"temperature":{text},"entities":60}}}}"#);
            assert!(serde_json::from_str::<Calibration>(&json).is_err(), "{text}");
        }
        let json = r#"{"PER":{"temperature":1.5,"entities":60}}"#;
        let read: Calibration = serde_json::from_str(json).expect("read");
        assert_eq!(serde_json::to_string(&read).expect("written"), json);
    }
}
