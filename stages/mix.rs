//! `mix`: several sets of annotated sentences become one, each source as often as it should be seen.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_contract::{Context, Further, Input, Invalid, Output, Spec, Stage, StageError};

use text::{
    corpus::{Corpus, Record, Report},
    random::rng,
};

const RECORDS: Input<Corpus> = Input::new("records", "annotated sentences: the train part of `split`");
const MORE: Further<Corpus> =
    Further::new("more", "further annotated sentences, such as those of `augment`, under any name");
const MIXED: Output<Corpus> = Output::new("records", "all of them, in their order");
const REPORT: Output<Report> = Output::new("report", "how many of each source there were and are");

/// Joins annotated sentences, and sets how often each source is seen in an epoch of training.
///
/// Without `size` every sentence is there once. With it, sources share `size` sentences by weight times
/// (share of the sentences)^(1 / temperature): 1 keeps their shares, larger temperatures bring them together, and a weight
/// sets one apart. A source that gets more than it has repeats itself (all of it equally often, give or take one). Sources of
/// further inputs bear their input's name: `notes` of the input `augmented` is `augmented-notes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Sentences in all; 0 = each once.
    pub size: usize,
    /// How far shares come together: 1 not at all.
    #[schemars(range(min = 1))]
    pub temperature: f64,
    /// Times its share, by source; 1 for those not named.
    #[schemars(extend("additionalProperties" = { "type": "number", "minimum": 0 }))]
    pub weights: BTreeMap<String, f64>,
}

impl Default for Mix {
    fn default() -> Self {
        Self { size: 0, temperature: 1.0, weights: BTreeMap::new() }
    }
}

impl Stage for Mix {
    const SPEC: Spec = Spec {
        name: "mix",
        version: 1,
        doc: "joins annotated sentences and weighs their sources",
        inputs: &[RECORDS.port(), MORE.port()],
        outputs: &[MIXED.port(), REPORT.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        if self.temperature < 1.0 {
            return Err(Invalid::new(format!("temperature = {} is less than 1", self.temperature))
                .at("temperature")
                .help("temperature = 1 keeps the shares of the sources, 3 brings them together"));
        }
        #[expect(clippy::float_cmp, reason = "the default, as it is written")]
        let plain = self.temperature == 1.0 && self.weights.is_empty();
        if self.size == 0 && !plain {
            return Err(Invalid::new("without `size` every sentence is there once, whatever its source")
                .at(if self.weights.is_empty() { "temperature" } else { "weights" })
                .help("set size = 10000, or as many sentences as an epoch should have"));
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let mut records = cx.read(&RECORDS)?.records;
        for (name, more) in cx.read_further(&Self::SPEC, &MORE)? {
            // Under names of their own: two corpora may both have a source `administrative` and a line 12 of it.
            records.extend(more.records.into_iter().map(|record| Record {
                id: format!("{name}-{}", record.id),
                source: format!("{name}-{}", record.source),
                group: format!("{name}-{}", record.group),
                ..record
            }));
        }
        let mut sources: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            sources.entry(record.source.clone()).or_default().push(index);
        }
        if let Some(unknown) = self.weights.keys().find(|source| !sources.contains_key(*source)) {
            let known: Vec<&str> = sources.keys().map(String::as_str).collect();
            return Err(StageError::new(format!(
                "`weights` names {unknown}, and no sentence is of that source"
            ))
            .help(format!("the sources are {}", known.join(", "))));
        }
        let counts = self.counts(&sources.iter().map(|(name, own)| (name.as_str(), own.len())).collect());
        let mut report = serde_json::Map::new();
        let mut times = vec![0_usize; records.len()];
        for (source, own) in &sources {
            let wanted = counts.get(source.as_str()).copied().unwrap_or(own.len());
            report.insert(source.clone(), json!({"sentences": own.len(), "mixed": wanted}));
            let mut order = own.clone();
            order.shuffle(&mut rng(cx.seed, source));
            order.iter().cycle().take(wanted).for_each(|&index| times[index] += 1);
        }
        let mixed: Vec<Record> =
            records.iter().zip(&times).flat_map(|(record, &times)| repeated(record, times)).collect();
        if mixed.is_empty() {
            return Err(StageError::new("no sentence is left").help("set a weight above 0"));
        }
        cx.metric("sentences", f64::from(u32::try_from(mixed.len()).unwrap_or(u32::MAX)));
        cx.write(&MIXED, &Corpus { records: mixed })?;
        cx.write(&REPORT, &Report(json!({"by_source": report})))
    }
}

impl Mix {
    /// How many sentences each source gives (largest remainders); none when each is there once.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of sentences"
    )]
    fn counts<'a>(&self, sources: &BTreeMap<&'a str, usize>) -> BTreeMap<&'a str, usize> {
        if self.size == 0 {
            return BTreeMap::new();
        }
        let all: usize = sources.values().sum();
        let mass = |(source, own): (&&'a str, &usize)| {
            let share = *own as f64 / all.max(1) as f64;
            (*source, self.weights.get(*source).copied().unwrap_or(1.0) * share.powf(1.0 / self.temperature))
        };
        let masses: Vec<(&str, f64)> = sources.iter().map(mass).collect();
        let sum: f64 = masses.iter().map(|(_, mass)| mass).sum();
        if sum <= 0.0 {
            return sources.keys().map(|source| (*source, 0)).collect();
        }
        let exact = |mass: f64| mass / sum * self.size as f64;
        let mut counts: Vec<(&str, usize, f64)> = masses
            .iter()
            .map(|&(source, mass)| (source, exact(mass) as usize, exact(mass).fract()))
            .collect();
        let left = self.size - counts.iter().map(|(_, count, _)| count).sum::<usize>();
        counts.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(b.0)));
        counts.iter_mut().take(left).for_each(|(_, count, _)| *count += 1);
        counts.into_iter().map(|(source, count, _)| (source, count)).collect()
    }
}

