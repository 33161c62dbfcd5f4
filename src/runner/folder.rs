//! The project's folder, and whether it is still where it was: all paths of a run are absolute.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use stage_contract::StageError;

/// The project's folder as it was when the run began.
#[derive(Clone, Debug)]
pub(super) struct ProjectFolder {
    path: PathBuf,
    /// Device and inode; none where the system did not report them.
    identity: Option<(u64, u64)>,
}

impl ProjectFolder {
    pub fn of(root: &Path) -> Self {
        Self { path: root.to_owned(), identity: identity(root).ok() }
    }

    /// Makes sure that it is there still: nothing must be written to another project that took its place, nor the
    /// skeleton of one be made.
    pub fn expect_unmoved(&self) -> Result<(), StageError> {
        let moved = match identity(&self.path) {
            Ok(now) => self.identity.is_some_and(|before| before != now),
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if !moved {
            return Ok(());
        }
        let path = self.path.display();
        Err(StageError::new(format!(
            "the project's folder is no longer {path}: it was moved while the run went on"
        ))
        .help("type `ner-pipe run` in the folder where it lies now, or move it back first"))
    }
}

fn identity(folder: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(folder).map(|meta| (meta.dev(), meta.ino()))
}
