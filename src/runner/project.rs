use std::{
    cell::OnceCell,
    collections::BTreeMap,
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use hub::Hub;
use stage_contract::{Device, DeviceRequest, Devices, Invalid, Kind, Registry, Shape, StageError};

use super::{capacity::Capacity, folder::ProjectFolder, places, stop::Stop};
use crate::{
    disk,
    executor::{Executor, default_executor},
    fingerprint::{Digest, Fingerprint, Machine, Memo, Unreadable, code_digest, file_name, observe},
    lock::Lock,
    pipeline::{Node, Origin, Out, Override, Pipeline, Place, Source, Wire, Work},
    problem::Problems,
    store::{Entry, GcRoot, Store, Stored},
};

/// What `--device` and `--threads` say.
#[derive(Clone, Debug, Default)]
pub struct MachineOptions {
    /// Where tensors are to live.
    pub device: DeviceRequest,
    /// CPU threads; all of them when not said.
    pub threads: Option<NonZero<usize>>,
}

impl MachineOptions {
    /// CPU threads to use.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get)
    }
}

/// A pipeline together with what is on disk about it.
pub struct Project<'r> {
    /// What this binary can execute.
    pub registry: &'r Registry,
    /// The pipeline file.
    pub pipeline: Pipeline,
    /// `cache/`.
    pub store: Store,
    /// `pipeline.lock`.
    pub lock: Lock,
    /// What was hashed in this process.
    pub memo: Memo,
    /// What is worth saying, but no mistake: the device that `auto` took.
    pub notes: Vec<String>,
    /// The hub, where a source lies on it.
    pub hub: Option<Arc<Hub>>,
    /// Where each source is read, absolute: see [`places`].
    pub(super) places: Vec<PathBuf>,
    /// Where stages are executed.
    pub executor: Arc<dyn Executor>,
    machine: MachineOptions,
    devices: Option<Devices>,
    capacity: OnceCell<Capacity>,
    pub(super) folder: ProjectFolder,
    /// Files may have changed since they were hashed: a stage executes, or another run was waited for.
    pub(super) recheck: bool,
}

impl<'r> Project<'r> {
    /// Reads the pipeline file, its lock, and looks at the cache; writes nothing.
    ///
    /// # Errors
    /// Every mistake in the file; a lock or a cache that this ner-pipe cannot read.
    pub fn open(
        registry: &'r Registry,
        root: &Path,
        file: &Path,
        overrides: &[Override],
        machine: MachineOptions,
    ) -> Result<Self, Stop> {
        let pipeline = Pipeline::load(root, file, registry, overrides)?;
        let lock =
            Lock::read(&root.join(&pipeline.lock)).map_err(|e| Stop::wrong(e.to_string(), e.help()))?;
        Self::of(registry, pipeline, lock, machine)
    }

    /// Of what was read already; looks at the cache, and writes nothing.
    ///
    /// # Errors
    /// When this ner-pipe cannot read the cache.
    pub fn of(
        registry: &'r Registry,
        pipeline: Pipeline,
        lock: Lock,
        machine: MachineOptions,
    ) -> Result<Self, Stop> {
        let store = Store::at(&pipeline.root)?;
        let memo = Memo::open(store.root());
        let (notes, devices, folder) = (Vec::new(), None, ProjectFolder::of(&pipeline.root));
        let executor = default_executor();
        let is_remote = |source: &Source| matches!(source.at, Place::Hub(_));
        let hub =
            if pipeline.sources.iter().any(is_remote) { Some(Arc::new(Hub::from_env()?)) } else { None };
        let mut project = Self {
            registry,
            pipeline,
            store,
            lock,
            memo,
            notes,
            hub,
            places: Vec::new(),
            executor,
            machine,
            devices,
            capacity: OnceCell::new(),
            folder,
            recheck: false,
        };
        project.locate();
        Ok(project)
    }

    /// The devices, looked for at the first call: a run in which nothing executes needs none.
    ///
    /// # Errors
    /// When one that was asked for is not there.
    pub fn devices(&mut self) -> Result<Devices, Invalid> {
        if let Some(devices) = &self.devices {
            return Ok(devices.clone());
        }
        let (devices, note) = (self.registry.build.device)(self.machine.device.clone())?;
        self.notes.extend(note);
        self.devices = Some(devices.clone());
        Ok(devices)
    }

    /// [`Project::devices`], but of these GPUs where those are some and any will do: never more than there, and a GPU that
    /// several units stand for once.
    ///
    /// # Errors
    /// As there.
    pub fn devices_at(&mut self, gpus: &[usize]) -> Result<Devices, Invalid> {
        let found = self.devices()?;
        let mut taken: Vec<usize> = Vec::new();
        for &gpu in gpus {
            if taken.len() < found.gpus().count() && !taken.contains(&gpu) {
                taken.push(gpu);
            }
        }
        match found.only(&taken) {
            Some(given) if given.gpus().any(|gpu| !found.gpus().any(|found| found == gpu)) => {
                Ok((self.registry.build.device)(DeviceRequest::Exactly(given))?.0)
            }
            given => Ok(given.unwrap_or(found)),
        }
    }

