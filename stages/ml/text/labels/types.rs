//! What a teacher's types are called in its students, and which of them they do not learn.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::StageError;

use super::{Labels, Tag};

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

/// Whether two names most probably mean one type, as PERSON and Per do: for what is suggested, not for what is counted.
#[must_use]
pub fn same_type(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_uppercase(), other.to_uppercase());
    one == other
        || SYNONYMS.iter().any(|names| names.contains(&one.as_str()) && names.contains(&other.as_str()))
}

impl Labels {
    /// The same labels with their types renamed, joined where several get one name, or not to be learned.
    ///
    /// # Errors
    /// `types` names a type that these labels lack, gives a name that no type can have, or leaves none to learn.
    pub fn renamed(&self, types: &Types) -> Result<Self, StageError> {
        let there = self.types.join(", ");
        for (kind, meaning) in types.iter() {
            if self.type_index(kind).is_none() {
                return Err(StageError::new(format!("`types` names {kind}, which the model does not have"))
                    .help(format!("name one of its types: {there}")));
            }
            if meaning.is_empty() || meaning == "O" || meaning.contains(char::is_whitespace) {
                return Err(StageError::new(format!(
                    "`types` calls {kind} `{meaning}`, which is no name of a type"
                ))
                .help("write a name without blanks, `outside` for no entity, or `ignore`"));
            }
            let dropped =
                self.type_index(meaning).is_some() && Types::policy(types.meaning(meaning)) != Policy::Learn;
            if Types::policy(meaning) == Policy::Learn && dropped {
                return Err(StageError::new(format!(
                    "`types` calls {kind} {meaning}, but {meaning} is not learned"
                ))
                .help(format!("give {kind} another name, or leave `{meaning} = ..` out")));
            }
        }
        let (mut names, mut policies): (Vec<String>, Vec<Policy>) = (Vec::new(), Vec::new());
        let index: Vec<usize> = self
            .types
            .iter()
            .map(|kind| {
                let meaning = types.meaning(kind);
                let policy = Types::policy(meaning);
                let name = if policy == Policy::Learn { meaning } else { kind };
                let known = names
                    .iter()
                    .zip(&policies)
                    .position(|known| (known.0.as_str(), *known.1) == (name, policy));
                known.unwrap_or_else(|| {
                    names.push(name.to_owned());
                    policies.push(policy);
                    names.len() - 1
                })
            })
            .collect();
        if !policies.contains(&Policy::Learn) {
            return Err(
                StageError::new("`types` leaves no type to learn").help(format!("keep one of {there}"))
            );
        }
        let tags = self.tags.iter().map(|tag| match *tag {
            Tag::Outside => Tag::Outside,
            Tag::Begin(kind) => Tag::Begin(index[kind]),
            Tag::Inside(kind) => Tag::Inside(index[kind]),
        });
        Ok(Self { tags: tags.collect(), types: names, policies, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        Labels::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>()).expect("labels")
    }

    fn types(pairs: &[(&str, &str)]) -> Types {
        pairs.iter().copied().collect()
    }

    #[test]
    fn types_are_renamed_joined_and_left_out() {
        let teacher = labels("O I-LOC I-PERSON I-MISC I-ORG I-COMPANY I-DATE");
        let renamed = teacher
            .renamed(&types(&[
                ("PERSON", "PER"),
                ("COMPANY", "ORG"),
                ("MISC", "outside"),
                ("DATE", "ignore"),
            ]))
            .expect("renamed");
        assert_eq!(renamed.types(), ["LOC", "PER", "MISC", "ORG", "DATE"]);
        assert_eq!(renamed.types_to(Policy::Learn).collect::<Vec<_>>(), ["LOC", "PER", "ORG"]);
        assert_eq!(renamed.types_to(Policy::Outside).collect::<Vec<_>>(), ["MISC"]);
        assert_eq!(renamed.types_to(Policy::Ignore).collect::<Vec<_>>(), ["DATE"]);
        assert_eq!(renamed.tags()[4..6], [Tag::Inside(3), Tag::Inside(3)], "two columns of one type");
        assert_eq!(renamed.names(), teacher.names(), "the columns are the model's");
        assert_eq!(teacher.renamed(&Types::default()).expect("as it was"), teacher);
    }

    #[test]
    fn types_that_cannot_be_are_refused() {
        let teacher = labels("O B-PER I-PER B-LOC I-LOC");
        for (wrong, reason) in [
            (vec![("DATE", "outside")], "names DATE, which the model does not have"),
            (vec![("PER", "a b")], "no name of a type"),
            (vec![("PER", "O")], "no name of a type"),
            (vec![("PER", "LOC"), ("LOC", "outside")], "calls PER LOC, but LOC is not learned"),
            (vec![("PER", "outside"), ("LOC", "ignore")], "no type to learn"),
        ] {
            let error = teacher.renamed(&types(&wrong)).expect_err(reason);
            assert!(error.to_string().contains(reason) && error.advice().is_some(), "{error}");
        }
    }
}
