//! `annotate`: raw text becomes records, tagged by the teacher.
//!
//! Lines are cleaned, split into words and read by the teacher in batches of similar length. Its IO labels become BIO
//! tags (docs/formats.md, "Words, labels and windows"): the most probable type at T = 1, B- where
//! it differs from the previous word's. A teacher that has B- labels itself may also say B- within a type
//! (`ml/encoder/decode.rs`).

use std::collections::BTreeMap;

use rand::seq::index::sample;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage_contract::{Available, Context, Device, Input, Invalid, Output, Spec, Stage, StageError};

use encoder::{
    backend::{device, precision::Precision, prepacked::WeightFormat},
    batch::Encoded,
    decode::Decoded,
    finite::naming,
    infer::{WordLogits, encode},
    logits::{Logits, Origin},
    model::{Model, ModelFolder},
    tagger::{Tagged, tag},
    weights::Array,
};
use text::{
    clean::{Counts, Rules, clean},
    corpus::{Corpus, Line, Provenance, Record, Report, Text},
    labels::{Policy, Scheme, spans},
    random,
    words::words,
};

const TEXT: Input<Text> = Input::new("text", "raw sentences");
const TEACHER: Input<ModelFolder> = Input::new("teacher", "the model whose word is taken");
const RECORDS: Output<Corpus> =
    Output::new("records", "the sentences with their words, tags and confidences");
const REPORT: Output<Report> = Output::new("report", "what was cleaned away, and what the teacher found");
const LOGITS: Output<Logits> = Output::new(
    "logits",
    "what the teacher said of each sub-word: a training that gets them need not ask again",
);

/// Sentences between two looks at whether to stop.
const STRIDE: usize = 512;

/// Tags raw text with a teacher.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Annotate {
    /// Sentences to take, drawn from all sources in proportion; 0 takes all. For a rehearsal.
    pub sample: usize,
    /// Tokens a batch, at most.
    #[schemars(range(min = 1))]
    pub tokens: usize,
    /// What the teacher computes in: f32 or bf16.
    pub precision: Precision,
    /// What a line must be to be kept.
    pub clean: Rules,
}

impl Default for Annotate {
    fn default() -> Self {
        Self { sample: 0, tokens: 2048, precision: Precision::F32, clean: Rules::default() }
    }
}

