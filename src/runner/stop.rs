use stage_contract::{Invalid, StageError};

use crate::{problem::Problems, store::LookupError};

/// Why a command, or a run, did not begin.
#[derive(Debug)]
pub enum Stop {
    /// The pipeline file is wrong.
    Problems(Problems),
    /// The command line is, or a file that ner-pipe wrote cannot be read.
    Wrong {
        /// A lower-case fragment.
        message: String,
        /// An imperative.
        help: String,
    },
    /// Something failed.
    Failed(StageError),
}

impl Stop {
    /// The command line is wrong.
    pub fn wrong(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Wrong { message: message.into(), help: help.into() }
    }

    /// What is wrong, each with the way out.
    #[must_use]
    pub fn messages(&self) -> Vec<(String, Option<String>)> {
        match self {
            Self::Problems(problems) => {
                problems.iter().map(|problem| (problem.to_string(), problem.way_out())).collect()
            }
            Self::Wrong { message, help } => vec![(message.clone(), Some(help.clone()))],
            Self::Failed(error) => {
                let Invalid { message, help, .. } = Invalid::of(error);
                vec![(message, help)]
            }
        }
    }
}

impl From<Problems> for Stop {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl From<StageError> for Stop {
    fn from(error: StageError) -> Self {
        Self::Failed(error)
    }
}

impl From<LookupError> for Stop {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Busy => Self::wrong("another run is making this result", "wait until it ends"),
            LookupError::Failed(error) => error.into(),
        }
    }
}
