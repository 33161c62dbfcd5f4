//! `ner-pipe clean`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use stage_contract::{
    Registry, StageError,
    terminal::{stderr, stdout},
};

use super::{
    exit::Exit,
    options::{open, working_folder},
    output::emit,
};
use crate::{
    disk,
    fingerprint::{Digest, observe},
    pipeline::{Links, Out},
    runner::{MachineOptions, Project, Stop},
    store::{GcLimits, ItemKind, Named, PublishRecord, Store, remove},
    watch::size,
};

/// Remove the published outputs that are intact in the cache: `ner-pipe run` places them again
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove the cache instead: every result is then recomputed
    #[arg(long)]
    cache: bool,
    /// With `--cache`: also what is in `cache/displaced`, which is yours, and nowhere else
    #[arg(long, requires = "cache")]
    displaced: bool,
    /// With `--cache`: do not ask
    #[arg(long, requires = "cache")]
    yes: bool,
    /// The pipeline file
    #[arg(long, value_name = "FILE", default_value = crate::pipeline::DEFAULT_FILE, conflicts_with = "cache")]
    file: PathBuf,
}

/// Does it.
///
/// # Errors
/// When the pipeline file is wrong, or the disk refuses.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    if args.cache {
        return clean_cache(args);
    }
    let project = open(registry, &args.file, &[], MachineOptions::default())?;
    // A running stage may be reading it.
    let held = if project.store.is_there() {
        let Some(closed) = project.store.lock_exclusive()? else { return busy() };
        Some(closed)
    } else {
        None
    };
    let copies = Copies::of(&project.store);
    let mut removed = 0;
    let mut lines = Vec::new();
    for Placed { path, resolved, digest } in placed(&project) {
        let target = project.pipeline.root.join(&path);
        if fs::symlink_metadata(&target).is_err() {
            continue;
        }
        let shown = path.display();
        if let Some(other) = other_owner(&project, &resolved) {
            lines.push(format!("{shown} stays: {} placed it", other.display()));
            continue;
        }
        let seen = observe(&target).ok().map(|seen| seen.digest);
        if target.is_symlink() || seen.is_none_or(|seen| digest.is_some_and(|digest| seen != digest)) {
            lines.push(format!("{shown} stays: it is not what was placed there"));
        } else if !seen.is_some_and(|seen| copies.have(seen)) {
            lines.push(format!("{shown} stays: the cache does not have it"));
        } else {
            remove(&target)?;
            project.store.forget_publish_record(&resolved)?;
            lines.push(format!("{shown} removed"));
            removed += 1;
            remove_empty(&project, target.parent());
        }
    }
    drop(held);
    let stays = lines.len() - removed;
    let run = project.pipeline.typed("run");
    let again = if removed > 0 { format!("; {run} places them again") } else { String::new() };
    lines.push(format!("{removed} removed, {stays} left{again}"));
    emit(&mut stdout(), lines)?;
    Ok(Exit::Ok)
}

/// A path at which this pipeline file placed an output.
struct Placed {
    path: PathBuf,
    /// Where that lies.
    resolved: PathBuf,
    /// What it placed there; any result will do where an output is still declared.
    digest: Option<Digest>,
}

/// Where outputs of the pipeline file are: those that it declares, then those of stages and instances that it
/// has no longer.
fn placed(project: &Project<'_>) -> Vec<Placed> {
    let outputs = project.pipeline.nodes.iter().flat_map(|node| &node.outputs);
    let placed =
        |out: &Out| Placed { path: out.published.clone(), resolved: out.resolved.clone(), digest: None };
    let declared: Vec<_> = outputs.map(placed).collect();
    let known: BTreeSet<_> = declared.iter().map(|placed| placed.resolved.clone()).collect();
    let mut links = Links::of(&project.pipeline.root);
    let records = project.store.publish_records().filter(|record| {
        record.by.as_ref() == Some(&project.pipeline.file)
            && record.digest.is_some()
            && !known.contains(&record.resolved)
            // What a link led to that leads elsewhere now is left to whoever made it so.
            && links.resolve(&record.path) == record.resolved
    });
    let mut gone: Vec<_> = records
        .map(|PublishRecord { path, resolved, digest, .. }| Placed { path, resolved, digest })
        .collect();
    gone.sort_by(|a, b| a.path.cmp(&b.path));
    declared.into_iter().chain(gone).collect()
}

