//! `ner-pipe lock`.

use clap::Subcommand;
use stage_contract::{Registry, StageError, terminal::stdout};

use super::{
    exit::Exit,
    options::{Machine, PipelineFile, open, working_folder},
    output::emit,
};
use crate::{
    disk,
    lock::{Conflict, Lock, LockError},
    pipeline::{Pipeline, offer},
    revision,
    runner::{
        MachineOptions, Project, Resolution, Side, Stop, Unheard, newest, record, remote_sources, resolve,
    },
};

/// Repair the lock file, or move sources of the hub on
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Resolve(Resolve),
    Update(Update),
}

/// Move sources of the hub to the commit that their revision is now; the next `run` reads that
#[derive(Debug, clap::Args)]
struct Update {
    /// These sources; all that lie on the hub when none is named
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineFile,
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
    match &args.action {
        Action::Resolve(args) => resolve_conflict(args, registry),
        Action::Update(args) => update(args, registry),
    }
}

fn update(args: &Update, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = open(registry, &args.pipeline.file, &[], MachineOptions::default())?;
    let all = (0..project.pipeline.nodes.len()).collect();
    let remote = remote_sources(&project, &all);
    let called = |source: usize| project.pipeline.sources[source].id.as_str();
    let known = remote.iter().map(|source| called(*source));
    let bare = |name: &String| name.strip_prefix("sources.").unwrap_or(name).to_owned();
    let named: Vec<String> = args.sources.iter().map(bare).collect();
    if let Some(stray) = named.iter().find(|name| !known.clone().any(|known| known == name.as_str())) {
        let message = format!("no stage reads a source `{stray}` that lies on the hub");
        return Err(Stop::wrong(message, offer(stray, known)));
    }
    let chosen = |source: &usize| named.is_empty() || named.iter().any(|name| name == called(*source));
    let chosen: Vec<usize> = remote.iter().copied().filter(chosen).collect();
    let mut lines = Vec::new();
    let _used = project.store.prepare()?;
    for source in chosen {
        let before = project.lock.source(&project.pipeline.sources[source].id).cloned();
        let pin = newest(&project, source, &Unheard)?;
        record(&mut project, source, &pin)?;
        let item = &project.pipeline.sources[source];
        let said = match before.filter(|before| before.hub == pin.repo) {
            Some(before) if before.commit == pin.commit => format!("is still commit {}", pin.commit),
            Some(before) => format!("commit {} -> {}", before.commit, pin.commit),
            None => format!("commit {}", pin.commit),
        };
        lines.push(format!("sources.{}  {}  {said}", item.id, item.at));
    }
    if lines.is_empty() {
        lines.push("no stage reads a source that lies on the hub".to_owned());
    }
    emit(&mut stdout(), lines)?;
    Ok(Exit::Ok)
}

fn resolve_conflict(args: &Resolve, registry: &Registry) -> Result<Exit, Stop> {
    let root = working_folder()?;
    let pipeline = Pipeline::load(&root, &args.pipeline.file, registry, &[])?;
    let path = root.join(&pipeline.lock);
    let shown = pipeline.lock.display().to_string();
    let wrong = |error: LockError| Stop::wrong(error.to_string(), error.help());
    match Lock::read(&path) {
        Ok(_) => {
            emit(&mut stdout(), [format!("{shown} has no conflict")])?;
            return Ok(Exit::Ok);
        }
        Err(LockError::Conflict(_)) => {}
        Err(error) => return Err(wrong(error)),
    }
    // What git merged is exact; between its markers two sides of one stage may be mixed.
    let conflict = if let Some(conflict) = revision::conflict_of(&path) {
        conflict
    } else {
        let text = disk::read_text(&path).map_err(|e| StageError::io("read", &path, e))?;
        Conflict::parse(&path, &text).map_err(wrong)?
    };
    let empty = Lock::parse(&path, "").map_err(wrong)?;
    let mut project = Project::of(registry, pipeline, empty, args.machine.options())?;
    let Resolution { content, sides } = resolve(&mut project, &conflict)?;
    let _used = project.store.prepare()?;
    let held = project.store.publish_lock()?;
    project.store.add_gc_root(&project.gc_root())?;
    Lock::write(&project.store, &path, &content)?;
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
    emit(&mut stdout(), lines.chain([last]))?;
    Ok(Exit::Ok)
}
