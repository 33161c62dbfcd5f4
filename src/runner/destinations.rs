//! Whether outputs may be placed where they are to go: not over what a user made, nor over what another
//! pipeline file publishes or is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use super::{Next, Plan, Project, State, Stop, lengths::too_long};
use crate::{
    pipeline::{Links, Out, is_pipeline},
    problem::{Code, Problem, Problems},
    publish::{blocking_file, is_published_result, would_overwrite},
    store::{GcRoot, PublishRecord},
};

/// Checks every output that is not known to be current and this file's.
///
/// # Errors
/// All that is in the way, at once.
pub fn expect_free_destinations(project: &mut Project<'_>, expected: &Plan) -> Result<(), Problems> {
    expect_unshared(project, &not_fresh(expected))?;
    let mut problems = Problems::new();
    let others = others(project);
    // Where nothing is placed, nothing is lost.
    for planned in expected.nodes.values().filter(|planned| planned.next != Next::Reuse) {
        for out in 0..project.pipeline.nodes[planned.node].outputs.len() {
            let Project { pipeline, store, .. } = &*project;
            if let Some(problem) =
                too_long(pipeline, store, planned.node, &pipeline.nodes[planned.node].outputs[out])
            {
                problems.push(problem);
                continue;
            }
            problems.extend(obstacle(project, planned.node, out, &others));
        }
    }
    problems.into_result()
}

/// Takes the places of all outputs that are not known to be this file's, before any work: of two pipeline files
/// that begin at the same moment, the second one is refused.
///
/// # Errors
/// When another pipeline file was faster, or the disk refuses.
pub(super) fn claim_destinations(project: &Project<'_>, expected: &Plan) -> Result<(), Stop> {
    let nodes = not_fresh(expected);
    if nodes.is_empty() {
        return Ok(());
    }
    let _held = project.store.publish_lock()?;
    expect_unshared(project, &nodes)?;
    project.pipeline.expect_unclaimed().map_err(Problems::from)?;
    let pipeline = &project.pipeline;
    let outputs = || nodes.iter().flat_map(|&node| &pipeline.nodes[node].outputs);
    for out in outputs() {
        let before = project.store.publish_record(&out.resolved);
        project.store.set_publish_record(&PublishRecord {
            path: out.published.clone(),
            resolved: out.resolved.clone(),
            by: Some(pipeline.file.clone()),
            digest: before.as_ref().and_then(|record| record.digest),
            claimed: before.is_none_or(|record| record.claimed),
        })?;
    }
    if outputs().any(|out| out.published.starts_with(&pipeline.artifacts)) {
        let folder = pipeline.root.join(&pipeline.artifacts);
        fs::create_dir_all(&folder).map_err(|e| StageError::io("create", &folder, e))?;
        project.claim_artifacts()?;
    }
    Ok(())
}

fn not_fresh(expected: &Plan) -> Vec<usize> {
    let not_fresh = expected.nodes.values().filter(|planned| planned.state != State::Fresh);
    not_fresh.map(|planned| planned.node).collect()
}

fn expect_unshared(project: &Project<'_>, nodes: &[usize]) -> Result<(), Problems> {
    if nodes.is_empty() {
        return Ok(());
    }
    let claims = project.store.publish_records().filter_map(|record| Some((record.resolved, record.by?)));
    project.pipeline.expect_unshared(nodes, project.registry, &claims.collect())
}

/// Other pipeline files and their locks, by their resolved paths.
fn others(project: &Project<'_>) -> Vec<(PathBuf, &'static str)> {
    let mut links = Links::of(&project.pipeline.root);
    let others = project.store.gc_roots().filter(|gc_root| gc_root.file != project.pipeline.file);
    let files =
        others.flat_map(|GcRoot { file, lock, .. }| [(file, "a pipeline file"), (lock, "a lock file")]);
    files.map(|(file, what)| (links.resolve(&file), what)).collect()
}

/// What must stay where an output is to go. Results go where results were before, or into the folder of
/// artifacts; all else is a user's file, which must not end in `cache/`.
fn obstacle(
    project: &mut Project<'_>,
    node: usize,
    out: usize,
    others: &[(PathBuf, &'static str)],
) -> Option<Problem> {
    let Project { pipeline, store, memo, lock, .. } = project;
    let item = &pipeline.nodes[node];
    let (out, before) = (&item.outputs[out], lock.get(&item.id));
    if let Some((whose, path)) = pipeline_file(&pipeline.root, out, others)
        && !is_published_result(store, memo, &pipeline.root, out, before)
    {
        let message = format!("output `{}` would overwrite {whose}, `{}`", out.name, path.display());
        let problem = pipeline.misplaced(node, &out.name, Code::ProtectedPath, message);
        return Some(problem.help("publish the output elsewhere"));
    }
    let folder = &pipeline.artifacts_resolved;
    let published = !folder.as_os_str().is_empty() && out.resolved.starts_with(folder);
    let found = blocking_file(&pipeline.root, out).or_else(|| {
        let free = published || !would_overwrite(store, memo, &pipeline.root, out, before);
        (!free).then(|| out.published.clone())
    })?;
    let shown = found.display();
    let mut message = format!("output `{}` would overwrite `{shown}`, which ner-pipe did not make", out.name);
    if out.resolved != out.published && found == out.published {
        message = format!("{message}; by links, it is `{}`", out.resolved.display());
    }
    let help = format!("move it away: `mv '{shown}' '{shown}.mine'`; or publish the output elsewhere");
    Some(pipeline.misplaced(node, &out.name, Code::Preflight, message).help(help))
}

/// Another pipeline file, or its lock, at the output's destination.
fn pipeline_file(
    root: &Path,
    out: &Out,
    others: &[(PathBuf, &'static str)],
) -> Option<(&'static str, PathBuf)> {
    if is_pipeline(&root.join(&out.resolved)) {
        return Some(("a pipeline file", out.resolved.clone()));
    }
    let lies = |path: &Path| path.starts_with(&out.resolved) && root.join(path).is_file();
    others.iter().find(|(path, _)| lies(path)).map(|(path, what)| (*what, path.clone()))
}
