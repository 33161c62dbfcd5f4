//! Garbage in `cache/`, and its collection. Never what a lock names or a running stage needs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use stage_contract::StageError;

use super::{
    Entry, Failure, Flock, Store,
    entry::read_json,
    links::{proof, repository},
    ours::was_removed,
    quarantine::free_name,
    remove,
};
use crate::fingerprint::Key;

/// A result that was used so short a time ago may be about to be published by a run, which names it in the lock
/// only then; git keeps young objects for the same reason.
const RECENT: Duration = Duration::from_mins(10);

/// How much may stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct GcLimits {
    /// What was used longer ago than this may go.
    pub age: Option<Duration>,
    /// Of the rest, what was not used for the longest time goes until no more bytes than this are left.
    pub size: Option<u64>,
    /// Also displaced files: they are the user's, and nowhere else.
    pub displaced: bool,
}

/// A sort of thing in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// What a killed run was making.
    Slot,
    /// A result whose bytes were not what was recorded.
    Damaged,
    /// What lets a stage resume.
    Checkpoint,
    /// The log of a failed attempt.
    Failure,
    /// A user's file found where an output is published.
    Displaced,
    /// Links to the files of a source of the hub.
    Links,
    /// A result.
    Result,
}

impl ItemKind {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Slot => "half-made result",
            Self::Damaged => "damaged result",
            Self::Checkpoint => "checkpoint",
            Self::Failure => "failed attempt",
            Self::Displaced => "displaced file",
            Self::Links => "links of",
            Self::Result => "result",
        }
    }
}

/// Something in the cache.
#[derive(Clone, Debug)]
pub struct CacheItem {
    /// What it is.
    pub kind: ItemKind,
    /// Its key, where it belongs to one.
    pub key: Option<Key>,
    /// The node it was made for, or the repository it leads to, where that is known.
    pub stage: String,
    /// Its path.
    pub path: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// How long ago it was used last, as far as the clock is right.
    pub idle: Duration,
}

/// What locks name.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Of results.
    pub keys: BTreeSet<Key>,
    /// Of sources of the hub.
    pub commits: BTreeSet<String>,
}

impl Named {
    /// Adds what others name.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.commits.extend(other.commits);
    }

    /// Whether an item is a result or links of these.
    #[must_use]
    pub fn has(&self, item: &CacheItem) -> bool {
        match item.kind {
            ItemKind::Links => {
                let commit = item.stage.rsplit_once('@').map(|(_, commit)| commit);
                commit.is_some_and(|commit| self.commits.iter().any(|named| named.starts_with(commit)))
            }
            _ => item.key.is_some_and(|key| self.keys.contains(&key)),
        }
    }
}

/// What may go, and what stays.
#[derive(Debug, Default)]
pub struct GcPlan {
    /// In the order in which it goes.
    pub garbage: Vec<CacheItem>,
    /// All else.
    pub kept: Vec<CacheItem>,
}

impl Store {
    /// Divides what is in the cache into what stays and what may go; `named` is what a lock names.
    #[must_use]
    pub fn gc_plan(&self, named: &Named, limits: &GcLimits) -> GcPlan {
        let mut plan = GcPlan::default();
        for item in self.items() {
            let held = item.key.is_some_and(|key| self.is_held(&key));
            let old = limits.age.is_some_and(|age| item.idle >= age);
            let finished = || item.key.is_some_and(|key| self.peek(&key).is_some());
            let goes = match item.kind {
                ItemKind::Slot => !held,
                ItemKind::Damaged => true,
                // What is finished is not resumed; all else may be.
                ItemKind::Checkpoint => !held && (old || finished()),
                ItemKind::Failure => !held && old,
                ItemKind::Displaced => limits.displaced,
                ItemKind::Links => !named.has(&item),
                ItemKind::Result => old && self.is_free(&item, named),
            };
            if goes { plan.garbage.push(item) } else { plan.kept.push(item) }
        }
        if let Some(size) = limits.size {
            self.shrink(&mut plan, size, named);
        }
        plan
    }

    /// Lets results go, the one that was not used for the longest time first, until few enough bytes are left.
    fn shrink(&self, plan: &mut GcPlan, size: u64, named: &Named) {
        let mut left: u64 = plan.kept.iter().map(|item| item.bytes).sum();
        plan.kept.sort_by_key(|item| std::cmp::Reverse(item.idle));
        let kept = std::mem::take(&mut plan.kept);
        for item in kept {
            if left > size && item.kind == ItemKind::Result && self.is_free(&item, named) {
                left -= item.bytes;
                plan.garbage.push(item);
            } else {
                plan.kept.push(item);
            }
        }
    }

