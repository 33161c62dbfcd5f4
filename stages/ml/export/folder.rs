//! An export on the edge of the graph.

use std::{
    fs,
    path::{Path, PathBuf},
};

use stage_contract::{Artifact, Kind, Shape, StageError};

/// Where an export lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(pub PathBuf);

impl Artifact for Folder {
    const KIND: Kind = Kind {
        name: "export",
        shape: Shape::Folder,
        extension: "",
        doc: "a model for other programs: weights, config.json and a tokenizer",
    };

    fn load(path: &Path) -> Result<Self, StageError> {
        Ok(Self(path.to_owned()))
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        fs::create_dir_all(path).map_err(|e| StageError::io("create", path, e))?;
        for entry in fs::read_dir(&self.0).map_err(|e| StageError::io("read", &self.0, e))? {
            let from = entry.map_err(|e| StageError::io("read", &self.0, e))?.path();
            let to = path.join(from.file_name().unwrap_or_default());
            fs::copy(&from, to).map_err(|e| StageError::io("copy", &from, e))?;
        }
        Ok(())
    }
}
