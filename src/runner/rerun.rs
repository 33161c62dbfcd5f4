//! A stage executed again beside its result, to see whether it reproduces the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use stage_contract::{Shape, StageError};

use super::{
    Next, Plan, Project, Stop, failure::Failure, hydrate::Hydrate, lock_writer::LockWriter, plan,
    prepare::Preparation, reasons, sources,
};
use crate::{
    executor::CancelToken,
    fingerprint::{Fingerprint, Key, file_name, observe},
    lock::Locked,
    problem::Problems,
    publish::{ArtifactState, artifact_state},
    store::{PathPart, Slot, Stored, WaitPolicy},
    watch::Watch,
};

/// How a second execution compares.
#[derive(Debug)]
pub struct Comparison {
    /// The key of the recorded result.
    pub key: Key,
    /// For each output what differs: files of a folder, else the output itself. Nothing where it is the same.
    pub outputs: BTreeMap<String, Vec<String>>,
}

/// Executes a node in a slot that is thrown away, and compares with what the lock records. The result, the
/// lock and the published outputs stay as they are.
///
/// # Errors
/// When there is nothing to compare with, or the stage produces no result.
pub fn rerun(
    project: &mut Project<'_>,
    node: usize,
    cancel: &CancelToken,
    watch: &mut dyn Watch,
) -> Result<Comparison, Stop> {
    let _used = project.store.prepare()?;
    let wanted = project.pipeline.closure(&[node]);
    sources::fetch(project, &wanted, cancel, watch)?;
    let plan = plan(project, &wanted, &BTreeSet::new())?;
    let id = project.pipeline.nodes[node].id.clone();
    let (fingerprint, recorded) = expect_comparable(project, node, &plan)?;
    let slot = slot(project, &fingerprint.manifest.key(), cancel)?;
    watch.started(&id, &["to compare with its result".to_owned()]);
    let failed = |failure| Stop::Failed(without_result(&id, failure));
    let (fingerprint, results) = (&fingerprint, &plan.results);
    let preparation =
        Preparation { node, fingerprint, gpus: &[], results, show_text: false, limit_memory: false };
    let mut hydrate = Hydrate { project, watch, lock: &mut LockWriter::new() };
    let mut attempt = preparation.attempt(&mut hydrate, slot).map_err(|gone| failed(gone.failure))?;
    // Nothing of an earlier attempt, and nothing for a later one.
    attempt.job.checkpoint = attempt.slot.scratch("checkpoint");
    let executor = project.executor.clone();
    let record =
        attempt.record(executor.as_ref(), cancel, |event| watch.event(&id, &event)).map_err(failed)?;
    let slot = attempt.slot;
    let mut outputs = BTreeMap::new();
    for (name, digest) in &recorded.outputs {
        let different = match record.outputs.get(name) {
            Some(stored) if stored.digest == *digest => Vec::new(),
            Some(stored) => {
                let new = slot.output(name, &stored.file)?;
                let old = before(project, node, name, &recorded);
                old.map_or_else(|| vec![stored.file.to_string()], |old| differences(&old, &new, stored))
            }
            None => vec![format!("{name}: no longer an output")],
        };
        outputs.insert(name.clone(), different);
    }
    for name in record.outputs.keys().filter(|name| !recorded.outputs.contains_key(&***name)) {
        outputs.insert(name.to_string(), vec![format!("{name}: a new output")]);
    }
    Ok(Comparison { key: recorded.key, outputs })
}

