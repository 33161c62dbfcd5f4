//! A lock in conflict: for each stage the side that matches the working tree.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Project, Stop, places::pinned, plan, reasons};
use crate::{
    fingerprint::file_name,
    lock::{Conflict, Content, Lock, Locked, LockedSource},
    pipeline::{Origin, Source},
};

/// What became of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Both sides say the same, or only one of them touched it.
    Agreed,
    /// This branch's result fits the working tree.
    Ours,
    /// The other branch's does.
    Theirs,
    /// The cache has the result that fits, and neither side is it.
    Cache,
    /// Nothing fits: the next run executes it.
    Neither,
}

/// A lock without conflict.
#[derive(Debug, Default)]
pub struct Resolution {
    /// Its content.
    pub content: Content,
    /// What became of each stage, in the order of work.
    pub sides: Vec<(String, Side)>,
}

/// Decides for every stage of the pipeline, in the order of work.
///
/// # Errors
/// When a source cannot be read.
pub fn resolve(project: &mut Project<'_>, conflict: &Conflict) -> Result<Resolution, Stop> {
    let all: BTreeSet<usize> = (0..project.pipeline.nodes.len()).collect();
    // Before the stages: what they read is the content of these commits.
    let sources = sources(project, conflict);
    for (id, locked) in &sources {
        project.lock.record_source(id, locked.clone());
    }
    project.locate();
    let plan = plan(project, &all, &BTreeSet::new())?;
    let mut resolution = Resolution::default();
    resolution.content.sources = sources;
    for node in all {
        let id = project.pipeline.nodes[node].id.clone();
        let (locked, sides) = decide(project, node, conflict, &plan, &resolution.content.stages)?;
        if let Some(locked) = locked {
            resolution.content.stages.insert(id.clone(), locked);
        }
        resolution.sides.push((id, sides));
    }
    Ok(resolution)
}

/// Of each source of the hub the commit that fits what the pipeline file asks for; where both do, the one that a side
/// moved to, and this branch's where both moved.
fn sources(project: &Project<'_>, conflict: &Conflict) -> BTreeMap<String, LockedSource> {
    let decide = |source: &Source| {
        let of = |lock: &Lock| pinned(lock, source).and_then(|_| lock.source(&source.id).cloned());
        let (ours, theirs) = (of(&conflict.ours), of(&conflict.theirs));
        let base = conflict.base.as_ref().and_then(of);
        let chosen = if ours == base { theirs.or(ours) } else { ours.or(theirs) };
        Some((source.id.clone(), chosen?))
    };
    project.pipeline.sources.iter().filter_map(decide).collect()
}

fn decide(
    project: &mut Project<'_>,
    node: usize,
    conflict: &Conflict,
    plan: &Plan,
    before: &BTreeMap<String, Locked>,
) -> Result<(Option<Locked>, Side), Stop> {
    let id = project.pipeline.nodes[node].id.clone();
    let of = |lock: &Lock| lock.get(&id).cloned();
    let (ours, theirs) = (of(&conflict.ours), of(&conflict.theirs));
    if ours == theirs {
        return Ok((ours, Side::Agreed));
    }
    if let Some(base) = &conflict.base {
        let base = of(base);
        // Only the other side touched it.
        if ours == base {
            return Ok((theirs, Side::Agreed));
        }
        if theirs == base {
            return Ok((ours, Side::Agreed));
        }
    }
    let (cached, seed) = (plan.results[node].as_ref(), project.pipeline.nodes[node].seed);
    let cached = cached.map(|entry| Locked::new(&entry.manifest, &entry.record, seed));
    for (side, sides) in [(ours, Side::Ours), (theirs, Side::Theirs)] {
        if let Some(side) = side
            && fits(project, node, &side, plan, before)?
        {
            // Git may have merged the lines around the key from both sides: the cache's own record is intact.
            return Ok((Some(cached.unwrap_or(side)), sides));
        }
    }
    let sides = if cached.is_some() { Side::Cache } else { Side::Neither };
    Ok((cached, sides))
}

/// Whether a side is the result of this node as the working tree has it; `before` are the stages that were
/// decided, from which an input's content is known where the cache does not have it.
fn fits(
    project: &mut Project<'_>,
    node: usize,
    side: &Locked,
    plan: &Plan,
    before: &BTreeMap<String, Locked>,
) -> Result<bool, Stop> {
    let fingerprint = project.fingerprint(node, &plan.results)?;
    if let Some(key) = fingerprint.key() {
        return Ok(key == side.key);
    }
    let (seed, parts) = (project.pipeline.nodes[node].seed, project.code_parts(node));
    if !reasons::own_changes(side, &fingerprint.manifest, seed, (&parts, &parts), &|port| {
        project.origin_of(node, port)
    })
    .is_empty()
    {
        return Ok(false);
    }
    let wires = &project.pipeline.nodes[node].inputs;
    Ok(wires.len() == side.inputs.len()
        && wires.iter().all(|wire| {
            let Some(content) = side.inputs.get(&wire.port) else { return false };
            match (&wire.from, fingerprint.manifest.inputs.get(&wire.port)) {
                (_, Some(now)) => content == now,
                (Origin::Source(_), None) => false,
                (Origin::Output { node, output }, None) => {
                    let made = before
                        .get(&project.pipeline.nodes[*node].id)
                        .and_then(|locked| locked.outputs.get(output));
                    let name = file_name(&project.input_path(wire));
                    made.is_some_and(|made| made == content || made.named(&name) == *content)
                }
            }
        }))
}
