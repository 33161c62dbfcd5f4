//! Raw text: a file or a folder of files.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use serde::Serialize;
use serde_json::Value;
use stage_contract::{Artifact, Kind, Shape, StageError, given, report::counted};

use super::{
    files::write,
    format::{File, Format, Want},
    formats,
    item::Content,
    options::Options,
    reading::{Notes, Part, Read, Reading},
};

/// One raw text: a line, unless the file or an option says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The file's name without its ending, below a folder that of its folders too.
    pub source: String,
    /// 1-based number of the line, or record, in that file.
    pub number: usize,
    /// Without the end of the line. What comes from a record, a document or a whole file may have breaks inside.
    pub text: String,
    /// The document that it is from, where that is known; all texts of one stay in one part of a split.
    pub document: Option<String>,
    /// Which piece of a text this is that was cut, from 1.
    pub piece: Option<usize>,
}

impl Line {
    /// A line of a source, of no document.
    #[must_use]
    pub fn new(source: &str, number: usize, text: impl Into<String>) -> Self {
        Self { source: source.to_owned(), number, text: text.into(), document: None, piece: None }
    }

    /// What names it among all: `source-12`, and `source-12.3` for the third piece of a text that was cut.
    #[must_use]
    pub fn id(&self) -> String {
        let Self { source, number, .. } = self;
        self.piece.map_or_else(|| format!("{source}-{number}"), |piece| format!("{source}-{number}.{piece}"))
    }

    /// What is never split: its document, else itself.
    #[must_use]
    pub fn group(&self) -> String {
        self.document.as_ref().map_or_else(|| self.id(), |document| format!("{}/{document}", self.source))
    }
}

/// Raw text: a file, or a folder of files in name order. Blank lines are lines too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// All texts, file after file.
    pub lines: Vec<Line>,
}

impl Text {
    /// Reads a file or a folder: plain text, JSON, tables, Parquet, and the text of gold.
    ///
    /// # Errors
    /// A file is unreadable, or of no encoding or format that is read; there are more bad records than
    /// [`Options::errors`]; there is no text.
    pub fn read(path: &Path, options: &Options) -> Result<Read<Self>, StageError> {
        let mut reading = Reading::new(options, Want::Text);
        let mut lines = Vec::new();
        for (name, file) in reading.files(path)? {
            let Some(part) = reading.part(name, file)? else { continue };
            note(&mut reading.notes, &part);
            lines.extend(of(part));
        }
        let left = lines.iter().any(|line| !line.text.trim().is_empty());
        let notes = reading.finish(left)?;
        if !left {
            return Err(StageError::new(format!("no text in {}", path.display()))
                .help("put text into the file, or into files of the folder, one sentence a line"));
        }
        Ok(Read { value: Self { lines }, notes })
    }
}

fn of(part: Part) -> impl Iterator<Item = Line> {
    let Part { name: source, found, .. } = part;
    found.items.into_iter().filter_map(move |item| match item.content {
        Content::Text(text) => {
            let (source, number) = (source.clone(), item.place.number());
            Some(Line { source, number, text, document: item.document, piece: None })
        }
        _ => None,
    })
}

/// What there is to say of a file: nothing of plain lines in UTF-8.
pub(super) fn note(notes: &mut Notes, part: &Part) {
    let Part { path, format, found, .. } = part;
    let path = path.display();
    notes.read.extend(found.notes.iter().map(|note| format!("{path}: {note}")));
    notes.lost.extend(found.lost.iter().map(|note| format!("{path}: {note}")));
    if found.items.is_empty() {
        notes.read.push(format!("{path}: no text"));
    } else if *format != formats::plain::Plain.name() || !found.form.is_empty() {
        let said = [vec![(*format).to_owned()], found.form.clone(), vec![counted(found.items.len(), "text")]];
        notes.read.push(format!("{path}: {}", said.concat().join(", ")));
    }
}

/// A text with what a line of its own cannot say.
#[derive(Serialize)]
struct Row<'t> {
    text: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'t str>,
}

impl Artifact for Text {
    const KIND: Kind = Kind {
        name: "text",
        shape: Shape::FileOrFolder,
        extension: "",
        doc: "raw text, one sentence a line, or JSON, tables or Parquet with a field `text`: a file, or a folder whose files are the sources",
    };

    fn load(path: &Path) -> Result<Self, StageError> {
        Self::read(path, &Options::default()).map(|read| read.value)
    }

    fn read(path: &Path, options: &Value, note: &dyn Fn(String)) -> Result<Self, StageError> {
        let Read { value, notes } = Self::read(path, &given(options)?)?;
        notes.into_iter().for_each(note);
        Ok(value)
    }

    /// Always a folder, so that the names of the sources survive: a .txt file each, and .jsonl where a text has a document
    /// or breaks inside.
    fn save(&self, path: &Path) -> Result<(), StageError> {
        let mut sources: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            sources.entry(&line.source).or_default().push(line);
        }
        fs::create_dir(path).map_err(|e| StageError::io("create", path, e))?;
        for (source, lines) in sources {
            let stem = checked_stem(source)?;
            if comes_back(&lines) {
                write(&path.join(format!("{stem}.txt")), |out| {
                    lines.iter().try_for_each(|line| writeln!(out, "{}", line.text))
                })?;
            } else {
                write(&path.join(format!("{stem}.jsonl")), |out| {
                    lines.iter().try_for_each(|line| {
                        serde_json::to_writer(
                            &mut *out,
                            &Row { text: &line.text, document: line.document.as_deref() },
                        )?;
                        out.write_all(b"\n")
                    })
                })?;
            }
        }
        Ok(())
    }
}

/// Whether texts, a line each, are read as what they are.
fn comes_back(lines: &[&Line]) -> bool {
    // What a first line alone tells apart is in the first lines.
    const HEAD: usize = 50;
    let plain = |line: &&Line| line.document.is_none() && !line.text.contains(['\n', '\r']);
    if !lines.iter().all(plain) || lines.iter().any(|line| line.text.starts_with('\u{feff}')) {
        return false;
    }
    let text: String = lines.iter().take(HEAD).flat_map(|line| [line.text.as_str(), "\n"]).collect();
    is_plain(text)
}

fn is_plain(text: String) -> bool {
    let known = crate::encoding::is_wide(text.as_bytes())
        || super::unpack::check(text.as_bytes(), Path::new("")).is_err();
    let file = File { text, ..File::default() };
    let format = formats::of(&file, Want::Text, &Options::default());
    !known && format.is_some_and(|format| format.name() == formats::plain::Plain.name())
}

/// A stem that can be a file's name and comes back as it was.
pub(super) fn checked_stem(stem: &str) -> Result<&str, StageError> {
    if stem.is_empty() || stem.starts_with('.') || stem.contains(['/', '\\', '\0']) {
        return Err(StageError::new(format!("`{stem}` cannot be a file's name")));
    }
    Ok(stem)
}

#[cfg(test)]
mod tests;
