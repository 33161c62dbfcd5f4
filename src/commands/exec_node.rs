//! The child process of `ner-pipe run`.

use std::path::PathBuf;

use clap::Args;
use stage_contract::Registry;

use crate::{executor, runner::Stop};

/// Execute one job; `ner-pipe run` starts this for every stage
#[derive(Debug, Args)]
pub struct ExecNode {
    /// The job, as JSON
    job: PathBuf,
    /// End when standard input does: whoever holds it is the runner
    #[arg(long)]
    tied: bool,
}

impl ExecNode {
    /// Does it, and says with which exit code to end.
    ///
    /// # Errors
    /// When the job cannot be read.
    pub fn run(&self, registry: &Registry) -> Result<u8, Stop> {
        Ok(executor::serve(registry, &self.job, self.tied)?)
    }
}
