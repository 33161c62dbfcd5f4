use stage_contract::StageError;

use crate::{executor::causes, problem::Problems, store::LookupError, watch::Fault};

/// Why a node has no result.
pub(super) enum Failure {
    /// A node that it needs has none.
    Skipped,
    /// The user stopped the run.
    Cancelled,
    /// Another run makes it, and waiting was not wanted.
    Busy,
    /// Another attempt would fail too.
    Failed(Box<Fault>),
    /// Another attempt may succeed.
    Retryable(Box<Fault>),
    /// The code is wrong, a stage's or ours.
    Panicked(Box<Fault>),
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        let (below, help) = (causes(&error), error.advice().map(str::to_owned));
        match error {
            StageError::Cancelled => Self::Cancelled,
            StageError::Failed { message, .. } => Self::Failed(Box::new(Fault {
                message,
                causes: below,
                help: help.into_iter().collect(),
                ..Fault::default()
            })),
        }
    }
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Busy => Self::Busy,
            LookupError::Failed(error) => error.into(),
        }
    }
}

/// An input that cannot be read any more.
impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
        StageError::new(messages.join("; ")).help("fix the input, then type `ner-pipe run`").into()
    }
}
