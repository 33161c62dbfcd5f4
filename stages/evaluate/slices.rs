//! Scores of all models together, for all sentences and for parts of them.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::Pair;
use crate::evaluate::evaluation::{Bounded, Length, Mention, Scored};
use measure::{
    bootstrap::{Bootstrap, Measure, Part, Resampled, Tally},
    scores::{Scores, count},
};
use text::{
    corpus::{Corpus, Record, Surfaces},
    labels::{Scheme, Span, spans},
};

/// A part of the sentences, or of the mentions in them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slice {
    All,
    /// Of the test part its source; of gold its set.
    Source(String),
    Length(Length),
    Mention(Mention),
}

impl Slice {
    /// In words; none for all.
    pub fn described(&self, gold: bool) -> Option<String> {
        Some(match self {
            Self::All => return None,
            Self::Source(name) if gold => format!("set {name}"),
            Self::Source(name) => format!("source {name}"),
            Self::Length(Length::Short) => "length short".to_owned(),
            Self::Length(Length::Medium) => "length medium".to_owned(),
            Self::Length(Length::Long) => "length long".to_owned(),
            Self::Mention(Mention::Seen) => "mention seen".to_owned(),
            Self::Mention(Mention::Unseen) => "mention unseen".to_owned(),
        })
    }
}

/// The mentions of the training part, with their types.
pub(super) struct Known(BTreeSet<(String, String)>);

impl Known {
    pub fn new(train: &Corpus) -> Self {
        let mentions = train.records.iter().flat_map(|record| {
            let (surfaces, spans) = (record.surfaces(), spans(&record.tags, Scheme::Bio).into_iter());
            spans.map(move |span| (surfaces.of(span.start, span.end), span.kind))
        });
        Self(mentions.collect())
    }

    fn has(&self, surfaces: &Surfaces<'_>, span: &Span) -> bool {
        self.0.contains(&(surfaces.of(span.start, span.end), span.kind.clone()))
    }
}

/// What slices are made by.
pub(super) struct Cut<'a> {
    /// Types, in the order of columns.
    pub types: Vec<String>,
    /// Words of a short text at most, and of one of medium length.
    pub bounds: [usize; 2],
    /// None: mentions are not told apart.
    pub known: Option<&'a Known>,
    pub bootstrap: Bootstrap,
}

impl Cut<'_> {
    fn length(&self, record: &Record) -> Length {
        match record.words.len() {
            words if words <= self.bounds[0] => Length::Short,
            words if words <= self.bounds[1] => Length::Medium,
            _ => Length::Long,
        }
    }

    /// A model's counts of its entities, or of those whose mention is as `wanted`.
    fn tally(&self, records: &[&Record], pairs: &[Pair], wanted: Option<Mention>) -> Tally {
        let mut rows = Vec::with_capacity(records.len() * self.types.len());
        for (record, (right, found)) in records.iter().zip(pairs) {
            let mention = wanted.zip(self.known).map(|(wanted, known)| (wanted, known, record.surfaces()));
            let counts = |span: &&Span| {
                mention.as_ref().is_none_or(|(wanted, known, surfaces)| {
                    known.has(surfaces, span) == (*wanted == Mention::Seen)
                })
            };
            let of = |spans: &'_ [Span]| -> Vec<Span> { spans.iter().filter(counts).cloned().collect() };
            let (right, found) = (of(right), of(found));
            let by_type = count(&right, &found);
            rows.extend(
                self.types.iter().map(|kind| by_type.get(kind.as_str()).copied().unwrap_or_default()),
            );
        }
        Tally { types: self.types.len(), counts: rows }
    }

    /// Scores of `[models][records]` pairs in every slice. `name` tells the draws apart.
    pub fn scores(
        &self,
        name: &str,
        records: &[&Record],
        models: &[Vec<Pair>],
        perfect: Option<usize>,
    ) -> Board {
        let tallies = |wanted: Option<Mention>| -> Vec<Tally> {
            models.iter().map(|pairs| self.tally(records, pairs, wanted)).collect()
        };
        let whole = tallies(None);
        let all: Vec<usize> = (0..records.len()).collect();
        let mut texts: BTreeMap<Slice, Vec<usize>> = BTreeMap::from([(Slice::All, all.clone())]);
        for (text, record) in records.iter().enumerate() {
            for slice in [Slice::Source(record.source.clone()), Slice::Length(self.length(record))] {
                texts.entry(slice).or_default().push(text);
            }
        }
        let draw = |slice: &Slice, tallies: &[Tally], texts: &[usize]| {
            let name = format!("{name} {}", slice.described(false).unwrap_or_default());
            Resampled::new(self.bootstrap, &name, tallies, texts, perfect)
        };
        let mut slices: BTreeMap<Slice, Resampled> = BTreeMap::new();
        for (slice, texts) in texts {
            let resampled = draw(&slice, &whole, &texts);
            slices.insert(slice, resampled);
        }
        for mention in self.known.iter().flat_map(|_| [Mention::Seen, Mention::Unseen]) {
            let tallies = tallies(Some(mention));
            let slice = Slice::Mention(mention);
            let resampled = draw(&slice, &tallies, &all);
            slices.insert(slice, resampled);
        }
        Board { types: self.types.clone(), slices }
    }
}

/// Counts of all models in every slice.
pub(super) struct Board {
    types: Vec<String>,
    slices: BTreeMap<Slice, Resampled>,
}

impl Board {
    pub fn slice(&self, slice: &Slice) -> Option<&Resampled> {
        self.slices.get(slice)
    }

    /// The column of a type.
    pub fn column(&self, kind: &str) -> Option<usize> {
        self.types.iter().position(|known| known == kind)
    }

    /// A model's scores of all sentences.
    pub fn all(&self, model: usize) -> Scored {
        self.slices
            .get(&Slice::All)
            .map_or_else(|| unreachable!("all is a slice"), |all| self.scored(all, model))
    }

    /// A model's scores of those slices that `pick` gives a name.
    pub fn each<K: Ord>(&self, model: usize, pick: impl Fn(&Slice) -> Option<K>) -> BTreeMap<K, Scored> {
        let named = self.slices.iter().filter_map(|(slice, resampled)| Some((pick(slice)?, resampled)));
        named.map(|(name, resampled)| (name, self.scored(resampled, model))).collect()
    }

    fn scored(&self, resampled: &Resampled, model: usize) -> Scored {
        let counts = resampled.counts(model).iter().copied();
        let named = self.types.iter().map(String::as_str).zip(counts);
        let Scores { micro, macro_, per_type } = Scores::of(named);
        let interval = |measure| resampled.estimate(model, measure).and_then(|estimate| estimate.interval);
        let per_type = per_type.into_iter().map(|(kind, score)| {
            let column = self.column(&kind).unwrap_or_default();
            let bounded = Bounded { score, f1_interval: interval(Measure::Type(column, Part::F1)) };
            (kind, bounded)
        });
        Scored {
            texts: resampled.texts,
            micro: Bounded { score: micro, f1_interval: interval(Measure::F1) },
            macro_,
            per_type: per_type.collect(),
            f1_drop: resampled.drop(model, 0, Measure::F1),
        }
    }
}
