//! What would happen, and why, without doing it: for `status`, `why`, `--dry-run`, and to look at
//! everything before the first stage runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Project, reasons};
use crate::{
    fingerprint::{Fingerprint, Key, Manifest},
    lock::Locked,
    pipeline::Origin,
    problem::Problems,
    publish::{Standing, standing},
    store::Entry,
};

/// How a node's last good state relates to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The key is the lock's, and the entry and the artifacts are whole.
    Fresh,
    /// Something differs for certain.
    Stale,
    /// A stage before it is yet to give its result.
    Maybe,
    /// The lock does not know it.
    NeverRun,
}

/// What `run` would do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Next {
    /// Nothing: its artifacts are right.
    Reuse,
    /// Place its artifacts from the cache.
    Restore,
    /// Execute the stage.
    Execute,
    /// That depends on what the stages before it give.
    Unknown,
}

impl State {
    /// As FORMATS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Maybe => "maybe",
            Self::NeverRun => "never-run",
        }
    }
}

impl Next {
    /// As FORMATS writes it.
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

/// What is to be expected of a node.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Its place in [`crate::pipeline::Pipeline::nodes`].
    pub node: usize,
    /// How its last good state relates to now.
    pub state: State,
    /// What `run` would do.
    pub next: Next,
    /// The key, where it is known already.
    pub key: Option<Key>,
    /// What differs; the root cause first. Empty when fresh.
    pub reasons: Vec<String>,
}

/// Looks at nodes and at all that they need; `wanted` is closed under that. Executes nothing, and writes
/// nothing but what it learnt about files, if there is a cache.
///
/// # Errors
/// When a source cannot be read.
pub fn survey(
    project: &mut Project<'_>,
    wanted: &BTreeSet<usize>,
    forced: &BTreeSet<usize>,
) -> Result<Survey, Problems> {
    observe_everything(project, wanted);
    let mut survey = Survey { outlooks: BTreeMap::new(), results: vec![None; project.pipeline.nodes.len()] };
    let mut manifests = None;
    for &node in wanted {
        let fingerprint = project.fingerprint(node, &survey.results)?;
        let (outlook, entry) =
            look(project, node, &fingerprint, forced.contains(&node), &survey, &mut manifests);
        survey.results[node] = entry.filter(|_| outlook.next != Next::Execute);
        survey.outlooks.insert(node, outlook);
    }
    Ok(survey)
}

