//! `augment`: more text like that which the corpus lacks, made of what it has.
//!
//! Nothing that is made here carries a tag: `annotate` reads the text as any other, so that what a student learns of it is
//! the teacher's word. Give it the train part alone, so that no dev or test sentence comes back in other clothes.
//!
//! Each kind of change is a source of its own in the output, so that reports tell them apart: `substituted` (mentions
//! changed places with others of their type), `cased` (in capitals, in small letters, names in capitals), `ocr` (what
//! scanners misread), `abbreviated` (as medical and social-care notes shorten), `notes` (headings, lists and fields of
//! clinical and social notes around the corpus's own names and sentences), `spaced` (each word and mark alone between
//! spaces, as exports and gold columns have them; sentences and notes alike), `documents` (many such lines in one, as a note
//! has them that lost its line breaks; every second one spaced).

mod casing;
mod mentions;
mod notes;
mod ocr;
mod shorthand;
mod spacing;

use std::collections::BTreeSet;

use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage_contract::{Context, Input, Invalid, Output, Spec, Stage, StageError};

use self::mentions::Mentions;
use text::{
    corpus::{Corpus, Line, Record, Report, Text},
    random::rng,
};

const RECORDS: Input<Corpus> =
    Input::new("records", "annotated sentences to make more of: the train part of `split`");
const TEXT: Output<Text> =
    Output::new("text", "the new sentences, a source for each kind of change: for `annotate`");
const REPORT: Output<Report> = Output::new("report", "how many of each kind");

/// Makes more text of annotated sentences, for domains that the corpus hardly has. Each share is of the number of records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Sentences whose mentions change places with others of their type.
    #[schemars(range(min = 0, max = 10))]
    pub substituted: f64,
    /// Sentences in capitals, in small letters, or with names in capitals.
    #[schemars(range(min = 0, max = 10))]
    pub cased: f64,
    /// Sentences with the mistakes of optical character recognition.
    #[schemars(range(min = 0, max = 10))]
    pub ocr: f64,
    /// Sentences with the abbreviations of medical and social-care notes.
    #[schemars(range(min = 0, max = 10))]
    pub abbreviated: f64,
    /// Lines of notes: headings, fields and lists around names and sentences of the records.
    #[schemars(range(min = 0, max = 10))]
    pub notes: f64,
    /// Sentences and lines of notes with spaces around every word and mark.
    #[schemars(range(min = 0, max = 10))]
    pub spaced: f64,
    /// Notes of many lines, of up to 1,200 characters before spacing: give the `annotate` that reads them
    /// `clean = { longest = 1500 }`.
    #[schemars(range(min = 0, max = 10))]
    pub documents: f64,
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            substituted: 0.1,
            cased: 0.05,
            ocr: 0.05,
            abbreviated: 0.05,
            notes: 0.15,
            spaced: 0.15,
            documents: 0.0,
        }
    }
}

impl Stage for Augment {
    const SPEC: Spec = Spec {
        name: "augment",
        version: 1,
        doc: "makes more text of annotated sentences: other names, noise, abbreviations, notes",
        inputs: &[RECORDS.port()],
        outputs: &[TEXT.port(), REPORT.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        if self.shares().iter().all(|(_, share)| *share == 0.0) {
            return Err(Invalid::new("every share is 0: there is nothing to make")
                .at("notes")
                .help("notes = 0.15, or leave the stage out"));
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let records = cx.read(&RECORDS)?.records;
        let mentions = Mentions::of(&records);
        let mut said: BTreeSet<String> = records.iter().map(|record| record.text.clone()).collect();
        let mut lines = Vec::new();
        let mut report = serde_json::Map::new();
        for (kind, share) in self.shares() {
            cx.check_cancelled()?;
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts of sentences"
            )]
            let wanted = (share * records.len() as f64).round() as usize;
            let mut rng = rng(cx.seed, kind);
            let made = make(kind, wanted, &records, &mentions, &mut said, &mut rng)?;
            cx.metric(kind, f64::from(u32::try_from(made.len()).unwrap_or(u32::MAX)));
            report.insert(kind.to_owned(), json!({"wanted": wanted, "made": made.len()}));
            lines.extend(made.into_iter().zip(1..).map(|(text, number)| Line {
                source: kind.to_owned(),
                number,
                text,
                ..Line::default()
            }));
        }
        if lines.is_empty() {
            return Err(StageError::new("no record gives a sentence that is not there already")
                .help("give it records with entities, or larger shares"));
        }
        let mentions: Value = mentions.counts();
        cx.write(&TEXT, &Text { lines })?;
        cx.write(&REPORT, &Report(json!({"records": records.len(), "mentions": mentions, "made": report})))
    }
}

impl Augment {
    fn shares(&self) -> [(&'static str, f64); 7] {
        [
            ("substituted", self.substituted),
            ("cased", self.cased),
            ("ocr", self.ocr),
            ("abbreviated", self.abbreviated),
            ("notes", self.notes),
            ("spaced", self.spaced),
            ("documents", self.documents),
        ]
    }
}

/// Up to `wanted` new texts of a kind; fewer where the records do not give more. What was said is not said again.
fn make(
    kind: &str,
    wanted: usize,
    records: &[Record],
    mentions: &Mentions,
    said: &mut BTreeSet<String>,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<String>, StageError> {
    // A record may be drawn again for another name or another mistake, but not for ever.
    const PASSES: usize = 20;
    let notes = notes::Notes::read().map_err(|problem| StageError::new(format!("notes: {problem}")))?;
    let mut made = Vec::with_capacity(wanted);
    let mut order: Vec<usize> = (0..records.len()).collect();
    for _ in 0..PASSES {
        order.shuffle(rng);
        for &index in &order {
            if made.len() == wanted {
                return Ok(made);
            }
            let record = &records[index];
            let text = match kind {
                "substituted" => mentions.substituted(record, rng),
                "cased" => casing::cased(record, rng),
                "ocr" => ocr::misread(&record.text, rng),
                "abbreviated" => shorthand::abbreviated(&record.text, rng),
                "notes" => notes.say(record, mentions, rng),
                "documents" if rng.random_bool(0.5) => notes.document(record, mentions, rng),
                "documents" => notes.document(record, mentions, rng).and_then(|note| spacing::spaced(&note)),
                _ if rng.random_bool(0.5) => spacing::spaced(&record.text),
                _ => notes.say(record, mentions, rng).and_then(|note| spacing::spaced(&note)),
            };
            if let Some(text) = text.filter(|text| said.insert(text.clone())) {
                made.push(text);
            }
        }
    }
    Ok(made)
}

/// True in `of` of a thousand.
fn by_chance(of: u32, rng: &mut ChaCha8Rng) -> bool {
    rng.random_ratio(of, 1000)
}

#[cfg(test)]
mod tests;
