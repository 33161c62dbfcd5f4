use std::path::Path;

use serde_json::Value;

use crate::{Invalid, Kind};

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
    /// What has to be written beside the given project's own parameters, so that it fits a source: asked for each that is
    /// given, with its name and where it lies.
    pub fit: fn(source: &str, path: &Path) -> Result<Vec<Setting>, Invalid>,
}

/// A parameter of a stage of a new project.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The stage's id.
    pub stage: &'static str,
    /// The parameter.
    pub parameter: &'static str,
    /// A number, a text or whether.
    pub value: Value,
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
