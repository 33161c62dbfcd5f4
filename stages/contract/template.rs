use crate::Kind;

/// A file of a new project: its path there, and what it holds.
pub type Embedded = (&'static str, &'static str);

/// What `ner-pipe init` writes: a project that needs nothing, or one with sources of the user's.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// The project that needs nothing; the pipeline file first.
    pub alone: &'static [Embedded],
    /// That with sources of the user's; the pipeline file first. Its `[sources]` has all of [`Template::sources`].
    pub given: &'static [Embedded],
    /// What the user may give.
    pub sources: &'static [Given],
}

/// A source that the user may give.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// Its name in `[sources]`, and as an option of `init`.
    pub name: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// Whether no other may be given without it; else it leaves the pipeline when it is not given.
    pub required: bool,
    /// Its help line.
    pub doc: &'static str,
}
