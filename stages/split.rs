//! `split`: records into train, dev and test, so that no part knows another's sentences.
//!
//! The model for new stages: ports as constants, parameters as documented fields, [`Stage::run`] as the path of the
//! data, everything that can be a function of values below it.

mod cluster;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage_contract::{Available, Context, Device, Input, Invalid, Optional, Output, Spec, Stage, StageError};

use self::cluster::{Clusters, LEAST_SIMILARITY, Member};
use text::{
    corpus::{Corpus, Gold, Record, Report},
    labels::{Scheme, spans},
};

const RECORDS: Input<Corpus> = Input::new("records", "annotated sentences");
const EXCLUDE: Optional<Gold> =
    Optional::new("exclude", "gold sets that measure: what says the same leaves train, dev and test");
const TRAIN: Output<Corpus> = Output::new("train", "what is left after dev and test");
const DEV: Output<Corpus> = Output::new("dev", "chooses the best checkpoint");
const TEST: Output<Corpus> = Output::new("test", "measures fidelity");
const REPORT: Output<Report> =
    Output::new("report", "counts, and how much of the test part training has seen");

/// Shares of the parts and what counts as the same sentence.
///
/// Sentences that say the same (equal but for case, digits and punctuation, or nearly), and sentences of one document,
/// are one cluster; a hash of the cluster under the seed decides its part. So a sentence's part does not depend on the
/// order of the records, nor, near duplicates aside, on what else is in the corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Split {
    /// Share of the clusters for dev; 0 for no dev part.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub dev: f64,
    /// Share of the clusters for test; 0 for no test part, without which `evaluate` cannot measure fidelity and is refused.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub test: f64,
    /// Jaccard similarity of five-character sets from which on two sentences are near duplicates, 0.6 to 1; 1 looks for
    /// equal sentences only.
    #[schemars(range(min = LEAST_SIMILARITY, max = 1))]
    pub similarity: f64,
}

impl Default for Split {
    fn default() -> Self {
        Self { dev: 0.1, test: 0.1, similarity: 0.8 }
    }
}

impl Stage for Split {
    const SPEC: Spec = Spec {
        name: "split",
        version: 1,
        doc: "splits records into train, dev and test without leakage",
        inputs: &[RECORDS.port(), EXCLUDE.port()],
        outputs: &[TRAIN.port(), DEV.port(), TEST.port(), REPORT.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        if self.dev + self.test >= 1.0 {
            return Err(Invalid::new("dev and test leave nothing for train")
                .at("test")
                .help("let `dev` and `test` together stay below 1: `dev = 0.1, test = 0.1`"));
        }
        Ok(())
    }

    fn empty(&self) -> Vec<(&'static str, &'static str)> {
        let shares = [(DEV.name(), self.dev), (TEST.name(), self.test)];
        // The output is called as the share is.
        shares.into_iter().filter(|(_, share)| *share <= 0.0).map(|(part, _)| (part, part)).collect()
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        inputs.read_optional(&EXCLUDE).map(drop)
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let corpus = cx.read(&RECORDS)?;
        let exclude = cx.read_optional(&EXCLUDE)?.unwrap_or_default();
        cx.check_cancelled()?;

        let clustered = Clustered::new(&corpus, &exclude, self.similarity);
        cx.check_cancelled()?;
        let parts = self.parts(&clustered, cx.seed);
        let split = [Part::Train, Part::Dev, Part::Test].map(|part| chosen(&corpus, &parts, part));
        self.refuse_empty(&split, &clustered)?;

        let report = report(&corpus, &exclude, &clustered, &parts, &split);
        for (name, part) in NAMES.iter().zip(&split) {
            cx.metric(format!("{name}.records"), count(part.records.len()));
        }
        cx.metric("excluded", count(parts.iter().filter(|&&part| part == Part::Excluded).count()));
        cx.show(table(&report));
        let [train, dev, test] = &split;
        cx.write(&TRAIN, train)?;
        cx.write(&DEV, dev)?;
        cx.write(&TEST, test)?;
        cx.write(&REPORT, &Report(report))
    }
}

/// Where a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Train,
    Dev,
    Test,
    Excluded,
}

