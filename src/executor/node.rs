//! What happens in the job: `ner-pipe exec-node`.

mod command;
mod usage;

use std::{
    any::Any,
    io::{self, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
    path::Path,
    sync::{Mutex, OnceLock},
    thread,
    time::Duration,
};

use rustix::process::{
    Signal, getpgrp, getpid, kill_current_process_group, kill_process, set_parent_process_death_signal,
};
use stage_contract::{Context, Event, Registry, Sink, StageError};

use super::{
    cancel::{CancelToken, OnRepeat},
    job::{Answer, Job, Task, causes, read, write},
    local::join,
    orphans,
    termination::UNREPORTED,
};
use crate::{
    failpoint::{Point, reach},
    store::Flock,
    threads,
};

/// Executes the job in this process, and says with which exit code to end. `tied`: standard input is a
/// pipe that the runner holds, and its end is the end of this process and all that it started. `group`: the control
/// group that it, and so all that it will start, belongs to.
///
/// # Errors
/// When the job cannot be read or the answer cannot be written.
pub fn exec_node(
    registry: &Registry,
    job_file: &Path,
    tied: bool,
    group: Option<&Path>,
) -> Result<u8, StageError> {
    let job: Job = read(job_file)?;
    let answer = match begin(&job, tied, group) {
        Ok((cancel, lock)) => {
            let answer = execute(registry, &job, &cancel);
            lock.remove();
            answer
        }
        Err(error) => Answer::of(&error),
    };
    usage::tell(&job);
    let written = reach(Point::AnswerWrite).map_err(|e| StageError::io("write", &job.answer, e));
    if let Err(error) = written.and_then(|()| write(&job.answer, &answer)) {
        // All that can still be reported is the exit code; the rest is in the log.
        eprintln!("{error}: {}", causes(&error).join(": "));
        return Ok(UNREPORTED);
    }
    Ok(match answer {
        Answer::Done => 0,
        Answer::Failed { .. } => 1,
        Answer::Panicked { .. } => 101,
        Answer::Cancelled => 130,
    })
}

/// All that has to be there before the work.
fn begin(job: &Job, tied: bool, group: Option<&Path>) -> Result<(CancelToken, Flock), StageError> {
    let cancel = CancelToken::listen(OnRepeat::Ignore)?;
    // Where nothing is limited, the signals of old end it too.
    let joined =
        group.map_or(Ok(()), join).or_else(|error| if job.memory.is_none() { Ok(()) } else { Err(error) });
    if tied {
        tie(job)?;
    }
    joined?;
    if let Task::Stage { .. } = job.task {
        threads::start_shared()?;
    }
    let lock = wait_for_turn(job, &cancel)?;
    Ok((cancel, lock))
}

/// Makes sure that this process does not outlive the runner, however that ends.
fn tie(job: &Job) -> Result<(), StageError> {
    // A stage has no children, so the kernel may kill it at once. A command has, and the kernel would
    // leave them alone: then it is this process that must end them, below.
    if matches!(job.task, Task::Stage { .. }) {
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|e| StageError::because("cannot tie to the runner", e))?;
    }
    threads::spawn("lifeline", || {
        let mut byte = [0];
        while io::stdin().lock().read(&mut byte).is_ok_and(|read| read > 0) {}
        orphans::end();
        // Only a group of our own: started by hand, the group is the user's shell.
        if getpgrp() == getpid() {
            let _ = kill_current_process_group(Signal::KILL);
        } else {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    })?;
    Ok(())
}

/// The child of a killed run may take a moment to die, and must not share the checkpoint with us.
fn wait_for_turn(job: &Job, cancel: &CancelToken) -> Result<Flock, StageError> {
    const POLL: Duration = Duration::from_millis(20);
    loop {
        if let Some(lock) = Flock::try_exclusive(&job.lock)? {
            reach(Point::ChildLocked).map_err(|e| StageError::io("lock", &job.lock, e))?;
            return Ok(lock);
        }
        if cancel.is_cancelled() {
            return Err(StageError::Cancelled);
        }
        thread::sleep(POLL);
    }
}

/// Where the first panic was, if nothing more of it is shown.
static PANICKED: OnceLock<String> = OnceLock::new();

/// What a panic says may quote the corpus: Rust's own words about a string do. So it goes neither into the log nor into
/// the answer.
fn keep_panics_quiet() {
    set_hook(Box::new(|panic| {
        let location = panic.location().map_or_else(|| "an unknown location".to_owned(), ToString::to_string);
        eprintln!("panicked at {location}");
        let _ = PANICKED.set(location);
    }));
}

fn execute(registry: &Registry, job: &Job, cancel: &CancelToken) -> Answer {
    if !job.show_text {
        keep_panics_quiet();
    }
    let result = catch_unwind(AssertUnwindSafe(|| match &job.task {
        Task::Command { run } => command::execute(run, job, cancel),
        Task::Stage { name, params } => {
            let kind = registry.find(name);
            let kind = kind.ok_or_else(|| StageError::new(format!("stage `{name}` is not in this build")))?;
            let stage = (kind.parse)(params.clone()).map_err(|bad| {
                StageError::new(format!("parameter `{}`: {}", bad.path.join("."), bad.message))
            })?;
            stage.run(&Context {
                inputs: &job.inputs,
                options: &job.options,
                outputs: &job.outputs,
                checkpoint: &job.checkpoint,
                seed: job.seed,
                device: job.devices.first,
                further: &job.devices.further,
                threads: job.threads,
                show_text: job.show_text,
                cancelled: cancel.flag(),
                sink: &Lines(Mutex::new(io::stdout())),
                measures: kind.spec.measures,
            })
        }
    }));
    match result {
        Ok(Ok(())) => Answer::Done,
        Ok(Err(error)) => Answer::of(&error),
        Err(panic) => Answer::Panicked { message: said(panic.as_ref()) },
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    if let Some(location) = PANICKED.get() {
        return format!("it panicked at {location}; `--show-text` shows its message");
    }
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// Events as JSON lines on standard output.
struct Lines(Mutex<io::Stdout>);

impl Sink for Lines {
    fn send(&self, event: Event) {
        let Ok(mut line) = serde_json::to_vec(&event) else { return };
        line.push(b'\n');
        let Ok(mut stdout) = self.0.lock() else { return };
        // A runner that does not listen any more is a runner that is gone.
        drop(stdout.write_all(&line).and_then(|()| stdout.flush()));
    }
}
