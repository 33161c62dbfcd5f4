//! The stages that are named on a command line.

use std::collections::BTreeSet;

use stage_contract::{StageError, terminal::stderr};

use super::output::emit;
use crate::{lock::Lock, pipeline::Pipeline, runner::Stop};

/// The nodes of these ids: of a stage that is expanded, all its instances.
pub(super) fn find_all(pipeline: &Pipeline, ids: &[String]) -> Result<Vec<usize>, Stop> {
    let found = ids.iter().map(|id| find(pipeline, id)).collect::<Result<Vec<_>, _>>();
    found.map(|found| found.concat())
}

pub(super) fn find(pipeline: &Pipeline, id: &str) -> Result<Vec<usize>, Stop> {
    let found = pipeline.find_all(id);
    if !found.is_empty() {
        return Ok(found);
    }
    let names: BTreeSet<_> = pipeline.nodes.iter().flat_map(|node| [&*node.id, &*node.family]).collect();
    let near = names.iter().min_by_key(|known| strsim::damerau_levenshtein(known, id));
    let close = near.filter(|known| strsim::damerau_levenshtein(known, id) <= 1 + id.len() / 3);
    let help = close.map_or_else(
        || {
            let ids = pipeline.nodes.iter().map(|node| format!("`{}`", node.id));
            format!("choose one of {}", ids.collect::<Vec<_>>().join(", "))
        },
        |known| format!("did you mean `{known}`?"),
    );
    Err(Stop::wrong(format!("no stage `{id}` in {}", pipeline.file.display()), help))
}

/// What a name means besides what the pipeline file has: stages and instances that it has no longer, and that the
/// lock names until the next result is recorded. It is said of each.
pub(super) fn gone(pipeline: &Pipeline, lock: &Lock, name: &str) -> Result<Vec<String>, StageError> {
    let named = lock.stages().map(|(id, _)| id).filter(|id| is_called(id, name));
    let gone: Vec<_> = named.filter(|id| pipeline.find(id).is_none()).map(str::to_owned).collect();
    let (file, lock) = (pipeline.file.display(), pipeline.lock.display());
    let said = |id: &String| {
        format!("note: `{id}` is no longer in {file}; this is its last result, as {lock} has it")
    };
    emit(&mut stderr(), gone.iter().map(said))?;
    Ok(gone)
}

/// Whether a stage that a lock names is the one called so, or an instance of it.
pub(super) fn is_called(id: &str, name: &str) -> bool {
    id.strip_prefix(name).is_some_and(|key| key.is_empty() || key.starts_with('@'))
}
