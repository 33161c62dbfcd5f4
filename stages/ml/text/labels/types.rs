//! What a teacher's types are called in its students, and which of them they do not learn.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of one of a teacher's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Students learn it.
    Learn,
    /// It is O: its probability joins O's.
    Outside,
    /// Words that the teacher tags so are out of every loss and every score; in other words its probability is left out.
    Ignore,
}

/// What types are called: `{ PERSON = "PER", DATE = "outside", MISC = "ignore" }`. A type that is not named keeps its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Types(BTreeMap<String, String>);

impl Types {
    /// As a type's new name: no entity.
    pub const OUTSIDE: &str = "outside";
    /// As a type's new name: nobody asks.
    pub const IGNORE: &str = "ignore";

    /// Each type and what it is called.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(kind, meaning)| (kind.as_str(), meaning.as_str()))
    }

    /// What a type is called; itself where nothing is said of it.
    #[must_use]
    pub fn meaning<'a>(&'a self, kind: &'a str) -> &'a str {
        self.0.get(kind).map_or(kind, String::as_str)
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `other` says, where this says nothing.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut all = other.0.clone();
        all.extend(self.0.clone());
        Self(all)
    }

    /// What becomes of a type, by its new name.
    #[must_use]
    pub fn policy(meaning: &str) -> Policy {
        match meaning {
            Self::OUTSIDE => Policy::Outside,
            Self::IGNORE => Policy::Ignore,
            _ => Policy::Learn,
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Types {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(kind, meaning)| (kind.into(), meaning.into())).collect())
    }
}

/// Names that one type goes by.
const SYNONYMS: [&[&str]; 3] = [
    &["PER", "PERSON", "PERS", "PERSONNE", "PEOPLE", "HUMAN"],
    &["LOC", "LOCATION", "PLACE", "LIEU", "GPE"],
    &["ORG", "ORGANIZATION", "ORGANISATION", "COMPANY", "CORPORATION"],
];

/// Whether two names differ in letter case at most: what reads labels takes them for one type.
pub(super) fn one_name(one: &str, other: &str) -> bool {
    one.to_uppercase() == other.to_uppercase()
}

/// Whether two names most probably mean one type, as PERSON and Per do: for what is suggested, not for what is counted.
#[must_use]
pub fn same_type(one: &str, other: &str) -> bool {
    let (upper, others) = (one.to_uppercase(), other.to_uppercase());
    one_name(one, other)
        || SYNONYMS.iter().any(|names| names.contains(&upper.as_str()) && names.contains(&others.as_str()))
}
