//! Entity types that are not the final model's: what `types` says they mean, what became O, and what nobody knows.

use std::collections::{BTreeMap, BTreeSet};

use stage_contract::Invalid;

use super::list;
use crate::evaluate::evaluation::{Counts, Foreign};
use text::{
    corpus::{Gold, GoldSet},
    labels::{Policy, Scheme, Types, same_type, spans},
};

/// Entities of a set by type.
fn entities(set: &GoldSet) -> Counts {
    let mut counts = Counts::new();
    for span in set.records.iter().flat_map(|record| spans(&record.tags, Scheme::Bio)) {
        *counts.entry(span.kind).or_default() += 1;
    }
    counts
}

/// Checks what `types` says against what there is.
///
/// # Errors
/// It names a type of which gold has no entity, or means one that is not `known`.
pub(super) fn check(types: &Types, gold: &Gold, known: &BTreeSet<String>) -> Result<(), Invalid> {
    let there: BTreeSet<String> = gold.sets.iter().flat_map(|set| entities(set).into_keys()).collect();
    for (kind, meaning) in types.iter() {
        let wrong = |message: String| Invalid::new(message).at("types");
        if !there.contains(kind) {
            return Err(wrong(format!("`types` names {kind}, of which gold has no entity"))
                .help(format!("gold has {}", list(&there))));
        }
        if Types::policy(meaning) == Policy::Learn && !known.contains(meaning) {
            return Err(wrong(format!("`types` makes {kind} a {meaning}, which no model has"))
                .help(format!("write one of {}, or outside or ignore", list(known))));
        }
    }
    Ok(())
}

/// Gives the entities of gold the types that they are called; a type to ignore stays. Counts those that became O, by set.
pub(super) fn rename(gold: &mut Gold, types: &Types) -> BTreeMap<String, Counts> {
    let mut dropped: BTreeMap<String, Counts> = BTreeMap::new();
    for set in &mut gold.sets {
        let mut counts = entities(set);
        counts.retain(|kind, _| Types::policy(types.meaning(kind)) == Policy::Outside);
        if !counts.is_empty() {
            dropped.insert(set.name.clone(), counts);
        }
        for tag in set.records.iter_mut().flat_map(|record| &mut record.tags) {
            let Some((prefix, kind)) = tag.split_once('-') else { continue };
            let meaning = types.meaning(kind);
            match Types::policy(meaning) {
                Policy::Learn => *tag = format!("{prefix}-{meaning}"),
                Policy::Outside => "O".clone_into(tag),
                Policy::Ignore => {}
            }
        }
    }
    dropped
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

/// [`outside`], with those that [`rename`] made O before.
pub(super) fn lacked(
    gold: &Gold,
    types: &BTreeSet<String>,
    dropped: BTreeMap<String, Counts>,
) -> BTreeMap<String, Counts> {
    let mut lacked = outside(gold, types);
    for (set, counts) in dropped {
        lacked.entry(set).or_default().extend(counts);
    }
    lacked
}

/// Entities of gold, by set, of types that the final model lacks and of which nobody says what they mean: whatever they are, they
/// count as O, so that a score on them is none of the set's.
pub(super) fn undeclared(
    gold: &Gold,
    types: &BTreeSet<String>,
    meanings: &Types,
) -> BTreeMap<String, Counts> {
    let foreign = outside(gold, types).into_iter().map(|(set, counts)| (set, unsaid(&counts, meanings)));
    foreign.filter(|(_, counts)| !counts.is_empty()).collect()
}

/// Those of which nobody says what they mean.
pub(super) fn unsaid(counts: &Counts, meanings: &Types) -> Counts {
    let unsaid = |kind: &str| Types::policy(meanings.meaning(kind)) == Policy::Learn;
    let counts = counts.iter().filter(|(kind, count)| **count > 0 && unsaid(kind));
    counts.map(|(kind, count)| (kind.clone(), *count)).collect()
}

/// What to say of types of gold that nobody knows: a line for each set.
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
            "gold set `{name}`: the final model lacks {}{without}: gates on it are inconclusive unless `evaluate` is told what \
             is meant, for example {}",
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

/// The line for `types` that is most probably meant, with keys as TOML takes them.
pub(super) fn suggestion(kinds: &BTreeSet<String>, types: &BTreeSet<String>) -> String {
    let meaning = |kind: &String| {
        let same = |known: &&String| same_type(kind, known);
        let bare = kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let key = if bare { kind.clone() } else { format!("\"{}\"", kind.escape_default()) };
        format!("{key} = \"{}\"", types.iter().find(same).map_or(Types::OUTSIDE, String::as_str))
    };
    format!("`types = {{ {} }}`", kinds.iter().map(meaning).collect::<Vec<_>>().join(", "))
}

impl Foreign {
    /// Why a gate on fidelity cannot be judged.
    pub(super) fn doubt_of_teacher(&self) -> Option<String> {
        let counts = &self.teacher_unknown;
        (!counts.is_empty())
            .then(|| format!("the teacher finds {}, which the final model lacks", told(counts)))
    }

    /// Why a gate on these gold sets cannot be judged (`None`: all sets).
    pub(super) fn doubt(&self, set: Option<&str>) -> Option<String> {
        let mut doubtful = self.unknown.iter().filter(|(name, _)| set.is_none_or(|set| set == *name));
        let (name, counts) = doubtful.next()?;
        Some(format!("gold set `{name}` has {}, which the final model lacks", told(counts)))
    }
}
