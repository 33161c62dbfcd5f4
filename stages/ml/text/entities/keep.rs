//! Which entities are kept: by their types, and by their scores.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use stage_contract::Invalid;

use super::entity::Entity;

/// The lowest score that is kept, of all types or of one: `0.7`, `PER=0.7`.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// `None`: every type without a threshold of its own.
    kind: Option<String>,
    least: f64,
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, number) =
            text.rsplit_once('=').map_or((None, text), |(kind, number)| (Some(kind), number));
        let least = number.trim().parse().ok().filter(|least| (0.0..=1.0).contains(least));
        let least = least.ok_or("expected a number from 0 to 1, such as 0.7 or PER=0.7")?;
        Ok(Self { kind: kind.map(|kind| kind.trim().to_owned()), least })
    }
}

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keep {
    /// `None`: all.
    types: Option<BTreeSet<String>>,
    least: f64,
    by_type: BTreeMap<String, f64>,
}

impl Keep {
    /// Of the types that are named, all where none is; with the scores that are asked for.
    ///
    /// # Errors
    /// A type is none of the model's, which are `known`; or there are two thresholds for one.
    pub fn new(types: &[String], thresholds: &[Threshold], known: &[String]) -> Result<Self, Invalid> {
        let check = |option: &str, kind: &str| {
            if known.iter().any(|own| own == kind) {
                return Ok(());
            }
            let near = known.iter().find(|own| crate::labels::same_type(own, kind));
            let near = near.map_or_else(|| known.join(","), Clone::clone);
            let value = if option == "--types" { near } else { format!("{}=0.7", first(&near)) };
            Err(Invalid::new(format!("the model has no type `{kind}`: it has {}", known.join(", ")))
                .help(format!("{option} {value}")))
        };
        types.iter().try_for_each(|kind| check("--types", kind))?;
        let mut keep =
            Self { types: (!types.is_empty()).then(|| types.iter().cloned().collect()), ..Self::default() };
        let mut all = None;
        for Threshold { kind, least } in thresholds {
            let before = match kind {
                Some(kind) => {
                    check("--threshold", kind)?;
                    keep.by_type.insert(kind.clone(), *least)
                }
                None => all.replace(*least),
            };
            if before.is_some() {
                let of = kind.as_ref().map_or_else(|| "all types".to_owned(), |kind| format!("`{kind}`"));
                return Err(Invalid::new(format!("two thresholds for {of}"))
                    .help("give each type one --threshold, and all others one without a type"));
            }
        }
        keep.least = all.unwrap_or_default();
        Ok(keep)
    }

    /// The entities that are kept; the others are counted.
    #[must_use]
    pub fn kept(&self, entities: Vec<Entity>, dropped: &mut Dropped) -> Vec<Entity> {
        let keeps = |entity: &Entity| {
            let least = self.by_type.get(&entity.kind).copied().unwrap_or(self.least);
            let counts = if self.types.as_ref().is_some_and(|types| !types.contains(&entity.kind)) {
                &mut dropped.types
            } else if entity.score < least {
                &mut dropped.scores
            } else {
                return true;
            };
            *counts.entry(entity.kind.clone()).or_default() += 1;
            false
        };
        let mut keeps = keeps;
        entities.into_iter().filter(|entity| keeps(entity)).collect()
    }
}

/// The first of names between commas.
fn first(names: &str) -> &str {
    names.split(',').next().unwrap_or_default()
}

/// Entities that are not kept, by type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    types: BTreeMap<String, usize>,
    scores: BTreeMap<String, usize>,
}

impl Dropped {
    /// What there is to say of them: a line for each reason.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        let line = |counts: &BTreeMap<String, usize>, why: &str| {
            let all: usize = counts.values().sum();
            let each: Vec<_> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            let entities = if all == 1 { "entity" } else { "entities" };
            (all > 0).then(|| format!("{all} {entities} {why} left out: {}", each.join(", ")))
        };
        let types = line(&self.types, "of a type that --types does not name");
        let scores = line(&self.scores, "with a score below --threshold");
        types.into_iter().chain(scores).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        ["LOC", "ORG", "PER"].map(String::from).to_vec()
    }

    fn keep(types: &[&str], thresholds: &[&str]) -> Result<Keep, Invalid> {
        let types: Vec<_> = types.iter().map(|kind| (*kind).to_owned()).collect();
        let thresholds: Vec<_> = thresholds.iter().map(|text| text.parse().expect("a threshold")).collect();
        Keep::new(&types, &thresholds, &known())
    }

    #[test]
    fn entities_are_kept_by_type_and_score_and_the_others_counted() {
        let entity = |kind: &str, score| Entity { kind: kind.into(), start: 0, end: 1, score };
        let all = || vec![entity("PER", 0.6), entity("PER", 0.8), entity("LOC", 0.3), entity("ORG", 0.9)];
        let mut dropped = Dropped::default();
        assert_eq!(Keep::default().kept(all(), &mut dropped), all());
        assert!(dropped.said().is_empty());
        let kept = keep(&["PER", "LOC"], &["PER=0.7", "0.2"]).expect("known").kept(all(), &mut dropped);
        assert_eq!(kept, [entity("PER", 0.8), entity("LOC", 0.3)]);
        assert_eq!(
            dropped.said(),
            [
                "1 entity of a type that --types does not name left out: ORG 1",
                "1 entity with a score below --threshold left out: PER 1"
            ]
        );
        let kept = keep(&[], &["0.6"]).expect("known").kept(all(), &mut dropped);
        assert_eq!(kept.len(), 3, "a score that is the threshold is kept");
    }

    #[test]
    fn unknown_types_and_thresholds_twice_are_refused_with_what_to_type() {
        let error = keep(&["PERSON"], &[]).expect_err("unknown");
        assert_eq!(error.message, "the model has no type `PERSON`: it has LOC, ORG, PER");
        assert_eq!(error.help.as_deref(), Some("--types PER"));
        let error = keep(&[], &["DATE=0.5"]).expect_err("unknown");
        assert_eq!(error.help.as_deref(), Some("--threshold LOC=0.7"));
        for twice in [["0.5", "0.6"], ["PER=0.5", "PER=0.6"]] {
            assert!(keep(&[], &twice).expect_err("twice").message.starts_with("two thresholds for "));
        }
        for wrong in ["", "PER", "1.5", "-0.1", "NaN", "PER=", "PER=x"] {
            assert!(wrong.parse::<Threshold>().is_err(), "{wrong}");
        }
    }
}
