//! `ner-pipe log STAGE`.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use stage_contract::{Registry, StageError};

use super::{Exit, emit, find, forgive, open};
use crate::runner::{Stop, Wish, survey};

/// Show what a stage printed: in its last attempt if that failed, else when its result was made
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stage
    stage: String,
    /// The pipeline file
    #[arg(long, value_name = "FILE", default_value = "pipeline.toml")]
    file: PathBuf,
}

/// Does it.
///
/// # Errors
/// When the pipeline file is wrong, or the stage never ran.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = open(registry, &args.file, &[], Wish::default())?;
    let node = find(&project.pipeline, &args.stage)?;
    let id = project.pipeline.nodes[node].id.clone();
    let failure = project.store.failure(&project.pipeline.file, &id);
    let path = if let Some((failure, log)) = failure {
        emit(&mut io::stderr(), [format!("{id} failed: {}", failure.why.join(": "))])?;
        log
    } else {
        let recorded = project.lock.get(&id).and_then(|locked| project.store.peek(&locked.key));
        let entry = if recorded.is_some() {
            recorded
        } else {
            let wanted = project.pipeline.closure(&[node]);
            survey(&mut project, &wanted, &BTreeSet::new())?.results[node].take()
        };
        let missing = || {
            Stop::wrong(format!("`{id}` has no log: it has no result"), format!("type `ner-pipe run {id}`"))
        };
        let entry = entry.ok_or_else(missing)?;
        if !entry.has_its_log() {
            let again = format!("type `ner-pipe run {id} --force {id}` for a new one");
            emit(&mut io::stderr(), [format!("{id}: the log in the cache was damaged; {again}")])?;
        }
        entry.log()
    };
    let failed = |e| StageError::io("show", &path, e);
    let mut log = File::open(&path).map_err(failed)?;
    let mut out = io::stdout();
    forgive(io::copy(&mut log, &mut out).and_then(|_| out.flush())).map_err(failed)?;
    Ok(Exit::Ok)
}
