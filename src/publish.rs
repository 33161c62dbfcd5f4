//! `artifacts/<stage>/<output>` from the entry in `cache/`: verified while it is placed, and nothing
//! that a user made is overwritten.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::RenameFlags;
use stage_contract::{Shape, StageError};

use crate::{
    failpoint::{Point, reach},
    fingerprint::{Digest, Memo, Observed, Unreadable, observe},
    lock::Locked,
    pipeline::{Links, Out},
    store::{Entry, PublishRecord, Staging, Store, Stored, copy_tree},
};

/// What is found where an output is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactState {
    /// The output, byte for byte.
    Current,
    /// Nothing.
    Missing,
    /// Something else.
    Modified,
}

/// What is found at `path`, where `stored` should be.
pub fn artifact_state(memo: &mut Memo, path: &Path, stored: &Stored) -> ArtifactState {
    match memo.observe(path) {
        Ok(seen) if seen.digest == stored.digest && (seen.shape == Shape::Folder) == stored.folder => {
            ArtifactState::Current
        }
        Err(Unreadable::Missing(missing)) if missing == path && fs::symlink_metadata(path).is_err() => {
            ArtifactState::Missing
        }
        _ => ArtifactState::Modified,
    }
}

/// A file above an output, relative to `root`, where a folder is needed.
#[must_use]
pub fn blocking_file(root: &Path, out: &Out) -> Option<PathBuf> {
    let mut above = out.published.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty());
    above
        .find(|path| fs::symlink_metadata(root.join(path)).is_ok() && !root.join(path).is_dir())
        .map(Path::to_owned)
}

/// Whether an output would overwrite what a user made: of something that is no result, at a place where
/// none was published before. `before` is the node's last good state.
#[must_use]
pub fn would_overwrite(
    store: &Store,
    memo: &mut Memo,
    root: &Path,
    out: &Out,
    before: Option<&Locked>,
) -> bool {
    let target = root.join(&out.published);
    let free =
        fs::symlink_metadata(&target).is_err() || store.was_published(&out.resolved) || is_empty(&target);
    !free && !is_published_result(store, memo, root, out, before)
}

/// Whether what is found where an output goes is an unmodified result.
#[must_use]
pub fn is_published_result(
    store: &Store,
    memo: &mut Memo,
    root: &Path,
    out: &Out,
    before: Option<&Locked>,
) -> bool {
    let digest = memo.observe(&root.join(&out.published)).ok().map(|seen| seen.digest);
    digest.is_some_and(|digest| placed(store, out, before).contains(&digest) || store.holds(digest))
}

/// Whether nothing is lost with it.
fn is_empty(path: &Path) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else { return false };
    if meta.is_dir() { fs::read_dir(path).is_ok_and(|mut it| it.next().is_none()) } else { meta.len() == 0 }
}

/// What placing an entry's outputs did.
#[derive(Debug, Default)]
pub struct Published {
    /// Outputs that were not current before.
    pub placed: usize,
    /// What was there and in no cache: from where, to where.
    pub displaced: Vec<(PathBuf, PathBuf)>,
}

/// Why an output could not be placed.
#[derive(Debug)]
pub enum PublishError {
    /// The entry's bytes are not what was recorded: this output.
    Damaged(String),
    /// The disk refuses.
    Failed(StageError),
}

impl From<StageError> for PublishError {
    fn from(error: StageError) -> Self {
        Self::Failed(error)
    }
}

/// Where outputs are placed, and for whom.
#[derive(Clone, Copy)]
pub struct PublishTarget<'a> {
    /// The project's root.
    pub root: &'a Path,
    /// The pipeline file, relative to it.
    pub file: &'a Path,
    /// The node's outputs.
    pub outputs: &'a [Out],
    /// The node's last good state.
    pub before: Option<&'a Locked>,
}

