use std::path::Path;

use rustix::{
    fd::OwnedFd,
    fs::inotify::{CreateFlags, WatchFlags, add_watch, init},
    io::{Errno, read},
};

use super::tree::Observed;

/// Hears of writes while a stage reads. That its bytes are as before says nothing about a file that was edited
/// and put back meanwhile, and its times are also set by `touch`, `chmod` and `ln`: the kernel knows which it was.
#[derive(Debug)]
pub struct Writes(OwnedFd);

impl Writes {
    /// Begins to listen, or cannot: then times are all there is. Writes by another machine, or to mapped
    /// memory, are not heard.
    #[must_use]
    pub fn to<'a>(inputs: impl IntoIterator<Item = (&'a Path, &'a Observed)>) -> Option<Self> {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF;
        for (path, seen) in inputs {
            for path in seen.listening_posts(path) {
                add_watch(&inotify, path, flags).ok()?;
            }
        }
        Some(Self(inotify))
    }

    /// Whether something was written, made, moved or removed since. `touch -m` counts: the kernel calls it a write.
    #[must_use]
    pub fn happened(&self) -> bool {
        !matches!(read(&self.0, &mut [0; 4096]), Err(Errno::AGAIN))
    }
}
