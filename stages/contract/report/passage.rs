/// A text, read in several ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Where it is from.
    pub caption: String,
    /// One under the other.
    pub readings: Vec<Reading>,
}

/// A text with marked spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whose it is.
    pub name: String,
    /// The text, in order; parts with and without a mark.
    pub spans: Vec<Span>,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The part.
    pub text: String,
    /// How it is marked; none: it is not.
    pub label: Option<String>,
    /// Another reading does not agree: the mark stands out.
    pub differs: bool,
}
