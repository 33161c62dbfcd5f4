//! `ner-pipe lock`.

use std::{fs, io};

use clap::Subcommand;
use stage_contract::{Registry, StageError};

use super::{
    exit::Exit,
    options::{Machine, PipelineFile, working_folder},
    output::emit,
};
use crate::{
    lock::{Conflict, Lock, LockError},
    pipeline::Pipeline,
    revision,
    runner::{Project, Resolution, Side, Stop, resolve},
};

/// Repair the lock file
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Resolve(Resolve),
}

/// After a merge that left conflicts in the lock file: take for each stage the side that matches what is
/// in the working tree
#[derive(Debug, clap::Args)]
struct Resolve {
    #[command(flatten)]
    pipeline: PipelineFile,
    #[command(flatten)]
    machine: Machine,
}

/// Does it.
///
/// # Errors
/// When the pipeline file is wrong (it may be in conflict too), or the lock file is damaged otherwise.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let Action::Resolve(args) = &args.action;
    let root = working_folder()?;
    let pipeline = Pipeline::load(&root, &args.pipeline.file, registry, &[])?;
    let path = root.join(&pipeline.lock);
    let shown = pipeline.lock.display().to_string();
    let wrong = |error: LockError| Stop::wrong(error.to_string(), error.help());
    match Lock::read(&path) {
        Ok(_) => {
            emit(&mut io::stdout(), [format!("{shown} has no conflict")])?;
            return Ok(Exit::Ok);
        }
        Err(LockError::Conflict(_)) => {}
        Err(error) => return Err(wrong(error)),
    }
    // What git merged is exact; between its markers two sides of one stage may be mixed.
    let conflict = if let Some(conflict) = revision::conflict_of(&path) {
        conflict
    } else {
        let text = fs::read_to_string(&path).map_err(|e| StageError::io("read", &path, e))?;
        Conflict::parse(&path, &text).map_err(wrong)?
    };
    let empty = Lock::parse(&path, "").map_err(wrong)?;
    let mut project = Project::of(registry, pipeline, empty, args.machine.options())?;
    let Resolution { stages, sides } = resolve(&mut project, &conflict)?;
    let _used = project.store.prepare()?;
    let held = project.store.publish_lock()?;
    project.store.add_gc_root(&project.gc_root())?;
    Lock::write(&path, &stages)?;
    drop(held);
    let width = sides.iter().map(|(id, _)| id.len()).max().unwrap_or(0);
    let neither = format!("neither side fits; {} executes it", project.pipeline.typed("run"));
    let lines = sides.iter().filter_map(|(id, sides)| {
        let what = match sides {
            Side::Agreed => return None,
            Side::Ours => "ours",
            Side::Theirs => "theirs",
            Side::Cache => "neither side; the result that fits is in the cache",
            Side::Neither => &neither,
        };
        Some(format!("{id:width$}  {what}"))
    });
    let last = format!("{shown} has no conflict any more: `git add {shown}`");
    emit(&mut io::stdout(), lines.chain([last]))?;
    Ok(Exit::Ok)
}