const NAMES: [&str; 3] = ["train", "dev", "test"];

/// Clusters of the records, and which of them hold a sentence of an excluded set.
struct Clustered {
    /// `[records]`
    of: Vec<usize>,
    /// `[clusters]`
    names: Vec<String>,
    /// `[clusters]`
    excluded: Vec<bool>,
}

impl Clustered {
    fn new(corpus: &Corpus, exclude: &Gold, similarity: f64) -> Self {
        let excluded: Vec<&Record> = exclude.sets.iter().flat_map(|set| &set.records).collect();
        // A gold set's document is not a document of the corpus, though they may be called the same.
        let groups: Vec<String> =
            excluded.iter().map(|record| format!("exclude\0{}", record.group)).collect();
        let members: Vec<Member<'_>> = corpus
            .records
            .iter()
            .map(|record| Member { text: &record.text, group: &record.group })
            .chain(excluded.iter().zip(&groups).map(|(record, group)| Member { text: &record.text, group }))
            .collect();
        let Clusters { mut of, names } = cluster::clusters(&members, similarity);
        let mut excluded = vec![false; names.len()];
        for cluster in of.drain(corpus.records.len()..) {
            excluded[cluster] = true;
        }
        Self { of, names, excluded }
    }
}

impl Split {
    /// `[records]` each record's part.
    fn parts(&self, clustered: &Clustered, seed: u64) -> Vec<Part> {
        let parts: Vec<Part> = clustered
            .names
            .iter()
            .zip(&clustered.excluded)
            .map(|(name, &excluded)| match cluster::draw(seed, name) {
                _ if excluded => Part::Excluded,
                draw if draw < self.test => Part::Test,
                draw if draw < self.test + self.dev => Part::Dev,
                _ => Part::Train,
            })
            .collect();
        clustered.of.iter().map(|&cluster| parts[cluster]).collect()
    }

    fn refuse_empty(&self, split: &[Corpus; 3], clustered: &Clustered) -> Result<(), StageError> {
        let wanted = [true, self.dev > 0.0, self.test > 0.0];
        for ((name, part), wanted) in NAMES.iter().zip(split).zip(wanted) {
            if wanted && part.records.is_empty() {
                let clusters = clustered.of.iter().collect::<BTreeSet<_>>().len();
                let excluded = clustered.of.iter().filter(|&&cluster| clustered.excluded[cluster]).count();
                return Err(StageError::new(format!(
                    "the {name} part is empty: {} records make {clusters} clusters, and {excluded} records are excluded",
                    clustered.of.len()
                ))
                .help(
                    "add text, set the part's share to 0 (`dev = 0`, `test = 0`), or raise `similarity` when the \
                     corpus is made of templates",
                ));
            }
        }
        Ok(())
    }
}

fn chosen(corpus: &Corpus, parts: &[Part], wanted: Part) -> Corpus {
    let records = corpus.records.iter().zip(parts).filter(|&(_, &part)| part == wanted);
    Corpus { records: records.map(|(record, _)| record.clone()).collect() }
}

fn report(
    corpus: &Corpus,
    exclude: &Gold,
    clustered: &Clustered,
    parts: &[Part],
    split: &[Corpus; 3],
) -> Value {
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    let mut parts_of: BTreeMap<usize, BTreeSet<Part>> = BTreeMap::new();
    for (&cluster, &part) in clustered.of.iter().zip(parts) {
        *sizes.entry(cluster).or_default() += 1;
        parts_of.entry(cluster).or_default().insert(part);
    }
    let shared = parts_of.values().filter(|parts| parts.len() > 1).count();
    assert_eq!(shared, 0, "a cluster has one part by construction");
    let clusters_in = |wanted: Part| parts_of.values().filter(|parts| parts.contains(&wanted)).count();
    let excluded: Vec<&Record> = corpus
        .records
        .iter()
        .zip(parts)
        .filter_map(|(record, &part)| (part == Part::Excluded).then_some(record))
        .collect();
    let sets: BTreeMap<&str, usize> =
        exclude.sets.iter().map(|set| (set.name.as_str(), set.records.len())).collect();
    let described: serde_json::Map<String, Value> = NAMES
        .iter()
        .zip([Part::Train, Part::Dev, Part::Test])
        .zip(split)
        .map(|((name, part), corpus)| ((*name).to_owned(), describe(corpus, clusters_in(part))))
        .collect();
    json!({
        "records": corpus.records.len(),
        "clusters": sizes.len(),
        "largest_cluster": sizes.values().max().copied().unwrap_or(0),
        "shared_clusters": shared,
        "excluded": {
            "records": excluded.len(),
            "clusters": clusters_in(Part::Excluded),
            "sources": tally(excluded.iter().map(|record| record.source.as_str())),
            "sets": sets,
        },
        "parts": described,
        "test_mentions": seen(&split[0], &split[2]),
    })
}