impl Stage for Annotate {
    const SPEC: Spec = Spec {
        name: "annotate",
        version: 1,
        doc: "cleans raw text and tags it with the teacher",
        inputs: &[TEXT.port(), TEACHER.port()],
        outputs: &[RECORDS.port(), REPORT.port(), LOGITS.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        if self.clean.shortest > self.clean.longest {
            let Rules { shortest, longest, .. } = self.clean;
            return Err(Invalid::new(format!(
                "no line has at least {shortest} and at most {longest} characters"
            ))
            .at("clean")
            .help("clean = { shortest = 15, longest = 350 }"));
        }
        Ok(())
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        if let Some(teacher) = inputs.read(&TEACHER)? {
            teacher.look().map_err(|e| Invalid::of(&e).at(TEACHER.name()))?;
        }
        inputs.read(&TEXT).map(drop)
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let folder = cx.read(&TEACHER)?;
        let teacher = folder.open(&device::burn(cx.device))?.at(self.precision).prepack(WeightFormat::F32);
        let cleaned = clean(&cx.read(&TEXT)?, &self.clean);
        let counts = Counts::total(cleaned.counts.values());
        let dropped = counts.dropped(&self.clean);
        let lines = draw(cleaned.lines, self.sample, cx.seed);
        if lines.is_empty() {
            let why = dropped.unwrap_or_else(|| "all lines are blank".to_owned());
            return Err(StageError::new(format!("no line is left: {why}")).help(counts.way_out()));
        }
        if let Some(dropped) = dropped {
            cx.show(dropped);
        }
        let places: Vec<_> = lines.par_iter().map(|line| words(&line.text)).collect();
        let texts =
            encode(&teacher, lines.iter().map(|l| l.text.as_str()).zip(places.iter().map(Vec::as_slice)))?;
        let Tagged { logits, decoded, made_outside: lost } =
            tagged(cx, &teacher, &texts, &lines, self.tokens)?;
        let digest = folder.digest()?;
        let provenance = Provenance::Silver { model: digest.clone() };
        let records: Vec<_> = lines
            .into_iter()
            .zip(places)
            .zip(decoded)
            .map(|((line, words), decoded)| record(line, words, decoded, &provenance))
            .collect();
        let found = Found::of(&records, &texts, &logits);
        let ignored: BTreeMap<&str, usize> = teacher
            .config
            .labels
            .types_to(Policy::Ignore)
            .map(|kind| (kind, found.entities.get(kind).copied().unwrap_or_default()))
            .collect();
        for line in not_learned(&lost, &ignored) {
            cx.show(line);
        }
        cx.metric("sentences", count(found.sentences));
        cx.metric("entities", count(found.entities.values().sum()));
        cx.metric("confidence", found.confidence());
        let report = json!({
            "teacher": {"provenance": provenance, "labels": teacher.config.labels.names(), "types": teacher.config.labels.types(), "outside": lost, "ignored": ignored},
            "cleaning": {"total": counts, "by_source": cleaned.counts},
            "found": found.json(),
            "by_source": Found::by_source(&records, &texts, &logits),
        });
        let said = records.iter().zip(logits).map(|(record, logits)| {
            let values = [logits.values, logits.continuations].concat();
            let shape = vec![values.len() / logits.labels, logits.labels];
            (record.id.clone(), Array { shape, values })
        });
        let origin = Origin { teacher: digest, labels: teacher.config.labels.names().to_vec() };
        cx.write(&LOGITS, &Logits { origin, texts: said.collect() })?;
        cx.write(&RECORDS, &Corpus { records })?;
        cx.write(&REPORT, &Report(report))
    }
}

/// What is said of entities that students do not learn, a line for each type.
fn not_learned(outside: &BTreeMap<String, usize>, ignored: &BTreeMap<&str, usize>) -> Vec<String> {
    let line = |kind: &str, what: &str, count: usize| {
        let entities = if count == 1 { "entity" } else { "entities" };
        format!("the teacher's {kind} {what}, as `types` says: {count} {entities}")
    };
    let outside = outside.iter().map(|(kind, count)| line(kind, "became O", *count));
    outside.chain(ignored.iter().map(|(kind, count)| line(kind, "is out of every loss", *count))).collect()
}

/// `number` lines in their order, drawn from each source by its share (largest remainders); 0 takes all.
fn draw(lines: Vec<Line>, number: usize, seed: u64) -> Vec<Line> {
    if number == 0 || number >= lines.len() {
        return lines;
    }
    let mut sources: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        sources.entry(&line.source).or_default().push(index);
    }
    let mut shares: Vec<_> = sources
        .into_iter()
        .map(|(source, own)| {
            let share = own.len() * number;
            (source, share / lines.len(), share % lines.len(), own)
        })
        .collect();
    let left = number - shares.iter().map(|(_, whole, ..)| whole).sum::<usize>();
    shares.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
    let mut kept = vec![false; lines.len()];
    for (place, (source, whole, _, own)) in shares.into_iter().enumerate() {
        let number = whole + usize::from(place < left);
        let mut rng = random::rng(seed, &format!("sample/{source}"));
        sample(&mut rng, own.len(), number).into_iter().for_each(|drawn| kept[own[drawn]] = true);
    }
    lines.into_iter().zip(kept).filter_map(|(line, kept)| kept.then_some(line)).collect()
}

