//! Accepting a result for new code that is said to produce the same.

use std::{collections::BTreeSet, fs};

use stage_contract::StageError;

use super::{Project, Stop, reasons};
use crate::{
    fingerprint::{Fingerprint, observe},
    lock::Locked,
    store::{Entry, Lookup, Record, WaitPolicy, copy_tree},
};

/// A result that can be accepted.
pub struct Accepted {
    /// Of which node.
    pub node: usize,
    /// The result.
    pub from: Entry,
    /// What it is accepted for.
    pub fingerprint: Fingerprint,
    /// `code changed: ml/distillation/losses.rs`.
    pub why: String,
}

/// Which of the chosen nodes can be accepted, in the order of work, each as if those before it were.
/// `lenient` leaves out those that cannot.
///
/// # Errors
/// When one cannot, unless `lenient`; when a source cannot be read.
pub fn acceptable(
    project: &mut Project<'_>,
    chosen: &BTreeSet<usize>,
    lenient: bool,
) -> Result<Vec<Accepted>, Stop> {
    let wanted = project.pipeline.closure(&chosen.iter().copied().collect::<Vec<_>>());
    let mut results: Vec<Option<Entry>> = vec![None; project.pipeline.nodes.len()];
    let mut plan = Vec::new();
    for node in wanted {
        let fingerprint = project.fingerprint(node, &results)?;
        results[node] = fingerprint.key().and_then(|key| project.store.peek(&key)).filter(Entry::is_complete);
        let locked = project.lock.get(&project.pipeline.nodes[node].id).map(|locked| locked.key);
        let is_fresh = locked.is_some() && locked == fingerprint.key() && results[node].is_some();
        if !chosen.contains(&node) || is_fresh && lenient {
            continue;
        }
        match expect_acceptable(project, node, fingerprint) {
            Ok(accepted) => {
                results[node] = Some(accepted.from.clone());
                plan.push(accepted);
            }
            Err(_) if lenient => {}
            Err((message, help)) => return Err(Stop::wrong(message, help)),
        }
    }
    Ok(plan)
}

/// Whether only the code differs from the lock's result, and every byte of that is intact.
fn expect_acceptable(
    project: &Project<'_>,
    node: usize,
    fingerprint: Fingerprint,
) -> Result<Accepted, (String, String)> {
    let id = &project.pipeline.nodes[node].id;
    let refuse =
        |why: String, help: &str| Err((format!("`{id}` cannot be accepted: {why}"), help.to_owned()));
    let run = format!("type {}", project.pipeline.typed(&format!("run {id}")));
    let Some(locked) = project.lock.get(id) else {
        return refuse("it has no recorded result".to_owned(), &run);
    };
    if let Some(port) = fingerprint.unknown.first() {
        let why = format!("its input `{port}` is not known yet");
        return refuse(why, "accept or run the stage that produces it first: `ner-pipe status` shows it");
    }
    let Some(from) = project.store.peek(&locked.key) else {
        return refuse("its last result is not in the cache".to_owned(), &run);
    };
    let now = &fingerprint.manifest;
    if now.key() == locked.key {
        return refuse("its code did not change".to_owned(), "leave it as it is");
    }
    let parts = project.code_parts(node);
    let mut same_code = now.clone();
    same_code.code.clone_from(&from.manifest.code);
    if same_code != from.manifest {
        let own = reasons::own_changes(
            locked,
            &same_code,
            project.pipeline.nodes[node].seed,
            (&parts, &parts),
            &|port| project.origin_of(node, port),
        );
        let given =
            now.inputs.iter().filter(|(port, digest)| from.manifest.inputs.get(*port) != Some(*digest));
        let given = given.map(|(port, _)| format!("input `{port}` changed"));
        let mut why: Vec<String> = own.into_iter().chain(given).collect();
        if why.is_empty() {
            why = reasons::unrecorded_changes(Some(&from.manifest), &same_code);
        }
        return refuse(format!("more than its code differs: {}", why.join("; ")), &run);
    }
    if let Some(output) = from.damage() {
        return refuse(format!("its result is damaged in the cache: output `{output}`"), &run);
    }
    let why = reasons::changed_code(&from.record.code, &parts);
    Ok(Accepted { node, from, fingerprint, why })
}

/// Records the results under their new keys, and in the lock.
///
/// # Errors
/// When the disk refuses, or another run makes one of them.
pub fn accept(project: &mut Project<'_>, plan: &[Accepted]) -> Result<(), Stop> {
    let _used = project.store.prepare()?;
    project.pipeline.expect_unclaimed().map_err(crate::problem::Problems::from)?;
    let taken = plan.iter().try_for_each(|accepted| {
        let entry = commit_accepted(project, accepted)?;
        let item = &project.pipeline.nodes[accepted.node];
        project.lock.record(&item.id, Locked::new(&entry.manifest, &entry.record, item.seed));
        Ok(())
    });
    // Those accepted before one that could not be are recorded all the same.
    let _held = project.store.publish_lock()?;
    project.save()?;
    taken
}

fn commit_accepted(project: &Project<'_>, accepted: &Accepted) -> Result<Entry, Stop> {
    let Accepted { node, from, fingerprint, .. } = accepted;
    let policy = WaitPolicy { wait: true, cancelled: &|| false, waiting: &mut || {} };
    let slot = match project.store.lookup(&fingerprint.manifest.key(), policy)? {
        // Made, or accepted, before.
        Lookup::Hit(entry) => return Ok(*entry),
        Lookup::Miss(slot) => slot,
    };
    for (name, stored) in &from.record.outputs {
        let to = slot.output(name, &stored.file)?;
        copy_tree(&from.path(name, stored), &to)?;
        if observe(&to).map_or(true, |seen| seen.digest != stored.digest) {
            let message = format!("output `{name}` of {} changed while it was copied", from.key().short());
            return Err(StageError::new(message)
                .help("type `ner-pipe run`: it moves damaged results away and makes them again")
                .into());
        }
    }
    fs::copy(from.log(), slot.log()).map_err(|e| StageError::io("copy", &from.log(), e))?;
    let record = Record {
        key: fingerprint.manifest.key(),
        stage: project.pipeline.nodes[*node].id.clone(),
        code: project.code_parts(*node),
        accepted_from: Some(from.record.accepted_from.unwrap_or_else(|| from.key())),
        ..from.record.clone()
    };
    Ok(slot.commit(&fingerprint.manifest, &record, &[])?)
}
