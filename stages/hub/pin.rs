use std::collections::BTreeMap;

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
    /// As people call it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}@{}", self.repo, &self.commit[..self.commit.len().min(12)])
    }
}
