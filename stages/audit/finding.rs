//! What is said of a model folder.

use serde::Serialize;
use stage_contract::{Invalid, StageError};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// The model cannot be used.
    Error,
    /// It can, and something is wrong with it.
    Warning,
    /// Worth knowing.
    Note,
}

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub severity: Severity,
    /// A lower-case fragment.
    pub what: String,
    /// The file of the folder it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The key of that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// All tensors it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<String>,
    /// What to do: an imperative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    pub fn error(what: impl Into<String>) -> Self {
        Self::new(Severity::Error, what)
    }

    pub fn warning(what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, what)
    }

    pub fn note(what: impl Into<String>) -> Self {
        Self::new(Severity::Note, what)
    }

    fn new(severity: Severity, what: impl Into<String>) -> Self {
        Self { severity, what: what.into(), file: None, key: None, tensors: Vec::new(), help: None }
    }

    /// What stops whoever loads the model.
    pub fn of(error: &StageError) -> Self {
        let Invalid { message, help, .. } = Invalid::of(error);
        Self { help, ..Self::error(message) }
    }

    pub fn file(self, file: impl Into<String>) -> Self {
        Self { file: Some(file.into()), ..self }
    }

    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    pub fn tensors(self, tensors: impl IntoIterator<Item = String>) -> Self {
        Self { tensors: tensors.into_iter().collect(), ..self }
    }

    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A share as people read it: `12.5 %`.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
pub(super) fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}
