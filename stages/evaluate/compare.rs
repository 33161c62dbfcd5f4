//! Tags against tags: which entities count, and their scores.

use std::collections::BTreeSet;

use stage_contract::Invalid;

use super::{foreign, list};
use text::{
    corpus::Gold,
    labels::{Labels, Policy, Scheme, Span, Types, same_type, spans},
};

/// What counts as an entity.
pub(super) struct Comparison {
    /// The final model's types. All others are foreign.
    pub types: BTreeSet<String>,
    /// Foreign types that nobody asks for: the words so tagged, and every entity that touches one, are left out. All others
    /// are O.
    pub ignored: BTreeSet<String>,
}

/// Entities of one sentence: those there are, those found.
pub(super) type Pair = (Vec<Span>, Vec<Span>);

impl Comparison {
    /// Of the final model's types. What the teacher's labels and `types` say is to be ignored is ignored, unless the final
    /// model has it.
    pub fn new(types: BTreeSet<String>, teacher: &Labels, meanings: &Types) -> Self {
        let of_gold = meanings.iter().filter(|(_, meaning)| Types::policy(meaning) == Policy::Ignore);
        let ignored = teacher.types_to(Policy::Ignore).chain(of_gold.map(|(kind, _)| kind));
        let ignored = ignored.filter(|kind| !types.contains(*kind)).map(str::to_owned).collect();
        Self { types, ignored }
    }

    /// Types of a model that become O while it decodes; the words of those to ignore are left out later.
    pub fn outside<'a>(&self, labels: &'a Labels) -> Vec<&'a str> {
        let types = labels.types().iter().map(String::as_str);
        types.filter(|kind| !self.types.contains(*kind) && !self.ignored.contains(*kind)).collect()
    }

    /// The entities of a sentence that count.
    fn pair(&self, right: &[String], found: &[String]) -> Pair {
        let all = spans(right, Scheme::Bio);
        let ignored: Vec<_> = all.iter().filter(|span| self.ignored.contains(&span.kind)).cloned().collect();
        let counts = |span: &Span| {
            let touches = |other: &Span| span.start < other.end && other.start < span.end;
            self.types.contains(&span.kind) && !ignored.iter().any(touches)
        };
        let of = |spans: Vec<Span>| spans.into_iter().filter(counts).collect();
        (of(all), of(spans(found, Scheme::Bio)))
    }

    /// The entities of each sentence that count.
    pub fn pairs(&self, right: &[Vec<String>], found: &[Vec<String>]) -> Vec<Pair> {
        right.iter().zip(found).map(|(right, found)| self.pair(right, found)).collect()
    }
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
            let known: BTreeSet<String> = labels.types().iter().cloned().collect();
            let alike = kinds.iter().any(|kind| known.iter().any(|own| same_type(kind, own)));
            let help = if alike {
                let types = foreign::suggestion(&kinds, &known);
                format!("say what they mean in the parameters of `evaluate`: {types}")
            } else {
                // Were all outside, nothing of the set would be compared.
                format!(
                    "take the set out of the gold; or say in `types` of `evaluate` which of {} each of them is",
                    list(&known)
                )
            };
            return Err(Invalid::new(format!(
                "gold set `{}` has the types {}, none of which is the student's ({})",
                set.name,
                list(&kinds),
                list(&known)
            ))
            .help(help));
        }
    }
    Ok(())
}
