use std::{
    path::Path,
    time::{Duration, Instant},
};

use stage_contract::{Event, StageError};

use super::{
    CancelToken, Execution, Executor, Progress, Submission,
    job::{Answer, JOB, Job, Usage, write},
};
use crate::failpoint::{Point, reach};

/// How long a job may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// It is asked to stop after this.
    pub timeout: Option<Duration>,
    /// Asked to stop, it is killed after this: time enough to write a checkpoint.
    pub grace: Duration,
}

impl Limits {
    /// The grace of a stage that says none.
    pub const GRACE: Duration = Duration::from_secs(10);
}

/// A job that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub answer: Answer,
    /// What it took, where that is known.
    pub usage: Option<Usage>,
}

/// How soon a cancellation is noticed.
const POLL: Duration = Duration::from_millis(50);

/// Executes a job and waits for its end: hands on its events, and stops it when `cancel` is asked for or its time
/// is over. `log` is there already. Call it from a thread that outlives the job.
///
/// # Errors
/// When the job cannot be started; all else is in the answer.
pub fn execute(
    executor: &dyn Executor,
    job: &Job,
    log: &Path,
    limits: Limits,
    cancel: &CancelToken,
    on_event: impl FnMut(Event),
) -> Result<Ended, StageError> {
    let job_file = job.answer.with_file_name(JOB);
    reach(Point::JobWrite).map_err(|e| StageError::io("write", &job_file, e))?;
    write(&job_file, job)?;
    let mut execution = executor.submit(&Submission { job, job_file: &job_file, log })?;
    let late = attend(execution.as_mut(), limits, cancel, on_event);
    let (termination, usage) = execution.wait()?;
    let answer = termination.answer(&job.node, limits.timeout.filter(|_| late), cancel.is_cancelled());
    Ok(Ended { answer, usage })
}

/// Hands on events until there are no more, and stops the job when it is to be. Says whether that was because it
/// took too long.
fn attend(
    execution: &mut dyn Execution,
    limits: Limits,
    cancel: &CancelToken,
    mut on_event: impl FnMut(Event),
) -> bool {
    let begun = Instant::now();
    let mut late = false;
    let mut deadline: Option<Instant> = None;
    loop {
        match execution.next(POLL) {
            Progress::Event(event) => on_event(event),
            Progress::Silent => {}
            Progress::Over => return late,
        }
        // What the user stopped is not late.
        late |= deadline.is_none() && limits.timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
        if !late && !cancel.is_cancelled() {
            continue;
        }
        let impatient = cancel.requests() > 1 || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if impatient {
            execution.kill();
        } else if deadline.is_none() {
            deadline = Some(Instant::now() + limits.grace);
            execution.terminate();
        }
    }
}

#[cfg(test)]
mod tests;
