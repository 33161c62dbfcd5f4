//! The child process of `ner-pipe run`.

use std::path::PathBuf;

use stage_contract::Registry;

use crate::{executor, runner::Stop};

/// Execute one job; `ner-pipe run` starts this for every stage
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job, as JSON
    job: PathBuf,
    /// End when standard input does: whoever holds it is the runner
    #[arg(long)]
    tied: bool,
    /// The control group to enter
    #[arg(long)]
    group: Option<PathBuf>,
}

/// Does it, and says with which exit code to end.
///
/// # Errors
/// When the job cannot be read.
pub fn run(args: &Args, registry: &Registry) -> Result<u8, Stop> {
    Ok(executor::exec_node(registry, &args.job, args.tied, args.group.as_deref())?)
}
