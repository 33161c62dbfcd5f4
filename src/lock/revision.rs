use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use thiserror::Error;

use super::{Lock, LockError};

/// A lock file of a git revision cannot be had.
#[derive(Debug, Error)]
pub enum RevisionError {
    /// There is no git.
    #[error("git is not installed")]
    NoGit,
    /// The project is not in a repository.
    #[error("{} is not in a git repository: {said}", folder.display())]
    NoRepository {
        /// The lock file's folder.
        folder: PathBuf,
        /// What git says.
        said: String,
    },
    /// Git does not know the revision.
    #[error("git knows no revision `{0}`")]
    Unknown(String),
    /// The revision has no lock file.
    #[error("revision `{revision}` has no {}", path.display())]
    Missing {
        /// As it was asked for.
        revision: String,
        /// The lock file.
        path: PathBuf,
    },
    /// Git itself fails.
    #[error("git cannot be started")]
    Io(#[source] std::io::Error),
    /// What it has there is no lock file.
    #[error("revision `{revision}`: {source}")]
    Unreadable {
        /// As it was asked for.
        revision: String,
        /// Why.
        source: LockError,
    },
}

impl RevisionError {
    /// The way out.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NoGit | Self::Io(_) => "install git".to_owned(),
            Self::NoRepository { .. } => {
                "compare in a clone of the repository, or use `ner-pipe why STAGE`".to_owned()
            }
            Self::Unknown(_) => {
                "name a branch, a tag or a commit: `git log --oneline` lists commits".to_owned()
            }
            Self::Missing { path, .. } => {
                format!(
                    "choose a revision in which it was committed: `git log --oneline -- {}`",
                    path.display()
                )
            }
            Self::Unreadable { .. } => "choose another revision".to_owned(),
        }
    }
}

impl Lock {
    /// The lock file `path` (below `root`) as it was in a git revision, and the commit that means.
    ///
    /// # Errors
    /// When there is no git, no repository, no such revision, or no lock file in it.
    pub fn at_revision(root: &Path, path: &Path, revision: &str) -> Result<(Self, String), RevisionError> {
        let file = root.join(path);
        // Asked from the file's own folder, so that a project may be a folder of its repository.
        let folder = file.parent().unwrap_or(root);
        let top = git(folder, &["rev-parse", "--is-inside-work-tree"])?;
        if !top.status.success() {
            let said = String::from_utf8_lossy(&top.stderr).trim().to_owned();
            return Err(RevisionError::NoRepository { folder: folder.to_owned(), said });
        }
        let wanted = format!("{revision}^{{commit}}");
        let commit = git(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
        if !commit.status.success() {
            return Err(RevisionError::Unknown(revision.to_owned()));
        }
        let commit = String::from_utf8_lossy(&commit.stdout).trim().to_owned();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let shown = git(folder, &["show", &format!("{commit}:./{name}")])?;
        if !shown.status.success() {
            return Err(RevisionError::Missing { revision: revision.to_owned(), path: path.to_owned() });
        }
        let text = String::from_utf8_lossy(&shown.stdout);
        let lock = Self::parse(path, &text)
            .map_err(|source| RevisionError::Unreadable { revision: revision.to_owned(), source })?;
        Ok((lock, commit))
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<Output, RevisionError> {
    Command::new("git").arg("-C").arg(folder).args(arguments).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => RevisionError::NoGit,
        _ => RevisionError::Io(error),
    })
}
