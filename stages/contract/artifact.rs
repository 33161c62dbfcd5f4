use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::StageError;

/// What an artifact is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One regular file.
    File,
    /// A folder of files.
    Folder,
    /// Either; a stage that reads it handles both.
    FileOrFolder,
}

/// The type of what flows along an edge of the graph: the runner compares kinds by name and checks
/// the shape on disk; only stages look inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The name as `pipeline.toml` writes it: `kind = "gold"`.
    pub name: &'static str,
    /// What lies on disk.
    pub shape: Shape,
    /// The file name extension of a published output, without the dot; empty for folders.
    pub extension: &'static str,
    /// One line for `ner-pipe stages`.
    pub doc: &'static str,
}

impl Kind {
    /// Any single file. Needs no ML.
    pub const FILE: Self = Self { name: "file", shape: Shape::File, extension: "", doc: "any file" };
    /// Any folder. Needs no ML.
    pub const FOLDER: Self = Self { name: "folder", shape: Shape::Folder, extension: "", doc: "any folder" };
}

/// A value that a stage reads from an input or writes to an output.
pub trait Artifact: Sized {
    /// What it is on the edge and on disk.
    const KIND: Kind;

    /// Reads it whole.
    ///
    /// # Errors
    /// When the file or folder is unreadable or malformed; the message names file and line.
    fn load(path: &Path) -> Result<Self, StageError>;

    /// Reads it whole, as the options say that `pipeline.toml` writes at its source ([`given`] reads them); null where it
    /// writes none. `note` takes what is worth saying and stops nothing.
    ///
    /// # Errors
    /// As [`Artifact::load`].
    fn read(path: &Path, _options: &Value, _note: &dyn Fn(String)) -> Result<Self, StageError> {
        Self::load(path)
    }

    /// Whether it holds nothing that a stage could work on: a stage may ask for one that holds something
    /// ([`Input::filled`](crate::Input::filled)).
    fn is_empty(&self) -> bool {
        false
    }

    /// Writes it whole to `path`, which does not exist yet (its parent does). Equal values give equal bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    fn save(&self, path: &Path) -> Result<(), StageError>;

    /// JSON schema of its content, where that is JSON and described: what `ner-pipe schema <stage>.<output>` prints.
    #[must_use]
    fn schema() -> Option<Value> {
        None
    }
}

/// The options of a source, as [`Artifact::read`] gets them; the defaults where none are written.
///
/// # Errors
/// When they are others than the kind's form has (`Registry::options`): the runner checked them against that.
pub fn given<O: DeserializeOwned + Default>(options: &Value) -> Result<O, StageError> {
    if options.is_null() {
        return Ok(O::default());
    }
    O::deserialize(options).map_err(|e| StageError::because("cannot understand the options of the source", e))
}