    /// How much a run may occupy.
    #[must_use]
    pub fn capacity(&self) -> &Capacity {
        let of = || Capacity::of(&self.pipeline, &self.machine.device, self.executor.resources());
        self.capacity.get_or_init(of)
    }

    /// CPU threads for a node: as many as the cpus that it asks for, else all; never more than `--threads`.
    #[must_use]
    pub fn threads(&self, node: usize) -> usize {
        let Some(cpus) = self.pipeline.nodes[node].scheduling.resources.get("cpu") else {
            return self.machine.threads();
        };
        let cpus = usize::try_from(*cpus).unwrap_or(usize::MAX).max(1);
        self.machine.threads.map_or(cpus, |limit| cpus.min(limit.get()))
    }

    /// Marks the folder of artifacts as this pipeline file's, unless it is the usual one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn claim_artifacts(&self) -> Result<(), StageError> {
        let (marker, text) = self.pipeline.marker();
        let path = self.pipeline.root.join(marker);
        let is_ours = disk::read_text(&path).is_ok_and(|there| there == text);
        let folder = path.parent().filter(|folder| folder.is_dir());
        if is_ours || folder.is_none() || self.pipeline.artifacts == Path::new("artifacts") {
            return Ok(());
        }
        // Of a pipeline file that is gone, or somebody else's.
        if fs::symlink_metadata(&path).is_ok() {
            self.store.displace(&path, observe(&path).ok().map(|seen| seen.digest))?;
        }
        self.store.replace(&path, text.as_bytes(), 0o600)
    }

    /// Who this is to those who look after the cache.
    #[must_use]
    pub fn gc_root(&self) -> GcRoot {
        let Pipeline { root, file, lock, .. } = &self.pipeline;
        GcRoot { root: root.clone(), file: file.clone(), lock: lock.clone() }
    }

    /// Remembers the lock that is there, should an older ner-pipe have written it, or another cache been used.
    pub(super) fn register(&self) {
        let gc_root = self.gc_root();
        let known = self.store.has_gc_root(&gc_root) || !self.pipeline.root.join(&gc_root.lock).is_file();
        let remembered = || self.store.publish_lock().and_then(|_held| self.store.add_gc_root(&gc_root));
        // A cache that may only be read loses nothing to `gc`.
        if !known && let Err(error) = remembered() {
            tracing::debug!(%error, "the lock is not remembered");
        }
    }

    /// Writes the lock. The caller holds [`Store::publish_lock`].
    ///
    /// # Errors
    /// When the file became unreadable meanwhile, or the disk refuses.
    pub fn save(&mut self) -> Result<(), StageError> {
        self.store.add_gc_root(&self.gc_root())?;
        let nodes = self.pipeline.nodes.iter().map(|node| node.id.as_str()).collect();
        let sources = self.pipeline.sources.iter().map(|source| source.id.as_str()).collect();
        self.lock.save(&self.store, &nodes, &sources)
    }

    /// A path as people type it.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.pipeline.root).unwrap_or(path).display().to_string()
    }

    /// Where an output is published, absolute.
    #[must_use]
    pub fn published(&self, out: &Out) -> PathBuf {
        self.pipeline.root.join(&out.published)
    }

    /// Where an input is while a stage reads it, absolute.
    #[must_use]
    pub fn input_path(&self, wire: &Wire) -> PathBuf {
        match &wire.from {
            Origin::Source(source) => self.places[*source].clone(),
            Origin::Output { node, output } => {
                let out = self.pipeline.nodes[*node].outputs.iter().find(|out| out.name == *output);
                out.map(|out| self.published(out)).unwrap_or_default()
            }
        }
    }

    /// Looks where sources are read, after the lock's commits changed.
    pub(super) fn locate(&mut self) {
        self.places = places::places(&self.pipeline, &self.lock, &self.store, self.hub.as_deref());
    }

    /// Whether a source can be read here: one of the hub may have to be downloaded first.
    #[must_use]
    pub fn is_here(&self, source: usize) -> bool {
        places::is_here(&self.lock, &self.pipeline.sources[source], &self.places[source])
    }

    /// How a wire's origin is called in the pipeline file.
    #[must_use]
    pub fn origin(&self, wire: &Wire) -> String {
        match &wire.from {
            Origin::Source(source) => format!("sources.{}", self.pipeline.sources[*source].id),
            Origin::Output { node, output } => format!("{}.{output}", self.pipeline.nodes[*node].id),
        }
    }

    /// How what a port of a node reads is called in the pipeline file.
    #[must_use]
    pub fn origin_of(&self, node: usize, port: &str) -> String {
        let wires = &self.pipeline.nodes[node].inputs;
        let wire = wires.iter().find(|wire| wire.port == port);
        wire.map_or_else(|| format!("inputs.{port}"), |wire| self.origin(wire))
    }

    /// A node's fingerprint; `results` has what is known of the nodes before it.
    ///
    /// # Errors
    /// When a source cannot be read, or the device is not there for a stage that measures it.
    pub fn fingerprint(&mut self, node: usize, results: &[Option<Entry>]) -> Result<Fingerprint, Problems> {
        if self.recheck {
            let node = &self.pipeline.nodes[node];
            let inputs = node.inputs.iter().map(|wire| self.input_path(wire));
            let outputs = node.outputs.iter().map(|out| self.published(out));
            for path in inputs.chain(outputs).collect::<Vec<_>>() {
                self.memo.recheck(&path);
            }
        }
        let mut inputs = Vec::new();
        for wire in 0..self.pipeline.nodes[node].inputs.len() {
            inputs.push(self.content(node, wire, results)?);
        }
        // The machine counts for few stages, and looking for a GPU takes time.
        let measures = is_measuring(&self.pipeline.nodes[node]);
        let device = if measures {
            self.devices().map_err(|e| self.pipeline.problem(node, &e))?.first
        } else {
            Device::CPU
        };
        let threads = self.threads(node);
        let machine = || Ok::<_, Problems>(Machine::here(device, threads));
        let code = code_digest(self.code(node));
        let node = &self.pipeline.nodes[node];
        Fingerprint::of(node, node.seed, code, &inputs, machine)
    }

    /// The content of an output as the stages after it see it.
    #[must_use]
    pub fn seen(&self, node: usize, output: &str, stored: &Stored) -> Option<Digest> {
        let out = self.pipeline.nodes[node].outputs.iter().find(|out| out.name == output)?;
        Some(as_seen(out.kind, &out.published, stored.digest, stored.folder))
    }

    /// The code of a node's stage, part by part; none for a `command`.
    #[must_use]
    pub fn code(&self, node: usize) -> &'static [(&'static str, &'static str)] {
        match &self.pipeline.nodes[node].work {
            Work::Stage { kind, .. } => self.registry.build.code(kind.spec.name),
            Work::Command { .. } => &[],
        }
    }

    /// The same, as a result's record has it.
    #[must_use]
    pub fn code_parts(&self, node: usize) -> BTreeMap<String, String> {
        self.code(node).iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect()
    }

    /// The ner-pipe that makes a node's result, and what compiled it: no part of the key.
    #[must_use]
    pub fn made_by(&self, node: usize) -> String {
        let own = format!("ner-pipe {}", env!("CARGO_PKG_VERSION"));
        let compiler = self.registry.build.compiler;
        if compiler.is_empty() || self.code(node).is_empty() { own } else { format!("{own}, {compiler}") }
    }

    /// The content of one input, where it is known.
    fn content(
        &mut self,
        node: usize,
        wire: usize,
        results: &[Option<Entry>],
    ) -> Result<Option<Digest>, Problems> {
        let wire = &self.pipeline.nodes[node].inputs[wire];
        let path = self.input_path(wire);
        match &wire.from {
            Origin::Source(source) => {
                if !self.is_here(*source) {
                    return Ok(None);
                }
                let item = &self.pipeline.sources[*source];
                let wrong = |invalid: Invalid| self.pipeline.problem(node, &invalid.at(wire.port.clone()));
                let seen = self.memo.observe(&path).map_err(|error| wrong(unreadable(&error)))?;
                if let (Some(hub), Some(pin)) = (&self.hub, places::pinned(&self.lock, item)) {
                    let right = places::expect_pinned(hub, &self.store, &pin, seen.digest);
                    right.map_err(|error| wrong(Invalid::of(&error)))?;
                }
                let kind = item.kind;
                Ok(Some(as_seen(kind, &path, seen.digest, seen.shape == Shape::Folder)))
            }
            Origin::Output { node, output } => {
                let stored = results[*node].as_ref().and_then(|entry| entry.record.outputs.get(output));
                Ok(stored.and_then(|stored| self.seen(*node, output, stored)))
            }
        }
    }
}

/// Kinds that may be a file or a folder take names from file names, so the name of a single file counts
/// as that of a file in a folder does.
fn as_seen(kind: Kind, path: &Path, digest: Digest, folder: bool) -> Digest {
    if kind.shape == Shape::FileOrFolder && !folder { digest.named(&file_name(path)) } else { digest }
}

fn is_measuring(node: &Node) -> bool {
    matches!(&node.work, Work::Stage { kind, .. } if kind.spec.measures)
}

fn unreadable(error: &Unreadable) -> Invalid {
    let invalid = Invalid::new(match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    });
    match error {
        Unreadable::Missing(path) => {
            invalid.help(format!("put it there, or remove the link {}", path.display()))
        }
        Unreadable::Loop(_) => invalid.help("remove the link, or point it elsewhere"),
        Unreadable::Special(_) => invalid.help("remove it: pipes, sockets and devices cannot be inputs"),
        Unreadable::Io(path, _) => invalid.help(format!("make it readable: `chmod u+r {}`", path.display())),
    }
}
