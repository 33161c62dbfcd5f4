//! `generate`: French medical and social-care sentences with gold entities, where nothing can be downloaded.
//!
//! # How
//! Sentence frames (`generate/frames`, one file a source) with slots that are filled from tables (`generate/tables`)
//! and from the lists of French names of the crate `fake`. Everything is made up or public: communes, institutions,
//! laws. Telephone numbers are among those kept for fiction.
//!
//! # Parts
//! Each frame and each name belongs to one of three parts: train; evaluation (dev and test); unlabelled text. Frames
//! say so by the first letter of their line. People's names go by a hash of the name, first names too, so that a name
//! is in one part in whatever list it stands; the entries of other tables without a slot are dealt 5 : 2 : 3 in the
//! order of their hashes. Entries with a slot (`le CHU {de commune}`) are grammar, and so common to all parts, as are
//! tables of common words. Neither depends on the seed. Unlabelled text draws 7 of 10 names and 6 of 10 frames from
//! its own part, the rest from train, and nothing from evaluation: annotate meets names and wordings that no training
//! saw, and test stays unseen. Shared by design: the prefixes *Marie-* and *Jean-* of compound first names, titles,
//! and words that are names elsewhere (a rose, a stone, an orange) where they are no names.
//!
//! # What is an entity
//! - PER: names, initials; titles stay outside (*Mme*, *le Dr*).
//! - LOC: communes, departments, regions, countries, quarters, and streets with their kind of street but without
//!   number and postal code.
//! - ORG: hospitals, homes, schools, administrations, associations, companies, with the common noun and the town that
//!   belong to the name (*CHU de Nantes*, *mairie d'Arles* are one ORG), without the article. Acronyms of one body are
//!   ORG alone (*la CPAM*); common nouns alone are not (*l'hôpital*, *l'EHPAD*, *le service de cardiologie*).
//! - MISC: laws, conventions and reports, plans and programmes, campaigns, named cards.
//! - Nothing: diseases, signs, scales and scores named after people (*maladie de Parkinson*, *score de Glasgow*),
//!   drugs, allowances, days, months.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Context, Output, Spec, Stage, StageError};

use text::{
    corpus::{Gold, GoldSet, Line, Text},
    labels::{Scheme, spans},
    random::rng,
};

mod draft;
mod french;
mod lexicon;
mod names;
mod sentences;
mod shares;
mod template;

use sentences::{Grammar, Sentence, Source};
use shares::Part;

/// Makes French medical and social-care sentences with gold entities, for pipelines that cannot download any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Generate {
    /// Lines of unlabelled text.
    #[schemars(range(min = LEAST, max = MOST))]
    pub sentences: usize,
    /// Gold sentences to train on.
    #[schemars(range(min = LEAST, max = MOST))]
    pub train: usize,
    /// Gold sentences to choose by; their frames and names are the test's, their sentences are not.
    #[schemars(range(min = LEAST, max = MOST))]
    pub dev: usize,
    /// Gold sentences to measure by.
    #[schemars(range(min = LEAST, max = MOST))]
    pub test: usize,
}

impl Default for Generate {
    fn default() -> Self {
        Self { sentences: 6000, train: 4000, dev: 500, test: 600 }
    }
}

const TEXT: Output<Text> = Output::new("text", "unlabelled sentences, a file for each source");
const TRAIN: Output<Gold> = Output::new("train", "gold sentences to train on, a set for each source");
const DEV: Output<Gold> = Output::new("dev", "gold sentences of names and frames that train has not");
const TEST: Output<Gold> = Output::new("test", "likewise, other sentences than in dev");

/// Fewer would leave a source without a sentence, and a file without one cannot be read.
const LEAST: usize = 12;
/// Far below what the frames can say in any part.
const MOST: usize = 20_000;

impl Stage for Generate {
    const SPEC: Spec = Spec {
        name: "generate",
        version: 1,
        doc: "makes French medical and social-care sentences with gold entities",
        inputs: &[],
        outputs: &[TEXT.port(), TRAIN.port(), DEV.port(), TEST.port()],
        measures: false,
    };

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let grammar = Grammar::read().map_err(StageError::new)?;
        let mut said = BTreeSet::new();
        let mut make = |name: &str, part, count| draw(cx, &grammar, name, part, count, &mut said);
        let train = make(TRAIN.name(), Part::Train, self.train)?;
        let dev = make(DEV.name(), Part::Evaluation, self.dev)?;
        let test = make(TEST.name(), Part::Evaluation, self.test)?;
        let lines = make(TEXT.name(), Part::Unlabelled, self.sentences)?;
        cx.write(&TRAIN, &gold(&train))?;
        cx.write(&DEV, &gold(&dev))?;
        cx.write(&TEST, &gold(&test))?;
        cx.write(&TEXT, &text(&lines))
    }
}

/// Draws `count` sentences, none of them `said` before, and counts their entities.
fn draw(
    cx: &Context<'_>,
    grammar: &Grammar,
    name: &str,
    part: Part,
    count: usize,
    said: &mut BTreeSet<String>,
) -> Result<Vec<Sentence>, StageError> {
    let mut rng = rng(cx.seed, &format!("generate.{name}"));
    let mut progress = cx.progress(name, count as u64, "sentences");
    let mut sentences = Vec::with_capacity(count);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for cell in Grammar::plan(count, &mut rng) {
        cx.check_cancelled()?;
        let sentence = grammar.sentence(cell, part, said, &mut rng).map_err(|problem| {
            StageError::new(format!("{name}: {problem}")).help("ask for fewer sentences")
        })?;
        let entities = spans(&sentence.tags, Scheme::Bio);
        *counts.entry("entity_free".to_owned()).or_default() += u32::from(entities.is_empty());
        for span in entities {
            *counts.entry(span.kind).or_default() += 1;
        }
        sentences.push(sentence);
        progress.advance(1);
    }
    for (what, count) in counts {
        cx.metric(format!("{name}.{what}"), f64::from(count));
    }
    Ok(sentences)
}

/// A set for each source. Each sentence is its own group: the parts are apart already.
fn gold(sentences: &[Sentence]) -> Gold {
    let sets = Source::ALL.map(|(source, _)| {
        let own = sentences.iter().filter(|sentence| sentence.source == source);
        GoldSet::new(
            &source.to_string(),
            own.map(|sentence| {
                let chars: Vec<char> = sentence.text.chars().collect();
                let words = sentence.words.iter().map(|&[start, end]| chars[start..end].iter().collect());
                (words.collect(), sentence.tags.clone())
            }),
        )
    });
    Gold { sets: sets.to_vec() }
}

fn text(sentences: &[Sentence]) -> Text {
    let lines = Source::ALL.into_iter().flat_map(|(source, _)| {
        let own = sentences.iter().filter(move |sentence| sentence.source == source).enumerate();
        own.map(move |(index, sentence)| Line {
            source: source.to_string(),
            number: index + 1,
            text: sentence.text.clone(),
            ..Line::default()
        })
    });
    Text { lines: lines.collect() }
}

#[cfg(test)]
mod tests;
