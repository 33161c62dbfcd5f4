//! Gold sets: words that are never split again, with their tags (docs/formats.md, "Gold").

mod decoding;

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use serde_json::Value;
use stage_contract::{Artifact, Kind, Shape, StageError, given};

pub(super) use self::decoding::joined;
use self::decoding::{Decoding, Sentence};
use super::{
    bio::Bio,
    files::write,
    format::Want,
    formats::columns::is_mark,
    options::Options,
    reading::{Read, Reading},
    record::Record,
    text,
};
use crate::labels::{Scheme, spans as entities};

/// Gold tags: one or several named sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gold {
    /// By name, in the order of their first files.
    pub sets: Vec<GoldSet>,
}

/// One gold set: the sentences of a file, or of a folder of brat's documents.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldSet {
    /// The file's name without its ending.
    pub name: String,
    /// Tags are BIO, whatever scheme the file has; types as the file has them.
    pub records: Vec<Record>,
}

impl Gold {
    /// Reads a file or a folder of any format of annotations. Record ids are `set:n` from 1, groups the document
    /// (`set/name`) where the file says it, else the id.
    ///
    /// # Errors
    /// A file is unreadable, or of no encoding or format that is read; there are more bad records than
    /// [`Options::errors`]; a file has no sentence.
    pub fn read(path: &Path, options: &Options) -> Result<Read<Self>, StageError> {
        let mut reading = Reading::new(options, Want::Gold);
        let mut sets: Vec<GoldSet> = Vec::new();
        for (name, file) in reading.files(path)? {
            let Some(mut part) = reading.part(name, file)? else { continue };
            let at = sets.iter().position(|set| set.name == part.set).unwrap_or_else(|| {
                sets.push(GoldSet { name: part.set.clone(), records: Vec::new() });
                sets.len() - 1
            });
            Decoding::of(&mut part, options).decode(part, options, &mut reading, &mut sets[at].records)?;
        }
        let empty = sets.iter().find(|set| set.records.is_empty());
        let notes = reading.finish(empty.is_none())?;
        if let Some(set) = empty {
            return Err(StageError::new(format!("no sentence is left of `{}`", set.name))
                .help("remove the file, or correct it"));
        }
        Ok(Read { value: Self { sets }, notes })
    }

    /// How many entities there are of each type.
    #[must_use]
    pub fn types(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for record in self.sets.iter().flat_map(|set| &set.records) {
            for span in entities(&record.tags, Scheme::Bio) {
                *types.entry(span.kind).or_default() += 1;
            }
        }
        types
    }
}

impl Artifact for Gold {
    const KIND: Kind = Kind {
        name: "gold",
        shape: Shape::FileOrFolder,
        extension: "",
        doc: "gold entities: CoNLL, JSON of many tools, tables, Parquet, brat: a file, or a folder whose file names are the sets",
    };

    fn load(path: &Path) -> Result<Self, StageError> {
        Self::read(path, &Options::default()).map(|read| read.value)
    }

    fn read(path: &Path, options: &Value, note: &dyn Fn(String)) -> Result<Self, StageError> {
        let Read { value, notes } = Self::read(path, &given(options)?)?;
        notes.into_iter().for_each(note);
        Ok(value)
    }

    fn is_empty(&self) -> bool {
        self.sets.iter().all(|set| set.records.is_empty())
    }

    /// A folder with a file for each set, where `path` has an extension and there is one set, that file: .bio, or .jsonl for
    /// what columns cannot hold.
    fn save(&self, path: &Path) -> Result<(), StageError> {
        if let ([set], Some(_)) = (self.sets.as_slice(), path.extension()) {
            return set.save(path);
        }
        fs::create_dir(path).map_err(|e| StageError::io("create", path, e))?;
        for set in &self.sets {
            let ending = if set.fits_columns() { "bio" } else { "jsonl" };
            set.save(&path.join(format!("{}.{ending}", text::checked_stem(&set.name)?)))?;
        }
        Ok(())
    }
}

impl GoldSet {
    /// Makes a set of sentences that are words and BIO tags.
    #[must_use]
    pub fn new(name: &str, sentences: impl IntoIterator<Item = (Vec<String>, Vec<String>)>) -> Self {
        let record = |((words, tags), number): ((Vec<String>, Vec<String>), usize)| {
            let (text, words) = joined(&words);
            Sentence { text, words, tags, document: None }.record(name, number)
        };
        Self { name: name.to_owned(), records: sentences.into_iter().zip(1..).map(record).collect() }
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        for record in &self.records {
            record
                .check()
                .map_err(|problem| StageError::new(format!("record `{}`: {problem}", record.id)))?;
        }
        write(path, |out| {
            if !self.fits_columns() {
                return self.records.iter().try_for_each(|record| {
                    serde_json::to_writer(&mut *out, record)?;
                    out.write_all(b"\n")
                });
            }
            let mut bio = Bio::default();
            self.records.iter().try_for_each(|record| {
                let document = (record.group != record.id).then(|| self.document(record));
                bio.sentence(out, document, words(record).zip(record.tags.iter().map(String::as_str)))
            })
        })
    }

    /// Whether columns can say what the records are: words between single spaces that no line is taken amiss for, and
    /// documents one after another.
    fn fits_columns(&self) -> bool {
        let mut seen: Vec<&str> = Vec::new();
        let mut grouped = false;
        self.records.iter().all(|record| {
            let words: Vec<String> = words(record).collect();
            let plain = |word: &String| {
                !word.contains(['\t', '\n', '\r'])
                    && word.trim() == word
                    && !is_mark(word)
                    && !word.starts_with('\u{feff}')
            };
            let own = record.group != record.id;
            let first = own && seen.last() != Some(&self.document(record));
            if first {
                let number = seen.len() + 1;
                let name = self.document(record);
                let numbered = name.parse() == Ok(number);
                let named = !name.is_empty()
                    && name.trim() == name
                    && name.parse::<usize>().is_err()
                    && !name.contains('\n');
                if seen.contains(&name) || !(numbered || named) {
                    return false;
                }
                seen.push(name);
            }
            grouped |= own;
            own == grouped
                && joined(&words) == (record.text.clone(), record.words.clone())
                && words.iter().all(plain)
        })
    }

    fn document<'r>(&self, record: &'r Record) -> &'r str {
        record.group.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&record.group)
    }
}

/// The words of a record in one pass over its text.
fn words(record: &Record) -> impl Iterator<Item = String> {
    let chars: Vec<char> = record.text.chars().collect();
    record.words.iter().map(move |&[start, end]| chars[start..end].iter().collect())
}

#[cfg(test)]
mod tests;