/// The node's fingerprint, and its last good state, from which it may differ in its code alone.
fn expect_comparable(
    project: &mut Project<'_>,
    node: usize,
    plan: &Plan,
) -> Result<(Fingerprint, Locked), Stop> {
    let id = project.pipeline.nodes[node].id.clone();
    let run = project.pipeline.typed(&format!("run {id}"));
    let other = |why: String| {
        let message = format!("`{id}` cannot be compared with its result: {why}");
        Stop::wrong(message, format!("type {run} first"))
    };
    let locked = project.lock.get(&id).cloned().ok_or_else(|| other("it has none".to_owned()))?;
    for upstream in project.pipeline.upstream(node) {
        let planned = &plan.nodes[&upstream];
        if planned.next != Next::Reuse {
            let before = &project.pipeline.nodes[upstream].id;
            return Err(other(format!(
                "the published outputs of `{before}`, which it reads, are missing or modified"
            )));
        }
    }
    let fingerprint =
        project.fingerprint(node, &plan.results).map_err(|found: Problems| Stop::from(found))?;
    if fingerprint.manifest.machine.is_some() {
        let message = format!("`{id}` measures this machine, and gives different values each time");
        return Err(Stop::wrong(message, "compare what it says: `ner-pipe metrics --against REV`"));
    }
    let mut same_code = fingerprint.manifest.clone();
    same_code.code.clone_from(&locked.code);
    let parts = project.code_parts(node);
    let differences = reasons::own_changes(
        &locked,
        &same_code,
        project.pipeline.nodes[node].seed,
        (&parts, &parts),
        &|port| project.origin_of(node, port),
    );
    if let Some(first) = differences.first() {
        return Err(other(first.clone()));
    }
    if locked.inputs != fingerprint.manifest.inputs {
        return Err(other("its inputs changed".to_owned()));
    }
    Ok((fingerprint, locked))
}

fn slot(project: &Project<'_>, key: &Key, cancel: &CancelToken) -> Result<Slot, Stop> {
    let cancelled = || cancel.is_cancelled();
    let mut waiting = || {};
    let policy = WaitPolicy { wait: true, cancelled: &cancelled, waiting: &mut waiting };
    Ok(project.store.reserve(key, policy)?)
}

/// Where the recorded bytes of an output are: in the cache, else where it is published.
fn before(project: &mut Project<'_>, node: usize, name: &str, recorded: &Locked) -> Option<PathBuf> {
    if let Some(entry) = project.store.peek(&recorded.key)
        && let Some(stored) = entry.record.outputs.get(name)
        && entry.is_complete()
    {
        return Some(entry.path(name, stored));
    }
    let out = project.pipeline.nodes[node].outputs.iter().find(|out| out.name == name)?;
    let path = project.published(out);
    let seen = observe(&path).ok()?;
    let stored = Stored {
        file: PathPart::try_from(file_name(&path)).ok()?,
        digest: *recorded.outputs.get(name)?,
        bytes: 0,
        folder: seen.shape == Shape::Folder,
    };
    (artifact_state(&mut project.memo, &path, &stored) == ArtifactState::Current).then_some(path)
}

/// The files of a folder that differ; a file is named itself.
fn differences(old: &Path, new: &Path, stored: &Stored) -> Vec<String> {
    if !stored.folder || !old.is_dir() {
        return vec![stored.file.to_string()];
    }
    let files = |root: &Path| -> BTreeSet<PathBuf> {
        let found = walkdir::WalkDir::new(root).follow_links(true).into_iter().filter_map(Result::ok);
        let found = found.filter(|entry| entry.depth() > 0);
        found.filter_map(|entry| Some(entry.path().strip_prefix(root).ok()?.to_owned())).collect()
    };
    let (before, after) = (files(old), files(new));
    let mut different = Vec::new();
    for path in before.union(&after) {
        let shown = path.display();
        match (before.contains(path), after.contains(path)) {
            (true, false) => different.push(format!("{shown}: gone")),
            (false, true) => different.push(format!("{shown}: new")),
            _ if new.join(path).is_dir() && old.join(path).is_dir() => {}
            _ => {
                let digest = |root: &Path| observe(&root.join(path)).map(|seen| seen.digest).ok();
                let mode = |root: &Path| {
                    use std::os::unix::fs::PermissionsExt;
                    fs::metadata(root.join(path)).map(|meta| meta.permissions().mode() & 0o111 != 0).ok()
                };
                if digest(old) != digest(new) || mode(old) != mode(new) {
                    different.push(shown.to_string());
                }
            }
        }
    }
    different
}

fn without_result(id: &str, failure: Failure) -> StageError {
    match failure {
        Failure::Skipped | Failure::Cancelled => StageError::Cancelled,
        Failure::Busy => StageError::new("another run is making this result"),
        Failure::Failed(fault) | Failure::Retryable(fault) | Failure::Panicked(fault) => {
            let why = [vec![fault.message], fault.causes].concat().join(": ");
            let message = format!("`{id}` gave no result to compare: {why}");
            match fault.help.first() {
                Some(help) => StageError::new(message).help(help.clone()),
                None => StageError::new(message),
            }
        }
    }
}
