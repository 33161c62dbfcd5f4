//! Where one node is executed. An [`Executor`] starts `ner-pipe exec-node <job.json>` somewhere, so that a crash,
//! the kernel's out-of-memory killer or a leak of GPU memory ends that stage and not the runner; [`execute()`] waits
//! for the job, with its timeout and a cancellation, whatever the executor. [`exec_node`] is what happens in the job.
//!
//! A job's standard output carries [`Event`]s, one JSON line each; its standard error is the stage's log. How it
//! ended stands in `answer.json`.

mod cancel;
mod execute;
mod job;
mod local;
mod node;
mod orphans;
mod registered;
mod termination;

use std::{fmt, path::Path, time::Duration};

use stage_contract::{Event, StageError};

pub use cancel::{CancelToken, OnRepeat};
pub use execute::{Ended, Limits, execute};
pub use job::{ANSWER, Answer, EXCHANGED, Job, Task, Usage, causes};
pub use local::Local;
pub use node::exec_node;
pub use registered::{EXECUTORS, default_executor};
pub use termination::Termination;

/// Starts jobs: as child processes of this one ([`Local`]), or by a batch system. A new one is a file beside
/// `local.rs` and a line in [`EXECUTORS`].
pub trait Executor: fmt::Debug + Send + Sync {
    /// Starts a job, or puts it into a queue.
    ///
    /// # Errors
    /// When it cannot be started; what happens to it later is in its [`Termination`].
    fn submit(&self, submission: &Submission<'_>) -> Result<Box<dyn Execution>, StageError>;

    /// What all jobs together may occupy.
    fn resources(&self) -> Resources;

    /// Whether it can hold a job to [`Job::memory`].
    ///
    /// # Errors
    /// Why not, and what would let it.
    fn expect_memory_limits(&self) -> Result<(), StageError> {
        Err(StageError::new("this executor cannot limit memory").help("leave `--limit-memory` out"))
    }
}

/// What an executor needs to know of a job.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The job.
    pub job: &'a Job,
    /// The same as JSON, for `ner-pipe exec-node`.
    pub job_file: &'a Path,
    /// Where its standard error goes; the file is there, and is appended to.
    pub log: &'a Path,
}

/// A job that was submitted and has not been waited for. Dropped before, it ends.
pub trait Execution {
    /// The next event, waiting for it no longer than `wait`.
    fn next(&mut self, wait: Duration) -> Progress;

    /// Asks the job to stop (SIGTERM), so that it can write a checkpoint.
    fn terminate(&mut self);

    /// Stops it, with all that it started. May be called again and again.
    fn kill(&mut self);

    /// Waits for its end; nothing that it started is left then.
    ///
    /// # Errors
    /// When the system does not report it.
    fn wait(self: Box<Self>) -> Result<(Termination, Option<Usage>), StageError>;
}

/// What a job does at the moment.
#[derive(Clone, Debug)]
pub enum Progress {
    /// It says something.
    Event(Event),
    /// It said nothing for as long as was waited.
    Silent,
    /// It says nothing any more: it has ended or is about to.
    Over,
}

/// How much there is for jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPUs, as many as threads run at once.
    pub cpus: usize,
    /// Bytes; none where the system does not tell.
    pub memory: Option<u64>,
    /// GPUs, as `CUDA_VISIBLE_DEVICES` names them.
    pub gpus: Vec<String>,
}
