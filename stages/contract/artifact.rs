use std::path::Path;

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
