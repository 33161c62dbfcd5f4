//! What would happen, and why, without doing it: for `status`, `why`, `--dry-run`, and to look at
//! everything before the first stage runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Project,
    reasons::{self, Parts, Reason},
};
use crate::{
    fingerprint::{Digest, Fingerprint, Key, Manifest},
    lock::Locked,
    pipeline::{Origin, Place, Wire},
    problem::Problems,
    publish::{ArtifactState, artifact_state},
    store::Entry,
};

/// How a node's last good state relates to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The key is the lock's, and the entry and the artifacts are intact.
    Fresh,
    /// Something differs for certain.
    Stale,
    /// A stage before it has no result yet.
    Maybe,
    /// The lock does not know it.
    NeverRun,
}

/// What `run` would do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Next {
    /// Nothing: its artifacts are current.
    Reuse,
    /// Place its artifacts from the cache.
    Restore,
    /// Execute the stage.
    Execute,
    /// That depends on the results of the stages before it.
    Unknown,
}

impl State {
    /// As `status` writes it (docs/formats.md).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Maybe => "maybe",
            Self::NeverRun => "never-run",
        }
    }

    /// What it is painted with, under black letters.
    #[must_use]
    pub fn colour(self) -> &'static str {
        match self {
            Self::Fresh => "#c7e9c0",
            Self::Stale => "#fdae6b",
            Self::Maybe => "#fee6ce",
            Self::NeverRun => "#eeeeee",
        }
    }
}

impl Next {
    /// As `status` writes it (docs/formats.md).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reuse => "reuse",
            Self::Restore => "restore",
            Self::Execute => "execute",
            Self::Unknown => "unknown",
        }
    }
}

/// What is to be done for a node.
#[derive(Clone, Debug)]
pub struct PlannedNode {
    /// Its place in [`crate::pipeline::Pipeline::nodes`].
    pub node: usize,
    /// How its last good state relates to now.
    pub state: State,
    /// What `run` would do.
    pub next: Next,
    /// The key, where it is known already.
    pub key: Option<Key>,
    /// What differs; what is certain before what may be, the stage's own before what it is given.
    /// Empty when fresh.
    pub reasons: Vec<Reason>,
    /// Its result was accepted (`ner-pipe accept`) from this key.
    pub accepted_from: Option<Key>,
}

/// Plans nodes and all that they need; `wanted` is closed under that. Executes nothing, and writes
/// nothing but what it learnt about files, if there is a cache.
///
/// # Errors
/// When a source cannot be read.
pub fn plan(
    project: &mut Project<'_>,
    wanted: &BTreeSet<usize>,
    forced: &BTreeSet<usize>,
) -> Result<Plan, Problems> {
    observe_everything(project, wanted);
    let mut plan = Plan { nodes: BTreeMap::new(), results: vec![None; project.pipeline.nodes.len()] };
    let mut manifests = None;
    for &node in wanted {
        let fingerprint = project.fingerprint(node, &plan.results)?;
        let (planned, entry) =
            plan_node(project, node, &fingerprint, forced.contains(&node), &plan, &mut manifests);
        plan.results[node] = entry.filter(|_| planned.next != Next::Execute);
        plan.nodes.insert(node, planned);
    }
    Ok(plan)
}

/// What is to be done for some nodes.
pub struct Plan {
    /// By node.
    pub nodes: BTreeMap<usize, PlannedNode>,
    /// Results that are in the cache and will be taken, by node.
    pub results: Vec<Option<Entry>>,
}

/// Hashes all sources and artifacts at once, on all cores; what is known to be as it was is not read. Saved at
/// once, so that a run that is stopped need not hash again.
fn observe_everything(project: &mut Project<'_>, wanted: &BTreeSet<usize>) {
    let mut paths = BTreeSet::new();
    for &node in wanted {
        let node = &project.pipeline.nodes[node];
        paths.extend(node.inputs.iter().map(|wire| project.input_path(wire)));
        paths.extend(node.outputs.iter().map(|out| project.published(out)));
    }
    project.memo.observe_all(paths.into_iter().collect());
    project.memo.save();
}

