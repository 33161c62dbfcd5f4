//! Threads and room in memory, or an error that says which limit is in the way: without one of them a library panics,
//! and the process ends as if its code were wrong.

use std::{
    error::Error,
    io,
    thread::{Builder, JoinHandle, Scope},
};

use stage_contract::StageError;

/// Starts a thread.
///
/// # Errors
/// When the system gives none.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StageError> {
    Builder::new().name(printable(name)).spawn(work).map_err(|e| refused("a thread", e))
}

/// Starts a thread that ends with `scope`; none where the system gives none.
pub fn spawn_in<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    work: impl FnOnce() -> T + Send + 's,
) -> Option<std::thread::ScopedJoinHandle<'s, T>> {
    Builder::new().spawn_scoped(scope, work).ok()
}

/// Starts the threads that all of this process shares, as many as there are cores or `RAYON_NUM_THREADS` says.
///
/// # Errors
/// When the system gives too few of them, or too little room in memory.
pub fn start_shared() -> Result<(), StageError> {
    expect_room()?;
    // Without a cause they run already.
    if let Err(error) = rayon::ThreadPoolBuilder::new().build_global()
        && let Some(cause) = Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>())
    {
        return Err(refused("threads", io::Error::new(cause.kind(), error.to_string())));
    }
    expect_room()
}

/// With less room than this to begin with, something small will fail where nothing can be said any more.
fn expect_room() -> Result<(), StageError> {
    const ROOM: usize = 16 << 20;
    let mut room = Vec::<u8>::new();
    let reserved = room.try_reserve_exact(ROOM);
    // Of an allocation that nobody sees the compiler says that it succeeds, and leaves it out.
    std::hint::black_box(&room);
    reserved.map_err(|error| {
        StageError::because(format!("there is no room for {} MiB in memory", ROOM >> 20), error).help(
            "raise or lift the limit of the address space: `ulimit -v` shows it, in KiB; or free memory",
        )
    })
}

/// The system did not start `what`, a thread or a process: where a limit is the reason, says which.
#[must_use]
pub fn refused(what: &str, error: io::Error) -> StageError {
    if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory) {
        return StageError::because(format!("cannot start {what}"), error);
    }
    StageError::because(format!("cannot start {what}"), error).help(
        "raise the limit of processes (`ulimit -u`, the `pids.max` of a container) or of the address space \
         (`ulimit -v`), or end other programs; `RAYON_NUM_THREADS=1` asks for fewer",
    )
}

/// A name with a zero byte is a panic.
fn printable(name: &str) -> String {
    name.replace('\0', "")
}
