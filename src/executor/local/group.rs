//! A job's control group (cgroup v2): whatever a job starts stays in it, so that all of it ends at one write, and its
//! memory can be limited and measured. Only where this process may make one below its own; elsewhere signals and
//! adoption have to do.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use stage_contract::StageError;

use super::family::{Family, pid};

/// The names of all groups begin so.
const PREFIX: &str = "ner-pipe-";

/// A job's group. The lock on its folder says that its runner lives.
pub(super) struct Group {
    folder: PathBuf,
    _held: File,
    guard: Option<Child>,
}

/// What a job did with its memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The most bytes that the job held, its share of the page cache among them.
    pub peak: Option<u64>,
    /// Something was killed for it.
    pub exceeded: bool,
}

impl Group {
    /// Makes one below `parent`, with at most so many bytes of memory, and a process that ends all that is in it when
    /// the runner does, however that is.
    pub fn new(parent: &Path, memory: Option<u64>, family: &Family) -> io::Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{PREFIX}{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = parent.join(name);
        fs::create_dir(&folder)?;
        let made = Self::fill(&folder, memory, family);
        if made.is_err() {
            drop(fs::remove_dir(&folder));
        }
        made
    }

    fn fill(folder: &Path, memory: Option<u64>, family: &Family) -> io::Result<Self> {
        let held = File::open(folder)?;
        flock(&held, FlockOperation::NonBlockingLockExclusive)?;
        if !folder.join(KILL).is_file() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if let Some(bytes) = memory {
            set(folder, "memory.max", &bytes.to_string())?;
            // All of it or nothing, and no way out to the disk; where there is no swap, there is no such file.
            set(folder, "memory.oom.group", "1")?;
            drop(set(folder, "memory.swap.max", "0"));
        }
        let guard = family.start(
            Command::new("sh")
                .args(["-c", GUARD, "sh"])
                .arg(folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        Ok(Self { folder: folder.to_owned(), _held: held, guard: Some(guard) })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills all that is in it, at once.
    pub fn kill(&self) {
        // It is gone, or the kernel is: the caller waits, and looks.
        drop(set(&self.folder, KILL, "1"));
    }

    /// Ends all that is in it, and removes it.
    pub fn end(mut self, family: &Family) -> Memory {
        const ROUNDS: usize = 2000;
        self.kill();
        for _ in 0..ROUNDS {
            if count(&self.folder, "cgroup.events", "populated") != Some(1) {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let read = |file| fs::read_to_string(self.folder.join(file)).ok();
        let memory = Memory {
            peak: read("memory.peak").and_then(|peak| peak.trim().parse().ok()).filter(|peak| *peak > 0),
            exceeded: count(&self.folder, "memory.events", "oom_kill").is_some_and(|kills| kills > 0),
        };
        // Before its guard ends, which then has nothing to do.
        remove(&self.folder);
        if let Some(mut guard) = self.guard.take() {
            let number = pid(&guard);
            // The end of its input is its end.
            drop(guard.stdin.take());
            drop(guard.wait());
            family.ended(number);
        }
        memory
    }
}

const KILL: &str = "cgroup.kill";

/// Waits for the end of the runner, and then ends all that is in the group. What has just died keeps the folder for a moment.
const GUARD: &str = r#"trap '' HUP INT TERM
read -r _
test -d "$1" || exit
echo 1 > "$1/cgroup.kill"
for _ in 1 2 3 4 5 6 7 8 9 10; do find "$1" -depth -type d -exec rmdir {} +; test -d "$1" || exit; sleep 0.1; done"#;

fn set(folder: &Path, file: &str, value: &str) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(folder.join(file))
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
}

/// The number behind a name in a file of `name number` lines.
fn count(folder: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Removes a group with those that were made in it, by a run inside of a stage. What holds a process stays.
fn remove(folder: &Path) {
    let below = walkdir::WalkDir::new(folder).contents_first(true).into_iter().flatten();
    for group in below.filter(|group| group.file_type().is_dir()) {
        drop(fs::remove_dir(group.path()));
    }
}

/// Enters the group: this process, and all that it starts from now on.
///
/// # Errors
/// When the system refuses.
pub fn join(folder: &Path) -> Result<(), StageError> {
    set(folder, "cgroup.procs", "0").map_err(|e| StageError::io("enter the control group", folder, e))
}

/// Removes groups whose runner was killed together with all that could end them, and ends what is in them.
pub(super) fn sweep(parent: &Path) {
    let folders = fs::read_dir(parent).into_iter().flatten().flatten();
    for folder in folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(PREFIX)) {
        let folder = folder.path();
        let Ok(held) = File::open(&folder) else { continue };
        if flock(&held, FlockOperation::NonBlockingLockExclusive).is_ok() {
            drop(set(&folder, KILL, "1"));
            remove(&folder);
        }
    }
}

/// The folder of the group that this process is in; none where there is no cgroup v2.
pub(super) fn own() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    folder(&groups, &mounts)
}

fn folder(groups: &str, mounts: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    // `id parent device root mount-point options .. - type source options`, spaces as \040.
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        let inside = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        (kind.starts_with("cgroup2 ") && inside).then(|| Path::new(&point.replace("\\040", " ")).join(below))
    })
}

/// Has the groups below `own` count memory: the kernel does so only where `own` holds no process itself, so that this
/// one moves to a group of its own first.
pub(super) fn count_memory(own: &Path) -> Result<(), String> {
    const CONTROL: &str = "cgroup.subtree_control";
    let lists = |file| {
        let text = fs::read_to_string(own.join(file)).unwrap_or_default();
        text.split_whitespace().any(|name| name == "memory")
    };
    if lists(CONTROL) {
        return Ok(());
    }
    if !lists("cgroup.controllers") {
        return Err(format!("{} does not count memory", own.display()));
    }
    if set(own, CONTROL, "+memory").is_ok() {
        return Ok(());
    }
    let leaf = own.join(format!("{PREFIX}{}", process::id()));
    let moved = fs::create_dir(&leaf)
        .and_then(|()| set(&leaf, "cgroup.procs", "0"))
        .and_then(|()| set(own, CONTROL, "+memory"));
    moved.map_err(|error| {
        drop(set(own, "cgroup.procs", "0"));
        drop(fs::remove_dir(&leaf));
        format!("{} may not be divided: {error}", own.display())
    })
}

#[cfg(test)]
mod tests;
