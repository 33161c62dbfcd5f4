mod resources;

use std::{
    env,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use stage_contract::{Event, StageError};

use super::{
    Execution, Executor, Progress, Resources, Submission,
    job::{USAGE, Usage, read},
    termination::Termination,
};
use crate::threads;

/// Executes jobs as child processes of this one, on this machine. Each has a process group of its own, and dies
/// with this process: its standard input is a pipe that only this process holds.
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
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor for Local {
    fn submit(&self, submission: &Submission<'_>) -> Result<Box<dyn Execution>, StageError> {
        let Submission { job, job_file, log } = *submission;
        let failed = |e| StageError::because("cannot start a child process", e);
        let log = OpenOptions::new().append(true).open(log).map_err(failed)?;
        let unparsed = log.try_clone().map_err(failed)?;
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
            .map_err(|error| threads::refused("a child process", error))?;
        let (sender, events) = channel();
        let stdout = child.stdout.take();
        let lifeline = child.stdin.take();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut leader = Box::new(Leader { child, group, lifeline, events, answer: job.answer.clone() });
        if let Some(stdout) = stdout
            && let Err(error) = threads::spawn("events", move || listen(stdout, unparsed, &sender))
        {
            leader.kill();
            drop((leader as Box<dyn Execution>).wait());
            return Err(error);
        }
        Ok(leader)
    }

    fn resources(&self) -> Resources {
        resources::resources()
    }
}

/// A job: a process and the group that it leads.
struct Leader {
    child: Child,
    group: Option<Pid>,
    /// Held to the end: its closing tells the child that we died.
    lifeline: Option<ChildStdin>,
    events: Receiver<Event>,
    answer: PathBuf,
}

impl Leader {
    /// A group that is gone already is what was wanted.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Execution for Leader {
    fn next(&mut self, wait: Duration) -> Progress {
        match self.events.recv_timeout(wait) {
            Ok(event) => Progress::Event(event),
            Err(RecvTimeoutError::Timeout) => Progress::Silent,
            Err(RecvTimeoutError::Disconnected) => Progress::Over,
        }
    }

    fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    fn wait(mut self: Box<Self>) -> Result<(Termination, Option<Usage>), StageError> {
        // Before its number can be given to another process: nothing of the group is to stay.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        if self.group.is_some_and(|group| waitid(WaitId::Pid(group), look).is_ok()) {
            self.kill();
        }
        let status = self.child.wait();
        let status = status.map_err(|e| StageError::because("cannot wait for a child process", e))?;
        drop(self.lifeline);
        Ok((termination(status, &self.answer), read(&self.answer.with_file_name(USAGE)).ok()))
    }
}

/// Turns the child's standard output into events; what is none goes to the log.
fn listen(stdout: impl Read, mut log: File, events: &Sender<Event>) {
    /// What is longer than this without an end is none of ours, and is not held in memory.
    const LONGEST: u64 = 16 << 20;
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    while (&mut lines).take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        match serde_json::from_slice(&line) {
            Ok(event) => {
                if events.send(event).is_err() {
                    return;
                }
            }
            Err(_) => drop(log.write_all(&line)),
        }
        line.clear();
    }
}

fn termination(status: ExitStatus, answer: &Path) -> Termination {
    match (status.signal(), read(answer)) {
        (Some(signal), _) => Termination::Killed(signal),
        (None, Ok(answer)) => Termination::Answered(answer),
        (None, Err(_)) => Termination::Exited(status.code()),
    }
}
