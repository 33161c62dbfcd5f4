//! What can be known before any work: the stages look at the inputs that are there, the device is
//! there, the disk has room.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use stage_contract::{Available, Device, Devices, StageError};

use super::{Next, Plan, Project, Stop, destinations::expect_free_destinations};
use crate::{
    pipeline::{Origin, Work},
    problem::Problems,
    publish::{ArtifactState, artifact_state},
    store::{Entry, free_bytes},
};

/// With less than this, not even logs and records have room. What becomes too small later is found out then, and
/// nothing truncated is taken for complete.
const LEAST_FREE: u64 = 10_000_000;

/// Looks at everything that will execute.
///
/// # Errors
/// All that would stop a stage later, at once.
pub fn preflight(project: &mut Project<'_>, expected: &Plan) -> Result<(), Stop> {
    expect_free_destinations(project, expected)?;
    let executing = |next| matches!(next, Next::Execute | Next::Unknown);
    let nodes: Vec<_> = expected.nodes.values().filter(|planned| executing(planned.next)).collect();
    if nodes.is_empty() {
        return Ok(());
    }
    let mut problems = Problems::new();
    let mut told = BTreeSet::new();
    for planned in &nodes {
        let devices = match &project.pipeline.nodes[planned.node].work {
            Work::Command { .. } => None,
            Work::Stage { .. } => Some(devices(project)?),
        };
        // What the file itself says there is was looked at when it was read; this is the machine.
        let request = project.capacity().request(&project.pipeline.nodes[planned.node], devices.as_ref());
        if let Some((name, wanted, total)) = project.capacity().lacks(&request) {
            problems.push(project.pipeline.exceeded(planned.node, name, wanted, total));
        }
        let Some(devices) = devices else { continue };
        if planned.next != Next::Execute {
            continue;
        }
        look(project, planned.node, &expected.results, devices.first, &mut told, &mut problems);
    }
    problems.into_result()?;
    let sizes = nodes.iter().map(|planned| input_bytes(project, planned.node));
    let largest = sizes.max().unwrap_or(0);
    // A dry run makes no cache.
    let root = project.store.root();
    let folder = if root.is_dir() { root } else { &project.pipeline.root };
    let free = free_bytes(folder).map_err(|e| StageError::io("ask for free space of", folder, e))?;
    room(free, largest, &mut project.notes)?;
    Ok(())
}

/// Has the stages of these nodes look at their inputs, as far as those are there; `results` has what is known of others.
///
/// # Errors
/// All that they would stop at, at once.
pub fn inspect(project: &mut Project<'_>, nodes: &[usize], results: &[Option<Entry>]) -> Result<(), Stop> {
    let (mut problems, mut told) = (Problems::new(), BTreeSet::new());
    for &node in nodes {
        if matches!(project.pipeline.nodes[node].work, Work::Stage { .. }) {
            let device = devices(project)?.first;
            look(project, node, results, device, &mut told, &mut problems);
        }
    }
    Ok(problems.into_result()?)
}

fn devices(project: &mut Project<'_>) -> Result<Devices, Stop> {
    project.devices().map_err(|invalid| {
        let help = invalid.help.unwrap_or_else(|| "choose another with `--device`".to_owned());
        Stop::wrong(invalid.message, help)
    })
}

/// A stage looks at its inputs. A problem with a source is reported once, however many stages read it: `told`.
fn look(
    project: &mut Project<'_>,
    node: usize,
    results: &[Option<Entry>],
    device: Device,
    told: &mut BTreeSet<(usize, String)>,
    problems: &mut Problems,
) {
    let paths = available(project, node, results);
    let Work::Stage { stage, .. } = &project.pipeline.nodes[node].work else { return };
    let options = project.pipeline.nodes[node].options();
    let inputs = Available::new(&paths).with_options(&options);
    let looked = stage.preflight(&inputs, device);
    // Several stages may read one source.
    for note in inputs.into_notes() {
        if !project.notes.contains(&note) {
            project.notes.push(note);
        }
    }
    if let Err(invalid) = looked {
        let wires = project.pipeline.nodes[node].inputs.iter();
        let mut about = wires.filter(|wire| invalid.at.as_deref() == Some(wire.port.as_str()));
        let source = about.find_map(|wire| match wire.from {
            Origin::Source(source) => Some(source),
            Origin::Output { .. } => None,
        });
        if source.is_none_or(|source| told.insert((source, invalid.message.clone()))) {
            problems.push(project.pipeline.problem(node, &invalid));
        }
    }
}

/// Inputs that are there already: sources, and results that are in the cache.
fn available(project: &mut Project<'_>, node: usize, results: &[Option<Entry>]) -> BTreeMap<String, PathBuf> {
    let mut paths = BTreeMap::new();
    for wire in &project.pipeline.nodes[node].inputs {
        let path = project.input_path(wire);
        match &wire.from {
            Origin::Source(source) if project.is_here(*source) => drop(paths.insert(wire.port.clone(), path)),
            Origin::Source(_) => {}
            Origin::Output { node, output } => {
                let Some(entry) = &results[*node] else { continue };
                let Some(stored) = entry.record.outputs.get(output) else { continue };
                let right = artifact_state(&mut project.memo, &path, stored) == ArtifactState::Current;
                paths.insert(wire.port.clone(), if right { path } else { entry.path(output, stored) });
            }
        }
    }
    paths
}

fn input_bytes(project: &Project<'_>, node: usize) -> u64 {
    let wires = project.pipeline.nodes[node].inputs.iter();
    wires.filter_map(|wire| project.memo.bytes(&project.input_path(wire))).sum()
}

/// Most outputs are no larger than their stage's inputs, and each lies in the cache and is published:
/// with less room than that a run may still succeed, so it is only said.
fn room(free: u64, largest: u64, notes: &mut Vec<String>) -> Result<(), StageError> {
    const MEGABYTE: u64 = 1_000_000;
    if free < LEAST_FREE {
        return Err(StageError::new(format!("only {} MB are free on this disk", free / MEGABYTE))
            .help(format!("free at least {} MB, then type `ner-pipe run`", LEAST_FREE / MEGABYTE)));
    }
    if free < largest.saturating_mul(2).saturating_add(LEAST_FREE) {
        notes.push(format!(
            "{} MB are free on this disk, and a stage reads {} MB: it may become too small",
            free / MEGABYTE,
            largest / MEGABYTE
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_refused_and_a_tight_one_is_mentioned() {
        let mut notes = Vec::new();
        let error = room(5_000_000, 0, &mut notes).expect_err("is full");
        assert_eq!(error.to_string(), "only 5 MB are free on this disk");
        room(10_000_000_000, 1_000_000_000, &mut notes).expect("has room");
        assert!(notes.is_empty());
        room(1_000_000_000, 1_000_000_000, &mut notes).expect("may do");
        assert_eq!(notes.len(), 1);
    }
}