/// What the teacher says, in the order of `texts`, those of `lines`, with a look at whether to stop from time to time.
fn tagged(
    cx: &Context<'_>,
    teacher: &Model,
    texts: &[Encoded],
    lines: &[Line],
    tokens: usize,
) -> Result<Tagged, StageError> {
    let mut progress = cx.progress("annotating", texts.len() as u64, "sentences");
    let device = device::burn(cx.device);
    // Longest first over all texts, so that a batch holds equals although it is cut from one stride.
    let mut order: Vec<_> = (0..texts.len()).collect();
    order.sort_by_key(|&text| std::cmp::Reverse(texts[text].tokens()));
    let mut all: Vec<(usize, WordLogits, Decoded)> = Vec::with_capacity(texts.len());
    let mut made_outside: BTreeMap<String, usize> = BTreeMap::new();
    for stride in order.chunks(STRIDE) {
        cx.check_cancelled()?;
        let some: Vec<_> = stride.iter().map(|&text| texts[text].clone()).collect();
        let found = tag(teacher, &some, tokens, &[], &device, Some(&mut progress));
        let found = naming(found, |at| lines[stride[at]].id())?;
        for (kind, count) in found.made_outside {
            *made_outside.entry(kind).or_default() += count;
        }
        let found = found.logits.into_iter().zip(found.decoded);
        all.extend(stride.iter().zip(found).map(|(&text, (logits, decoded))| (text, logits, decoded)));
    }
    all.sort_by_key(|(text, ..)| *text);
    let (logits, decoded) = all.into_iter().map(|(_, logits, decoded)| (logits, decoded)).unzip();
    Ok(Tagged { logits, decoded, made_outside })
}

fn record(line: Line, words: Vec<[usize; 2]>, decoded: Decoded, provenance: &Provenance) -> Record {
    // A millionth is finer than float32 gives after twelve layers, and shorter to write.
    let score = decoded.score.into_iter().map(|score| (score * 1e6).round() / 1e6).collect();
    Record {
        group: line.group(),
        id: line.id(),
        text: line.text,
        source: line.source,
        words,
        tags: decoded.tags,
        score,
        provenance: provenance.clone(),
    }
}

/// What the teacher found in some of the sentences.
#[derive(Default)]
struct Found {
    sentences: usize,
    /// More than sentences where texts are long.
    windows: usize,
    words: usize,
    /// Words that own no sub-word: out of every loss.
    without_piece: usize,
    score: f64,
    tags: BTreeMap<String, usize>,
    entities: BTreeMap<String, usize>,
}

impl Found {
    fn of(records: &[Record], texts: &[Encoded], logits: &[WordLogits]) -> Self {
        let mut found = Self::default();
        for ((record, text), logits) in records.iter().zip(texts).zip(logits) {
            found.add(record, text, logits);
        }
        found
    }

    fn by_source(records: &[Record], texts: &[Encoded], logits: &[WordLogits]) -> BTreeMap<String, Value> {
        let mut sources: BTreeMap<String, Self> = BTreeMap::new();
        for ((record, text), logits) in records.iter().zip(texts).zip(logits) {
            sources.entry(record.source.clone()).or_default().add(record, text, logits);
        }
        sources.into_iter().map(|(source, found)| (source, found.json())).collect()
    }

    fn add(&mut self, record: &Record, text: &Encoded, logits: &WordLogits) {
        self.sentences += 1;
        self.windows += text.windows.len();
        self.words += record.words.len();
        self.without_piece += logits.owned.iter().filter(|owned| !**owned).count();
        self.score += record.score.iter().sum::<f64>();
        for tag in &record.tags {
            *self.tags.entry(tag.clone()).or_default() += 1;
        }
        for span in spans(&record.tags, Scheme::Bio) {
            *self.entities.entry(span.kind).or_default() += 1;
        }
    }

    /// Mean probability of the tags' types; none without a word.
    fn confidence(&self) -> Option<f64> {
        (self.words > 0).then(|| self.score / count(self.words))
    }

    fn json(&self) -> Value {
        json!({
            "sentences": self.sentences,
            "windows": self.windows,
            "words": self.words,
            "words_without_piece": self.without_piece,
            "confidence": self.confidence(),
            "entities": self.entities,
            "tags": self.tags,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 words")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
