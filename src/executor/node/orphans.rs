//! Orphans: what a command started and left running. It may have a session of its own, so that no signal to our
//! process group reaches it, and it may still have an output open: a result must not change after its stage.

use std::{fs, io, process, thread, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid},
};

/// From now on what loses its parent below this process becomes this one's child, wherever it went.
#[cfg(target_os = "linux")]
pub fn adopt() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Elsewhere only the process group is known.
#[cfg(not(target_os = "linux"))]
pub fn adopt() -> io::Result<()> {
    Ok(())
}

/// Kills everything below this process, until nothing is left that could be killed.
pub fn end() {
    /// What is in an uninterruptible sleep dies later, and need not be waited for.
    const ROUNDS: usize = 2000;
    // The rule is that nothing is left, and then there is no need to look at every process of the machine.
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if waitid(WaitId::All, look).is_err_and(|error| error == Errno::CHILD) {
        return;
    }
    for _ in 0..ROUNDS {
        // One after the other: the children of the killed become ours.
        let killed =
            children().into_iter().filter(|child| kill_process(*child, Signal::KILL).is_ok()).count();
        if killed == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Those alive; only Linux lists them.
fn children() -> Vec<Pid> {
    let me = process::id().to_string();
    let processes = fs::read_dir("/proc").ok().into_iter().flatten().flatten();
    processes
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(process.path().join("stat")).ok()?;
            // `pid (name) state parent ..`, and the name may hold anything.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let (state, parent) = (fields.next()?, fields.next()?);
            (state != "Z" && parent == me).then(|| Pid::from_raw(pid))?
        })
        .collect()
}
