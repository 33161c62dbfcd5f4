//! How much memory a job took: told by its own process, which alone knows that of the programs it ran.

use std::path::Path;

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use super::job::{Job, read, write};

const FILE: &str = "usage.json";

#[derive(Serialize, Deserialize)]
struct Usage {
    memory: u64,
}

/// Writes it beside the answer: the most that this process held, or one of those that it waited for.
pub(super) fn tell(job: &Job) {
    /// Linux counts in these.
    const KIBIBYTE: u64 = 1024;
    let most = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| u64::try_from(getrusage(who).ok()?.max_rss()).ok())
        .max();
    let Some(most) = most else { return };
    // Only an estimate of later runs is made of it.
    if let Err(error) = write(&job.answer.with_file_name(FILE), &Usage { memory: most * KIBIBYTE }) {
        tracing::debug!(%error, "nobody learns how much memory it took");
    }
}

/// What a job's process told.
#[must_use]
pub fn used_memory(file: &Path) -> Option<u64> {
    read(file).ok().map(|usage: Usage| usage.memory)
}
