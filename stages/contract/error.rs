use std::{error::Error, fmt, iter::successors, path::Path};

/// A parameter or an input is wrong, and it was noticed before any work began.
///
/// `message` is a lower-case fragment that says what is wrong; `help` is an imperative with the thing to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The parameter or input port it is about, to underline in `pipeline.toml`.
    pub at: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Invalid {
    /// Something is wrong with the stage as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into(), help: None }
    }

    /// What would stop a stage, noticed before any work: message and causes in one line.
    #[must_use]
    pub fn of(error: &StageError) -> Self {
        let causes = successors(error.source(), |&error| error.source());
        let message = causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"));
        Self { at: None, message, help: error.advice().map(str::to_owned) }
    }

    /// The parameter or input port it is about.
    #[must_use]
    pub fn at(mut self, name: impl Into<String>) -> Self {
        self.at = Some(name.into());
        self
    }

    /// What the user can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Invalid {}

/// Why a stage stopped: a chain from the general to the particular, and a way out.
#[derive(Debug)]
pub enum StageError {
    /// The runner asked the stage to stop; what its checkpoint holds is kept.
    Cancelled,
    /// It cannot go on.
    Failed {
        /// A lower-case fragment.
        message: String,
        /// An imperative with the thing to type.
        help: Option<String>,
        /// What lies below.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl StageError {
    /// Stops with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), help: None, source: None }
    }

    /// Stops because of `source`.
    pub fn because(message: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed { message: message.into(), help: None, source: Some(source.into()) }
    }

    /// A file or folder could not be read or written.
    #[must_use]
    pub fn io(action: &str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let help = match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "free some space on its disk, then try again"
            }
            ErrorKind::ReadOnlyFilesystem => "make its disk writable, then try again",
            ErrorKind::PermissionDenied => "look whose it is (`ls -ld`), and give yourself the right to it",
            _ => return Self::because(format!("cannot {action} {}", path.display()), source),
        };
        Self::because(format!("cannot {action} {}", path.display()), source).help(help)
    }

    /// What the user can do.
    #[must_use]
    pub fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Failed { message, source, .. } => Self::Failed { message, help: Some(text.into()), source },
            Self::Cancelled => self,
        }
    }

    /// What the user can do: the first that the chain says, from the general to the particular.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        let chain = successors(Some(self as &(dyn Error + 'static)), |&error| error.source());
        chain.filter_map(|error| error.downcast_ref()).find_map(|error| match error {
            Self::Failed { help, .. } => help.as_deref(),
            Self::Cancelled => None,
        })
    }
}

/// What would have been refused before any work, had it been there to look at.
impl From<Invalid> for StageError {
    fn from(Invalid { message, help, .. }: Invalid) -> Self {
        Self::Failed { message, help, source: None }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Failed { message, .. } => f.write_str(message),
        }
    }
}

impl Error for StageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { source: Some(source), .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_help_down_the_chain_is_the_advice() {
        let below = || StageError::new("hidden_act is relu").help("use another model");
        let above = StageError::because("cannot use config.json", below());
        assert_eq!(above.advice(), Some("use another model"));
        assert_eq!(above.help("look there").advice(), Some("look there"));
        assert_eq!(StageError::new("so it is").advice(), None);
    }
}
