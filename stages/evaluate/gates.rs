//! Gates: bounds on what was measured, and what they say (docs/formats.md, "Gates").

mod metric;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Invalid, report::counted};

pub(super) use self::metric::{METRICS, Metric, Rate, Relation, Size, Table, Types};
use super::slices::Slice;
use crate::evaluate::evaluation::{Direction, Foreign, Length, Mention, Outcome, Verdict};
use measure::bootstrap::{Estimate, Evidence};

/// A bound: pass when the whole interval of what was measured meets it, fail when none of it does, else inconclusive; and
/// inconclusive on too little evidence, whatever the interval. Parameters, bytes and operations are exact and never
/// inconclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gate {
    /// `<model>.<metric>`, a model by the name of its input:
    /// `parameters`, `bytes`, `bytes_on_disk`, `flops`, `memory`, each also with `.ratio`;
    /// `latency.ratio` (of medians, 32 tokens, batch 1), `latency.p50_ms`, `p90_ms`, `p99_ms`, and with
    /// `latency.512x8.` before, of 512 tokens and batch 8; `throughput.ratio`, `throughput.sentences_per_s`,
    /// `tokens_per_s`; `fidelity.f1` and `quality.f1`, also `precision` and `recall`, `fidelity.macro.f1`,
    /// `fidelity.per_type.PER.f1`, each also with `.drop`: what is lost against another model.
    pub metric: String,
    /// At most this. Give `max` or `min`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// At least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// For `.drop` and `.ratio`: the model compared with; the teacher when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// Of fidelity: only texts of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Of quality: only this gold set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// Only texts that are `short`, `medium` or `long`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
    /// Only mentions that training has `seen`, or `unseen` ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mention: Option<Mention>,
    /// Texts that a score must rest on: those with an entity that counts for it.
    #[schemars(range(min = 1))]
    pub texts: usize,
    /// Entities that a score must rest on: found ones for a precision, else those there are; of a mean over types, of each.
    #[schemars(range(min = 1))]
    pub entities: usize,
    /// How wide the interval of a score may be.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub width: f64,
}

/// The bootstrap's intervals are too narrow on fewer sentences than some tens, and have no width at all on one.
const LEAST: usize = 20;

/// An interval over half of all scores tells no model from another.
const WIDEST: f64 = 0.5;

/// Rounds that a time must rest on: of one the interval has no width.
const LEAST_ROUNDS: usize = 3;

impl Default for Gate {
    fn default() -> Self {
        Self {
            metric: String::new(),
            max: None,
            min: None,
            against: None,
            source: None,
            set: None,
            length: None,
            mention: None,
            texts: LEAST,
            entities: LEAST,
            width: WIDEST,
        }
    }
}

/// What a value rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// It was counted.
    Exact,
    /// Rounds of a measurement.
    Rounds(usize),
    /// Texts and entities.
    Entities(Evidence),
}

/// What was measured, and on what; no estimate: it is undefined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    pub estimate: Option<Estimate>,
    pub support: Support,
}

/// Gates by name.
pub type Gates = BTreeMap<String, Gate>;

/// A gate understood.
pub(super) struct Rule {
    pub model: String,
    pub metric: Metric,
    pub against: String,
    pub slice: Slice,
    direction: Direction,
    bound: f64,
}

/// The model that ratios and drops are against.
const TEACHER: &str = "teacher";

