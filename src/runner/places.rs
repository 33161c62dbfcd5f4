//! Where sources are read.

use std::path::{Path, PathBuf};

use hub::{Hub, Pin};
use stage_contract::StageError;

use crate::{
    fingerprint::Digest,
    lock::Lock,
    pipeline::{Pipeline, Place, Source},
    store::Store,
};

/// Where each source is read, absolute, in the order of the file. Of one of the hub it may not be there.
pub(super) fn places(pipeline: &Pipeline, lock: &Lock, store: &Store, hub: Option<&Hub>) -> Vec<PathBuf> {
    let place = |source: &Source| match (&source.at, hub, pinned(lock, source)) {
        (Place::Path(path), ..) => pipeline.root.join(path),
        (Place::Hub(_), Some(hub), Some(pin)) => store.linked(&link_name(hub, &pin)),
        (Place::Hub(_), ..) => store.linked("no commit yet"),
    };
    pipeline.sources.iter().map(place).collect()
}

/// The commit that the lock has for what the file asks for.
#[must_use]
pub fn pinned(lock: &Lock, source: &Source) -> Option<Pin> {
    let Place::Hub(name) = &source.at else { return None };
    let locked = lock.source(&source.id)?;
    let same = locked.hub == name.repo && locked.revision == name.revision && locked.kind == source.kind.name;
    locked.pin().ok().filter(|_| same)
}

/// Says which commit, which files and whose cache, so that what is there is never another's.
pub(super) fn link_name(hub: &Hub, pin: &Pin) -> String {
    let files: Vec<_> = pin.files.iter().map(|(file, hash)| format!("{hash} {file}\n")).collect();
    let digest = Digest::of(format!("{}\n{}\n{}", hub.cache(), pin.commit, files.concat()).as_bytes());
    format!("{}@{}-{}", pin.repo.replace('/', "--"), &pin.commit[..12], digest.short())
}

/// Whether what stages read of a source is what was pinned, whose content has this digest; where it had another when it
/// was last compared, its files are.
///
/// # Errors
/// Which file is not.
pub(super) fn expect_pinned(hub: &Hub, store: &Store, pin: &Pin, digest: Digest) -> Result<(), StageError> {
    if store.is_proven(&link_name(hub, pin), digest) { Ok(()) } else { hub.verify(pin) }
}

/// Whether all that stages read of it is there: links lead into a cache that is not ours.
pub(super) fn is_here(lock: &Lock, source: &Source, place: &Path) -> bool {
    let whole = |pin: Pin| pin.files.keys().all(|file| place.join(file).is_file());
    matches!(source.at, Place::Path(_)) || pinned(lock, source).is_some_and(whole)
}
