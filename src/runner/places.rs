//! Whether outputs may be placed where they are to go: not over what a user made, nor over what another
//! pipeline file publishes or is.

use std::path::{Path, PathBuf};

use super::{Next, Project, State, Survey};
use crate::{
    pipeline::{Out, is_pipeline},
    problem::{Code, Problem, Problems},
    publish::{in_the_way, is_ours},
    store::Recorder,
};

/// Looks at every output that is not known to be right and this file's.
///
/// # Errors
/// All that is in the way, at once.
pub(super) fn expect_room(project: &mut Project<'_>, expected: &Survey) -> Result<(), Problems> {
    let unsettled = expected.outlooks.values().filter(|outlook| outlook.state != State::Fresh);
    let unsettled: Vec<_> = unsettled.map(|outlook| outlook.node).collect();
    let placed_by = |path: &Path| project.store.mark(path)?.by;
    project.pipeline.expect_unshared(&unsettled, project.registry, placed_by)?;
    let mut problems = Problems::new();
    let recorders: Vec<Recorder> = project.store.recorders().collect();
    // Where nothing is placed, nothing is lost.
    for outlook in expected.outlooks.values().filter(|outlook| outlook.next != Next::Reuse) {
        for out in 0..project.pipeline.nodes[outlook.node].outputs.len() {
            problems.extend(obstacle(project, outlook.node, out, &recorders));
        }
    }
    problems.into_result()
}

/// What must stay where an output is to go. Results go where results were before, or into the folder of
/// artifacts; all else is somebody's work, and `cache/` is no place to look for it.
fn obstacle(project: &mut Project<'_>, node: usize, out: usize, recorders: &[Recorder]) -> Option<Problem> {
    let Project { pipeline, store, memo, lock, .. } = project;
    let item = &pipeline.nodes[node];
    let (out, before) = (&item.outputs[out], lock.get(&item.id));
    if let Some((whose, path)) = pipeline_file(&pipeline.root, &pipeline.file, out, recorders)
        && !is_ours(store, memo, &pipeline.root, out, before)
    {
        let message = format!("output `{}` would take the place of {whose}, `{}`", out.name, path.display());
        let problem = pipeline.misplaced(node, &out.name, Code::ProtectedPath, message);
        return Some(problem.help("publish the output elsewhere"));
    }
    if out.published.starts_with(&pipeline.artifacts) {
        return None;
    }
    let found = in_the_way(store, memo, &pipeline.root, out, before)?;
    let shown = found.display();
    let message =
        format!("output `{}` would take the place of `{shown}`, which ner-pipe did not make", out.name);
    let help = format!("move it away: `mv '{shown}' '{shown}.mine'`; or publish the output elsewhere");
    Some(pipeline.misplaced(node, &out.name, Code::Preflight, message).help(help))
}

/// Another pipeline file, or its lock, that lies where an output is to go.
fn pipeline_file(
    root: &Path,
    own: &Path,
    out: &Out,
    recorders: &[Recorder],
) -> Option<(&'static str, PathBuf)> {
    if is_pipeline(&root.join(&out.published)) {
        return Some(("a pipeline file", out.published.clone()));
    }
    let others = recorders.iter().filter(|recorder| recorder.file != own);
    let mut files = others.flat_map(|other| [("a pipeline file", &other.file), ("a lock file", &other.lock)]);
    let lies = |path: &Path| path.starts_with(&out.published) && root.join(path).is_file();
    files.find(|(_, path)| lies(path)).map(|(what, path)| (what, path.clone()))
}
