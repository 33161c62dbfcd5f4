//! The lock file as a git revision has it: what another branch or commit had come to.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use thiserror::Error;

use crate::lock::{Lock, LockError};

/// Why a revision's lock cannot be told.
#[derive(Debug, Error)]
pub enum RevisionError {
    /// There is no git.
    #[error("cannot start `git`")]
    NoGit(#[source] io::Error),
    /// Git knows no such commit, or no repository here.
    #[error("git finds no commit `{revision}`: {said}")]
    Unknown {
        /// As it was asked for.
        revision: String,
        /// What git says.
        said: String,
    },
    /// The commit has no such file.
    #[error("{} is not in commit `{revision}`", path.display())]
    Absent {
        /// The lock file.
        path: PathBuf,
        /// As it was asked for.
        revision: String,
    },
    /// It has one, and it cannot be understood.
    #[error("in commit `{revision}`: {source}")]
    Lock {
        /// As it was asked for.
        revision: String,
        /// What is wrong with it.
        source: LockError,
    },
}

impl RevisionError {
    /// The way out.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NoGit(_) => "install git, and let it be found in `PATH`".to_owned(),
            Self::Unknown { .. } => {
                "name a branch, tag or commit that `git log` shows, in a git repository".to_owned()
            }
            Self::Absent { path, .. } => format!(
                "name a commit that has it: `git log --oneline -- {}` lists them",
                path.file_name().unwrap_or_default().display()
            ),
            Self::Lock { .. } => "name a commit whose lock is whole".to_owned(),
        }
    }
}

/// The lock that lies at `path` (in the working tree, whether it is there now or not), as `revision` has
/// it: a branch, tag or commit.
///
/// # Errors
/// Without git, without such a commit, and when the commit has no lock that can be understood.
pub fn lock_at(path: &Path, revision: &str) -> Result<Lock, RevisionError> {
    let (folder, name) = (path.parent(), path.file_name().unwrap_or_default());
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let git = |arguments: &[&str]| -> Result<Output, RevisionError> {
        Command::new("git").current_dir(folder).args(arguments).output().map_err(RevisionError::NoGit)
    };
    // A revision may not be an option of git's.
    let commit = git(&["rev-parse", "--verify", "--end-of-options", &format!("{revision}^{{commit}}")])?;
    if !commit.status.success() {
        let said = String::from_utf8_lossy(&commit.stderr);
        let said = said.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
        return Err(RevisionError::Unknown { revision: revision.to_owned(), said });
    }
    let commit = String::from_utf8_lossy(&commit.stdout);
    let shown = git(&["show", &format!("{}:./{}", commit.trim(), name.display())])?;
    if !shown.status.success() {
        return Err(RevisionError::Absent { path: path.to_owned(), revision: revision.to_owned() });
    }
    Lock::parse(path, &String::from_utf8_lossy(&shown.stdout))
        .map_err(|source| RevisionError::Lock { revision: revision.to_owned(), source })
}
