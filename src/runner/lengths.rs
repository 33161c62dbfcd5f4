//! Whether the disk takes the names and paths of outputs: known before a stage works for hours.

use crate::{
    disk::{STAGED, STAGED_RANDOM, too_long as why},
    pipeline::{Node, Out, Pipeline},
    problem::{Code, Problem},
    store::Store,
};

/// An output whose name is too long where it will lie, in `cache/` or where it is published.
pub(super) fn too_long(pipeline: &Pipeline, store: &Store, node: usize, out: &Out) -> Option<Problem> {
    let Node { id, .. } = &pipeline.nodes[node];
    let published = pipeline.root.join(&out.published);
    let staged = published.with_file_name(format!("{}{}", STAGED, "x".repeat(STAGED_RANDOM)));
    let file = out.published.file_name().unwrap_or_default();
    let cached = store.longest_path().join(&out.name).join(file);
    let (path, why) =
        [published, staged.join(file), cached].iter().find_map(|path| Some((path.clone(), why(path)?)))?;
    let shown = path.strip_prefix(&pipeline.root).unwrap_or(&path).display();
    let message =
        format!("output `{}` of `{id}` would lie at a path that the disk does not take: {why}", out.name);
    let problem = pipeline.misplaced(node, &out.name, Code::Preflight, message);
    Some(problem.help(format!("give the output or its folders shorter names; it would lie at `{shown}`")))
}
