//! `ner-pipe log STAGE`.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    iter::repeat,
    path::PathBuf,
};

use stage_contract::{
    Registry, StageError,
    terminal::{stderr, stdout},
};

use super::{
    exit::Exit,
    options::{PipelineFile, open},
    output::{emit, forgive},
    targets::{find, gone},
};
use crate::{
    disk,
    runner::{MachineOptions, Project, Stop, plan},
};

/// Show what a stage printed: in its last attempt if that failed, else when its result was made
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stage; of one that is expanded, all instances, each with a heading
    stage: String,
    #[command(flatten)]
    pipeline: PipelineFile,
}

/// Does it.
///
/// # Errors
/// When the pipeline file is wrong, or the stage never ran.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = open(registry, &args.pipeline.file, &[], MachineOptions::default())?;
    let gone = gone(&project.pipeline, &project.lock, &args.stage)?;
    let nodes = match find(&project.pipeline, &args.stage) {
        Err(_) if !gone.is_empty() => Vec::new(),
        found => found?,
    };
    let ids = nodes.iter().map(|&node| project.pipeline.nodes[node].id.clone());
    let called: Vec<_> =
        ids.zip(nodes.iter().copied().map(Some)).chain(gone.into_iter().zip(repeat(None))).collect();
    let logs = called.into_iter().map(|(id, node)| Ok((find_log(&mut project, &id, node)?, id)));
    let logs = logs.collect::<Result<Vec<_>, Stop>>()?;
    if logs.iter().all(|(log, _)| log.is_none()) {
        let stage = &args.stage;
        return Err(Stop::wrong(
            format!("`{stage}` has no log: it has no result"),
            format!("type {}", project.pipeline.typed(&format!("run {stage}"))),
        ));
    }
    for (log, id) in &logs {
        if logs.len() > 1 {
            let none = if log.is_none() { " has no log: it has no result" } else { "" };
            emit(&mut stdout(), [format!("== {id}{none}")])?;
        }
        let Some(path) = log else { continue };
        let failed = |e| StageError::io("show", path, e);
        let mut log = disk::open_own(path).map_err(failed)?;
        let mut out = stdout();
        forgive(io::copy(&mut log, &mut out).and_then(|_| out.flush())).map_err(failed)?;
    }
    Ok(Exit::Ok)
}

/// The path of a stage's log, if it has one; `node` where the pipeline file has it still. What there is to say
/// of it goes to standard error.
fn find_log(project: &mut Project<'_>, id: &str, node: Option<usize>) -> Result<Option<PathBuf>, Stop> {
    if let Some((failure, log)) = project.store.failure(&project.pipeline.file, id) {
        emit(&mut stderr(), [format!("{id} failed: {}", failure.why.join(": "))])?;
        return Ok(Some(log));
    }
    let recorded = project.lock.get(id).and_then(|locked| project.store.peek(&locked.key));
    let entry = match (recorded, node) {
        (None, Some(node)) => {
            let wanted = project.pipeline.closure(&[node]);
            plan(project, &wanted, &BTreeSet::new())?.results[node].take()
        }
        (recorded, _) => recorded,
    };
    let Some(entry) = entry else { return Ok(None) };
    if !entry.log_matches() {
        let again = project.pipeline.typed(&format!("run {id} --force {id}"));
        let said = format!("{id}: the log in the cache was damaged; type {again} for a new one");
        emit(&mut stderr(), [said])?;
    }
    Ok(Some(entry.log()))
}
