use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use stage_contract::StageError;

use crate::disk;

/// A lock on a file that is released with its process, however that ends.
#[derive(Debug)]
#[must_use]
pub struct Flock {
    file: File,
    path: PathBuf,
}

impl Flock {
    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>, StageError> {
        loop {
            let lock = Self::open(path)?;
            match lock.file.try_lock() {
                Ok(()) if lock.is_current() => return Ok(Some(lock)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(StageError::io("lock", path, error)),
            }
        }
    }

    /// Takes the lock, waiting for it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn exclusive(path: &Path) -> Result<Self, StageError> {
        loop {
            let lock = Self::open(path)?;
            lock.file.lock().map_err(|e| StageError::io("lock", path, e))?;
            if lock.is_current() {
                return Ok(lock);
            }
        }
    }

    /// Takes the lock together with others who do, waiting for who has it alone; none when that one took the
    /// file away.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn shared(path: &Path) -> Result<Option<Self>, StageError> {
        let lock = match Self::open(path) {
            Err(_) if !path.parent().is_some_and(Path::is_dir) => return Ok(None),
            // A lock of its readers needs no writing.
            Err(error) => Self { file: disk::open_own(path).map_err(|_| error)?, path: path.to_owned() },
            Ok(lock) => lock,
        };
        lock.file.lock_shared().map_err(|e| StageError::io("lock", path, e))?;
        Ok(lock.is_current().then_some(lock))
    }

    /// Whether a process holds the lock exclusively at this moment; makes no file.
    #[must_use]
    pub fn is_held(path: &Path) -> bool {
        let Ok(file) = disk::open_own(path) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Lets go, and removes the file: every key would otherwise leave one for ever.
    pub fn remove(self) {
        // Whoever opened it before sees that it is gone and opens it anew (`is_current`).
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a lock file stays");
        }
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn open(path: &Path) -> Result<Self, StageError> {
        let file = disk::open_or_create(path, OFlags::empty());
        let file = file.map_err(|e| disk::failed("open", path, e))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Whether the file is still the one that others will open: its last holder may have removed it
    /// between our opening and our locking.
    fn is_current(&self) -> bool {
        let (Ok(mine), Ok(there)) = (self.file.metadata(), fs::metadata(&self.path)) else { return false };
        (mine.dev(), mine.ino()) == (there.dev(), there.ino())
    }
}
