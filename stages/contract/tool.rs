use crate::{DeviceRequest, StageError};

/// A subcommand that a stage crate brings along and that is no stage, like `predict`.
#[derive(Clone, Copy)]
pub struct Tool {
    /// The subcommand's name.
    pub name: &'static str,
    /// Its arguments and help.
    pub command: fn() -> clap::Command,
    /// Does it.
    pub run: fn(&clap::ArgMatches, &ToolContext) -> Result<(), StageError>,
}

/// What the runner hands to a tool.
#[derive(Clone, Copy, Debug)]
pub struct ToolContext {
    /// `--device`.
    pub device: DeviceRequest,
    /// `--threads`.
    pub threads: usize,
    /// Whether standard output is a terminal.
    pub terminal: bool,
}