/// Places every output that is not current yet. The caller holds [`Store::publish_lock`].
///
/// # Errors
/// When the entry is damaged or the disk refuses.
pub fn publish(
    store: &Store,
    entry: &Entry,
    site: &PublishTarget<'_>,
    memo: &mut Memo,
) -> Result<Published, PublishError> {
    let mut published = Published::default();
    let mut links = Links::of(site.root);
    for out in site.outputs {
        expect_there(out, &mut links)?;
        let Some(stored) = entry.record.outputs.get(&out.name) else {
            return Err(PublishError::Damaged(out.name.clone()));
        };
        let record = PublishRecord {
            path: out.published.clone(),
            resolved: out.resolved.clone(),
            by: Some(site.file.into()),
            digest: Some(stored.digest),
            claimed: false,
        };
        let target = site.root.join(&out.published);
        if artifact_state(memo, &target, stored) == ArtifactState::Current {
            store.set_publish_record(&record)?;
            continue;
        }
        let staging = stage_copy(store, entry, &out.name, stored, &target)?;
        let before = observe(&target).ok();
        // Also what turned up since we looked.
        if fs::symlink_metadata(&target).is_ok()
            && let Some(home) =
                displace_unknown(store, &target, before.as_ref(), &placed(store, out, site.before))?
        {
            published.displaced.push((out.published.clone(), home));
        }
        store.set_publish_record(&record)?;
        if let Some(old) = swap(&staging, &target)?
            && before.as_ref().is_none_or(|before| before.edited(&old).is_some())
        {
            match store.displace(&old, observe(&old).ok().map(|now| now.digest)) {
                Ok(home) => published.displaced.push((out.published.clone(), home)),
                Err(error) => {
                    staging.leave();
                    return Err(error.into());
                }
            }
        }
        memo.forget(&target);
        published.placed += 1;
    }
    Ok(published)
}

/// Nobody looked whether an output may be placed where its path leads only now.
fn expect_there(out: &Out, links: &mut Links) -> Result<(), StageError> {
    let now = links.resolve(&out.published);
    if now == out.resolved {
        return Ok(());
    }
    let (path, now, then) = (out.published.display(), links.shown(&now), links.shown(&out.resolved));
    Err(StageError::new(format!(
        "`{path}` resolves to `{now}` now, and resolved to `{then}` when the run began"
    ))
    .help("leave links, and folders of outputs, alone while stages run; then type `ner-pipe run`"))
}

/// What was published there before: the cache need not have it any more.
fn placed(store: &Store, out: &Out, before: Option<&Locked>) -> Vec<Digest> {
    let last = store.publish_record(&out.resolved).and_then(|record| record.digest);
    let locked = before.and_then(|locked| locked.outputs.get(&out.name).copied());
    last.into_iter().chain(locked).collect()
}

/// Copies an output next to where it goes, and verifies every byte.
fn stage_copy(
    store: &Store,
    entry: &Entry,
    name: &str,
    stored: &Stored,
    target: &Path,
) -> Result<Staging, PublishError> {
    let parent = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| {
        StageError::io("create", parent, e).help("move away what lies in the way of a published output")
    })?;
    let staging = store.stage(target)?;
    let (source, staged) = (entry.path(name, stored), staging.path());
    let begun = reach(Point::PlaceBeside).map_err(|e| StageError::io("copy", &source, e));
    let copied = begun.and_then(|()| copy_tree(&source, &staged));
    let intact = copied.is_ok() && observe(&staged).is_ok_and(|seen| seen.digest == stored.digest);
    if intact {
        return Ok(staging);
    }
    // Damaged is what the cache has, not what a full disk made of it.
    let whole = observe(&source).is_ok_and(|seen| seen.digest == stored.digest);
    Err(match copied {
        Err(error) if whole => error.into(),
        Ok(()) if whole => {
            StageError::new(format!("{} was changed while it was placed", staged.display())).into()
        }
        _ => PublishError::Damaged(name.to_owned()),
    })
}

/// Moves what is no result into the store, and says where to. A link is never one. `seen` is what was observed there.
fn displace_unknown(
    store: &Store,
    target: &Path,
    seen: Option<&Observed>,
    ours: &[Digest],
) -> Result<Option<PathBuf>, StageError> {
    let digest = seen.map(|seen| seen.digest);
    let known = |digest| ours.contains(&digest) || store.holds(digest);
    if !target.is_symlink() && digest.is_some_and(known) {
        return Ok(None);
    }
    store.displace(target, digest).map(Some)
}

/// Puts what is staged in the place of `target`: at no moment does half of it lie there. Gives what lay there, which goes
/// with the staging.
fn swap(staging: &Staging, target: &Path) -> Result<Option<PathBuf>, StageError> {
    let failed = |e: io::Error| StageError::io("publish", target, e);
    let staged = staging.path();
    reach(Point::Swap).map_err(failed)?;
    let mut old = None;
    if fs::symlink_metadata(target).is_ok() {
        let cwd = rustix::fs::CWD;
        if rustix::fs::renameat_with(cwd, &staged, cwd, target, RenameFlags::EXCHANGE).is_ok() {
            reach(Point::Swapped).map_err(failed)?;
            return Ok(Some(staged));
        }
        // Not every file system can exchange.
        let aside = staging.aside()?;
        fs::rename(target, &aside).map_err(failed)?;
        old = Some(aside);
    }
    fs::rename(&staged, target).map_err(failed)?;
    Ok(old)
}