fn describe(corpus: &Corpus, clusters: usize) -> Value {
    let mentions: Vec<(String, String)> = corpus.records.iter().flat_map(mentions).collect();
    json!({
        "records": corpus.records.len(),
        "clusters": clusters,
        "words": corpus.records.iter().map(|record| record.words.len()).sum::<usize>(),
        "without_entities": corpus.records.iter().filter(|record| record.tags.iter().all(|tag| tag == "O")).count(),
        "sources": tally(corpus.records.iter().map(|record| record.source.as_str())),
        "entities": tally(mentions.iter().map(|(kind, _)| kind.as_str())),
        "tags": tally(corpus.records.iter().flat_map(|record| record.tags.iter().map(String::as_str))),
    })
}

fn tally<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    names.fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

/// Type and lower-case words of each entity.
fn mentions(record: &Record) -> Vec<(String, String)> {
    let chars: Vec<char> = record.text.chars().collect();
    spans(&record.tags, Scheme::Bio)
        .into_iter()
        .map(|span| {
            let words = record.words[span.start..span.end].iter();
            let words: Vec<String> = words.map(|&[start, end]| chars[start..end].iter().collect()).collect();
            (span.kind, words.join(" ").to_lowercase())
        })
        .collect()
}

/// How many of the test part's mentions, with their type, the train part has.
fn seen(train: &Corpus, test: &Corpus) -> Value {
    let known: BTreeSet<(String, String)> = train.records.iter().flat_map(mentions).collect();
    let mut types: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for mention in test.records.iter().flat_map(mentions) {
        let seen = known.contains(&mention);
        let counts = types.entry(mention.0).or_default();
        counts.0 += usize::from(seen);
        counts.1 += 1;
    }
    let share = |(seen, all): (usize, usize)| {
        let share = if all == 0 { Value::Null } else { json!(count(seen) / count(all)) };
        json!({"mentions": all, "seen_in_train": seen, "share": share})
    };
    let total = types.values().fold((0, 0), |(seen, all), counts| (seen + counts.0, all + counts.1));
    let mut value = share(total);
    value["per_type"] = types.into_iter().map(|(kind, counts)| (kind, share(counts))).collect();
    value
}

#[expect(clippy::cast_precision_loss, reason = "counts of records stay far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

/// A few lines for people.
fn table(report: &Value) -> String {
    let mut lines =
        vec![format!("{:<6}{:>10}{:>10}{:>10}{:>10}", "part", "records", "clusters", "words", "entities")];
    for name in NAMES {
        let part = &report["parts"][name];
        let entities: u64 = part["entities"]
            .as_object()
            .into_iter()
            .flat_map(|types| types.values().filter_map(Value::as_u64))
            .sum();
        lines.push(format!(
            "{name:<6}{:>10}{:>10}{:>10}{entities:>10}",
            part["records"].as_u64().unwrap_or(0),
            part["clusters"].as_u64().unwrap_or(0),
            part["words"].as_u64().unwrap_or(0),
        ));
    }
    if let Some(excluded) = report["excluded"]["records"].as_u64().filter(|&n| n > 0) {
        lines.push(format!("{excluded} records excluded, because a gold set that measures has them"));
    }
    if let Some(share) = report["test_mentions"]["share"].as_f64() {
        lines.push(format!("{:.1} % of the test part's mentions are in train", 100.0 * share));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