fn plan_node(
    project: &mut Project<'_>,
    node: usize,
    fingerprint: &Fingerprint,
    forced: bool,
    plan: &Plan,
    manifests: &mut Option<Vec<Manifest>>,
) -> (PlannedNode, Option<Entry>) {
    let key = fingerprint.key();
    let found = key.and_then(|key| project.store.peek(&key));
    let entry = found.filter(|entry| entry.is_complete() && !forced);
    let modified_artifacts = entry.as_ref().map(|entry| modified_artifacts(project, node, entry));
    let next = match (&key, &modified_artifacts) {
        _ if forced => Next::Execute,
        (Some(_), Some(wrong)) if wrong.is_empty() => Next::Reuse,
        (Some(_), Some(_)) => Next::Restore,
        (Some(_), None) => Next::Execute,
        // Whatever the missing inputs turn out to be: without a result that fits the rest, it executes.
        (None, _) => {
            let manifests = manifests.get_or_insert_with(|| project.store.manifests().collect());
            if manifests.iter().any(|manifest| fingerprint.may_become(manifest)) {
                Next::Unknown
            } else {
                Next::Execute
            }
        }
    };
    let mut reasons = explain(project, node, fingerprint, forced, plan);
    let state = match (project.lock.get(&project.pipeline.nodes[node].id), key) {
        (None, _) => State::NeverRun,
        (Some(locked), Some(key)) if key == locked.key && next == Next::Reuse => State::Fresh,
        (Some(_), None) if reasons.is_empty() => State::Maybe,
        (Some(_), _) => State::Stale,
    };
    reasons.extend(modified_artifacts.into_iter().flatten().map(Reason::own));
    if let Some(locked) = project.lock.get(&project.pipeline.nodes[node].id) {
        reasons.extend(uncertainties(project, node, locked, fingerprint, plan));
    }
    let accepted_from = entry.as_ref().and_then(|entry| entry.record.accepted_from);
    (PlannedNode { node, state, next, key, reasons, accepted_from }, entry)
}

/// What differs from the last good state for certain, the root cause first.
pub fn explain(
    project: &Project<'_>,
    node: usize,
    fingerprint: &Fingerprint,
    forced: bool,
    plan: &Plan,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if forced {
        reasons.push(Reason::own("forced"));
    }
    let Some(locked) = project.lock.get(&project.pipeline.nodes[node].id) else {
        let failed =
            project.store.failure(&project.pipeline.file, &project.pipeline.nodes[node].id).is_some();
        // Another checkout or pipeline file may have made it.
        let cached = fingerprint.key().and_then(|key| project.store.peek(&key)).is_some();
        reasons.push(Reason::own(match (failed, cached) {
            (true, _) => "its last attempt failed",
            (_, true) => "not in the lock yet",
            _ => "never run",
        }));
        return reasons;
    };
    let key = fingerprint.key();
    let before = project.store.peek(&locked.key);
    let differences = differences(project, node, locked, before.as_ref(), fingerprint, plan);
    let unexplained = differences.is_empty();
    reasons.extend(differences);
    if key.is_none_or(|key| key == locked.key) {
        match before {
            None => reasons.push(Reason::own("result not in the cache")),
            Some(entry) if !entry.is_complete() => reasons.push(Reason::own("result damaged in the cache")),
            Some(_) => {}
        }
    } else if unexplained {
        let hidden =
            reasons::unrecorded_changes(before.map(|entry| entry.manifest).as_ref(), &fingerprint.manifest);
        reasons.extend(hidden.into_iter().map(Reason::own));
    }
    reasons
}

