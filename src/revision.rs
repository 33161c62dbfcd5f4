//! The lock file as a git revision has it: what another branch or commit had come to.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use thiserror::Error;

use crate::{
    lock::{Conflict, Lock, LockError, named_in},
    store::Named,
};

/// Why a revision's lock cannot be read.
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
            Self::Lock { .. } => "name a commit whose lock file is valid".to_owned(),
        }
    }
}

/// The lock at `path` (in the working tree, whether it is there now or not), as `revision` has
/// it: a branch, tag or commit; and which commit that is.
///
/// # Errors
/// Without git, without such a commit, and when the commit has no lock that can be understood.
pub fn lock_at(path: &Path, revision: &str) -> Result<(Lock, String), RevisionError> {
    let name = path.file_name().unwrap_or_default();
    let git = |arguments: &[&str]| git(path, arguments).map_err(RevisionError::NoGit);
    // A revision may not be an option of git's.
    let commit = git(&["rev-parse", "--verify", "--end-of-options", &format!("{revision}^{{commit}}")])?;
    if !commit.status.success() {
        let said = String::from_utf8_lossy(&commit.stderr);
        let said = said.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
        return Err(RevisionError::Unknown { revision: revision.to_owned(), said });
    }
    let commit = String::from_utf8_lossy(&commit.stdout).trim().to_owned();
    let shown = git(&["show", &format!("{commit}:./{}", name.display())])?;
    if !shown.status.success() {
        return Err(RevisionError::Absent { path: path.to_owned(), revision: revision.to_owned() });
    }
    let lock = Lock::parse(path, &String::from_utf8_lossy(&shown.stdout))
        .map_err(|source| RevisionError::Lock { revision: revision.to_owned(), source })?;
    Ok((lock, commit))
}

/// What the locks of all branches and tags name.
///
/// # Errors
/// Without git, or without a repository.
pub fn named_in_branches(root: &Path) -> Result<Named, RevisionError> {
    let inside = root.join("pipeline.lock");
    let git = |arguments: &[&str]| {
        let output = git(&inside, arguments).map_err(RevisionError::NoGit)?;
        let said = String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("fatal: ").to_owned();
        match output.status.code() {
            // 1: `git grep` found nothing.
            Some(0 | 1) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            _ => Err(RevisionError::Unknown { revision: "HEAD".to_owned(), said }),
        }
    };
    let commits = git(&["for-each-ref", "--format=%(objectname)"])?;
    let mut named = Named::default();
    for commit in commits.lines().collect::<BTreeSet<_>>() {
        // A tag may be of something else than a commit, and then has no files.
        let wanted = "^(key|commit) = \"[0-9a-f]+\"$";
        let lines = git(&["grep", "-h", "--no-color", "-E", wanted, commit, "--", "*.lock"]);
        named.extend(lines.map(|lines| named_in(&lines)).unwrap_or_default());
    }
    Ok(named)
}

/// What git is merging at `path`, exactly as each side has it; none where it is not in the middle of that.
#[must_use]
pub fn conflict_of(path: &Path) -> Option<Conflict> {
    let name = path.file_name()?.display().to_string();
    let stage = |number: u8| {
        let shown = git(path, &["show", &format!(":{number}:./{name}")]).ok()?;
        let text = String::from_utf8(shown.stdout).ok().filter(|_| shown.status.success())?;
        Lock::parse(path, &text).ok()
    };
    Some(Conflict { ours: stage(2)?, theirs: stage(3)?, base: stage(1) })
}

/// Asks git in the folder of `path`.
fn git(path: &Path, arguments: &[&str]) -> io::Result<Output> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Command::new("git").current_dir(folder).args(arguments).output()
}
