//! From a path to what its files hold: found, unpacked, decoded, told apart, read; with what is wrong and what is to be said.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use stage_contract::StageError;

use super::{
    files,
    format::{File, Format, Want},
    formats::{self, brat, columns, parquet},
    item::{Found, Place},
    names::NAMELESS,
    options::{Options, Unit},
    unpack,
    walk::{Walk, walk},
};

/// What was read, and what is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Read<T> {
    /// Text or gold.
    pub value: T,
    /// What was guessed, changed or left out, a line each: `gold/a.tsv: CoNLL, 4 columns, word 2, tag 3, BIO, 812 sentences`.
    pub notes: Vec<String>,
}

/// What is to be said of what was read, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// What was guessed or changed.
    pub read: Vec<String>,
    /// What lies in the input and was left out.
    pub lost: Vec<String>,
}

impl Notes {
    /// All of them.
    #[must_use]
    pub fn all(self) -> Vec<String> {
        [self.read, self.lost].concat()
    }
}

/// Bad records that an error lists.
const LISTED: usize = 20;

/// Reads the files of one input.
pub(super) struct Reading<'o> {
    options: &'o Options,
    want: Want,
    /// What is to be said.
    pub notes: Notes,
    /// Each bad record with its file, place and reason.
    bad: Vec<String>,
    /// The folder that is read; `None` for a file.
    root: Option<PathBuf>,
    /// Whether there was one of brat's pairs, so that a lone text is one that nobody annotated.
    pairs: bool,
    /// Whether there was a file of columns, which have no place for the names of numbers.
    columns: bool,
}

/// A file that was read.
pub(super) struct Part {
    /// The file's own name.
    pub name: String,
    /// The gold set that it belongs to.
    pub set: String,
    /// Where it lies.
    pub path: PathBuf,
    /// The format's name.
    pub format: &'static str,
    /// What is in it.
    pub found: Found,
    /// Its text, where words are lines of it that tags can be put into ([`columns::retagged`]).
    pub columns: Option<String>,
}

impl<'o> Reading<'o> {
    pub fn new(options: &'o Options, want: Want) -> Self {
        Self {
            options,
            want,
            notes: Notes::default(),
            bad: Vec::new(),
            root: None,
            pairs: false,
            columns: false,
        }
    }

    /// The files with their names.
    pub fn files(&mut self, path: &Path) -> Result<Vec<(String, PathBuf)>, StageError> {
        self.options.check()?;
        let Walk { mut files, notes } = walk(path)?;
        self.notes.lost.extend(notes);
        if path.is_dir() {
            self.root = Some(path.to_owned());
            self.pairs = files.iter().any(|(_, file)| is(file, brat::ENDINGS[0]));
            files.retain(|(_, file)| !self.belongs_to_other(file));
        }
        Ok(files)
    }

    /// Whether a file is the half of brat's pair that the other half leads to, or that is not wanted.
    fn belongs_to_other(&self, file: &Path) -> bool {
        let [ann, txt] = brat::ENDINGS;
        match self.want {
            Want::Text | Want::Entries => is(file, ann) && brat::partner(file, txt).is_some(),
            Want::Gold => is(file, txt) && brat::partner(file, ann).is_some(),
        }
    }

    /// Reads one file; `None` if it is left out, which is noted.
    pub fn part(&mut self, name: String, path: PathBuf) -> Result<Option<Part>, StageError> {
        let bytes = files::bytes(&path)?;
        self.part_of(name, path, bytes)
    }

    /// As [`Self::part`], of bytes that were read from somewhere.
    pub fn part_of(
        &mut self,
        name: String,
        path: PathBuf,
        bytes: Vec<u8>,
    ) -> Result<Option<Part>, StageError> {
        let (file, encoding) = self.open(name, path, bytes)?;
        let Some(format) = formats::of(&file, self.want, self.options) else {
            if self.pairs && is(&file.path, brat::ENDINGS[1]) {
                self.notes.lost.push(format!("{}: left out, no .ann file is beside it", file.path.display()));
                return Ok(None);
            }
            return Err(self.formless(&file));
        };
        let columns = Format::name(format) == columns::Columns.name();
        self.columns |= columns;
        let mut found = format.read(&file, self.want, self.options)?;
        if self.options.unit == Unit::File {
            found.items.iter_mut().for_each(|item| item.document = Some(file.name.clone()));
        }
        for (place, reason) in std::mem::take(&mut found.bad) {
            self.reject(&file.path, place, &reason);
        }
        if let Some(encoding) = encoding.filter(|encoding| *encoding != "UTF-8") {
            found.form.push(encoding.to_owned());
        }
        Ok(Some(Part {
            set: format.set(&file),
            name: file.name,
            path: file.path,
            format: Format::name(format),
            found,
            columns: (columns && self.want == Want::Entries).then_some(file.text),
        }))
    }

