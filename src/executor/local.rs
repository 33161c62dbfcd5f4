use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use stage_contract::{Event, StageError};

use super::{
    Cancel,
    job::{Answer, Job, read, write},
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

/// How soon a wish to stop is noticed.
const POLL: Duration = Duration::from_millis(50);

/// What became of a child process.
#[derive(Debug)]
pub enum Verdict {
    /// It lived to tell.
    Answered(Answer),
    /// A signal ended it.
    Killed(i32),
    /// It ended without an answer.
    Silent(Option<i32>),
    /// It took longer than it may, and was stopped.
    TimedOut,
}

/// Executes jobs as child processes of this one, on this machine.
#[derive(Clone, Debug)]
pub struct Local {
    program: PathBuf,
}

impl Local {
    /// With this very binary.
    #[must_use]
    pub fn new() -> Self {
        // Not by its path: rebuilt meanwhile, another program would lie there, and the key names our code.
        let kernel = PathBuf::from("/proc/self/exe");
        let program = if kernel.exists() { kernel } else { env::current_exe().unwrap_or(kernel) };
        Self { program }
    }

    /// Executes a job in its own process group and waits for the end. Call it from a thread that outlives
    /// the job: the child dies with it.
    ///
    /// # Errors
    /// When the child cannot be started; all else is in the verdict.
    pub fn execute(
        &self,
        job: &Job,
        job_file: &Path,
        log: File,
        limits: Limits,
        cancel: &Cancel,
        mut on_event: impl FnMut(Event),
    ) -> Result<Verdict, StageError> {
        reach(Point::JobWrite).map_err(|e| StageError::io("write", job_file, e))?;
        write(job_file, job)?;
        let failed = |e| StageError::because("cannot start a child process", e);
        let stray = log.try_clone().map_err(failed)?;
        let mut child = Command::new(&self.program)
            .args(["exec-node", "--tied"])
            .arg(job_file)
            .arg0("ner-pipe")
            .env("RAYON_NUM_THREADS", job.threads.to_string())
            .envs(&job.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let events = child.stdout.take().map(|stdout| listen(stdout, stray));
        // Held to the end: its closing tells the child that we died.
        let lifeline = child.stdin.take();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut late = false;
        if let (Some(events), Some(group)) = (events, group) {
            late = attend(&events, group, limits, cancel, &mut on_event);
            // Before its number can be given to another process: nothing of the group is to stay.
            let ended = waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            if ended.is_ok() {
                // Nobody left to kill is the rule.
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        let status = child.wait().map_err(|e| StageError::because("cannot wait for a child process", e))?;
        drop(lifeline);
        Ok(if late { Verdict::TimedOut } else { verdict(status, &job.answer) })
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

/// Hands on events until the child is gone; passes on the wish to stop, and stops it itself when its
/// time is over. Says whether it did.
fn attend(
    events: &Receiver<Event>,
    group: Pid,
    limits: Limits,
    cancel: &Cancel,
    on_event: &mut impl FnMut(Event),
) -> bool {
    let begun = Instant::now();
    let mut late = false;
    let mut deadline: Option<Instant> = None;
    loop {
        match events.recv_timeout(POLL) {
            Ok(event) => on_event(event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return late,
        }
        // What the user stopped is not late.
        late |= deadline.is_none() && limits.timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
        if !late && !cancel.is_asked() {
            continue;
        }
        let impatient = cancel.times() > 1 || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        // A group that is gone already is what was wanted.
        if impatient {
            let _ = kill_process_group(group, Signal::KILL);
        } else if deadline.is_none() {
            deadline = Some(Instant::now() + limits.grace);
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Turns the child's standard output into events; what is none goes to the log.
fn listen(stdout: impl Read + Send + 'static, mut stray: File) -> Receiver<Event> {
    let (sender, events): (Sender<Event>, _) = channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            match serde_json::from_slice(&line) {
                Ok(event) => {
                    if sender.send(event).is_err() {
                        return;
                    }
                }
                Err(_) => drop(stray.write_all(&line)),
            }
            line.clear();
        }
    });
    events
}

fn verdict(status: ExitStatus, answer: &Path) -> Verdict {
    match (status.signal(), read(answer)) {
        (Some(signal), _) => Verdict::Killed(signal),
        (None, Ok(answer)) => Verdict::Answered(answer),
        (None, Err(_)) => Verdict::Silent(status.code()),
    }
}
