//! From a path to what its files hold: found, unpacked, decoded, told apart, read; with what is wrong and what is to be said.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use stage_contract::StageError;

use super::{
    files,
    formats::{
        self, brat,
        format::{File, Format, Want},
        parquet,
    },
    item::{Found, Place},
    options::Options,
    shape::NAMELESS,
    unpack,
    walk::walk,
};

/// What was read, and what is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Read<T> {
    /// Text or gold.
    pub value: T,
    /// What was guessed, changed or left out, a line each: `gold/a.tsv: CoNLL, 4 columns, word 2, tag 3, BIO, 812 sentences`.
    pub notes: Vec<String>,
}

/// Bad records that an error lists.
const LISTED: usize = 20;

/// Reads the files of one input.
pub(super) struct Reading<'o> {
    options: &'o Options,
    want: Want,
    /// What is to be said.
    pub notes: Vec<String>,
    /// Each bad record with its file, place and reason.
    bad: Vec<String>,
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
}

impl<'o> Reading<'o> {
    pub fn new(options: &'o Options, want: Want) -> Self {
        Self { options, want, notes: Vec::new(), bad: Vec::new() }
    }

    /// The files with their names.
    pub fn files(&mut self, path: &Path) -> Result<Vec<(String, PathBuf)>, StageError> {
        let found = walk(path)?;
        self.notes.extend(found.notes);
        let files = if path.is_dir() { self.without_pairs(found.files) } else { found.files };
        if files.is_empty() {
            return Err(StageError::new(format!("no file to read in {}", path.display())).help(self.forms()));
        }
        Ok(files)
    }

    /// Of `a.ann` and `a.txt` only the one that is wanted: annotations name their text.
    fn without_pairs(&mut self, files: Vec<(String, PathBuf)>) -> Vec<(String, PathBuf)> {
        let ends =
            |path: &Path, ending: &str| path.extension().is_some_and(|end| end.eq_ignore_ascii_case(ending));
        let [ann, txt] = brat::ENDINGS;
        let annotated = files.iter().any(|(_, file)| ends(file, ann));
        let (mut left, mut kept) = (Vec::new(), Vec::new());
        for (name, file) in files {
            let other = |ending: &str| file.with_extension(ending).is_file();
            let drop = match self.want {
                Want::Text => ends(&file, ann) && other(txt),
                Want::Gold => ends(&file, txt) && other(ann),
            };
            if annotated && self.want == Want::Gold && ends(&file, txt) && !drop {
                left.push(file);
            } else if !drop {
                kept.push((name, file));
            }
        }
        let without =
            left.iter().map(|file| format!("{}: left out, no .{ann} file is beside it", file.display()));
        self.notes.extend(without);
        kept
    }

    /// Reads one file.
    pub fn part(&mut self, name: String, path: PathBuf) -> Result<Part, StageError> {
        let (file, encoding) = self.open(name, path)?;
        let Some(format) = formats::of(&file, self.want, self.options) else {
            return Err(self.formless(&file));
        };
        let mut found = format.read(&file, self.want, self.options)?;
        for (place, reason) in std::mem::take(&mut found.bad) {
            self.reject(&file.path, place, &reason);
        }
        if let Some(encoding) = encoding.filter(|encoding| *encoding != "UTF-8") {
            found.form.push(encoding.to_owned());
        }
        Ok(Part {
            set: format.set(&file),
            name: file.name,
            path: file.path,
            format: Format::name(format),
            found,
        })
    }

    fn open(&self, name: String, path: PathBuf) -> Result<(File, Option<&'static str>), StageError> {
        let bytes = files::bytes(&path)?;
        let table = bytes.starts_with(parquet::MAGIC) && bytes.len() > 8 && bytes.ends_with(parquet::MAGIC);
        if table {
            return Ok((File { path, name, bytes: Some(Bytes::from(bytes)), ..File::default() }, None));
        }
        unpack::check(&bytes, &path)?;
        let (text, encoding) = files::decoded(bytes, &path, self.options.encoding.as_deref())?;
        Ok((File { path, name, text, bytes: None }, Some(encoding)))
    }

    fn formless(&self, file: &File) -> StageError {
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
            Want::Text => "give plain text, or JSON, a table with a header or Parquet with a field `text`; also as .gz or .zst".to_owned(),
            Want::Gold => "give a word and its tag a line with blank lines between sentences (CoNLL), `{\"tokens\": [..], \"ner_tags\": [..]}` \
                           or `{\"text\": .., \"entities\": [[0, 5, \"TYPE\"]]}` a line, a table with a header, Parquet, brat's .ann beside \
                           .txt, or `word|pos|tag`; or say `columns = { word = 1, tag = -1 }`"
                .to_owned(),
        }
    }

    /// Whether any record was bad so far.
    pub fn has_bad(&self) -> bool {
        !self.bad.is_empty()
    }

    /// A record is bad.
    pub fn reject(&mut self, path: &Path, place: Place, reason: &str) {
        self.bad.push(format!("{}{place}: {reason}", path.display()));
    }

    /// All that is to be said, and the bad records left out.
    ///
    /// # Errors
    /// There are more bad records than the options allow.
    pub fn finish(mut self) -> Result<Vec<String>, StageError> {
        let number = self.bad.len();
        if number > self.options.errors {
            let mut listed = self.bad;
            listed.truncate(LISTED);
            let message = match number {
                1 => listed.concat(),
                _ if number > LISTED => {
                    format!("{number} bad records, of which the first are:\n  {}", listed.join("\n  "))
                }
                _ => format!("{number} bad records:\n  {}", listed.join("\n  ")),
            };
            if message.contains(NAMELESS) {
                return Err(StageError::new(message).help(
                    "name them by the option `labels = [\"O\", ..]` or by a first line `{\"names\": [\"O\", ..]}`, in the order \
                     of the numbers",
                ));
            }
            let them = if number == 1 { "it" } else { "them" };
            return Err(StageError::new(message)
                .help(format!("correct {them}, or leave {them} out by the option `errors = {number}`")));
        }
        self.notes.extend(self.bad.into_iter().map(|bad| format!("{bad}: left out")));
        Ok(self.notes)
    }
}

/// `3 sentences`
pub(super) fn counted(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
