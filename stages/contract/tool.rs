use crate::{DeviceRequest, Invalid, StageError};

/// A subcommand that a stage crate brings along and that is no stage, like `predict`.
#[derive(Clone, Copy)]
pub struct Tool {
    /// The subcommand's name.
    pub name: &'static str,
    /// Its arguments and help.
    pub command: fn() -> clap::Command,
    /// Does it.
    pub run: fn(&clap::ArgMatches, &ToolContext) -> Result<(), ToolError>,
}

/// What the runner hands to a tool.
#[derive(Clone, Debug)]
pub struct ToolContext {
    /// `--device`.
    pub device: DeviceRequest,
    /// `--threads`.
    pub threads: usize,
    /// Whether standard output is a terminal.
    pub terminal: bool,
}

/// Why a tool gave nothing.
#[derive(Debug)]
pub enum ToolError {
    /// What it was told is wrong, and it did nothing.
    Wrong(Invalid),
    /// It could not go on.
    Failed(StageError),
}

impl From<Invalid> for ToolError {
    fn from(invalid: Invalid) -> Self {
        Self::Wrong(invalid)
    }
}

impl From<StageError> for ToolError {
    fn from(error: StageError) -> Self {
        Self::Failed(error)
    }
}
