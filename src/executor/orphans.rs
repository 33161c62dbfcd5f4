//! Orphans: what a job started and left running. It may have a session of its own, so that no signal to a process group
//! reaches it, and it may still have an output open: a result must not change after its stage. The job's own process
//! adopts and ends them, and where that was killed the runner does.

use std::{fs, io, process, thread, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, waitid, waitpid},
};

/// From now on what loses its parent below this process becomes this one's child, wherever it went.
#[cfg(target_os = "linux")]
pub(super) fn adopt() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Elsewhere only the process group is known.
#[cfg(not(target_os = "linux"))]
pub(super) fn adopt() -> io::Result<()> {
    Ok(())
}

/// Kills everything below this process, until nothing is left that could be killed.
pub(super) fn end() {
    end_those(|_| true);
}

/// The same for those children, and what they leave, that are `meant`.
pub(super) fn end_those(meant: impl Fn(Pid) -> bool) {
    /// What is in an uninterruptible sleep dies later, and need not be waited for.
    const ROUNDS: usize = 2000;
    for _ in 0..ROUNDS {
        // The rule is that nothing is left, and then there is no need to look at every process of the machine.
        if !has_children() {
            return;
        }
        // One after the other: the children of the killed become ours.
        let mut left = 0;
        for child in children().into_iter().filter(|child| meant(child.pid)) {
            let killed = !child.dead && kill_process(child.pid, Signal::KILL).is_ok();
            // Else each would stay a zombie for as long as this process runs.
            let reaped = matches!(waitpid(Some(child.pid), WaitOptions::NOHANG), Ok(Some(_)));
            left += usize::from(killed || reaped);
        }
        if left == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether there are any, dead or alive.
fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !waitid(WaitId::All, look).is_err_and(|error| error == Errno::CHILD)
}

/// A child of this process.
struct Child {
    pid: Pid,
    /// Not waited for yet.
    dead: bool,
}

/// Only Linux lists them.
fn children() -> Vec<Child> {
    let me = process::id().to_string();
    let processes = fs::read_dir("/proc").ok().into_iter().flatten().flatten();
    processes
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(process.path().join("stat")).ok()?;
            // `pid (name) state parent ..`, and the name may hold anything.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let (state, parent) = (fields.next()?, fields.next()?);
            let child = Child { pid: Pid::from_raw(pid)?, dead: state == "Z" };
            (parent == me).then_some(child)
        })
        .collect()
}

/// The children that this process has now.
pub(super) fn present() -> Vec<Pid> {
    if has_children() { children().into_iter().map(|child| child.pid).collect() } else { Vec::new() }
}
