//! Tags against tags: which entities count, and their scores.

use std::collections::{BTreeMap, BTreeSet};

use stage_contract::Invalid;

use super::{
    list,
    report::{Fidelity, Quality},
};
use crate::ml::{
    corpus::{Gold, Record},
    labels::{Labels, Scheme, Span, spans},
    losses::Misc,
    scores::{Score, Scores, score},
};

/// What counts as an entity.
pub(super) struct Comparison {
    /// The final model's types. All others are foreign.
    pub types: BTreeSet<String>,
    /// What becomes of foreign types.
    pub misc: Misc,
}

/// Entities of one sentence: those there are, those found.
type Pair = (Vec<Span>, Vec<Span>);

impl Comparison {
    /// Types of a model that become O while it decodes. Under `ignore` none does: the words so tagged are left out later.
    pub fn outside<'a>(&self, labels: &'a Labels) -> Vec<&'a str> {
        let foreign = labels.types().iter().map(String::as_str).filter(|kind| !self.types.contains(*kind));
        if self.misc == Misc::Ignore { Vec::new() } else { foreign.collect() }
    }

    /// The entities of a sentence that count.
    fn pair(&self, right: &[String], found: &[String]) -> Pair {
        let all = spans(right, Scheme::Bio);
        let foreign: Vec<_> = all.iter().filter(|span| !self.types.contains(&span.kind)).cloned().collect();
        let counts = |span: &Span| {
            let touches = |other: &Span| span.start < other.end && other.start < span.end;
            self.types.contains(&span.kind) && !(self.misc == Misc::Ignore && foreign.iter().any(touches))
        };
        let of = |spans: Vec<Span>| spans.into_iter().filter(counts).collect();
        (of(all), of(spans(found, Scheme::Bio)))
    }

    fn pairs(&self, right: &[Vec<String>], found: &[Vec<String>]) -> Vec<Pair> {
        right.iter().zip(found).map(|(right, found)| self.pair(right, found)).collect()
    }

    /// Agreement with the teacher's tags, in all and for each source.
    pub fn by_source(&self, test: &[Record], teacher: &[Vec<String>], found: &[Vec<String>]) -> Fidelity {
        let pairs = self.pairs(teacher, found);
        let mut sources: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
        for (record, pair) in test.iter().zip(&pairs) {
            sources.entry(record.source.clone()).or_default().push(pair.clone());
        }
        Fidelity {
            all: total(pairs),
            by_source: sources.into_iter().map(|(source, pairs)| (source, total(pairs))).collect(),
        }
    }

    /// The teacher's agreement with itself: 1 by definition, also where it found nothing.
    pub fn with_itself(&self, test: &[Record], teacher: &[Vec<String>]) -> Fidelity {
        let mut fidelity = self.by_source(test, teacher, teacher);
        for scores in std::iter::once(&mut fidelity.all).chain(fidelity.by_source.values_mut()) {
            for score in [&mut scores.micro, &mut scores.macro_] {
                *score = Score { precision: 1.0, recall: 1.0, f1: 1.0, support: score.support };
            }
        }
        fidelity
    }

    /// Scores against gold: all sets pooled, and each set. `found[set][record]` are tags.
    pub fn with_gold(&self, gold: &Gold, found: &[Vec<Vec<String>>]) -> Quality {
        let mut all = Vec::new();
        let mut sets = BTreeMap::new();
        for (set, found) in gold.sets.iter().zip(found) {
            let right: Vec<_> = set.records.iter().map(|record| record.tags.clone()).collect();
            let pairs = self.pairs(&right, found);
            all.extend(pairs.iter().cloned());
            sets.insert(set.name.clone(), total(pairs));
        }
        Quality { all: total(all), sets }
    }
}

fn total(pairs: Vec<Pair>) -> Scores {
    let (right, found): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    score(&right, &found)
}

/// Every gold set must have an entity of a type that `labels` know: else types have other names, and all scores are 0.
pub(super) fn check_gold(gold: &Gold, labels: &Labels) -> Result<(), Invalid> {
    for set in &gold.sets {
        let kinds: BTreeSet<String> = set
            .records
            .iter()
            .flat_map(|record| spans(&record.tags, Scheme::Bio))
            .map(|span| span.kind)
            .collect();
        if !kinds.is_empty() && !kinds.iter().any(|kind| labels.type_index(kind).is_some()) {
            let known = labels.types().iter().cloned().collect();
            return Err(Invalid::new(format!(
                "gold set `{}` has the types {}, none of which is the student's ({})",
                set.name,
                list(&kinds),
                list(&known)
            ))
            .help("rename the types in the gold file"));
        }
    }
    Ok(())
}
