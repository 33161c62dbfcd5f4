mod environment;
mod family;
mod group;
mod resources;

use std::{
    env,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use stage_contract::{Event, StageError};

pub use self::group::join;
use self::{
    environment::environment,
    family::{Family, pid},
    group::{Group, Memory},
};
use super::{
    Execution, Executor, Progress, Resources, Submission,
    job::{Answer, USAGE, Usage, read},
    termination::Termination,
};
use crate::threads;

/// Executes jobs as child processes of this one, on this machine. Each has a process group of its own, where possible a
/// control group, and dies with this process: its standard input is a pipe that only this process holds.
#[derive(Clone, Debug)]
pub struct Local {
    program: PathBuf,
    /// Made at the first job: only a run is to adopt processes.
    place: Arc<OnceLock<Place>>,
}

/// Where jobs live.
#[derive(Debug)]
struct Place {
    family: Family,
    /// What their control groups are made in; none where there can be none.
    groups: Option<PathBuf>,
}

impl Local {
    /// With this very binary.
    #[must_use]
    pub fn new() -> Self {
        // Not by its path: rebuilt meanwhile, another program would lie there, and the key names our code.
        let kernel = PathBuf::from("/proc/self/exe");
        let program = if kernel.exists() { kernel } else { env::current_exe().unwrap_or(kernel) };
        Self { program, place: Arc::default() }
    }

    fn place(&self) -> Result<&Place, StageError> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        let family = Family::begin().map_err(|e| StageError::because("cannot adopt processes", e))?;
        let groups = group::own();
        groups.as_deref().into_iter().for_each(group::sweep);
        Ok(self.place.get_or_init(|| Place { family, groups }))
    }
}

impl Place {
    /// A group for a job. None where it cannot be had: then a limit is an error.
    fn group(&self, memory: Option<u64>) -> Result<Option<Group>, StageError> {
        let made = self.groups.as_deref().map(|parent| Group::new(parent, memory, &self.family));
        match (made, memory) {
            (Some(Ok(group)), _) => Ok(Some(group)),
            (Some(Err(error)), Some(_)) => Err(StageError::because("cannot limit its memory", error)),
            (None, Some(_)) => Err(StageError::new("cannot limit its memory: there is no cgroup v2")),
            (Some(Err(error)), None) => {
                tracing::debug!(%error, "there can be no control group");
                Ok(None)
            }
            (None, None) => Ok(None),
        }
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
        let place = self.place()?;
        let group = place.group(job.memory)?;
        let mut command = Command::new(&self.program);
        command.args(["exec-node", "--tied"]);
        if let Some(group) = &group {
            command.arg("--group").arg(group.folder());
        }
        command
            .arg(job_file)
            .arg0("ner-pipe")
            .env_clear()
            .envs(environment(env::vars_os(), job))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        let started = place.family.start(&mut command);
        let mut child = started.map_err(|error| threads::refused("a child process", error))?;
        let (sender, events) = channel();
        let stdout = child.stdout.take();
        let lifeline = child.stdin.take();
        let (pid, place) = (pid(&child), self.place.clone());
        let answer = job.answer.clone();
        let mut leader = Box::new(Leader { child, pid, group, place, lifeline, events, answer });
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

    fn expect_memory_limits(&self) -> Result<(), StageError> {
        let counted = match &self.place()?.groups {
            Some(own) => group::count_memory(own),
            None => Err("there is no cgroup v2".to_owned()),
        };
        counted.map_err(|why| {
            StageError::new(format!("memory cannot be limited here: {why}")).help(
                "type it in a control group of its own, `systemd-run --user --scope -p Delegate=yes ner-pipe run --limit-memory`, or leave `--limit-memory` out",
            )
        })
    }
}

/// A job: a process and the groups that it leads.
struct Leader {
    child: Child,
    pid: Option<Pid>,
    group: Option<Group>,
    place: Arc<OnceLock<Place>>,
    /// Held to the end: its closing tells the child that we died.
    lifeline: Option<ChildStdin>,
    events: Receiver<Event>,
    answer: PathBuf,
}

impl Leader {
    /// A group that is gone already is what was wanted.
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.pid {
            let _ = kill_process_group(leader, signal);
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
        self.group.iter().for_each(Group::kill);
    }

    fn wait(mut self: Box<Self>) -> Result<(Termination, Option<Usage>), StageError> {
        // Before its number can be given to another process: nothing of the group is to stay.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        if self.pid.is_some_and(|leader| waitid(WaitId::Pid(leader), look).is_ok()) {
            self.kill();
        }
        let status = self.child.wait();
        drop(self.lifeline);
        let (mut memory, place) = (Memory::default(), self.place.get());
        if let Some(Place { family, .. }) = place {
            family.ended(self.pid);
            memory = self.group.map(|group| group.end(family)).unwrap_or_default();
            family.end_orphans();
        }
        let status = status.map_err(|e| StageError::because("cannot wait for a child process", e))?;
        let usage = match memory.peak {
            Some(memory) => Some(Usage { memory }),
            None => read(&self.answer.with_file_name(USAGE)).ok(),
        };
        Ok((termination(status, &self.answer, memory.exceeded), usage))
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

fn termination(status: ExitStatus, answer: &Path, exceeded: bool) -> Termination {
    match (status.signal(), read(answer)) {
        (None, Ok(Answer::Done)) => Termination::Answered(Answer::Done),
        _ if exceeded => Termination::OutOfMemory,
        (Some(signal), _) => Termination::Killed(signal),
        (None, Ok(answer)) => Termination::Answered(answer),
        (None, Err(_)) => Termination::Exited(status.code()),
    }
}