/// Another pipeline file that placed what lies there.
fn other_owner(project: &Project<'_>, resolved: &Path) -> Option<PathBuf> {
    let owner = project.store.publish_record(resolved)?.by?;
    (owner != project.pipeline.file && project.pipeline.root.join(&owner).is_file()).then_some(owner)
}

/// Where the cache has which bytes.
struct Copies(BTreeMap<Digest, Vec<PathBuf>>);

impl Copies {
    fn of(store: &Store) -> Self {
        let mut copies: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in store.entries() {
            for (name, stored) in &entry.record.outputs {
                copies.entry(stored.digest).or_default().push(entry.path(name, stored));
            }
        }
        Self(copies)
    }

    /// Whether some result has these very bytes: they are read, as this is the last copy otherwise.
    fn have(&self, digest: Digest) -> bool {
        let mut paths = self.0.get(&digest).into_iter().flatten();
        paths.any(|path| observe(path).is_ok_and(|copy| copy.digest == digest))
    }
}

/// Folders of ours that are empty now; a command's own folders are the user's.
fn remove_empty(project: &Project<'_>, folder: Option<&Path>) {
    let artifacts = project.pipeline.root.join(&project.pipeline.artifacts);
    let mut folder = folder;
    while let Some(path) = folder.filter(|path| path.starts_with(&artifacts)) {
        if path == artifacts {
            let (marker, text) = project.pipeline.marker();
            let marker = project.pipeline.root.join(marker);
            let alone = fs::read_dir(path).is_ok_and(|entries| entries.count() == 1);
            if alone && disk::read_own(&marker).is_ok_and(|there| there == text.as_bytes()) {
                drop(fs::remove_file(marker));
            }
        }
        // Not empty: then it stays.
        if fs::remove_dir(path).is_err() {
            return;
        }
        folder = path.parent();
    }
}

fn clean_cache(args: &Args) -> Result<Exit, Stop> {
    let store = Store::at(&working_folder()?)?;
    if !store.is_there() {
        emit(&mut stdout(), ["there is no cache here".to_owned()])?;
        return Ok(Exit::Ok);
    }
    let items = store.gc_plan(&Named::default(), &GcLimits::default());
    let all = || items.garbage.iter().chain(&items.kept);
    let results = all().filter(|item| item.kind == ItemKind::Result).count();
    let checkpoints = all().filter(|item| item.kind == ItemKind::Checkpoint).count();
    let displaced = all().filter(|item| item.kind == ItemKind::Displaced).count();
    let bytes: u64 = all().map(|item| item.bytes).sum();
    let what = format!("{results} results and {checkpoints} checkpoints, {} in all", size(bytes));
    let mine = match (displaced, args.displaced) {
        (0, _) => String::new(),
        (count, true) => format!(", with {count} of your own files in cache/displaced that are nowhere else"),
        (count, false) => format!("; {count} of your own files in cache/displaced stay"),
    };
    if !args.yes && !confirmed(&format!("remove {what}{mine}?"))? {
        return Ok(Exit::Ok);
    }
    let Some(held) = store.lock_exclusive()? else { return busy() };
    store.clear(held, !args.displaced)?;
    emit(&mut stdout(), [format!("removed {what}{mine}")])?;
    Ok(Exit::Ok)
}

fn busy() -> Result<Exit, Stop> {
    let said = "error: a run is at work in the cache\n  help: wait until it ends";
    emit(&mut stderr(), [said.to_owned()])?;
    Ok(Exit::WouldWait)
}

fn confirmed(question: &str) -> Result<bool, Stop> {
    if !io::stdin().is_terminal() {
        return Err(Stop::wrong(
            format!("this would {question}").trim_end_matches('?').to_owned(),
            "say that you mean it: `ner-pipe clean --cache --yes`",
        ));
    }
    let mut err = stderr();
    // Nobody sees the question: then the answer is no.
    drop(write!(err, "{question} [y/N] ").and_then(|()| err.flush()));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|e| StageError::because("cannot read the answer", e))?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
