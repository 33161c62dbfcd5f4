//! `cache/`: results by key. [`Store::lookup`] gives a [`Hit`](Lookup::Hit) or a [`Miss`](Lookup::Miss);
//! only a miss yields a [`Slot`], and only a slot can be committed, by one rename: a result is findable
//! only when whole.
//!
//! ```text
//! cache/version             what the layout below means
//! cache/entries/<key>/      manifest.json  entry.json  log.txt  out/<output>/<file name>
//! cache/tmp/<key>.<random>/ a slot: the same, being made
//! cache/locks/<key>         held (flock) by the run that makes the result; <key>.exec by its child
//! cache/checkpoints/<key>/  what lets a stage resume
//! cache/failed/<node>/      the last failed attempt of a node: failure.json  log.txt
//! cache/damaged/<key>.<n>/  an entry whose bytes were not what was recorded
//! cache/displaced/<digest>/ what lay where an output is published and was not ours
//! ```
//!
//! The text is medical: folders are 0700 and files 0600.

mod check;
mod entry;
mod failure;
mod flock;
mod gc;
mod slot;
mod tree;

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use stage_contract::StageError;

pub use check::{Checked, Damage};
pub use entry::{Entry, Record, Stored};
pub use failure::Failure;
pub use flock::Flock;
pub use gc::{Item, Limits, Plan, Sort};
pub use slot::Slot;
pub use tree::{copy_tree, make_private, private_folder, remove, write_whole};

use crate::fingerprint::{Digest, Key, Manifest};

/// What the layout of `cache/` means; raised when an older ner-pipe could misread it.
const FORMAT: &str = "1";

/// All results, by key.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What a key finds.
pub enum Lookup {
    /// The result.
    Hit(Box<Entry>),
    /// The right to make it.
    Miss(Slot),
}

/// What to do while another run makes the same result.
pub struct Patience<'a> {
    /// False: do not wait.
    pub wait: bool,
    /// Whether the user wants to stop.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Called once when waiting begins.
    pub waiting: &'a mut dyn FnMut(),
}

/// Why a lookup gave nothing.
#[derive(Debug)]
pub enum LookupError {
    /// Another run makes this result, and waiting was not wanted.
    Busy,
    /// Something failed, or the user stopped waiting.
    Failed(StageError),
}

impl From<StageError> for LookupError {
    fn from(error: StageError) -> Self {
        Self::Failed(error)
    }
}

impl Store {
    /// The store of a project, without touching the disk: for those who only look.
    ///
    /// # Errors
    /// When a newer ner-pipe wrote it.
    pub fn at(root: &Path) -> Result<Self, StageError> {
        let store = Self { root: root.join("cache") };
        let path = store.root.join("version");
        match fs::read_to_string(&path) {
            Ok(version) if version.trim() == FORMAT => Ok(store),
            Ok(version) => Err(StageError::new(format!(
                "{} says format `{}`, and this ner-pipe knows format {FORMAT}",
                path.display(),
                version.trim()
            ))
            .help("use the newer ner-pipe, or move `cache/` away: everything is then computed anew")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(store),
            Err(error) => Err(StageError::io("read", &path, error)),
        }
    }

    /// Makes the folders, and sweeps what dead runs left.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn prepare(&self) -> Result<(), StageError> {
        for name in ["entries", "tmp", "locks"] {
            private_folder(&self.root.join(name))?;
        }
        let version = self.root.join("version");
        if !version.exists() {
            write_whole(&version, format!("{FORMAT}\n").as_bytes())?;
        }
        self.sweep()
    }

    /// Where it lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The result of a key, if it is there. Takes no lock.
    #[must_use]
    pub fn peek(&self, key: &Key) -> Option<Entry> {
        Entry::read(&self.entry_folder(key)).ok()
    }