/// Which artifacts are not what the entry says.
fn modified_artifacts(project: &mut Project<'_>, node: usize, entry: &Entry) -> Vec<String> {
    let mut wrong = Vec::new();
    for out in &project.pipeline.nodes[node].outputs {
        let Some(stored) = entry.record.outputs.get(&out.name) else { continue };
        let path = project.pipeline.root.join(&out.published);
        match artifact_state(&mut project.memo, &path, stored) {
            ArtifactState::Current => {}
            ArtifactState::Missing => wrong.push(format!("{} is missing", out.published.display())),
            ArtifactState::Modified => wrong.push(format!("{} was modified", out.published.display())),
        }
    }
    wrong
}

/// What differs from the lock for certain: the stage itself, then its inputs. `before` is the lock's
/// result, where it is still there.
fn differences(
    project: &Project<'_>,
    node: usize,
    locked: &Locked,
    before: Option<&Entry>,
    fingerprint: &Fingerprint,
    plan: &Plan,
) -> Vec<Reason> {
    let nothing = Parts::new();
    let code = (before.map_or(&nothing, |entry| &entry.record.code), &project.code_parts(node));
    let own = reasons::own_changes(
        locked,
        &fingerprint.manifest,
        project.pipeline.nodes[node].seed,
        code,
        &|port| project.origin_of(node, port),
    );
    let mut reasons: Vec<Reason> = own.into_iter().map(Reason::own).collect();
    let wires = &project.pipeline.nodes[node].inputs;
    // A result of the same key may have been made for another stage.
    let before = before.filter(|entry| entry.record.stage == project.pipeline.nodes[node].id);
    for wire in wires {
        let origin = project.origin(wire);
        let was = before.and_then(|entry| entry.record.origins.get(&wire.port)).filter(|was| **was != origin);
        match (locked.inputs.get(&wire.port), fingerprint.manifest.inputs.get(&wire.port)) {
            (Some(before), Some(now))
                if before != now
                    && let Some(was) = was =>
            {
                reasons.push(Reason::own(format!("input `{}` {was} -> {origin}", wire.port)));
            }
            (Some(before), Some(now)) if before != now => {
                let root = Some(origin_changed(project, &wire.from, *before, plan));
                let what = format!("input {origin} {} -> {}", before.short(), now.short());
                reasons.push(Reason { what, root, certain: true });
            }
            (None, _) => {
                let (what, root) = (format!("input {origin} is new"), cause_of(project, &wire.from, plan));
                reasons.push(Reason { what, root, certain: true });
            }
            _ => {}
        }
    }
    let gone = locked.inputs.iter().filter(|(port, _)| wires.iter().all(|wire| wire.port != **port));
    let gone: BTreeSet<_> =
        gone.map(|(port, digest)| name_of_removed(project, wires, port, *digest)).collect();
    reasons.extend(gone.into_iter().map(|input| Reason::own(format!("input {input} is no longer wired"))));
    reasons
}

/// What an input that is gone was called. A port with a key (`models@t2`, of `models = "prune@*.model"`) is no
/// name of the file's: what it read is, where the lock still knows it; else the instance is, as the rest of the
/// port may be wired still.
fn name_of_removed(project: &Project<'_>, wires: &[Wire], port: &str, content: Digest) -> String {
    let Some((name, key)) = port.split_once('@') else { return format!("`{port}`") };
    let is_read = wires.iter().any(|wire| wire.port.split_once('@').is_some_and(|(own, _)| own == name));
    if !is_read {
        return format!("`{name}`");
    }
    let instances =
        project.lock.stages().filter(|(id, _)| id.split_once('@').is_some_and(|(_, own)| own == key));
    let mut outputs =
        instances.flat_map(|(id, locked)| locked.outputs.iter().map(move |output| (id, output)));
    let origin = outputs.find(|(_, (_, digest))| **digest == content);
    origin.map_or_else(|| format!("`{name}` of {key}"), |(id, (output, _))| format!("{id}.{output}"))
}

/// Why what an input reads is not what it was, where that is another stage's doing.
fn cause_of(project: &Project<'_>, from: &Origin, plan: &Plan) -> Option<String> {
    match from {
        Origin::Output { node, .. } => cause(project, *node, plan),
        Origin::Source(_) => None,
    }
}

