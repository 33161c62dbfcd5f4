//! Sources that lie on the hub: which commit they are, whether their files are here, and where stages read them.
//!
//! The lock keeps the commit and the names and hashes of the files, so that a run asks the hub once and a later one, here
//! or elsewhere, takes the same. The files lie in the hub's own cache; what a stage reads is a folder of links to those
//! that its kind needs.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::{self, Path, PathBuf},
};

use hub::{Hub, Listener, Name, Pin};
use serde_json::Value;
use stage_contract::{Event, Preview, StageError};

use super::{
    Project,
    places::{link_name, pinned},
};
use crate::{
    executor::CancelToken,
    lock::LockedSource,
    pipeline::{Origin, Place},
    watch::Watch,
};

/// The sources of the hub that these nodes read.
pub fn remote_sources(project: &Project<'_>, wanted: &BTreeSet<usize>) -> Vec<usize> {
    let wires = wanted.iter().flat_map(|&node| &project.pipeline.nodes[node].inputs);
    let sources = wires.filter_map(|wire| match wire.from {
        Origin::Source(source) => Some(source),
        Origin::Output { .. } => None,
    });
    let is_remote = |source: &usize| matches!(project.pipeline.sources[*source].at, Place::Hub(_));
    sources.filter(is_remote).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Has all files here that these nodes need of the hub; what has no commit yet gets one, in the lock. Without a request
/// where nothing is missing. The cache was prepared.
///
/// # Errors
/// What keeps a file from coming, whole and as it was.
pub(super) fn fetch(
    project: &mut Project<'_>,
    wanted: &BTreeSet<usize>,
    cancel: &CancelToken,
    watch: &mut dyn Watch,
) -> Result<(), StageError> {
    let Some(hub) = project.hub.clone() else { return Ok(()) };
    for source in remote_sources(project, wanted) {
        let id = format!("sources.{}", project.pipeline.sources[source].id);
        let told = Told { id: &id, cancel, watch: RefCell::new(watch) };
        let came = come(project, &hub, source, &told);
        told.watch.borrow_mut().fetched(&id);
        let (pin, snapshot) = came.map_err(|error| about(&id, error))?;
        let links = pin.files.keys().map(|file| (Path::new(file), snapshot.join(file)));
        let name = link_name(&hub, &pin);
        let place = project.store.link(&name, links)?;
        project.memo.forget(&place);
        let seen = project.memo.observe(&place);
        let digest = seen.map_err(|e| StageError::because(format!("cannot read {id}"), e))?.digest;
        if !project.store.is_proven(&name, digest) {
            hub.verify(&pin).map_err(|error| about(&id, error))?;
            project.store.prove(&name, digest)?;
        }
    }
    project.locate();
    Ok(())
}

/// Downloads what is missing of a source, and gives the folder with its files. What is new is looked at first: the lock
/// keeps only what was not refused.
fn come(
    project: &mut Project<'_>,
    hub: &Hub,
    source: usize,
    told: &Told<'_, '_>,
) -> Result<(Pin, PathBuf), StageError> {
    let known = pinned(&project.lock, &project.pipeline.sources[source]);
    let new = known.is_none();
    let pin = known.map_or_else(|| pin(project, source, false, told), Ok)?;
    let missing = !hub.missing(&pin)?.is_empty();
    if missing {
        told.watch.borrow_mut().fetching(told.id);
    }
    if new || missing {
        preview(project, source, &pin, Hub::preview, told)?;
    }
    if new {
        let (name, lock) = (&project.pipeline.sources[source].at, project.pipeline.lock.display());
        told.note(&format!("{name} is commit {}, and {lock} keeps it", pin.commit));
        record(project, source, &pin)?;
    }
    let folder = path::absolute(hub.download(&pin, told)?);
    Ok((pin, folder.map_err(|e| StageError::because("cannot tell the working folder", e))?))
}

/// The commit that a source's revision is now, as the hub says, unless it is one that no stage could use.
///
/// # Errors
/// When the hub cannot be asked, or why it is refused.
pub fn newest(project: &Project<'_>, source: usize, listener: &dyn Listener) -> Result<Pin, StageError> {
    let pin = pin(project, source, true, listener);
    let looked = pin.and_then(|pin| preview(project, source, &pin, Hub::preview, listener).map(|()| pin));
    looked.map_err(|error| about(&format!("sources.{}", project.pipeline.sources[source].id), error))
}

/// Looks at what comes first of a repository, where the kind says what that is: what no stage could use is refused before
/// the rest comes.
fn preview(
    project: &Project<'_>,
    source: usize,
    pin: &Pin,
    look: Looking,
    listener: &dyn Listener,
) -> Result<(), StageError> {
    let item = &project.pipeline.sources[source];
    match (&project.hub, project.registry.preview_of(item.kind)) {
        (Some(hub), Some(preview)) => look(hub, pin, preview, &item.options, listener),
        _ => Ok(()),
    }
}

/// [`Hub::preview`], or [`Hub::glimpse`] for who writes nothing.
type Looking = fn(&Hub, &Pin, Preview, &Value, &dyn Listener) -> Result<(), StageError>;

/// What the revision is now, as the hub says; without the network as its cache knows, unless only the hub will do.
fn pin(
    project: &Project<'_>,
    source: usize,
    only_hub: bool,
    listener: &dyn Listener,
) -> Result<Pin, StageError> {
    let item = &project.pipeline.sources[source];
    let (Place::Hub(name), Some(hub)) = (&item.at, &project.hub) else {
        return Err(StageError::new(format!("sources.{} does not lie on the hub", item.id)));
    };
    let needed = |files: &[String]| project.registry.needed(item.kind, files);
    let listing = if only_hub { hub.ask(name, listener) } else { hub.list(name, listener) };
    listing?.pin(name, &needed)
}

/// Says which source an error is about; who stopped knows.
fn about(source: &str, error: StageError) -> StageError {
    match error {
        StageError::Cancelled => StageError::Cancelled,
        error @ StageError::Failed { .. } => StageError::because(format!("{source} cannot be used"), error),
    }
}

/// Writes the commit of a source into the lock.
///
/// # Errors
/// When the disk refuses.
pub fn record(project: &mut Project<'_>, source: usize, pin: &Pin) -> Result<(), StageError> {
    if let Some(hub) = &project.hub {
        hub.remember(pin)?;
    }
    let item = &project.pipeline.sources[source];
    project.lock.record_source(&item.id, LockedSource::new(pin, item.kind.name));
    let held = project.store.publish_lock()?;
    project.save()?;
    drop(held);
    Ok(())
}

/// What a run would have to get, or take from the hub's cache.
#[derive(Clone, Debug)]
pub struct Download {
    /// The source's id.
    pub source: String,
    /// As the file has it.
    pub name: Name,
    /// The commit it would be.
    pub commit: String,
    /// The files that are not here.
    pub files: Vec<String>,
    /// Their bytes together, where the hub could be asked.
    pub bytes: Option<u64>,
}

/// Looks what [`fetch`] would do for what is not here; writes nothing.
///
/// # Errors
/// Why it could not be done.
pub fn downloads(
    project: &Project<'_>,
    wanted: &BTreeSet<usize>,
    listener: &dyn Listener,
) -> Result<Vec<Download>, StageError> {
    let mut found = Vec::new();
    for source in remote_sources(project, wanted) {
        let item = &project.pipeline.sources[source];
        let (Place::Hub(name), Some(hub)) = (&item.at, &project.hub) else { continue };
        if project.is_here(source) {
            continue;
        }
        let id = format!("sources.{}", item.id);
        let known = pinned(&project.lock, item);
        let pin = known.map_or_else(|| pin(project, source, false, listener), Ok);
        let looked = pin.and_then(|pin| {
            preview(project, source, &pin, Hub::glimpse, listener)?;
            Ok(pin)
        });
        let pin = looked.map_err(|error| about(&id, error))?;
        let missing = hub.missing(&pin)?;
        let at = Name { repo: pin.repo.clone(), revision: pin.commit.clone() };
        // Only a size: a hub that does not answer is met by the run.
        let bytes = if missing.is_empty() {
            Some(0)
        } else {
            hub.list(&at, listener).ok().map(|all| all.bytes(&missing))
        };
        found.push(Download {
            source: item.id.clone(),
            name: name.clone(),
            commit: pin.commit.clone(),
            files: missing.into_iter().map(str::to_owned).collect(),
            bytes,
        });
    }
    Ok(found)
}

/// Hands on what the hub says.
struct Told<'a, 'w> {
    id: &'a str,
    cancel: &'a CancelToken,
    watch: RefCell<&'w mut dyn Watch>,
}

impl Listener for Told<'_, '_> {
    fn note(&self, text: &str) {
        self.watch.borrow_mut().note(&format!("{}: {text}", self.id));
    }

    fn bytes(&self, file: &str, done: u64, total: u64) {
        let event = Event::Progress { step: file.to_owned(), done, total, unit: "bytes".to_owned() };
        self.watch.borrow_mut().event(self.id, &event);
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// For who only asks.
pub struct Unheard;

impl Listener for Unheard {
    fn note(&self, text: &str) {
        tracing::warn!("{text}");
    }

    fn bytes(&self, _file: &str, _done: u64, _total: u64) {}
}
