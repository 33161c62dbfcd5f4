//! Label sets: entity types, the IO and BIO schemes, and the match between a model's labels by name.

mod notation;
mod parse;
mod rename;
mod types;

use std::iter;

pub use self::{
    notation::{Notation, Prefix, Span, Tally, as_tag, split_tag},
    types::{Policy, Types, same_type},
};

/// How tags mark where an entity begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `I-PER` only: adjacent entities of one type cannot be told apart.
    Io,
    /// `B-PER I-PER`.
    Bio,
}

/// One label, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tag {
    /// Outside every entity.
    Outside,
    /// Begins an entity of the type with this index into [`Labels::types`].
    Begin(usize),
    /// Is inside an entity of that type.
    Inside(usize),
}

/// A model's labels in the order of its output columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    tags: Vec<Tag>,
    /// By column: nothing goes on behind it.
    ends: Vec<bool>,
    types: Vec<String>,
    policies: Vec<Policy>,
    scheme: Scheme,
}

impl Labels {
    /// A student's labels: O, then B- and I- of each type.
    #[must_use]
    pub fn bio<S: Into<String>>(types: impl IntoIterator<Item = S>) -> Self {
        let types: Vec<String> = types.into_iter().map(Into::into).collect();
        let mut names = vec!["O".to_owned()];
        let mut tags = vec![Tag::Outside];
        for (index, kind) in types.iter().enumerate() {
            names.extend([format!("B-{kind}"), format!("I-{kind}")]);
            tags.extend([Tag::Begin(index), Tag::Inside(index)]);
        }
        Self::whole(names, tags, types, Scheme::Bio)
    }

    /// A student's labels that do not say where an entity begins: O, then I- of each type.
    #[must_use]
    pub fn io<S: Into<String>>(types: impl IntoIterator<Item = S>) -> Self {
        let types: Vec<String> = types.into_iter().map(Into::into).collect();
        let names = iter::once("O".to_owned()).chain(types.iter().map(|kind| format!("I-{kind}"))).collect();
        let tags = iter::once(Tag::Outside).chain((0..types.len()).map(Tag::Inside)).collect();
        Self::whole(names, tags, types, Scheme::Io)
    }

    /// All types are learned, and no label ends an entity.
    fn whole(names: Vec<String>, tags: Vec<Tag>, types: Vec<String>, scheme: Scheme) -> Self {
        let policies = vec![Policy::Learn; types.len()];
        Self { ends: vec![false; names.len()], names, tags, types, policies, scheme }
    }

    /// Number of output columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never true for a parsed set: O is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names in column order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Tags in column order.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether an entity ends with a word of this column (`E-`, `L-`, `S-`, `U-`), whatever the next word is: a word of the
    /// same type behind it begins another, in seqeval as in conlleval.
    #[must_use]
    pub fn ends(&self, column: usize) -> bool {
        self.ends[column]
    }

    /// Entity types: PER, LOC, ..
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// What becomes of the type with this index into [`Self::types`].
    #[must_use]
    pub fn policy(&self, kind: usize) -> Policy {
        self.policies[kind]
    }

    /// The types that have this policy, in order.
    pub fn types_to(&self, policy: Policy) -> impl Iterator<Item = &str> {
        let types = self.types.iter().zip(&self.policies);
        types.filter(move |(_, own)| **own == policy).map(|(name, _)| name.as_str())
    }

    /// IO or BIO.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The column of a label name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    /// The column that a word with this tag has ([`Self::column_of`]); none for a type that is not there.
    #[must_use]
    pub fn column_of_tag(&self, tag: &str) -> Option<usize> {
        match split_tag(tag)? {
            None => Some(self.outside()),
            Some((prefix, kind)) => self.column_of(kind, matches!(prefix, Prefix::Begin | Prefix::Single)),
        }
    }

    /// The column that says of a word that it begins an entity of this type, or else that it is inside of one: the first
    /// where several say so (B- and S-), and the other where none does (IO).
    #[must_use]
    pub fn column_of(&self, kind: &str, begins: bool) -> Option<usize> {
        let kind = self.type_index(kind)?;
        let column = |tag| self.tags.iter().position(|t| *t == tag);
        let (begin, inside) = (column(Tag::Begin(kind)), column(Tag::Inside(kind)));
        if begins { begin.or(inside) } else { inside.or(begin) }
    }

    /// The column of O.
    #[must_use]
    pub fn outside(&self) -> usize {
        self.tags.iter().position(|t| *t == Tag::Outside).unwrap_or(0)
    }

    /// Whether a label says where an entity of this type begins.
    #[must_use]
    pub fn marks_begin(&self, kind: usize) -> bool {
        self.tags.contains(&Tag::Begin(kind))
    }

    /// Index into [`Self::types`] of a type name.
    #[must_use]
    pub fn type_index(&self, name: &str) -> Option<usize> {
        self.types.iter().position(|t| t == name)
    }

    /// Whether `to` may follow `from` (`None` = the start of a text). IO: always. BIO: I-X only after B-X or I-X.
    #[must_use]
    pub fn legal(&self, from: Option<usize>, to: usize) -> bool {
        match (self.scheme, self.tags[to]) {
            (Scheme::Bio, Tag::Inside(kind)) => from
                .is_some_and(|from| matches!(self.tags[from], Tag::Begin(k) | Tag::Inside(k) if k == kind)),
            _ => true,
        }
    }
}

/// Entities of a tag sequence. BIO is read strictly (seqeval `mode="strict", scheme=IOB2`: an I- without its B-
/// is no entity, and an I- of another type ends the one before it); IO joins adjacent words of one type
/// (docs/formats.md, "Words, labels and windows"). What is no tag counts as O.
#[must_use]
pub fn spans<S: AsRef<str>>(tags: &[S], scheme: Scheme) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    // Whether the last span reaches up to the word before this one.
    let mut open = false;
    for (word, tag) in tags.iter().enumerate() {
        let Some(Some((prefix, kind))) = split_tag(tag.as_ref()) else {
            open = false;
            continue;
        };
        let begins = matches!(prefix, Prefix::Begin | Prefix::Single);
        let joins = scheme == Scheme::Io || !begins;
        match spans.last_mut() {
            Some(last) if open && joins && last.kind == kind => last.end = word + 1,
            _ if scheme == Scheme::Io || begins => {
                spans.push(Span { start: word, end: word + 1, kind: kind.to_owned() });
                open = true;
            }
            _ => open = false,
        }
    }
    spans
}

#[cfg(test)]
mod tests;
