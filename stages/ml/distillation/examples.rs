//! Texts that a student learns from or is measured on, with what each of their words should be.

use std::collections::BTreeMap;

use burn::tensor::Device;
use stage_contract::StageError;

use crate::params::Training;
use encoder::{
    batch::{Batch, Encoded},
    finite::naming,
    infer::{encode, word_logits},
    logits::Logits,
    model::{Model, ModelFolder},
};
use text::{
    corpus::{Corpus, Gold, Provenance, Record},
    labels::{Labels, Policy, Span, spans, split_tag},
};

/// Tokens at once where the teacher reads gold.
const READ: usize = 2048;

/// Texts with what each word should be.
pub struct Examples {
    /// In the student's sub-words.
    pub encoded: Vec<Encoded>,
    /// The same texts in the teacher's sub-words, where those are not the student's.
    teacher: Option<Vec<Encoded>>,
    /// Column of each word's tag; none = out of every loss.
    pub tags: Vec<Vec<Option<usize>>>,
    /// Weight of each word in CE.
    pub weight: Vec<Vec<f64>>,
    /// Entities of each text.
    pub gold: Vec<Vec<Span>>,
    /// Whether a model tagged it.
    silver: Vec<bool>,
    ids: Vec<String>,
    recalled: Option<Recalled>,
}