impl Gate {
    /// What it says, as far as that can be known without inputs.
    pub(super) fn rule(&self, name: &str) -> Result<Rule, Invalid> {
        let wrong = |key: &str, message: String| {
            let at = if key.is_empty() { format!("gates.{name}") } else { format!("gates.{name}.{key}") };
            Invalid::new(format!("gate `{name}`: {message}")).at(at)
        };
        let read = self.metric.match_indices('.').find_map(|(at, _)| {
            Metric::parse(&self.metric[at + 1..]).map(|metric| (self.metric[..at].to_owned(), metric))
        });
        let Some((model, metric)) = read.filter(|(model, _)| !model.is_empty()) else {
            let message = if self.metric.is_empty() {
                "it has no `metric`".to_owned()
            } else {
                format!("there is no metric `{}`", self.metric)
            };
            return Err(wrong("metric", message).help(format!("write `<model>.` and one of {METRICS}")));
        };
        let (direction, bound) = match (self.max, self.min) {
            (Some(max), None) => (Direction::Max, max),
            (None, Some(min)) => (Direction::Min, min),
            _ => {
                return Err(wrong("", "it needs one of `max` and `min`".to_owned()).help(
                    "write `max = 0.01` for at most, `min = 0.9` for at least; make two gates of both",
                ));
            }
        };
        if self.against.is_some() && metric.relation() == Relation::Alone {
            let than = if metric.table().is_some() { "drop" } else { "ratio" };
            return Err(wrong("against", format!("`{}` compares with nothing", self.metric))
                .help(format!("write `metric = \"{}.{than}\"`, or remove `against`", self.metric)));
        }
        for (key, senseless) in
            [("texts", self.texts == 0), ("entities", self.entities == 0), ("width", self.width <= 0.0)]
        {
            if senseless {
                return Err(wrong(key, format!("`{key}` must be above 0")).help(format!(
                    "remove `{key}` for its default: {LEAST} texts, {LEAST} entities, a width of {WIDEST}"
                )));
            }
        }
        let against = self.against.clone().unwrap_or_else(|| TEACHER.to_owned());
        if against == model && metric.relation() != Relation::Alone {
            return Err(wrong(
                if self.against.is_some() { "against" } else { "metric" },
                format!("`{model}` is compared with itself"),
            )
            .help("name another model"));
        }
        Ok(Rule { slice: self.slice(&metric, &wrong)?, model, metric, against, direction, bound })
    }

    fn slice(&self, metric: &Metric, wrong: &dyn Fn(&str, String) -> Invalid) -> Result<Slice, Invalid> {
        let given = [
            ("source", self.source.clone().map(Slice::Source), Some(Table::Fidelity)),
            ("set", self.set.clone().map(Slice::Source), Some(Table::Quality)),
            ("length", self.length.map(Slice::Length), None),
            ("mention", self.mention.map(Slice::Mention), None),
        ];
        let mut found = Slice::All;
        for (key, slice, only) in given {
            let Some(slice) = slice else { continue };
            if metric.table().is_none() || only.is_some_and(|only| metric.table() != Some(only)) {
                let table = match only {
                    Some(Table::Fidelity) => "fidelity",
                    Some(Table::Quality) => "quality",
                    None => "fidelity and quality",
                };
                return Err(
                    wrong(key, format!("`{key}` is of {table} alone")).help(format!("remove `{key}`"))
                );
            }
            if found != Slice::All {
                return Err(wrong(key, "it names two slices".to_owned()).help("remove one of them"));
            }
            found = slice;
        }
        Ok(found)
    }
}

impl Rule {
    /// What the gate says to what was measured.
    pub fn verdict(&self, gate: &Gate, measured: Measured, foreign: &Foreign) -> Verdict {
        let compared = self.metric.relation() != Relation::Alone;
        let set = if let Slice::Source(set) = &self.slice { Some(set.as_str()) } else { None };
        let doubt = match self.metric.table() {
            Some(Table::Quality) => foreign.doubt(set),
            Some(Table::Fidelity) => foreign.doubt_of_teacher(),
            None => None,
        };
        let reason = doubt.or_else(|| too_little(gate, measured));
        let (estimate, rests_on) = (measured.estimate, measured.support);
        Verdict {
            outcome: if reason.is_some() { Outcome::Inconclusive } else { self.outcome(estimate) },
            reason,
            measured: estimate.map(|estimate| estimate.value),
            bound: self.bound,
            interval: estimate.and_then(|estimate| estimate.interval),
            texts: rests_on.evidence().map(|evidence| evidence.texts),
            entities: rests_on.evidence().map(|evidence| evidence.entities),
            rounds: if let Support::Rounds(rounds) = rests_on { Some(rounds) } else { None },
            direction: self.direction,
            metric: gate.metric.clone(),
            against: compared.then(|| self.against.clone()),
            slice: self.slice.described(self.metric.table() == Some(Table::Quality)),
        }
    }

    fn outcome(&self, measured: Option<Estimate>) -> Outcome {
        let Some(Estimate { value, interval }) = measured else { return Outcome::Inconclusive };
        let meets = |value: f64| match self.direction {
            Direction::Max => value <= self.bound,
            Direction::Min => value >= self.bound,
        };
        let ends = interval.unwrap_or([value; 2]);
        if ends.into_iter().all(meets) {
            Outcome::Pass
        } else if ends.into_iter().any(meets) {
            Outcome::Inconclusive
        } else {
            Outcome::Fail
        }
    }
}

