//! The peak memory of a job: reported by its own process, which alone knows that of the programs it ran.

use nix::sys::resource::{UsageWho, getrusage};

use crate::executor::job::{Job, USAGE, Usage, write};

/// Writes it beside the answer: the most that this process held, or one of those that it waited for.
pub fn tell(job: &Job) {
    /// Linux counts in these.
    const KIBIBYTE: u64 = 1024;
    let most = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| u64::try_from(getrusage(who).ok()?.max_rss()).ok())
        .max();
    let Some(most) = most else { return };
    // Only an estimate of later runs is made of it.
    if let Err(error) = write(&job.answer.with_file_name(USAGE), &Usage { memory: most * KIBIBYTE }) {
        tracing::debug!(%error, "how much memory it took stays unknown");
    }
}
