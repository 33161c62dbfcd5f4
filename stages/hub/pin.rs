use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

use crate::name::{Name, is_hash};

/// A commit, and what each needed file is at it: what no later request can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The repository.
    pub repo: String,
    /// The revision that was this commit when it was pinned.
    pub revision: String,
    /// 40 hexadecimal digits.
    pub commit: String,
    /// The hash of each file, by its name in the repository: SHA-256 (64 digits), or git's SHA-1 of a blob (40).
    pub files: BTreeMap<String, String>,
}

impl Pin {
    /// Of what was written down: its parts become paths of this machine.
    ///
    /// # Errors
    /// Which part cannot be one, as a fragment.
    pub fn new(
        repo: &str,
        revision: &str,
        commit: &str,
        files: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let Name { repo, revision } = Name::new(repo, revision).map_err(|invalid| invalid.message)?;
        if !is_hash(commit, 40) {
            return Err(format!("`{commit}` is no commit"));
        }
        match files.iter().find(|(file, hash)| !is_file(file, hash)) {
            Some((file, hash)) => {
                Err(format!("`{file}` cannot be a file of a repository with the hash `{hash}`"))
            }
            None => Ok(Self { repo, revision, commit: commit.to_owned(), files: files.clone() }),
        }
    }

    /// As people call it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}@{}", self.repo, &self.commit[..self.commit.len().min(12)])
    }
}

/// Whether a name stays in its folder, and a hash is one.
pub(crate) fn is_file(name: &str, hash: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let inside = !name.is_empty() && !name.ends_with('/') && Path::new(name).components().all(plain);
    inside && (is_hash(hash, 40) || is_hash(hash, 64))
}