    /// Whether a result is unused.
    fn is_free(&self, item: &CacheItem, named: &Named) -> bool {
        let held = item.key.is_none_or(|key| self.is_held(&key));
        item.idle >= RECENT && !named.has(item) && !held
    }

    /// Takes an item away, unless it is needed by now: then false. `needed` is asked while no run publishes,
    /// so that a result is either placed, and named by the lock or young, or gone before it is placed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn discard(&self, item: &CacheItem, needed: impl Fn(&CacheItem) -> bool) -> Result<bool, StageError> {
        let lock = match &item.key {
            None => None,
            Some(key) => match Flock::try_exclusive(&self.lock_path(key))? {
                Some(lock) if !Flock::is_held(&self.exec_lock(key)) => Some(lock),
                _ => return Ok(false),
            },
        };
        let held = self.publish_lock()?;
        let recent = || idle(&item.path).is_some_and(|idle| idle < RECENT);
        let wanted = match item.kind {
            ItemKind::Links => needed(item),
            ItemKind::Result => needed(item) || recent(),
            _ => false,
        };
        // Under a name that a killed run's slot could have: whatever happens now, it is swept.
        let name = item.key.map_or_else(|| "gone".to_owned(), |key| key.to_string());
        let away = free_name(&self.root().join("tmp"), &name);
        if wanted {
            return Ok(false);
        }
        match fs::rename(&item.path, &away) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            result => result.map_err(|e| StageError::io("move away", &item.path, e))?,
        }
        if item.kind == ItemKind::Links {
            remove(&proof(&item.path))?;
        }
        drop(held);
        remove(&away)?;
        if let Some(lock) = lock {
            lock.remove();
        }
        Ok(true)
    }

    /// Removes the lock files of processes that were killed.
    pub fn sweep_locks(&self) {
        for file in self.ours("locks").into_iter().filter(|path| !path.ends_with("publish")) {
            if let Ok(Some(lock)) = Flock::try_exclusive(&file) {
                lock.remove();
            }
        }
    }

    /// Whether a process is making the result of this key.
    #[must_use]
    pub fn is_held(&self, key: &Key) -> bool {
        Flock::is_held(&self.lock_path(key)) || Flock::is_held(&self.exec_lock(key))
    }

    /// Everything of ours but the locks.
    fn items(&self) -> Vec<CacheItem> {
        let kinds = [
            ("tmp", ItemKind::Slot),
            ("damaged", ItemKind::Damaged),
            ("checkpoints", ItemKind::Checkpoint),
            ("failed", ItemKind::Failure),
            ("displaced", ItemKind::Displaced),
            ("entries", ItemKind::Result),
        ];
        let mut items = Vec::new();
        for (folder, kind) in kinds {
            let ours = self.ours(folder).into_iter().filter(|path| !was_removed(path));
            items.extend(ours.map(|path| item(kind, path)));
        }
        items.extend(self.links().into_iter().map(|path| item(ItemKind::Links, path)));
        items
    }
}

fn item(kind: ItemKind, path: PathBuf) -> CacheItem {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut key: Option<Key> = name.split('.').next().and_then(|name| name.parse().ok());
    let mut stage = String::new();
    match kind {
        ItemKind::Failure => {
            let failure: Option<Failure> = read_json(&path.join("failure.json")).ok();
            key = failure.as_ref().map(|failure| failure.key);
            stage = failure.map(|failure| failure.stage).unwrap_or_default();
        }
        ItemKind::Result | ItemKind::Damaged => {
            stage = Entry::read(&path).map(|entry| entry.record.stage).unwrap_or_default();
        }
        ItemKind::Links => stage = repository(&path).unwrap_or_default(),
        _ => {}
    }
    let (mut bytes, mut newest) = (0, SystemTime::UNIX_EPOCH);
    for found in walkdir::WalkDir::new(&path) {
        // A run that goes on meanwhile moves things.
        let Ok(meta) = found.and_then(|found| found.metadata()) else { continue };
        bytes += if meta.is_file() { meta.len() } else { 0 };
        newest = newest.max(meta.modified().unwrap_or(SystemTime::UNIX_EPOCH));
    }
    // A clock that was set back makes nothing old.
    let age = SystemTime::now().duration_since(newest).unwrap_or_default();
    let idle = idle(&path).filter(|_| kind == ItemKind::Result).unwrap_or(age);
    CacheItem { kind, key, stage, path, bytes, idle }
}

/// How long ago a result was used: see [`Entry::mark_used`].
fn idle(entry: &Path) -> Option<Duration> {
    let used = fs::metadata(entry).and_then(|meta| meta.modified()).ok()?;
    Some(SystemTime::now().duration_since(used).unwrap_or_default())
}
