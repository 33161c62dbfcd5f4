use std::{fmt, str::FromStr};

/// A repository and a revision of it: `Jean-Baptiste/camembert-ner`, `camembert-base@v1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// `owner/name`, or `name` alone, as old ones are called.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
}

impl Name {
    /// The branch that every repository has.
    pub const MAIN: &str = "main";

    /// What marks a name where a path may stand too.
    pub const PREFIX: &str = "hub:";

    /// Of both parts.
    ///
    /// # Errors
    /// Why that cannot be a name, as a fragment.
    pub fn new(repo: &str, revision: &str) -> Result<Self, String> {
        const RULE: &str =
            "is no repository of the hub: it is `owner/name`, of letters, digits, `-`, `_` and `.`";
        let parts: Vec<_> = repo.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_part(part)) {
            return Err(format!("`{repo}` {RULE}"));
        }
        // It is a path below `refs/`.
        let odd = |c: char| c.is_whitespace() || c.is_control() || "\\?%#:*^~[".contains(c);
        let parts = revision.split('/');
        if revision.contains(odd) || parts.into_iter().any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(format!("`{revision}` is no revision: it is a branch, a tag or a commit"));
        }
        Ok(Self { repo: repo.to_owned(), revision: revision.to_owned() })
    }

    /// Of what a user gave where a path may stand too: `hub:..`, or what looks like `owner/name` and is no path.
    #[must_use]
    pub fn given(text: &str) -> Option<Result<Self, String>> {
        if let Some(name) = text.strip_prefix(Self::PREFIX) {
            return Some(name.parse());
        }
        let is_path = std::path::Path::new(text).symlink_metadata().is_ok();
        text.parse::<Self>().ok().filter(|name| name.repo.contains('/') && !is_path).map(Ok)
    }

    /// Whether the revision is a commit, and so cannot move.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        is_hash(&self.revision, 40)
    }
}

/// Hexadecimal digits, as git and the hub write them.
pub(crate) fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The hub's rule, which also keeps a name from leaving the cache's folder.
fn is_part(part: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edges = |c: char| c == '-' || c == '.';
    !part.is_empty()
        && part.len() <= 96
        && part.chars().all(letters)
        && !part.starts_with(edges)
        && !part.ends_with(edges)
        && !part.contains("--")
        && !part.contains("..")
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (repo, revision) = text.split_once('@').unwrap_or((text, Self::MAIN));
        Self::new(repo, revision)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repo, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_revision_and_main_is_the_default() {
        let name = |text: &str| text.parse::<Name>().map(|name| name.to_string());
        assert_eq!(name("a/b").as_deref(), Ok("a/b@main"));
        assert_eq!(name("camembert-base@refs/pr/1").as_deref(), Ok("camembert-base@refs/pr/1"));
    }

    #[test]
    fn what_would_leave_the_cache_is_no_name() {
        for bad in
            ["", "/", "a/", "a/b/c", "../b", "a/..", "a--b/c", "a/b@", "a/b@../x", "a/b@x y", "a b/c", "a/.b"]
        {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_that_is_there_is_no_name() {
        assert!(Name::given("tests/hub.rs").is_none(), "tests are run in the package's folder");
        assert!(matches!(Name::given("owner/name@v1"), Some(Ok(name)) if name.revision == "v1"));
        assert!(Name::given("./owner/name").is_none() && Name::given("name").is_none());
        assert!(matches!(Name::given("hub:name"), Some(Ok(_))));
        assert!(matches!(Name::given("hub:a/b/c"), Some(Err(_))));
    }
}