    /// The result of a key, or the right to make it: then other runs wait for the slot.
    ///
    /// # Errors
    /// When another run makes it and `patience` does not wait or was cancelled, or the disk refuses.
    pub fn lookup(&self, key: &Key, mut patience: Patience<'_>) -> Result<Lookup, LookupError> {
        if let Some(entry) = self.peek(key) {
            return Ok(Lookup::Hit(Box::new(entry)));
        }
        let lock = self.lock_key(key, &mut patience)?;
        // Whoever held the lock may have committed meanwhile.
        match Entry::read(&self.entry_folder(key)) {
            Ok(entry) => return Ok(Lookup::Hit(Box::new(entry))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => drop(self.set_aside(key)?),
        }
        Ok(Lookup::Miss(Slot::create(self, *key, lock)?))
    }

    /// The right to make a result again though it is there.
    ///
    /// # Errors
    /// As [`Store::lookup`].
    pub fn renew(&self, key: &Key, mut patience: Patience<'_>) -> Result<Slot, LookupError> {
        let lock = self.lock_key(key, &mut patience)?;
        Ok(Slot::create(self, *key, lock)?)
    }

    fn lock_key(&self, key: &Key, patience: &mut Patience<'_>) -> Result<Flock, LookupError> {
        const POLL: Duration = Duration::from_millis(20);
        let path = self.lock_path(key);
        let mut told = false;
        loop {
            if let Some(lock) = Flock::try_exclusive(&path)? {
                return Ok(lock);
            }
            if !patience.wait {
                return Err(LookupError::Busy);
            }
            if (patience.cancelled)() {
                return Err(LookupError::Failed(StageError::Cancelled));
            }
            if !told {
                (patience.waiting)();
                told = true;
            }
            thread::sleep(POLL);
        }
    }

    /// Moves a damaged entry out of the way, and says where to; nothing is deleted.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_aside(&self, key: &Key) -> Result<PathBuf, StageError> {
        let from = self.entry_folder(key);
        let damaged = self.root.join("damaged");
        private_folder(&damaged)?;
        let to = free_name(&damaged, &key.to_string());
        match fs::rename(&from, &to) {
            // Another run was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(to),
            result => result.map(|()| to).map_err(|e| StageError::io("move away", &from, e)),
        }
    }

    /// Moves a file or folder that is not ours into the store, and says where to.
    ///
    /// # Errors
    /// When the disk refuses; then it lies where it was.
    pub fn displace(&self, path: &Path, digest: Option<Digest>) -> Result<PathBuf, StageError> {
        let folder = self.root.join("displaced");
        private_folder(&folder)?;
        let name = digest.map_or_else(|| "unreadable".to_owned(), |digest| digest.short());
        let home = free_name(&folder, &name);
        private_folder(&home)?;
        let to = home.join(path.file_name().unwrap_or_default());
        match fs::rename(path, &to) {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                copy_tree(path, &to)?;
                remove(path)?;
                Ok(to)
            }
            result => result.map(|()| to).map_err(|e| StageError::io("move away", path, e)),
        }
    }

    /// Every result, in no particular order; what is unreadable is left out.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let folders = fs::read_dir(self.root.join("entries")).ok().into_iter().flatten().flatten();
        folders.filter_map(|folder| Entry::read(&folder.path()).ok())
    }

    /// Every manifest, in no particular order.
    pub fn manifests(&self) -> impl Iterator<Item = Manifest> {
        let folders = fs::read_dir(self.root.join("entries")).ok().into_iter().flatten().flatten();
        folders.filter_map(|folder| entry::read_manifest(&folder.path()).ok())
    }

    /// Whether some result holds exactly this content as an output.
    #[must_use]
    pub fn holds(&self, digest: Digest) -> bool {
        self.entries().any(|entry| {
            let mut outputs = entry.record.outputs.values();
            outputs.any(|stored| stored.digest == digest) && entry.is_whole()
        })
    }

    /// Where a node may keep what lets it resume.
    #[must_use]
    pub fn checkpoint(&self, key: &Key) -> PathBuf {
        self.root.join("checkpoints").join(key.to_string())
    }

    /// The lock that the process itself takes that makes a result: a dying child of a killed run and
    /// the next run's child must not meet in one checkpoint folder.
    #[must_use]
    pub fn exec_lock(&self, key: &Key) -> PathBuf {
        self.root.join("locks").join(format!("{key}.exec"))
    }

    /// Held for the moment in which artifacts and the lock file are written.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn publishing(&self) -> Result<Flock, StageError> {
        Flock::exclusive(&self.root.join("locks/publish"))
    }

    fn entry_folder(&self, key: &Key) -> PathBuf {
        self.root.join("entries").join(key.to_string())
    }

    fn lock_path(&self, key: &Key) -> PathBuf {
        self.root.join("locks").join(key.to_string())
    }

    /// Removes the slots of dead runs: those whose key's lock is free.
    fn sweep(&self) -> Result<(), StageError> {
        let tmp = self.root.join("tmp");
        let slots = fs::read_dir(&tmp).map_err(|e| StageError::io("read", &tmp, e))?;
        for slot in slots.flatten() {
            let name = slot.file_name();
            let key = name.to_str().and_then(|name| name.split('.').next()?.parse::<Key>().ok());
            let Some(key) = key else { continue };
            if let Some(lock) = Flock::try_exclusive(&self.lock_path(&key))? {
                tracing::debug!(slot = %slot.path().display(), "sweeping what a dead run left");
                remove(&slot.path())?;
                lock.remove();
            }
        }
        Ok(())
    }
}

/// `<folder>/<name>.<n>` with the first free n.
fn free_name(folder: &Path, name: &str) -> PathBuf {
    let mut n = 1_u32;
    loop {
        let path = folder.join(format!("{name}.{n}"));
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
        n += 1;
    }
}

/// Bytes free for us on the file system of `path`.
///
/// # Errors
/// When the system does not tell.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests;
