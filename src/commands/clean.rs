//! `ner-pipe clean`.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use stage_contract::{Registry, StageError};

use super::{Exit, emit, open, working_folder};
use crate::{
    fingerprint::observe,
    runner::{Project, Stop, Wish},
    store::{Limits, Sort, Store, remove},
    watch::size,
};

/// Remove the published outputs that are whole in the cache: `ner-pipe run` places them again
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove the cache instead: every result is then computed anew
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
    let project = open(registry, &args.file, &[], Wish::default())?;
    let held = if project.store.root().is_dir() {
        project.store.prepare()?;
        Some(project.store.publishing()?)
    } else {
        None
    };
    let mut removed = 0;
    let mut lines = Vec::new();
    for node in &project.pipeline.nodes {
        for out in &node.outputs {
            let path = project.published(out);
            if fs::symlink_metadata(&path).is_err() {
                continue;
            }
            let shown = out.published.display();
            if !is_kept(&project.store, &path) {
                lines.push(format!("{shown} stays: the cache does not have it"));
                continue;
            }
            remove(&path)?;
            lines.push(format!("{shown} removed"));
            removed += 1;
            remove_empty(&project, path.parent());
        }
    }
    drop(held);
    let stays = lines.len() - removed;
    let again = if removed > 0 { "; `ner-pipe run` places them again" } else { "" };
    lines.push(format!("{removed} removed, {stays} left{again}"));
    emit(&mut io::stdout(), lines)?;
    Ok(Exit::Ok)
}

/// Whether some result in the cache has these very bytes: they are read, as this is the last copy otherwise.
fn is_kept(store: &Store, path: &Path) -> bool {
    let Ok(seen) = observe(path) else { return false };
    store.entries().any(|entry| {
        let mut outputs = entry.record.outputs.iter().filter(|(_, stored)| stored.digest == seen.digest);
        outputs.any(|(name, stored)| {
            observe(&entry.path(name, stored)).is_ok_and(|cached| cached.digest == seen.digest)
        })
    })
}

/// Folders of ours that are empty now; a command's own folders are the user's.
fn remove_empty(project: &Project<'_>, folder: Option<&Path>) {
    let artifacts = project.pipeline.root.join(&project.pipeline.artifacts);
    let mut folder = folder;
    while let Some(path) = folder.filter(|path| path.starts_with(&artifacts)) {
        if path == artifacts {
            let (marker, _) = project.pipeline.marker();
            let marker = project.pipeline.root.join(marker);
            let alone = fs::read_dir(path).is_ok_and(|entries| entries.count() == 1);
            if alone && marker.is_file() {
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
    if !store.root().is_dir() {
        emit(&mut io::stdout(), ["there is no cache here".to_owned()])?;
        return Ok(Exit::Ok);
    }
    if store.is_busy() {
        emit(
            &mut io::stderr(),
            ["error: a run is at work in the cache\n  help: wait for its end".to_owned()],
        )?;
        return Ok(Exit::WouldWait);
    }
    let items = store.plan(&std::collections::BTreeSet::new(), &Limits::default());
    let all = || items.waste.iter().chain(&items.kept);
    let results = all().filter(|item| item.sort == Sort::Result).count();
    let checkpoints = all().filter(|item| item.sort == Sort::Checkpoint).count();
    let displaced = all().filter(|item| item.sort == Sort::Displaced).count();
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
    let failed = |e| StageError::io("read", store.root(), e);
    for entry in fs::read_dir(store.root()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let keep = entry.file_name() == "displaced" && displaced > 0 && !args.displaced;
        // Last: without it nobody knows what the rest means.
        if !keep && entry.file_name() != "version" {
            remove(&entry.path())?;
        }
    }
    if displaced == 0 || args.displaced {
        remove(&store.root().join("version"))?;
    }
    // Not empty, or a link to where the cache is shared.
    drop(fs::remove_dir(store.root()));
    emit(&mut io::stdout(), [format!("removed {what}{mine}")])?;
    Ok(Exit::Ok)
}

fn confirmed(question: &str) -> Result<bool, Stop> {
    if !io::stdin().is_terminal() {
        return Err(Stop::wrong(
            format!("this would {question}").trim_end_matches('?').to_owned(),
            "say that you mean it: `ner-pipe clean --cache --yes`",
        ));
    }
    let mut err = io::stderr();
    // Nobody sees the question: then the answer is no.
    drop(write!(err, "{question} [y/N] ").and_then(|()| err.flush()));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|e| StageError::because("cannot read the answer", e))?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
