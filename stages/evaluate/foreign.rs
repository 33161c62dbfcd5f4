//! Entity types that are not the final model's: what `types` says they mean, what became O, and what nobody knows.

use std::collections::{BTreeMap, BTreeSet};

use stage_contract::Invalid;

use super::list;
use crate::evaluate::evaluation::{Counts, Foreign};
use text::{
    corpus::{Gold, GoldSet},
    labels::{Scheme, spans},
};

/// What a type of gold is called here, or [`OUTSIDE`].
pub(super) type Meanings = BTreeMap<String, String>;

/// As a meaning: no entity.
pub(super) const OUTSIDE: &str = "outside";

/// Entities of a set by type.
fn entities(set: &GoldSet) -> Counts {
    let mut counts = Counts::new();
    for span in set.records.iter().flat_map(|record| spans(&record.tags, Scheme::Bio)) {
        *counts.entry(span.kind).or_default() += 1;
    }
    counts
}

/// Checks what `types` says against what there is.
fn check(meanings: &Meanings, gold: &Gold, known: &BTreeSet<String>) -> Result<(), Invalid> {
    let there: BTreeSet<String> = gold.sets.iter().flat_map(|set| entities(set).into_keys()).collect();
    for (kind, meaning) in meanings {
        let wrong = |message: String| Invalid::new(message).at("types");
        if !there.contains(kind) {
            return Err(wrong(format!("`types` names {kind}, of which gold has no entity"))
                .help(format!("gold has {}", list(&there))));
        }
        if meaning != OUTSIDE && !known.contains(meaning) {
            return Err(wrong(format!("`types` makes {kind} a {meaning}, which no model has"))
                .help(format!("write one of {}, or {OUTSIDE}", list(known))));
        }
    }
    Ok(())
}

/// Gives the entities of gold the types that `types` says. Counts those that became O, by set.
///
/// # Errors
/// It names a type of which gold has no entity, or means one that is not `known`.
pub(super) fn rename(
    gold: &mut Gold,
    meanings: &Meanings,
    known: &BTreeSet<String>,
) -> Result<BTreeMap<String, Counts>, Invalid> {
    check(meanings, gold, known)?;
    let mut dropped: BTreeMap<String, Counts> = BTreeMap::new();
    for set in &mut gold.sets {
        let mut counts = entities(set);
        counts.retain(|kind, _| meanings.get(kind).is_some_and(|meaning| meaning == OUTSIDE));
        if !counts.is_empty() {
            dropped.insert(set.name.clone(), counts);
        }
        for tag in set.records.iter_mut().flat_map(|record| &mut record.tags) {
            let Some((prefix, kind)) = tag.split_once('-') else { continue };
            let Some(meaning) = meanings.get(kind) else { continue };
            *tag = if meaning == OUTSIDE { "O".to_owned() } else { format!("{prefix}-{meaning}") };
        }
    }
    Ok(dropped)
}

/// Entities of gold, by set, of types that are not among these.
pub(super) fn outside(gold: &Gold, types: &BTreeSet<String>) -> BTreeMap<String, Counts> {
    let sets = gold.sets.iter().map(|set| {
        let mut counts = entities(set);
        counts.retain(|kind, _| !types.contains(kind));
        (set.name.clone(), counts)
    });
    sets.filter(|(_, counts)| !counts.is_empty()).collect()
}

/// What to say of types of gold that no model has: a line for each set.
pub(super) fn unknown(
    foreign: &BTreeMap<String, Counts>,
    gold: &Gold,
    types: &BTreeSet<String>,
) -> Vec<String> {
    // The parameter is one for all sets.
    let kinds: BTreeSet<String> = foreign.values().flat_map(Counts::keys).cloned().collect();
    let line = |(name, counts): (&String, &Counts)| {
        let set = gold.sets.iter().find(|set| set.name == *name).map(entities).unwrap_or_default();
        let absent: Vec<&str> =
            types.iter().map(String::as_str).filter(|kind| !set.contains_key(*kind)).collect();
        let without = match absent.as_slice() {
            [] => String::new(),
            absent => format!(", and the set has no {}", absent.join(", no ")),
        };
        format!(
            "gold set `{name}`: no model has {}{without}: gates on it are inconclusive unless `evaluate` is told what is \
             meant, for example {}",
            told(counts),
            suggestion(&kinds, types)
        )
    };
    foreign.iter().map(line).collect()
}

/// `MISC (12 entities), DATE (1 entity)`
pub(super) fn told(counts: &Counts) -> String {
    let one = |(kind, count): (&String, &usize)| {
        format!("{kind} ({count} {})", if *count == 1 { "entity" } else { "entities" })
    };
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Other names of the types that models mostly have.
const SYNONYMS: [(&str, &[&str]); 3] = [
    ("PER", &["PERSON", "PERS", "PERSONNE", "PEOPLE", "HUMAN"]),
    ("LOC", &["LOCATION", "PLACE", "LIEU", "GPE"]),
    ("ORG", &["ORGANIZATION", "ORGANISATION", "COMPANY", "CORPORATION"]),
];

/// The line for `types` that is most probably meant, with keys as TOML takes them.
pub(super) fn suggestion(kinds: &BTreeSet<String>, types: &BTreeSet<String>) -> String {
    let meaning = |kind: &String| {
        let upper = kind.to_uppercase();
        let same = |known: &&String| {
            let known = known.to_uppercase();
            known == upper
                || SYNONYMS.iter().any(|(name, others)| *name == known && others.contains(&upper.as_str()))
        };
        let bare = kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let key = if bare { kind.clone() } else { format!("\"{}\"", kind.escape_default()) };
        format!("{key} = \"{}\"", types.iter().find(same).map_or(OUTSIDE, String::as_str))
    };
    format!("`types = {{ {} }}`", kinds.iter().map(meaning).collect::<Vec<_>>().join(", "))
}

impl Foreign {
    /// Why a gate on these gold sets cannot be judged (`None`: all sets).
    pub(super) fn doubt(&self, set: Option<&str>) -> Option<String> {
        let mut doubtful = self.unknown.iter().filter(|(name, _)| set.is_none_or(|set| set == *name));
        let (name, counts) = doubtful.next()?;
        Some(format!("gold set `{name}` has {}, which no model has", told(counts)))
    }
}
