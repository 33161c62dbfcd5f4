//! Which processes the runner itself started. Whatever else becomes its child was left behind by a job whose own process
//! was killed: a stage that ran into its timeout and did not listen, say.

use std::{
    collections::HashSet,
    fs, io,
    process::{self, Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::Pid;

use super::super::orphans;

/// A variable in the environment of all that belongs to a run: the runner's number.
pub(super) const MARK: &str = "NER_PIPE_RUNNER";

/// The runner's children.
#[derive(Debug)]
pub(super) struct Family {
    started: Mutex<HashSet<Pid>>,
    /// Whether it had a child when it began, as after a shell's `exec`, or is the first process of a container: then it also
    /// adopts what is none of a job's, and only what bears the [`MARK`] is ended.
    strangers: bool,
}

impl Family {
    /// Adopts from now on.
    pub fn begin() -> io::Result<Self> {
        let strangers = process::id() == 1 || !orphans::present().is_empty();
        orphans::adopt()?;
        Ok(Self { started: Mutex::default(), strangers })
    }

    /// Starts a process that is not to be taken for one that was left behind.
    pub fn start(&self, command: &mut Command) -> io::Result<Child> {
        // Held over both: a child that is not known yet would be ended.
        let mut started = self.started();
        let child = command.env(MARK, process::id().to_string()).spawn()?;
        started.extend(pid(&child));
        Ok(child)
    }

    /// A process that was started was waited for.
    pub fn ended(&self, pid: Option<Pid>) {
        self.started().retain(|started| Some(*started) != pid);
    }

    /// Ends what jobs left behind.
    pub fn end_orphans(&self) {
        let started = self.started();
        orphans::end_those(|pid| !started.contains(&pid) && (!self.strangers || is_marked(pid)));
    }

    fn started(&self) -> MutexGuard<'_, HashSet<Pid>> {
        // A set of numbers is whole whoever panicked.
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of a child.
pub(super) fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Whether a process, as it was started, belongs to this run. A zombie has no environment, and harms nobody.
fn is_marked(pid: Pid) -> bool {
    let mark = format!("{MARK}={}", process::id());
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
    environment.is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
}
