use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::inotify::{CreateFlags, WatchFlags, add_watch, init},
    io::{Errno, read},
};

use super::tree::Observed;

/// Hears of writes while a stage reads. That its bytes are as before says nothing about a file that was edited
/// and put back meanwhile, and its times are also set by `touch`, `chmod` and `ln`: the kernel knows which it was.
#[derive(Debug)]
pub struct Writes {
    contents: OwnedFd,
    ways: OwnedFd,
}

impl Writes {
    /// Begins to listen, or cannot: then times are all there is. Writes by another machine, or to mapped
    /// memory, are not heard.
    #[must_use]
    pub fn to<'a>(root: &Path, inputs: impl IntoIterator<Item = (&'a Path, &'a Observed)>) -> Option<Self> {
        let begin = || init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        let (contents, ways) = (begin()?, begin()?);
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF;
        for (path, seen) in inputs {
            for link in links(root, path) {
                add_watch(&ways, link, LINK).ok()?;
            }
            for folder in folders(root, path) {
                add_watch(&ways, folder, FOLDER).ok()?;
            }
            for path in seen.watch_paths(path) {
                add_watch(&contents, path, flags).ok()?;
            }
        }
        Some(Self { contents, ways })
    }

    /// Whether a link on the way to an input was replaced, or a folder above it moved away: then the stage may have
    /// read something else, whatever lies there now.
    #[must_use]
    pub fn path_changed(&self) -> bool {
        heard(&self.ways)
    }

    /// Whether something was written, made, moved or removed since. `touch -m` counts: the kernel calls it a write.
    #[must_use]
    pub fn happened(&self) -> bool {
        heard(&self.contents)
    }
}

/// A link cannot be written to: its inode goes when another takes its name.
const LINK: WatchFlags = WatchFlags::DELETE_SELF
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DONT_FOLLOW);
const FOLDER: WatchFlags =
    WatchFlags::DELETE_SELF.union(WatchFlags::MOVE_SELF).union(WatchFlags::DONT_FOLLOW);

fn heard(inotify: &OwnedFd) -> bool {
    !matches!(read(inotify, &mut [0; 4096]), Err(Errno::AGAIN))
}

/// The parts of a path below the project, itself last.
fn parts<'a>(root: &'a Path, path: &'a Path) -> impl Iterator<Item = &'a Path> {
    path.ancestors().take_while(move |part| *part != root && part.starts_with(root))
}

/// The links on the way to an input, and those that they lead to.
fn links(root: &Path, path: &Path) -> Vec<PathBuf> {
    // A ring was refused when the input was read.
    const LONGEST: usize = 40;
    let mut links: Vec<PathBuf> = Vec::new();
    for part in parts(root, path) {
        let mut at = part.to_owned();
        while links.len() < LONGEST
            && let Ok(target) = fs::read_link(&at)
        {
            let next = at.parent().unwrap_or(root).join(target);
            links.push(at);
            at = next;
        }
    }
    links
}

/// The folders of the project that hold an input.
fn folders<'a>(root: &'a Path, path: &'a Path) -> impl Iterator<Item = &'a Path> {
    parts(root, path).skip(1).filter(|part| !part.is_symlink())
}
