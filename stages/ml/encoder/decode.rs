//! From word logits to tags and entities: by types, by labels, or by a student's CRF.

use std::collections::BTreeMap;

use crate::{config::Decode, crf::Crf, infer::WordLogits, model::Model};
use text::labels::{Labels, Scheme, Span, Tag, spans};

/// How words get their tags.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoding {
    /// The most probable type, whatever the labels say of where entities begin: how teachers are read, of any scheme.
    Types,
    /// The most probable label, as transformers decodes.
    Argmax,
    /// The most probable path.
    Crf(Crf),
}

impl Decoding {
    /// How a model's words get their tags.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        match model.config.decode {
            Decode::Types => Self::Types,
            Decode::Argmax => Self::Argmax,
            Decode::Crf => model.crf().map_or(Self::Argmax, Self::Crf),
        }
    }

    /// Every way in which a model's words may get their tags, its own among them.
    #[must_use]
    pub fn all(model: &Model) -> BTreeMap<Decode, Self> {
        let with_crf = model.crf().map(|crf| [(Decode::Argmax, Self::Argmax), (Decode::Crf, Self::Crf(crf))]);
        with_crf.into_iter().flatten().chain([(model.config.decode, Self::of(model))]).collect()
    }
}

/// Decoded words of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// BIO tag of each word, with types as the model has them.
    pub tags: Vec<String>,
    /// Probability at T = 1 (CRF: marginal) of each word's type (docs/formats.md, "Words, labels and windows").
    pub score: Vec<f64>,
}

/// An entity over the words of a text, with how sure the model is of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Type name: `PER`.
    pub kind: String,
    /// First word.
    pub start_word: usize,
    /// One past the last word.
    pub end_word: usize,
    /// Mean over its words of the probability (CRF: marginal) of its type.
    pub score: f64,
}

impl Entity {
    /// Where it is, and of which type.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { start: self.start_word, end: self.end_word, kind: self.kind.clone() }
    }
}

impl Decoded {
    /// The entities, first to last.
    #[must_use]
    pub fn entities(&self) -> Vec<Entity> {
        spans(&self.tags, Scheme::Bio)
            .into_iter()
            .map(|span| Entity {
                score: mean(&self.score[span.start..span.end]),
                kind: span.kind,
                start_word: span.start,
                end_word: span.end,
            })
            .collect()
    }
}

/// Decodes one text.
///
/// By types: the argmax over types at T = 1, a type's probability being that of all its labels, then B- where the type
/// differs from the previous word's, else I-; a BIO model may begin an entity beside another of its type, and does where it
/// holds B- more probable than I-. Nothing goes on behind a word whose entity ends there (E-, S-) more probably than not. By
/// labels: the argmax over labels, where I- after another type begins an entity.
/// `outside` names types that become O before the argmax decides: their probability joins O's.
///
/// With a CRF (Viterbi, and marginals) a label's worth depends on its neighbours, so there `outside` applies to the path that
/// was found; the score of an O is then the marginal of O and of those types together. A word's score is the probability of
/// its type, always. Ties go to O, then to the first type or label; of a type, to I-.
#[must_use]
pub fn decode(labels: &Labels, by: &Decoding, logits: &WordLogits, outside: &[&str]) -> Decoded {
    let decoder = Decoder {
        labels,
        dropped: labels.types().iter().map(|name| outside.contains(&name.as_str())).collect(),
    };
    let rows = || (0..logits.len()).map(|word| softmax(logits.word(word), 1.0)).collect::<Vec<_>>();
    match by {
        Decoding::Types => decoder.of_rows(&rows()),
        Decoding::Argmax => {
            let rows = rows();
            let path: Vec<usize> = rows.iter().map(|row| decoder.most_probable_label(row)).collect();
            decoder.of_path(&path, rows.iter().map(Vec::as_slice))
        }
        Decoding::Crf(crf) => {
            let path = crf.viterbi(&logits.values);
            let marginals = crf.marginals(&logits.values);
            decoder.of_path(&path, marginals.chunks_exact(labels.len()))
        }
    }
}

struct Decoder<'a> {
    labels: &'a Labels,
    /// By type: becomes O.
    dropped: Vec<bool>,
}

