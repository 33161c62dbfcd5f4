//! What a format of files is.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use stage_contract::StageError;

use super::{item::Found, options::Options};

/// A file, decompressed and decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is called in notes, ids and as a source: its path in its folder without the ending.
    pub name: String,
    /// Its text, the ends of lines as `\n`; empty where it is none.
    pub text: String,
    /// The folder that was given to be read; nothing outside of it is looked at, for nobody says that results depend on that.
    pub root: Option<PathBuf>,
    /// Its bytes, where they are no text.
    pub bytes: Option<Bytes>,
}

impl File {
    /// The folder that it lies in.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The folders of what was given that the file lies in, the nearest first; none of a file that was given itself.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        let inside =
            |root: &PathBuf| self.folder().ancestors().take_while(|folder| folder.starts_with(root)).count();
        self.folder().ancestors().take(self.root.as_ref().map_or(0, inside))
    }

    /// Its ending in lower case, that of a compressed file without `.gz`.
    pub fn ending(&self) -> String {
        let path = match self.path.extension() {
            Some(end) if end.eq_ignore_ascii_case("gz") || end.eq_ignore_ascii_case("zst") => {
                self.path.with_extension("")
            }
            _ => self.path.clone(),
        };
        path.extension().map(|end| end.to_string_lossy().to_lowercase()).unwrap_or_default()
    }

    /// Lines with their numbers from 1, blank ones left out.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .zip(1..)
            .map(|(line, number)| (number, line))
            .filter(|(_, line)| !line.trim().is_empty())
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Text, whatever else there is.
    Text,
    /// Text with entities.
    Gold,
    /// Text with the record or the words that it is read from: for what is written beside them.
    Entries,
}

/// One way to write texts into a file.
pub(super) trait Format: Sync {
    /// As notes and errors call it.
    fn name(&self) -> &'static str;

    /// Whether a file is of this format, by its content.
    fn sniff(&self, file: &File, want: Want, options: &Options) -> bool;

    /// Reads a file of this format.
    ///
    /// # Errors
    /// The file as a whole cannot be read. What is wrong with one record goes to [`Found::reject`].
    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError>;

    /// The gold set that a file belongs to.
    fn set(&self, file: &File) -> String {
        file.name.clone()
    }
}
