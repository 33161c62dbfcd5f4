//! `ner-pipe log STAGE`.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use stage_contract::{Registry, StageError};

use super::{Exit, PipelineFile, emit, find, forgive, open};
use crate::runner::{Project, Stop, Wish, survey};

/// Show what a stage printed: in its last attempt if that failed, else when its result was made
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stage; of one that is stamped out, all instances, each with a heading
    stage: String,
    #[command(flatten)]
    pipeline: PipelineFile,
}

/// Does it.
///
/// # Errors
/// When the pipeline file is wrong, or the stage never ran.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = open(registry, &args.pipeline.file, &[], Wish::default())?;
    let nodes = find(&project.pipeline, &args.stage)?;
    let logs = nodes
        .iter()
        .map(|&node| Ok((project.pipeline.nodes[node].id.clone(), find_log(&mut project, node)?)))
        .collect::<Result<Vec<_>, Stop>>()?;
    if logs.iter().all(|(_, log)| log.is_none()) {
        let stage = &args.stage;
        return Err(Stop::wrong(
            format!("`{stage}` has no log: it has no result"),
            format!("type `ner-pipe run {stage}`"),
        ));
    }
    for (id, log) in &logs {
        if logs.len() > 1 {
            let none = if log.is_none() { " has no log: it has no result" } else { "" };
            emit(&mut io::stdout(), [format!("== {id}{none}")])?;
        }
        let Some(path) = log else { continue };
        let failed = |e| StageError::io("show", path, e);
        let mut log = File::open(path).map_err(failed)?;
        let mut out = io::stdout();
        forgive(io::copy(&mut log, &mut out).and_then(|_| out.flush())).map_err(failed)?;
    }
    Ok(Exit::Ok)
}

/// Where a node's log lies, if it has one. What there is to say of it goes to standard error.
fn find_log(project: &mut Project<'_>, node: usize) -> Result<Option<PathBuf>, Stop> {
    let id = project.pipeline.nodes[node].id.clone();
    if let Some((failure, log)) = project.store.failure(&project.pipeline.file, &id) {
        emit(&mut io::stderr(), [format!("{id} failed: {}", failure.why.join(": "))])?;
        return Ok(Some(log));
    }
    let recorded = project.lock.get(&id).and_then(|locked| project.store.peek(&locked.key));
    let entry = if recorded.is_some() {
        recorded
    } else {
        let wanted = project.pipeline.closure(&[node]);
        survey(project, &wanted, &BTreeSet::new())?.results[node].take()
    };
    let Some(entry) = entry else { return Ok(None) };
    if !entry.has_its_log() {
        let again = format!("type `ner-pipe run {id} --force {id}` for a new one");
        emit(&mut io::stderr(), [format!("{id}: the log in the cache was damaged; {again}")])?;
    }
    Ok(Some(entry.log()))
}