/// A record so many times, each with an id of its own.
fn repeated(record: &Record, times: usize) -> impl Iterator<Item = Record> {
    (0..times).map(move |time| {
        let id = if time == 0 { record.id.clone() } else { format!("{}+{time}", record.id) };
        Record { id, ..record.clone() }
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use stage_contract::Artifact;

    use stage_contract::testing::context;

    use super::*;
    use text::corpus::Provenance;

    fn corpus(source: &str, number: usize) -> Corpus {
        let record = |index| Record {
            id: format!("{source}-{index}"),
            text: "Anna".into(),
            source: source.into(),
            group: format!("{source}-{index}"),
            words: vec![[0, 4]],
            tags: vec!["O".into()],
            score: vec![1.0],
            provenance: Provenance::Gold,
        };
        Corpus { records: (0..number).map(record).collect() }
    }

    fn mixed(mix: &Mix, root: &Path, sets: &[(&str, Corpus)]) -> Result<BTreeMap<String, usize>, StageError> {
        let inputs: BTreeMap<_, _> = sets
            .iter()
            .map(|(name, corpus)| {
                let path = root.join(format!("{name}.jsonl"));
                corpus.save(&path).expect("saved");
                ((*name).to_owned(), path)
            })
            .collect();
        let outputs = BTreeMap::from(
            ["records", "report"].map(|name| (name.to_owned(), root.join(format!("out-{name}")))),
        );
        mix.run(&Context {
            inputs: &inputs,
            outputs: &outputs,
            checkpoint: &root.join("checkpoint"),
            seed: 3,
            ..context()
        })?;
        let records = Corpus::load(&outputs["records"])?.records;
        let ids: BTreeSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids.len(), records.len(), "every id is its own");
        let mut counts = BTreeMap::new();
        for record in records {
            *counts.entry(record.source).or_default() += 1;
        }
        Ok(counts)
    }

    fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
        counts.map(|(source, count)| (source.to_owned(), count)).into()
    }

    #[test]
    fn sources_share_the_size_by_temperature_and_weight() {
        let root = tempfile::tempdir().expect("a folder");
        let sets = || [("records", corpus("a", 90)), ("notes", corpus("b", 10))];
        let of = |mix: &Mix| mixed(mix, root.path(), &sets()).expect("mixed");
        assert_eq!(of(&Mix::default()), counts([("a", 90), ("notes-b", 10)]));
        assert_eq!(of(&Mix { size: 50, ..Mix::default() }), counts([("a", 45), ("notes-b", 5)]));
        // 0.9^(1/2) : 0.1^(1/2) = 3 : 1
        let warm = Mix { size: 80, temperature: 2.0, ..Mix::default() };
        assert_eq!(of(&warm), counts([("a", 60), ("notes-b", 20)]));
        let weighted = Mix { size: 100, weights: [("notes-b".to_owned(), 9.0)].into(), ..Mix::default() };
        assert_eq!(of(&weighted), counts([("a", 50), ("notes-b", 50)]));
        let none = Mix { size: 10, weights: [("a".to_owned(), 0.0)].into(), ..Mix::default() };
        assert_eq!(of(&none), counts([("notes-b", 10)]));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let at = |mix: Mix| mix.check().expect_err("refused").at;
        assert_eq!(at(Mix { temperature: 0.5, size: 1, ..Mix::default() }).as_deref(), Some("temperature"));
        assert_eq!(at(Mix { temperature: 2.0, ..Mix::default() }).as_deref(), Some("temperature"));
        let weights: BTreeMap<String, f64> = [("c".to_owned(), 2.0)].into();
        assert_eq!(at(Mix { weights: weights.clone(), ..Mix::default() }).as_deref(), Some("weights"));
        let root = tempfile::tempdir().expect("a folder");
        let unknown = Mix { weights, size: 5, ..Mix::default() };
        let error = mixed(&unknown, root.path(), &[("records", corpus("a", 3))]).expect_err("no such source");
        assert!(error.to_string().contains("`weights` names c"), "{error}");
        let alike = [("records", corpus("a", 3)), ("more", corpus("a", 1))];
        let counted = mixed(&Mix::default(), root.path(), &alike).expect("under names of their own");
        assert_eq!(counted, counts([("a", 3), ("more-a", 1)]));
    }
}