impl Support {
    fn evidence(self) -> Option<Evidence> {
        if let Self::Entities(evidence) = self { Some(evidence) } else { None }
    }
}

/// Why what was measured proves nothing, if it does not.
fn too_little(gate: &Gate, Measured { estimate, support }: Measured) -> Option<String> {
    let interval = estimate.and_then(|estimate| estimate.interval);
    match support {
        Support::Rounds(0) => Some("it was not measured: no time, or no room in a model".to_owned()),
        Support::Rounds(rounds) if rounds < LEAST_ROUNDS => {
            Some(format!("measured in {}, and it needs {LEAST_ROUNDS} (`rounds`)", counted(rounds, "round")))
        }
        Support::Exact | Support::Rounds(_) => None,
        Support::Entities(Evidence { texts, entities }) => {
            if texts < gate.texts || entities < gate.entities {
                let entities =
                    if entities == 1 { "1 entity".to_owned() } else { format!("{entities} entities") };
                return Some(format!(
                    "{entities} in {}, and it needs {} in {} (`entities`, `texts`)",
                    counted(texts, "text"),
                    gate.entities,
                    gate.texts
                ));
            }
            let Some([low, high]) = interval else {
                return Some("it is undefined, or has no interval".to_owned());
            };
            (high - low > gate.width).then(|| {
                format!("the interval is {:.2} wide, and may be {:.2} (`width`)", high - low, gate.width)
            })
        }
    }
}

/// The gates understood.
pub(super) fn rules(gates: &Gates) -> Result<Vec<(&str, &Gate, Rule)>, Invalid> {
    gates.iter().map(|(name, gate)| Ok((name.as_str(), gate, gate.rule(name)?))).collect()
}

/// What gates may name; `None`: not known yet.
#[derive(Default)]
pub(super) struct Names<'a> {
    pub models: Option<BTreeSet<&'a str>>,
    pub sources: Option<BTreeSet<String>>,
    pub sets: Option<BTreeSet<String>>,
    pub types: Option<BTreeSet<String>>,
    /// Whether they are wired.
    pub gold: bool,
    pub train: bool,
}

/// Whether what the gates name is there.
pub(super) fn check(gates: &Gates, names: &Names<'_>) -> Result<(), Invalid> {
    for (name, gate, rule) in rules(gates)? {
        if let Some(models) = &names.models {
            // An input that collects instances (`x = "stage@*.model"`) is models called `x@<key>`.
            let known = |model: &str| {
                models.contains(model) || models.contains(model.split('@').next().unwrap_or_default())
            };
            let key = if known(&rule.model) { "against" } else { "metric" };
            if let Some(stray) = [&rule.model, &rule.against].into_iter().find(|model| !known(model)) {
                return Err(unknown(name, key, "model", stray, models.iter().copied()));
            }
        }
        let table = rule.metric.table();
        if table == Some(Table::Quality) && !names.gold {
            return Err(missing(name, "metric", "`gold`", "gold = \"sources.gold\""));
        }
        if gate.mention.is_some() && !names.train {
            return Err(missing(name, "mention", "`train`", "train = \"split.train\""));
        }
        let kind = if let Metric::Score(_, Types::Only(kind), ..) = &rule.metric { Some(kind) } else { None };
        for (key, what, wanted, known) in [
            ("source", "source", gate.source.as_ref(), &names.sources),
            ("set", "gold set", gate.set.as_ref(), &names.sets),
            ("metric", "entity type", kind, &names.types),
        ] {
            if let (Some(wanted), Some(known)) = (wanted, known)
                && !known.contains(wanted)
            {
                return Err(unknown(name, key, what, wanted, known.iter().map(String::as_str)));
            }
        }
    }
    Ok(())
}

fn unknown<'n>(
    gate: &str,
    key: &str,
    what: &str,
    wanted: &str,
    known: impl Iterator<Item = &'n str>,
) -> Invalid {
    let known = known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Invalid::new(format!("gate `{gate}`: there is no {what} `{wanted}`"))
        .at(format!("gates.{gate}.{key}"))
        .help(format!("write one of {known}"))
}

fn missing(gate: &str, key: &str, input: &str, wire: &str) -> Invalid {
    Invalid::new(format!("gate `{gate}`: the input {input} that it needs is not wired"))
        .at(format!("gates.{gate}.{key}"))
        .help(format!("add `{wire}` to `inputs`, or remove the gate"))
}

#[cfg(test)]
mod tests;