    fn open(
        &self,
        name: String,
        path: PathBuf,
        bytes: Vec<u8>,
    ) -> Result<(File, Option<&'static str>), StageError> {
        let root = self.root.clone();
        let table = bytes.starts_with(parquet::MAGIC) && bytes.len() > 8 && bytes.ends_with(parquet::MAGIC);
        if table {
            return Ok((File { path, name, root, bytes: Some(Bytes::from(bytes)), ..File::default() }, None));
        }
        unpack::check(&bytes, &path)?;
        let (text, encoding) = files::decoded(bytes, &path, self.options.encoding.as_deref())?;
        Ok((File { path, name, text, root, bytes: None }, Some(encoding)))
    }

    fn formless(&self, file: &File) -> StageError {
        if let Some((what, help)) = columns::complaint(file).filter(|_| self.want == Want::Gold) {
            return StageError::new(format!("{}{what}", file.path.display())).help(help);
        }
        let what =
            if file.text.trim().is_empty() { "no sentence in" } else { "no annotations that can be read in" };
        StageError::new(format!("{what} {}", file.path.display())).help(if file.text.trim().is_empty() {
            "remove the file, or fill it".to_owned()
        } else {
            self.forms()
        })
    }

    fn forms(&self) -> String {
        match self.want {
            Want::Text | Want::Entries => "give plain text, or JSON, a table with a header or Parquet with a field `text`; also as .gz or .zst".to_owned(),
            Want::Gold => "give a word and its tag a line with blank lines between sentences (CoNLL), `{\"tokens\": [..], \"ner_tags\": [..]}` \
                           or `{\"text\": .., \"entities\": [[0, 5, \"TYPE\"]]}` a line, a table with a header, Parquet, brat's .ann beside \
                           .txt, or `word|pos|tag`; or say `columns = { word = 1, tag = -1 }`"
                .to_owned(),
        }
    }

    /// A record is bad.
    pub fn reject(&mut self, path: &Path, place: Place, reason: &str) {
        self.bad.push(format!("{}{place}: {reason}", path.display()));
    }

    /// All that is to be said, and the bad records left out.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn finish(self, left: bool) -> Result<Vec<String>, StageError> {
        self.check(left)?;
        Ok(self.notes().all())
    }

    /// How many records were bad so far.
    pub fn number_of_bad(&self) -> usize {
        self.bad.len()
    }

    /// All that is to be said, each bad record included that was left out: of too many the error speaks.
    pub fn notes(mut self) -> Notes {
        if self.bad.len() <= self.options.errors {
            self.notes.lost.extend(self.bad.into_iter().map(|bad| format!("{bad}: left out")));
        }
        self.notes
    }

    /// # Errors
    /// There are more bad records than the options allow. `left`: without them something is left of each set.
    pub fn check(&self, left: bool) -> Result<(), StageError> {
        let number = self.bad.len();
        if number > self.options.errors {
            let forms = self.forms();
            let listed = &self.bad[..number.min(LISTED)];
            let message = match number {
                1 => listed.concat(),
                _ if number > LISTED => {
                    format!("{number} bad records, of which the first are:\n  {}", listed.join("\n  "))
                }
                _ => format!("{number} bad records:\n  {}", listed.join("\n  ")),
            };
            if message.contains(NAMELESS) {
                let line = if self.columns { "" } else { " or by a first line `{\"names\": [\"O\", ..]}`" };
                return Err(StageError::new(message).help(format!(
                    "name them by the option `labels = [\"O\", ..]`{line}, in the order of the numbers"
                )));
            }
            let them = if number == 1 { "it" } else { "them" };
            return Err(StageError::new(message).help(if left {
                format!("correct {them}, or leave {them} out by the option `errors = {number}`")
            } else {
                format!("correct {them}, for nothing would be left without {them}: {forms}")
            }));
        }
        Ok(())
    }
}

/// Whether a file has an ending, in any case.
fn is(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|end| end.eq_ignore_ascii_case(ending))
}