impl Decoder<'_> {
    /// The type that a tag stands for unless it becomes O.
    fn kind(&self, tag: Tag) -> Option<usize> {
        match tag {
            Tag::Outside => None,
            Tag::Begin(kind) | Tag::Inside(kind) => (!self.dropped[kind]).then_some(kind),
        }
    }

    /// Probability of a type (`None`: O) in a row of label probabilities.
    fn probability(&self, row: &[f64], kind: Option<usize>) -> f64 {
        row.iter().zip(self.labels.tags()).filter(|(_, tag)| self.kind(**tag) == kind).map(|(p, _)| p).sum()
    }

    fn most_probable_kind(&self, row: &[f64]) -> Option<usize> {
        let kinds = (0..self.dropped.len()).filter(|kind| !self.dropped[*kind]).map(Some);
        let outside = (None, self.probability(row, None));
        kinds
            .map(|kind| (kind, self.probability(row, kind)))
            .fold(outside, |best, next| if next.1 > best.1 { next } else { best })
            .0
    }

    fn most_probable_label(&self, row: &[f64]) -> usize {
        let outside = (self.labels.outside(), self.probability(row, None));
        let labels = row.iter().zip(self.labels.tags()).enumerate();
        let kept =
            labels.filter(|(_, (_, tag))| self.kind(**tag).is_some()).map(|(label, (p, _))| (label, *p));
        kept.fold(outside, |best, next| if next.1 > best.1 { next } else { best }).0
    }

    /// Whether a word begins an entity of `kind`, whatever stands before it. Never in an IO model, which has no B-.
    fn begins(&self, row: &[f64], kind: usize) -> bool {
        let of = |wanted| {
            row.iter().zip(self.labels.tags()).filter(|(_, tag)| **tag == wanted).map(|(p, _)| p).sum::<f64>()
        };
        of(Tag::Begin(kind)) > of(Tag::Inside(kind))
    }

    /// Whether an entity of `kind` ends with a word, whatever follows. Never in a model without E- and S-.
    fn ends(&self, row: &[f64], kind: usize) -> bool {
        let of = |wanted| {
            let own = row.iter().zip(self.labels.tags()).enumerate().filter(|(column, (_, tag))| {
                self.kind(**tag) == Some(kind) && self.labels.ends(*column) == wanted
            });
            own.map(|(_, (p, _))| p).sum::<f64>()
        };
        of(true) > of(false)
    }

    /// Tags for words that were classified one by one.
    fn of_rows(&self, rows: &[Vec<f64>]) -> Decoded {
        let kinds: Vec<_> = rows.iter().map(|row| self.most_probable_kind(row)).collect();
        // The type whose entity may go on here.
        let mut before = None;
        let tag = |(&kind, row): (&Option<usize>, &Vec<f64>)| {
            let tag = match kind {
                None => "O".to_owned(),
                Some(kind) if before == Some(kind) && !self.begins(row, kind) => {
                    format!("I-{}", self.labels.types()[kind])
                }
                Some(kind) => format!("B-{}", self.labels.types()[kind]),
            };
            before = kind.filter(|kind| !self.ends(row, *kind));
            tag
        };
        Decoded {
            tags: kinds.iter().zip(rows).map(tag).collect(),
            score: rows.iter().zip(&kinds).map(|(row, kind)| self.probability(row, *kind)).collect(),
        }
    }

    /// Tags for a path of labels.
    fn of_path<'r>(&self, path: &[usize], rows: impl Iterator<Item = &'r [f64]>) -> Decoded {
        let kinds = path.iter().map(|label| self.kind(self.labels.tags()[*label]));
        let score = rows.zip(kinds.clone()).map(|(row, kind)| self.probability(row, kind)).collect();
        let mut before = None;
        let tag = |(label, kind): (&usize, Option<usize>)| {
            let inside = matches!(self.labels.tags()[*label], Tag::Inside(_)) && before == kind;
            before = kind;
            match kind {
                None => "O".to_owned(),
                Some(kind) if inside => format!("I-{}", self.labels.types()[kind]),
                Some(kind) => format!("B-{}", self.labels.types()[kind]),
            }
        };
        Decoded { tags: path.iter().zip(kinds).map(tag).collect(), score }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an entity has far fewer than 2^52 words")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// softmax(z / T) in f64.
pub fn softmax(row: &[f32], temperature: f64) -> Vec<f64> {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut p: Vec<f64> =
        row.iter().map(|z| ((f64::from(*z) - f64::from(max)) / temperature).exp()).collect();
    let sum: f64 = p.iter().sum();
    for p in &mut p {
        *p /= sum;
    }
    p
}

#[cfg(test)]
mod tests;
