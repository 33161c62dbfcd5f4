use std::{borrow::Borrow, fmt, ops::Deref, path::Component, path::Path};

use serde::{Deserialize, Serialize};

/// One part of a path: a name in a folder, which leads nowhere else. What a record calls a file or an output is one, so
/// that no record leads out of its entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPart(String);

impl TryFrom<String> for PathPart {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let mut parts = Path::new(&name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(part)), None) if part == name.as_str() && !name.contains('\0') => {
                Ok(Self(name))
            }
            _ => Err(format!("{name:?} is no name of a file")),
        }
    }
}

impl From<PathPart> for String {
    fn from(part: PathPart) -> Self {
        part.0
    }
}

impl Deref for PathPart {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PathPart {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Borrow<String> for PathPart {
    fn borrow(&self) -> &String {
        &self.0
    }
}

impl fmt::Display for PathPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a path that a record holds is one that this program writes: relative, without `..`.
pub(super) fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// The same of one that may lie anywhere, by links.
pub(super) fn is_resolved(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_name_and_leads_nowhere_else() {
        for good in ["a", "été.txt", " ", "..a", "-", "a\nb", "\u{1b}"] {
            assert_eq!(PathPart::try_from(good.to_owned()).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "/", "/a", "a/b", "../a", "a/", "a/..", "./a", "a\0b"] {
            assert!(PathPart::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