/// Why an input is not what it was.
fn origin_changed(project: &Project<'_>, from: &Origin, before: Digest, plan: &Plan) -> String {
    match from {
        Origin::Source(source) => source_changed(project, *source),
        Origin::Output { node, output } => cause(project, *node, plan).unwrap_or_else(|| {
            let id = &project.pipeline.nodes[*node].id;
            let now = plan.results[*node].as_ref();
            let why = now.and_then(|now| why_rerun(project, *node, output, before, now, plan));
            why.map_or_else(|| format!("{id} re-ran"), |why| format!("{id} re-ran: {why}"))
        }),
    }
}

/// Why a stage before this one made something else than `before`: what differs between the result that
/// gave that, where the cache still has it, and the one of now.
fn why_rerun(
    project: &Project<'_>,
    node: usize,
    output: &str,
    before: Digest,
    now: &Entry,
    plan: &Plan,
) -> Option<String> {
    let item = &project.pipeline.nodes[node];
    let gave = |entry: &Entry| {
        let stored = entry.record.outputs.get(output);
        entry.record.stage == item.id
            && stored.is_some_and(|stored| project.seen(node, output, stored) == Some(before))
    };
    let old = project.store.entries().filter(gave).max_by_key(|entry| entry.record.finished)?;
    let seed = item.seed;
    let locked = Locked::new(&old.manifest, &old.record, seed);
    let own =
        reasons::own_changes(&locked, &now.manifest, seed, (&old.record.code, &now.record.code), &|port| {
            project.origin_of(node, port)
        });
    if let Some(first) = own.into_iter().next() {
        return Some(first);
    }
    if old.manifest.seed != now.manifest.seed {
        return Some("seed changed".to_owned());
    }
    let given = item.inputs.iter().find_map(|wire| {
        let (was, is) = (old.manifest.inputs.get(&wire.port)?, now.manifest.inputs.get(&wire.port)?);
        (was != is).then_some((wire, *was, *is))
    });
    let Some((wire, was, is)) = given else {
        return reasons::unrecorded_changes(Some(&old.manifest), &now.manifest).into_iter().next();
    };
    let root = origin_changed(project, &wire.from, was, plan);
    Some(format!("input {} {} -> {}, {root}", project.origin(wire), was.short(), is.short()))
}

/// Inputs whose content is not known yet; of one that is new for certain that was said.
fn uncertainties(
    project: &Project<'_>,
    node: usize,
    locked: &Locked,
    fingerprint: &Fingerprint,
    plan: &Plan,
) -> Vec<Reason> {
    let wires = project.pipeline.nodes[node].inputs.iter();
    let unknown = wires
        .filter(|wire| fingerprint.unknown.contains(&wire.port) && locked.inputs.contains_key(&wire.port));
    unknown
        .map(|wire| {
            let root = match wire.from {
                Origin::Source(source) => Some(absence(project, source)),
                Origin::Output { .. } => cause_of(project, &wire.from, plan),
            };
            Reason { what: format!("input {} may change", project.origin(wire)), root, certain: false }
        })
        .collect()
}

/// What became of a source.
fn source_changed(project: &Project<'_>, source: usize) -> String {
    let item = &project.pipeline.sources[source];
    match (&item.at, project.lock.source(&item.id)) {
        (Place::Hub(name), Some(locked)) => format!("{name} is commit {} now", locked.commit),
        (at, _) => format!("{at} changed"),
    }
}

/// Why a source's content is not known: it lies on the hub.
fn absence(project: &Project<'_>, source: usize) -> String {
    let at = &project.pipeline.sources[source].at;
    format!("{at} is not here: {} downloads it", project.pipeline.typed("run"))
}

/// Why a node before this one is not what it was: its first reason, or what that comes from.
fn cause(project: &Project<'_>, node: usize, plan: &Plan) -> Option<String> {
    let reason = plan.nodes.get(&node)?.reasons.first()?;
    Some(reason.root_for_others(&project.pipeline.nodes[node].id))
}
