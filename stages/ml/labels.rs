//! Label sets: entity types, the IO and BIO schemes, and the match between a model's labels by name.

use stage_contract::StageError;

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
    types: Vec<String>,
    scheme: Scheme,
}

impl Labels {
    /// The student's order (FORMATS): O, B-PER, I-PER, B-LOC, I-LOC, B-ORG, I-ORG, then B-MISC, I-MISC with `misc`.
    #[must_use]
    pub fn student(misc: bool) -> Self {
        let _ = misc;
        todo!()
    }

    /// Understands a model's `id2label`, whatever its order. `types` come in the order of first appearance.
    ///
    /// # Errors
    /// Implicit names (`LABEL_0`), no O, two labels of one meaning, a B- without its I-.
    pub fn parse(names: &[String]) -> Result<Self, StageError> {
        let _ = names;
        todo!()
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

    /// Entity types: PER, LOC, ..
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
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

    /// The column of O.
    #[must_use]
    pub fn outside(&self) -> usize {
        self.tags.iter().position(|t| *t == Tag::Outside).unwrap_or(0)
    }

    /// Index into [`Self::types`] of a type name.
    #[must_use]
    pub fn type_index(&self, name: &str) -> Option<usize> {
        self.types.iter().position(|t| t == name)
    }

    /// Whether `to` may follow `from` (`None` = the start of a text). IO: always. BIO: I-X only after B-X or I-X.
    #[must_use]
    pub fn legal(&self, from: Option<usize>, to: usize) -> bool {
        let _ = (from, to);
        todo!()
    }
}

/// An entity over words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First word.
    pub start: usize,
    /// One past the last word.
    pub end: usize,
    /// Type name: `PER`.
    pub kind: String,
}

/// Entities of a tag sequence. BIO is read strictly (seqeval `mode="strict", scheme=IOB2`: an I- without its B-
/// is no entity); IO joins adjacent words of one type (FORMATS, "Words, labels, rows").
#[must_use]
pub fn spans<S: AsRef<str>>(tags: &[S], scheme: Scheme) -> Vec<Span> {
    let _ = (tags, scheme);
    todo!()
}
