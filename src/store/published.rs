//! What was placed where and by which pipeline file, and which pipeline file records in which lock: what the
//! files of a project do not say themselves.

use std::{
    fs,
    io::ErrorKind,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use stage_contract::StageError;

use super::{
    Store,
    part::{is_inside, is_resolved},
    private_folder, remove,
    tree::write_unsynced,
};
use crate::{disk, fingerprint::Digest};

const PUBLISHED: &str = "published";
const LOCKED: &str = "locked";

/// What was published at a path: what is there is a result, or was one until somebody edited it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishRecord {
    /// The output's path, relative to the project's root.
    pub path: PathBuf,
    /// The same, links resolved (`pipeline::Links`): two paths may be one.
    #[serde(default, rename = "place")]
    pub resolved: PathBuf,
    /// The pipeline file whose place it is; none where an older ner-pipe placed something.
    pub by: Option<PathBuf>,
    /// What was placed.
    pub digest: Option<Digest>,
    /// Nothing was placed yet: a run was about to.
    #[serde(default)]
    pub claimed: bool,
}

/// A pipeline file whose lock names results of this cache: `gc` keeps those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcRoot {
    /// The project's root; a cache may be shared.
    pub root: PathBuf,
    /// The pipeline file, relative to the root.
    pub file: PathBuf,
    /// Its lock, relative to the root.
    pub lock: PathBuf,
}

impl GcRoot {
    /// Where its lock may be: where it was, or in the root of now, should the project have been moved.
    fn locks(&self, root: &Path) -> [PathBuf; 2] {
        [self.root.join(&self.lock), root.join(&self.lock)]
    }
}

impl Store {
    /// What is remembered of a place.
    #[must_use]
    pub fn publish_record(&self, resolved: &Path) -> Option<PublishRecord> {
        read_publish_record(&self.named(PUBLISHED, &self.qualified(resolved)))
    }

    /// Whether an output was placed there.
    #[must_use]
    pub fn was_published(&self, resolved: &Path) -> bool {
        self.publish_record(resolved).is_some_and(|record| !record.claimed)
    }

    /// Every record of this project, in no particular order.
    pub fn publish_records(&self) -> impl Iterator<Item = PublishRecord> {
        self.ours(PUBLISHED).into_iter().filter_map(|path| {
            let record = read_publish_record(&path)?;
            (self.named(PUBLISHED, &self.qualified(&record.resolved)) == path).then_some(record)
        })
    }

    /// Remembers that an output is placed, or will be.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_publish_record(&self, record: &PublishRecord) -> Result<(), StageError> {
        if self.publish_record(&record.resolved).as_ref() == Some(record) {
            return Ok(());
        }
        self.write_named(PUBLISHED, &self.qualified(&record.resolved), record)
    }

    /// Forgets that an output was placed: it was taken away.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget_publish_record(&self, resolved: &Path) -> Result<(), StageError> {
        remove(&self.named(PUBLISHED, &self.qualified(resolved)))
    }

    /// Remembers who records here: `gc` may not find its lock by looking around, as folders may be linked.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn add_gc_root(&self, gc_root: &GcRoot) -> Result<(), StageError> {
        if self.has_gc_root(gc_root) {
            return Ok(());
        }
        self.write_named(LOCKED, &gc_root.root.join(&gc_root.lock), gc_root)
    }

    /// Whether it is known to record here.
    #[must_use]
    pub fn has_gc_root(&self, gc_root: &GcRoot) -> bool {
        self.named(LOCKED, &gc_root.root.join(&gc_root.lock)).exists()
    }

    /// Every pipeline file that is known to record here.
    pub fn gc_roots(&self) -> impl Iterator<Item = GcRoot> {
        self.ours(LOCKED).into_iter().filter_map(|path| read_gc_root(&path))
    }

    /// Locks that are known to name results of this cache, and are there.
    #[must_use]
    pub fn known_locks(&self, root: &Path) -> Vec<PathBuf> {
        let locks = self.gc_roots().flat_map(|gc_root| gc_root.locks(root));
        locks.filter(|lock| lock.is_file()).collect()
    }

    /// Forgets locks that are gone. The caller holds [`Store::publish_lock`]: a run that writes one for the first
    /// time is remembered before that.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget_gone_locks(&self, root: &Path) -> Result<(), StageError> {
        for file in self.ours(LOCKED) {
            let Some(gc_root) = read_gc_root(&file) else { continue };
            if gc_root.locks(root).iter().all(|lock| is_gone(lock)) {
                remove(&file)?;
            }
        }
        Ok(())
    }

    /// Hashed, because a path has slashes.
    fn named(&self, folder: &str, path: &Path) -> PathBuf {
        self.root().join(folder).join(Digest::of(path.as_os_str().as_bytes()).short())
    }

    fn write_named(&self, folder: &str, path: &Path, content: &impl Serialize) -> Result<(), StageError> {
        let json = serde_json::to_vec(content).map_err(|e| StageError::because("cannot write JSON", e))?;
        private_folder(&self.root().join(folder))?;
        write_unsynced(&self.named(folder, path), &json)
    }
}

/// An older ner-pipe wrote the path alone, or followed no links.
fn read_publish_record(file: &Path) -> Option<PublishRecord> {
    let text = String::from_utf8(disk::read_own(file).ok()?).ok()?;
    let mut record = serde_json::from_str(&text).unwrap_or_else(|_| PublishRecord {
        path: text.trim_end_matches('\n').into(),
        resolved: PathBuf::new(),
        by: None,
        digest: None,
        claimed: false,
    });
    if record.resolved.as_os_str().is_empty() {
        record.resolved.clone_from(&record.path);
    }
    // What leads out of the project by its name was not written by us.
    (is_inside(&record.path) && is_resolved(&record.resolved)).then_some(record)
}

fn read_gc_root(file: &Path) -> Option<GcRoot> {
    let gc_root: GcRoot = serde_json::from_slice(&disk::read_own(file).ok()?).ok()?;
    (is_inside(&gc_root.file) && is_inside(&gc_root.lock)).then_some(gc_root)
}

/// Not merely out of reach.
fn is_gone(path: &Path) -> bool {
    fs::metadata(path)
        .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}
