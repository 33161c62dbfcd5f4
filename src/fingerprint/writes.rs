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

/// Watches inputs for writes (inotify) while a stage reads them. Equal content does not rule out that a file
/// was edited and restored meanwhile, and `touch`, `chmod` and `ln` change its times too: only the kernel can
/// tell.
#[derive(Debug)]
pub struct Writes {
    contents: OwnedFd,
    path_parts: OwnedFd,
}

impl Writes {
    /// Starts watching; `None` when it cannot: then only times show changes. Writes by another machine, or
    /// through a memory map, are not noticed.
    #[must_use]
    pub fn to<'a>(root: &Path, inputs: impl IntoIterator<Item = (&'a Path, &'a Observed)>) -> Option<Self> {
        let begin = || init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        let (contents, path_parts) = (begin()?, begin()?);
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF;
        for (path, seen) in inputs {
            for link in links(root, path) {
                add_watch(&path_parts, link, LINK).ok()?;
            }
            for folder in folders(root, path) {
                add_watch(&path_parts, folder, FOLDER).ok()?;
            }
            for path in seen.watch_paths(path) {
                add_watch(&contents, path, flags).ok()?;
            }
        }
        Some(Self { contents, path_parts })
    }

    /// Whether a symlink on the path of an input was replaced, or a parent folder moved: then the stage may
    /// have read something else, whatever is there now.
    #[must_use]
    pub fn path_changed(&self) -> bool {
        has_events(&self.path_parts)
    }

    /// Whether something was written, created, moved or removed since. `touch -m` counts: the kernel calls it
    /// a write.
    #[must_use]
    pub fn happened(&self) -> bool {
        has_events(&self.contents)
    }
}

/// A symlink is never written to: replacing it removes its inode.
const LINK: WatchFlags = WatchFlags::DELETE_SELF
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DONT_FOLLOW);
const FOLDER: WatchFlags =
    WatchFlags::DELETE_SELF.union(WatchFlags::MOVE_SELF).union(WatchFlags::DONT_FOLLOW);

fn has_events(inotify: &OwnedFd) -> bool {
    !matches!(read(inotify, &mut [0; 4096]), Err(Errno::AGAIN))
}

/// A path and its parents below the project, itself first.
fn parts<'a>(root: &'a Path, path: &'a Path) -> impl Iterator<Item = &'a Path> {
    path.ancestors().take_while(move |part| *part != root && part.starts_with(root))
}

/// The symlinks on the path of an input, and those that they point to.
fn links(root: &Path, path: &Path) -> Vec<PathBuf> {
    // A cycle was rejected when the input was read.
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

/// The folders of the project that contain an input.
fn folders<'a>(root: &'a Path, path: &'a Path) -> impl Iterator<Item = &'a Path> {
    parts(root, path).skip(1).filter(|part| !part.is_symlink())
}
