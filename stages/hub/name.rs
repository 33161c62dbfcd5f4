use std::{fmt, path::Path, str::FromStr};

use stage_contract::Invalid;

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
    /// Why that cannot be a name.
    pub fn new(repo: &str, revision: &str) -> Result<Self, Invalid> {
        const RULE: &str =
            "is no repository of the hub: it is `owner/name`, of letters, digits, `-`, `_` and `.`";
        let path = address(repo).unwrap_or(repo);
        if let Some(other) = Other::of(path) {
            return Err(other.refusal(path[other.start.len()..].trim_matches('/')));
        }
        if !is_repo(repo) {
            let invalid = Invalid::new(format!("`{repo}` {RULE}"));
            return Err(match Self::meant(repo) {
                Some(Self { repo, revision }) if revision == Self::MAIN => {
                    invalid.help(format!("write `{repo}`"))
                }
                Some(name) => invalid.help(format!("write `{name}`")),
                None => invalid.help("write one like `owner/name`"),
            });
        }
        if !is_revision(revision) {
            let message = format!("`{revision}` is no revision: it is a branch, a tag or a commit");
            return Err(Invalid::new(message).help("write one of those, or leave it out for `main`"));
        }
        Ok(Self { repo: repo.to_owned(), revision: revision.to_owned() })
    }

    /// Of what a user gave where a path may stand too: `hub:..`, or what looks like `owner/name` or an address and is no
    /// path.
    #[must_use]
    pub fn given(text: &str) -> Option<Result<Self, Invalid>> {
        if let Some(name) = text.strip_prefix(Self::PREFIX) {
            return Some(name.parse());
        }
        if Path::new(text).symlink_metadata().is_ok() {
            return None;
        }
        if address(text).is_some() {
            return Some(text.parse());
        }
        if Other::of(text).is_some() {
            return Some(text.parse().map_err(|refused: Invalid| Invalid {
                message: format!("there is no `{text}` here, and {}", refused.message),
                ..refused
            }));
        }
        text.parse::<Self>().ok().filter(|name| name.repo.contains('/')).map(Ok)
    }

    /// What a text that is no repository's name may mean: a name with what marks it or with a revision, or the address
    /// of a page.
    #[must_use]
    pub fn meant(text: &str) -> Option<Self> {
        let text = text.strip_prefix(Self::PREFIX).unwrap_or(text);
        let parts: Vec<_> = address(text).unwrap_or(text).trim_end_matches('/').split('/').collect();
        let (repo, revision) = match (address(text), parts.as_slice()) {
            (None, _) => {
                let (repo, revision) = text.split_once('@').unwrap_or((text, Self::MAIN));
                (repo.to_owned(), revision)
            }
            (Some(_), [owner, name]) => (format!("{owner}/{name}"), Self::MAIN),
            (Some(_), [owner, name, "tree" | "blob" | "resolve", revision, ..]) => {
                (format!("{owner}/{name}"), *revision)
            }
            _ => return None,
        };
        (is_repo(&repo) && is_revision(revision)).then(|| Self { repo, revision: revision.to_owned() })
    }

    /// Whether the revision is a commit, and so cannot move.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        is_hash(&self.revision, 40)
    }
}

/// The path of a web address.
fn address(text: &str) -> Option<&str> {
    text.split_once("://").map(|(_, rest)| rest.split_once('/').map_or("", |(_, path)| path))
}

/// What the hub has beside models, which is not read by name.
pub(crate) struct Other {
    /// How its addresses begin.
    pub start: &'static str,
    what: &'static str,
    /// Its type, as `hf download` calls it.
    sort: &'static str,
}

impl Other {
    pub const ALL: &[Self] = &[
        Self { start: "datasets", what: "a data set", sort: "dataset" },
        Self { start: "spaces", what: "a space", sort: "space" },
    ];

    /// What a name or the path of an address is, where that is no model.
    fn of(path: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|other| path.split('/').next() == Some(other.start))
    }

    /// That it cannot be a source by its name, and how it can be one.
    pub fn refusal(&self, repo: &str) -> Invalid {
        let Self { what, sort, .. } = self;
        let invalid = Invalid::new(format!(
            "`{repo}` is {what} of the hub, and only repositories of models are read by name"
        ));
        let last = repo.rsplit('/').next().unwrap_or(repo);
        invalid.help(format!(
            "download it (`hf download {repo} --repo-type {sort} --local-dir data/{last}`), and give the path `data/{last}`"
        ))
    }
}

/// Hexadecimal digits, as git and the hub write them.
pub(crate) fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_repo(text: &str) -> bool {
    let parts: Vec<_> = text.split('/').collect();
    parts.len() <= 2 && parts.into_iter().all(is_part) && Other::of(text).is_none()
}

/// It is a path below `refs/`.
fn is_revision(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\\?%#:*^~[".contains(c);
    !text.contains(odd) && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
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
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
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
        let name = |text: &str| text.parse::<Name>().expect(text).to_string();
        assert_eq!(name("a/b"), "a/b@main");
        assert_eq!(name("camembert-base@refs/pr/1"), "camembert-base@refs/pr/1");
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
    fn what_is_no_model_says_so_with_the_command_that_downloads_it() {
        for text in [
            "datasets/o/n",
            "datasets/n",
            "hub:datasets/o/n",
            "https://huggingface.co/datasets/o/n",
            "hub:https://huggingface.co/spaces/o/n",
        ] {
            let refused = Name::given(text).expect("is no path").expect_err(text);
            assert!(refused.message.contains("only repositories of models"), "{refused}");
            let help = refused.help.expect("has help");
            assert!(help.contains("hf download ") && help.contains("data/n"), "{help}");
        }
        let help = |text: &str| Name::given(text).expect("no path").expect_err(text).help.expect("has help");
        assert!(help("datasets/o/n").contains("`hf download o/n --repo-type dataset --local-dir data/n`"));
        assert!(Name::given("datasets2/n").expect("no path").is_ok());
    }

    #[test]
    fn the_address_of_a_page_offers_the_name() {
        for (text, name) in [
            ("https://huggingface.co/a/b", "write `a/b`"),
            ("hub:https://huggingface.co/a/b/", "write `a/b`"),
            ("https://huggingface.co/a/b/tree/v1", "write `a/b@v1`"),
            ("https://huggingface.co/a/b/c/d", "write one like `owner/name`"),
            ("hub:a/b/c", "write one like `owner/name`"),
        ] {
            let refused = Name::given(text).expect("is no path").expect_err(text);
            assert_eq!(refused.help.as_deref(), Some(name), "{text}");
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