/// What is to be expected of some nodes.
pub struct Survey {
    /// By node.
    pub outlooks: BTreeMap<usize, Outlook>,
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

fn look(
    project: &mut Project<'_>,
    node: usize,
    fingerprint: &Fingerprint,
    forced: bool,
    survey: &Survey,
    manifests: &mut Option<Vec<Manifest>>,
) -> (Outlook, Option<Entry>) {
    let key = fingerprint.key();
    let found = key.and_then(|key| project.store.peek(&key));
    let entry = found.filter(|entry| entry.is_whole() && !forced);
    let misplaced = entry.as_ref().map(|entry| misplaced(project, node, entry));
    let next = match (&key, &misplaced) {
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
    let mut reasons = explain(project, node, fingerprint, forced, survey);
    let state = match (project.lock.get(&project.pipeline.nodes[node].id), key) {
        (None, _) => State::NeverRun,
        (Some(locked), Some(key)) if key == locked.key && next == Next::Reuse => State::Fresh,
        (Some(_), None) if reasons.is_empty() => State::Maybe,
        (Some(_), _) => State::Stale,
    };
    reasons.extend(misplaced.into_iter().flatten());
    if state != State::NeverRun {
        reasons.extend(uncertainties(project, node, fingerprint, survey));
    }
    (Outlook { node, state, next, key, reasons }, entry)
}

/// What differs from the last good state for certain, the root cause first.
pub fn explain(
    project: &Project<'_>,
    node: usize,
    fingerprint: &Fingerprint,
    forced: bool,
    survey: &Survey,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if forced {
        reasons.push("forced".to_owned());
    }
    let Some(locked) = project.lock.get(&project.pipeline.nodes[node].id) else {
        let failed =
            project.store.failure(&project.pipeline.file, &project.pipeline.nodes[node].id).is_some();
        reasons.push(if failed { "its last attempt failed" } else { "never run" }.to_owned());
        return reasons;
    };
    let differences = differences(project, node, locked, fingerprint, survey);
    let unexplained = differences.is_empty();
    reasons.extend(differences);
    let key = fingerprint.key();
    let before = project.store.peek(&locked.key);
    if key.is_none_or(|key| key == locked.key) {
        match before {
            None => reasons.push("result not in the cache".to_owned()),
            Some(entry) if !entry.is_whole() => reasons.push("result damaged in the cache".to_owned()),
            Some(_) => {}
        }
    } else if unexplained {
        reasons.extend(reasons::hidden(before.map(|entry| entry.manifest).as_ref(), &fingerprint.manifest));
    }
    reasons
}

/// Which artifacts are not what the entry says.
fn misplaced(project: &mut Project<'_>, node: usize, entry: &Entry) -> Vec<String> {
    let mut wrong = Vec::new();
    for out in &project.pipeline.nodes[node].outputs {
        let Some(stored) = entry.record.outputs.get(&out.name) else { continue };
        let path = project.pipeline.root.join(&out.published);
        match standing(&mut project.memo, &path, stored) {
            Standing::Right => {}
            Standing::Missing => wrong.push(format!("{} is missing", out.published.display())),
            Standing::Other => wrong.push(format!("{} is not this result", out.published.display())),
        }
    }
    wrong
}

/// What differs from the lock for certain: the stage itself, then its inputs.
fn differences(
    project: &Project<'_>,
    node: usize,
    locked: &Locked,
    fingerprint: &Fingerprint,
    survey: &Survey,
) -> Vec<String> {
    let mut reasons = reasons::own(locked, fingerprint, project.pipeline.nodes[node].seed);
    let wires = &project.pipeline.nodes[node].inputs;
    for wire in wires {
        let now = fingerprint.manifest.inputs.get(&wire.port);
        let why = match &wire.from {
            Origin::Source(source) => format!("{} changed", project.pipeline.sources[*source].path.display()),
            Origin::Output { node, .. } => cause(project, *node, survey)
                .unwrap_or_else(|| format!("{} re-ran", project.pipeline.nodes[*node].id)),
        };
        match (locked.inputs.get(&wire.port), now) {
            (Some(before), Some(now)) if before != now => {
                reasons.push(format!(
                    "input {} {} -> {} ({why})",
                    project.origin(wire),
                    before.short(),
                    now.short()
                ));
            }
            (None, _) => reasons.push(format!("input {} is new", project.origin(wire))),
            _ => {}
        }
    }
    let gone = locked.inputs.keys().filter(|port| wires.iter().all(|wire| wire.port != **port));
    reasons.extend(gone.map(|port| format!("input `{port}` is no longer wired")));
    reasons
}

/// Inputs whose content is not known yet.
fn uncertainties(
    project: &Project<'_>,
    node: usize,
    fingerprint: &Fingerprint,
    survey: &Survey,
) -> Vec<String> {
    let wires = project.pipeline.nodes[node].inputs.iter();
    let unknown = wires.filter(|wire| fingerprint.unknown.contains(&wire.port));
    unknown
        .map(|wire| {
            let why = match &wire.from {
                Origin::Output { node, .. } => cause(project, *node, survey),
                Origin::Source(_) => None,
            };
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            format!("input {} may change{why}", project.origin(wire))
        })
        .collect()
}

/// Why a node before this one is not what it was: the first reason of the first stage that has its own.
fn cause(project: &Project<'_>, node: usize, survey: &Survey) -> Option<String> {
    let reason = survey.outlooks.get(&node)?.reasons.first()?;
    // A reason that names a stage before is the root cause already.
    let inner = reason.strip_prefix("input ").and_then(|rest| rest.split_once(" (")?.1.strip_suffix(')'));
    Some(match inner {
        Some(root) => root.to_owned(),
        None => format!("{}: {reason}", project.pipeline.nodes[node].id),
    })
}