/// What the teacher said of each text before.
#[derive(Clone, Debug, Default)]
struct Recalled {
    /// `[words, teacher labels]`
    words: Vec<Vec<f32>>,
    /// `[pieces, teacher labels]` of those that no word is read off.
    continuations: Vec<Vec<f32>>,
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
        let records: Vec<&Record> =
            train.records.iter().chain(gold.sets.iter().flat_map(|set| &set.records)).collect();
        let dev: Vec<&Record> = dev.records.iter().collect();
        let labels = &teacher.config.labels;
        let mut train = Self::new(model, &records, labels, training)?;
        if model.tokenizer.json() != teacher.tokenizer.json() {
            let texts = records.iter().map(|r| (r.text.as_str(), r.words.as_slice()));
            train.teacher = Some(encode(teacher, texts)?);
        }
        Ok([train, Self::new(model, &dev, labels, training)?])
    }

    /// The texts of a batch as the teacher reads them; none when it reads them as the student does. Word by word the two
    /// are parallel.
    #[must_use]
    pub fn as_taught(&self, members: &[usize]) -> Option<Batch> {
        self.teacher.as_ref().map(|texts| Batch::pack(texts, members))
    }

    /// How many of them no model tagged.
    #[must_use]
    pub fn gold_texts(&self) -> usize {
        self.silver.iter().filter(|silver| !**silver).count()
    }

    /// Texts that the teacher annotated and of which no word is out of every loss.
    #[must_use]
    pub fn known(&self) -> Vec<usize> {
        let whole = |text: &usize| self.silver[*text] && self.tags[*text].iter().all(Option::is_some);
        (0..self.len()).filter(whole).collect()
    }

    /// The texts in the teacher's sub-words.
    #[must_use]
    pub fn as_teacher(&self) -> &[Encoded] {
        self.teacher.as_deref().unwrap_or(&self.encoded)
    }

    /// Takes what the teacher says of each word from a file, where there is one, so that training need not run it. Sentences that it has not
    /// annotated, those of gold, it reads now, once.
    ///
    /// # Errors
    /// The logits are another teacher's, or a record is missing there or has another number of words; its id is named.
    pub fn recall(
        &mut self,
        logits: Option<Logits>,
        folder: &ModelFolder,
        teacher: &Model,
        device: &Device,
    ) -> Result<(), StageError> {
        let Some(logits) = logits else { return Ok(()) };
        logits.origin.check(folder)?;
        let help = "wire the logits of the `annotate` that these records come from, or leave `logits` out";
        let columns = &teacher.config.labels;
        if logits.origin.labels != columns.names() {
            let (theirs, ours) = (logits.origin.labels.join(", "), columns.names().join(", "));
            return Err(StageError::new(format!(
                "the logits are of {theirs}, but the teacher's labels are {ours}"
            ))
            .help(help));
        }
        let mut texts = logits.texts;
        let gold: Vec<usize> = (0..self.len()).filter(|text| !self.silver[*text]).collect();
        let unread: Vec<Encoded> = gold.iter().map(|&text| self.as_teacher()[text].clone()).collect();
        let read = naming(word_logits(teacher, &unread, READ, device, None), |text| &self.ids[gold[text]])?;
        let mut read = gold.into_iter().zip(read).collect::<BTreeMap<_, _>>();
        let mut all = Recalled::default();
        for (text, id) in self.ids.iter().enumerate() {
            if let Some(read) = read.remove(&text) {
                all.words.push(read.values);
                all.continuations.push(read.continuations);
                continue;
            }
            let said = texts
                .remove(id)
                .ok_or_else(|| StageError::new(format!("the logits have no record {id}")).help(help))?;
            let as_teacher = &self.as_teacher()[text];
            let (words, more) = (as_teacher.words, as_teacher.continuations());
            if said.shape != [words + more, columns.len()] {
                let found = said.shape.first().copied().unwrap_or_default();
                return Err(StageError::new(format!(
                    "record {id} has {words} words and {more} further sub-words, but the logits have {found} rows of it"
                ))
                .help(help));
            }
            let mut values = said.values;
            all.continuations.push(values.split_off(words * columns.len()));
            all.words.push(values);
        }
        self.recalled = Some(all);
        Ok(())
    }

    /// `[words, teacher labels]` of each text, where the teacher need not be asked.
    #[must_use]
    pub fn logits(&self) -> Option<&[Vec<f32>]> {
        self.recalled.as_ref().map(|recalled| recalled.words.as_slice())
    }

    /// `[words + continuations, teacher labels]` of a batch, where the teacher need not be asked: words first.
    #[must_use]
    pub fn recalled(&self, members: &[usize]) -> Option<Vec<f32>> {
        let Recalled { words, continuations } = self.recalled.as_ref()?;
        let both = [words, continuations].into_iter();
        Some(both.flat_map(|all| members.iter().flat_map(|&member| &all[member])).copied().collect())
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
            ids: pick(&self.ids, members),
            recalled: self.recalled.as_ref().map(|recalled| Recalled {
                words: pick(&recalled.words, members),
                continuations: pick(&recalled.continuations, members),
            }),
        }
    }

    /// The id of a text's record.
    #[must_use]
    pub fn id(&self, text: usize) -> &str {
        &self.ids[text]
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

    /// Tokenises records and looks up their tags; `teacher` says what becomes of types that the student lacks.
    ///
    /// # Errors
    /// A tag of a type that neither knows, by record id.
    pub fn new(
        model: &Model,
        records: &[&Record],
        teacher: &Labels,
        training: &Training,
    ) -> Result<Self, StageError> {
        let labels = &model.config.labels;
        let texts = records.iter().map(|r| (r.text.as_str(), r.words.as_slice()));
        let mut examples = Self {
            encoded: encode(model, texts)?,
            teacher: None,
            tags: Vec::with_capacity(records.len()),
            weight: Vec::with_capacity(records.len()),
            gold: Vec::with_capacity(records.len()),
            silver: records.iter().map(|record| record.provenance != Provenance::Gold).collect(),
            ids: records.iter().map(|record| record.id.clone()).collect(),
            recalled: None,
        };
        for record in records {
            let columns = columns(record, labels, teacher)?;
            let names: Vec<&str> =
                columns.iter().map(|c| c.map_or("O", |c| labels.names()[c].as_str())).collect();
            examples.gold.push(spans(&names, labels.scheme()));
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

/// The student's columns of a record's tags; none = out of every loss. A type that the student lacks is what the teacher's
/// labels say: O, or to ignore.
///
/// # Errors
/// A type that neither knows.
pub fn columns(record: &Record, labels: &Labels, teacher: &Labels) -> Result<Vec<Option<usize>>, StageError> {
    let policy = |tag: &str| {
        let kind = split_tag(tag).flatten().and_then(|(_, kind)| teacher.type_index(kind))?;
        Some(teacher.policy(kind))
    };
    let column = |tag: &String| {
        match (labels.column_of_tag(tag), policy(tag)) {
        (Some(column), _) => Ok(Some(column)),
        (None, Some(Policy::Outside)) => Ok(Some(labels.outside())),
        (None, Some(Policy::Ignore)) => Ok(None),
        (None, Some(Policy::Learn) | None) => Err(StageError::new(format!(
            "record {} has the tag {tag}, which the student does not know",
            record.id
        ))
        .help(format!(
            "it knows {}; where the records are of `annotate`, let both stages read the teacher with the same `types`",
            labels.names().join(", ")
        ))),
    }
    };
    record.tags.iter().map(column).collect()
}
