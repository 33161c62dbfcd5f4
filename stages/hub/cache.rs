//! The cache that Python's `huggingface_hub` shares:
//!
//! ```text
//! models--<owner>--<name>/refs/<revision>            the commit that it was when last asked
//! models--<owner>--<name>/snapshots/<commit>/<file>  a link to a blob
//! models--<owner>--<name>/blobs/<hash>               content; <hash>.incomplete while it comes
//! .locks/models--<owner>--<name>/<hash>.lock         held (flock) by who downloads it
//! ```

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use stage_contract::StageError;
use walkdir::WalkDir;

use crate::{
    content::{changed, has_hash, sha256},
    listener::Listener,
    listing::{Listing, RemoteFile},
    name::{Name, is_hash},
    pin::Pin,
};

/// What came from the hub, on this machine. Nothing in it is deleted or changed by us.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// In this folder, which may not exist yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    fn repository(&self, repo: &str) -> PathBuf {
        self.root.join(format!("models--{}", repo.replace('/', "--")))
    }

    /// The folder with a commit's files, as far as they are there.
    #[must_use]
    pub fn snapshot(&self, repo: &str, commit: &str) -> PathBuf {
        self.repository(repo).join("snapshots").join(commit)
    }

    pub(crate) fn blob(&self, repo: &str, hash: &str) -> PathBuf {
        self.repository(repo).join("blobs").join(hash)
    }

    /// Whether a file is there.
    pub(crate) fn has(&self, pin: &Pin, file: &str, hash: &str) -> Result<bool, StageError> {
        let path = self.snapshot(&pin.repo, &pin.commit).join(file);
        if !path.exists() {
            return Ok(false);
        }
        match blob_of(&path) {
            Some(there) if there.len() == hash.len() && there != hash => Err(changed(pin, file)
                .help(format!("delete it, and it is downloaded anew: `rm '{}'`", path.display()))),
            _ => Ok(true),
        }
    }

    /// Reads a file that is there: another program may have written to what the link leads to.
    pub(crate) fn verify(&self, pin: &Pin, file: &str, hash: &str) -> Result<(), StageError> {
        let path = self.snapshot(&pin.repo, &pin.commit).join(file);
        if has_hash(&path, hash)? {
            return Ok(());
        }
        let path = path.canonicalize().unwrap_or(path);
        Err(changed(pin, file)
            .help(format!("delete it, and it is downloaded anew: `rm '{}'`", path.display())))
    }

    /// Lets the snapshot have a file whose blob is there.
    pub(crate) fn place(&self, pin: &Pin, file: &str, hash: &str) -> Result<(), StageError> {
        let path = self.snapshot(&pin.repo, &pin.commit).join(file);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(|e| StageError::io("create", folder, e))?;
        let up = "../".repeat(2 + file.split('/').count() - 1);
        let target = format!("{up}blobs/{hash}");
        // A link that leads nowhere gives way; one that another process made meanwhile is the same.
        let link = tempfile::Builder::new().make_in(folder, |path| symlink(&target, path));
        let placed = link.and_then(|link| Ok(link.into_temp_path().persist(&path)?));
        placed.map_err(|e| StageError::io("write", &path, e))
    }

    /// Notes which commit the revision is now.
    pub(crate) fn remember(&self, pin: &Pin) -> Result<(), StageError> {
        if pin.revision == pin.commit {
            return Ok(());
        }
        let path = self.repository(&pin.repo).join("refs").join(&pin.revision);
        if fs::read_to_string(&path).is_ok_and(|there| there.trim() == pin.commit) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.root);
        let write = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(pin.commit.as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|e| StageError::io("write", &path, e))
    }

    /// What is there of a revision; nothing when none of it is.
    pub(crate) fn listing(&self, name: &Name) -> Result<Option<Listing>, StageError> {
        let reference = self.repository(&name.repo).join("refs").join(&name.revision);
        let commit = match fs::read_to_string(&reference) {
            Ok(commit) => commit.trim().to_owned(),
            Err(_) => name.revision.clone(),
        };
        let snapshot = self.snapshot(&name.repo, &commit);
        if !is_hash(&commit, 40) || !snapshot.is_dir() {
            return Ok(None);
        }
        let mut files = Vec::new();
        for entry in WalkDir::new(&snapshot).sort_by_file_name() {
            let entry = entry
                .map_err(|e| StageError::because(format!("cannot look at {}", snapshot.display()), e))?;
            let path = entry.path();
            let Some(name) = path.strip_prefix(&snapshot).ok().and_then(Path::to_str) else { continue };
            if !path.is_file() {
                continue;
            }
            let hash = match blob_of(path) {
                Some(hash) => hash,
                // Copied without its links.
                None => sha256(path)?,
            };
            let size = path.metadata().ok().map(|found| found.len());
            files.push(RemoteFile { name: name.to_owned(), hash, size });
        }
        Ok(Some(Listing { commit, files }))
    }

    /// Waits until no other process, of ours or of Python's, downloads the same.
    pub(crate) fn lock(
        &self,
        repo: &str,
        hash: &str,
        file: &str,
        listener: &dyn Listener,
    ) -> Result<File, StageError> {
        const POLL: Duration = Duration::from_millis(50);
        let name = self.repository(repo).file_name().unwrap_or_default().to_owned();
        let folder = self.root.join(".locks").join(name);
        let path = folder.join(format!("{hash}.lock"));
        fs::create_dir_all(&folder).map_err(|e| StageError::io("create", &folder, e))?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(|e| StageError::io("write", &path, e))?;
        let mut said = false;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(lock),
                Err(error) if io::Error::from(error).kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(StageError::io("lock", &path, error.into())),
            }
            if listener.is_cancelled() {
                return Err(StageError::Cancelled);
            }
            if !said {
                listener.note(&format!("{file}: another process downloads it"));
                said = true;
            }
            thread::sleep(POLL);
        }
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.display().fmt(f)
    }
}

/// The hash of what a snapshot's file is, as its link says.
fn blob_of(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    let hash = target.file_name()?.to_str()?;
    (is_hash(hash, 40) || is_hash(hash, 64)).then(|| hash.to_owned())
}
