//! Where the replacement of something outside of the cache is staged: in a folder beside it, on the same disk, so that one
//! rename puts it there. The folder has a name that nobody else chose, and is written down in `cache/staged` before it is
//! made: what a killed run left is known to be ours, and is removed by the next.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::DirBuilderExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use stage_contract::StageError;

use super::{
    Flock, Store,
    tree::{private_folder, write_whole},
};
use crate::{
    disk::{self, STAGED, STAGED_RANDOM},
    failpoint::{Point, reach},
};

/// A folder beside `target`, removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    target: PathBuf,
    /// Held as long as the folder is needed; none where there is no cache.
    record: Option<Flock>,
}

impl Store {
    /// Makes a place to stage what is to be put at `target`, whose folder is there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn stage(&self, target: &Path) -> Result<Staging, StageError> {
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |e: io::Error| StageError::io("create a folder in", parent, e);
        let record = if self.root.is_dir() { Some(self.record(parent)?) } else { None };
        reach(Point::StagedRecorded).map_err(failed)?;
        let made = |path: &Path| DirBuilder::new().mode(0o700).create(path);
        let folder = if let Some(record) = &record {
            let folder = staged_in(parent, record.path().file_name().unwrap_or_default());
            made(&folder).map_err(failed)?;
            folder
        } else {
            let mut name = tempfile::Builder::new();
            let made = name.prefix(STAGED).rand_bytes(STAGED_RANDOM).make_in(parent, made);
            made.and_then(|made| Ok(made.into_temp_path().keep()?)).map_err(failed)?
        };
        reach(Point::StagedBegun).map_err(failed)?;
        Ok(Staging { folder, target: target.to_owned(), record })
    }

    /// Replaces a file outside of the cache as a whole and through to the disk: a reader sees the old or the new one.
    ///
    /// # Errors
    /// When the disk refuses; then the old one is there.
    pub fn replace(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), StageError> {
        let staging = self.stage(path)?;
        write_whole(&staging.path(), content, mode, true)
            .and_then(|()| fs::rename(staging.path(), path))
            .map_err(|e| StageError::io("write", path, e))
    }

    /// Writes down that a folder will be made in `parent`, under the name of the record.
    fn record(&self, parent: &Path) -> Result<Flock, StageError> {
        let home = self.root.join("staged");
        private_folder(&home)?;
        let failed = |e: io::Error| StageError::io("write to", &home, e);
        let made = tempfile::Builder::new()
            .prefix("")
            .rand_bytes(STAGED_RANDOM)
            .make_in(&home, |path| disk::open_or_create(path, OFlags::EXCL));
        let path = made.and_then(|made| Ok(made.into_temp_path().keep()?)).map_err(failed)?;
        let record = Flock::exclusive(&path)?;
        let project = self.root.parent().unwrap_or(Path::new(""));
        // An empty record is one that was never written.
        let inside = match parent.strip_prefix(project).unwrap_or(parent) {
            here if here.as_os_str().is_empty() => Path::new("."),
            below => below,
        };
        record.file().write_all(self.qualified(inside).as_os_str().as_bytes()).map_err(failed)?;
        Ok(record)
    }

    /// Removes what killed runs staged; a live one holds its record.
    pub(super) fn sweep_staged(&self) {
        let project = self.root.parent().unwrap_or(Path::new(""));
        for path in self.ours("staged") {
            let Ok(Some(record)) = Flock::try_exclusive(&path) else { continue };
            let Ok(parent) = disk::read_own(&path) else { continue };
            // Nothing was made before it was written down.
            if !parent.is_empty() {
                let parent = project.join(OsString::from_vec(parent));
                let folder = staged_in(&parent, path.file_name().unwrap_or_default());
                let there = fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir());
                if there && let Err(error) = disk::remove(&folder) {
                    tracing::debug!(folder = %folder.display(), %error, "what a dead run staged stays");
                    continue;
                }
            }
            record.remove();
        }
    }
}

fn staged_in(parent: &Path, name: &OsStr) -> PathBuf {
    let mut staged = OsString::from(STAGED);
    staged.push(name);
    parent.join(staged)
}

impl Staging {
    /// Where to make what is to be put there: it has the same name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.target.file_name().unwrap_or_default())
    }

    /// Where what is there can be moved to meanwhile.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn aside(&self) -> Result<PathBuf, StageError> {
        let folder = self.folder.join("before");
        private_folder(&folder)?;
        Ok(folder.join(self.target.file_name().unwrap_or_default()))
    }

    /// Leaves it with what is in it, for its owner to find.
    pub fn leave(mut self) {
        self.folder = PathBuf::new();
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        match disk::remove(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(folder = %self.folder.display(), %error, "it stays until the next run sweeps it");
            }
            _ => {
                if let Some(record) = self.record.take() {
                    record.remove();
                }
            }
        }
    }
}
