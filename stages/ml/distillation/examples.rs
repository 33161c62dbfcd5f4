//! Texts that a student learns from or is measured on, with what each of their words should be.

use stage_contract::StageError;

use super::{Training, fit::check_kept};
use crate::ml::{
    batch::{Batch, Encoded},
    corpus::{Corpus, Gold, Provenance, Record},
    infer::encode,
    labels::{Labels, Scheme, Span, spans},
    losses::Misc,
    model::Model,
};

/// Texts with what each word should be.
pub struct Examples {
    pub(super) encoded: Vec<Encoded>,
    /// The same texts in the teacher's sub-words, where those are not the student's.
    teacher: Option<Vec<Encoded>>,
    /// Column of each word's tag; none = out of every loss.
    pub(super) tags: Vec<Vec<Option<usize>>>,
    /// Weight of each word in CE.
    pub(super) weight: Vec<Vec<f64>>,
    pub(super) gold: Vec<Vec<Span>>,
    /// Whether a model tagged it.
    silver: Vec<bool>,
}

impl Examples {
    /// What to train on, gold sentences joined to it, and what to choose the best epoch by.
    ///
    /// # Errors
    /// See [`Examples::new`].
    pub fn pair(
        model: &Model,
        teacher: &Model,
        [train, dev]: [&Corpus; 2],
        gold: &Gold,
        training: &Training,
    ) -> Result<[Self; 2], StageError> {
        check_kept(train, training.misc)?;
        let records: Vec<&Record> =
            train.records.iter().chain(gold.sets.iter().flat_map(|set| &set.records)).collect();
        let dev: Vec<&Record> = dev.records.iter().collect();
        let mut train = Self::new(model, &records, training)?;
        if model.tokenizer.json() != teacher.tokenizer.json() {
            let texts = records.iter().map(|r| (r.text.as_str(), r.words.as_slice()));
            train.teacher = Some(encode(teacher, texts)?);
        }
        Ok([train, Self::new(model, &dev, training)?])
    }

    /// The texts of a batch as the teacher reads them; none when it reads them as the student does. Word by word the two
    /// are parallel.
    #[must_use]
    pub(super) fn as_taught(&self, members: &[usize]) -> Option<Batch> {
        self.teacher.as_ref().map(|texts| Batch::pack(texts, members))
    }

    /// Texts that the teacher annotated and of which no word is out of every loss.
    pub(super) fn known(&self) -> Vec<usize> {
        let whole = |text: &usize| self.silver[*text] && self.tags[*text].iter().all(Option::is_some);
        (0..self.len()).filter(whole).collect()
    }

    /// The texts in the teacher's sub-words.
    pub(super) fn as_teacher(&self) -> &[Encoded] {
        self.teacher.as_deref().unwrap_or(&self.encoded)
    }

    /// Some of the texts.
    #[must_use]
    pub fn only(&self, members: &[usize]) -> Self {
        fn pick<T: Clone>(all: &[T], members: &[usize]) -> Vec<T> {
            members.iter().map(|&member| all[member].clone()).collect()
        }
        Self {
            encoded: pick(&self.encoded, members),
            teacher: self.teacher.as_ref().map(|texts| pick(texts, members)),
            tags: pick(&self.tags, members),
            weight: pick(&self.weight, members),
            gold: pick(&self.gold, members),
            silver: pick(&self.silver, members),
        }
    }

    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.encoded.len()
    }

    /// Nothing to learn from.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// Tokenises records and looks up their tags. A tag of a type that the student does not have is O under
    /// `outside` and masked under `ignore`.
    ///
    /// # Errors
    /// A tag that is neither the student's nor MISC, by record id.
    pub(super) fn new(model: &Model, records: &[&Record], training: &Training) -> Result<Self, StageError> {
        let labels = &model.config.labels;
        let texts = records.iter().map(|r| (r.text.as_str(), r.words.as_slice()));
        let mut examples = Self {
            encoded: encode(model, texts)?,
            teacher: None,
            tags: Vec::with_capacity(records.len()),
            weight: Vec::with_capacity(records.len()),
            gold: Vec::with_capacity(records.len()),
            silver: records.iter().map(|record| record.provenance != Provenance::Gold).collect(),
        };
        for record in records {
            let columns = columns(record, labels, training.misc)?;
            let names: Vec<&str> =
                columns.iter().map(|c| c.map_or("O", |c| labels.names()[c].as_str())).collect();
            examples.gold.push(spans(&names, Scheme::Bio));
            examples.tags.push(columns);
            examples.weight.push(match record.provenance {
                Provenance::Gold => vec![1.0; record.words.len()],
                Provenance::Silver { .. } => {
                    record.score.iter().map(|score| score.powf(training.confidence_gamma)).collect()
                }
            });
        }
        Ok(examples)
    }

    /// Label columns of each text that the teacher annotated; gold is not its word. None = out of every loss.
    #[must_use]
    pub fn annotations(&self) -> Vec<&[Option<usize>]> {
        let texts = self.tags.iter().zip(&self.silver);
        texts.filter(|(_, silver)| **silver).map(|(tags, _)| tags.as_slice()).collect()
    }
}

/// Columns of a record's tags; none = out of every loss.
///
/// # Errors
/// A tag that is neither the student's nor MISC.
pub(super) fn columns(
    record: &Record,
    labels: &Labels,
    misc: Misc,
) -> Result<Vec<Option<usize>>, StageError> {
    let column = |tag: &String| match labels.column(tag) {
        Some(column) => Ok(Some(column)),
        None if tag.ends_with("-MISC") => Ok((misc == Misc::Outside).then(|| labels.outside())),
        None => Err(StageError::new(format!(
            "record {} has the tag {tag}, which the student does not know",
            record.id
        ))
        .help(format!("write one of {} in its place", labels.names().join(", ")))),
    };
    record.tags.iter().map(column).collect()
}
