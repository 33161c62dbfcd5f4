//! `ner-pipe gc`.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use serde_json::json;
use stage_contract::{
    StageError,
    terminal::{stderr, stdout},
};

use super::{exit::Exit, options::working_folder, output::emit};
use crate::{
    disk,
    lock::named_in,
    revision::named_in_branches,
    runner::Stop,
    store::{CacheItem, GcLimits, ItemKind, Named, Store},
    watch::{Format, size},
};

/// Delete unused cache entries: never one that a lock names or a running stage needs
///
/// Without a limit it takes only what killed runs left and what was damaged. Results go by their last use; one of
/// the last ten minutes stays, as a run may be about to publish it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Results that were not used for so long may go, and so may logs of failed attempts and checkpoints
    #[arg(long, value_name = "AGE", value_parser = age)]
    keep_age: Option<Duration>,
    /// Keep the cache below this size: the results that were not used for the longest time go first
    #[arg(long, value_name = "SIZE", value_parser = bytes_of)]
    keep_size: Option<ByteSize>,
    /// Keep also what the locks of all branches and tags name, and not only those in the working tree
    #[arg(long)]
    branches: bool,
    /// Take also what lay in the way of a published output and was moved to `cache/displaced`: it is yours,
    /// and nowhere else
    #[arg(long)]
    displaced: bool,
    /// Say what would go, and take nothing
    #[arg(long)]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn age(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "type a number and its unit, like `30days` or `12h`".to_owned())
}

fn bytes_of(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|_| "type a number and its unit, like `20GB` or `500MiB`".to_owned())
}

/// Does it.
///
/// # Errors
/// When git cannot list the branches, or the disk refuses.
pub fn run(args: &Args) -> Result<Exit, Stop> {
    let root = working_folder()?;
    let store = Store::at(&root)?;
    if !store.is_there() {
        emit(&mut stdout(), ["there is no cache here".to_owned()])?;
        return Ok(Exit::Ok);
    }
    let locks = lock_files(&root, &store);
    let mut fixed = Named::default();
    if args.branches {
        fixed = named_in_branches(&root).map_err(|e| Stop::wrong(e.to_string(), e.help()))?;
    }
    let named = || -> Result<Named, Stop> {
        let mut named = fixed.clone();
        // Those that a run records for the first time meanwhile, too.
        let known: BTreeSet<_> = store.known_locks(&root).into_iter().collect();
        for path in &locks {
            named.extend(named_in(&text_of(path)?));
        }
        for path in &known {
            let text = text_of(path)?;
            expect_whole(path, &text)?;
            named.extend(named_in(&text));
        }
        Ok(named)
    };
    if store.root().is_symlink() && (args.keep_age.is_some() || args.keep_size.is_some()) {
        let said = "note: cache/ is a link: of other checkouts that share it, only locks that a run recorded here are known";
        emit(&mut stderr(), [said.to_owned()])?;
    }
    let limits = GcLimits {
        age: args.keep_age,
        size: args.keep_size.map(|size| size.as_u64()),
        displaced: args.displaced,
    };
    let needed = named()?;
    let mut plan = store.gc_plan(&needed, &limits);
    if !args.dry_run {
        // Of links nobody knows who reads them: they stay while anybody may.
        let alone = store.lock_exclusive()?.is_some();
        let _used = store.prepare()?;
        let mut gone = Vec::new();
        for item in plan.garbage {
            // A run that began meanwhile may have named it.
            let needed = |item: &CacheItem| named().map_or(true, |named| named.has(item));
            let free = alone || item.kind != ItemKind::Links;
            let discarded = free && store.discard(&item, needed)?;
            if discarded || !item.path.exists() {
                gone.push(item);
            } else {
                plan.kept.push(item);
            }
        }
        plan.garbage = gone;
        store.sweep_locks();
        let _held = store.publish_lock()?;
        store.forget_gone_locks(&root)?;
    }
    let lines = match args.format {
        Format::Json => vec![as_json(args.dry_run, &plan.garbage, &plan.kept).to_string()],
        Format::Text => text(args, &plan.garbage, &plan.kept, &needed),
    };
    emit(&mut stdout(), lines)?;
    Ok(Exit::Ok)
}

/// What a file says, also around bytes that are no text; nothing when it is gone.
fn text_of(path: &Path) -> Result<String, Stop> {
    match disk::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(StageError::io("read", path, e)
            .help("make it readable: what it names would be thrown away")
            .into()),
    }
}

/// A damaged lock may name results that nobody else does. One in conflict is read line by line.
fn expect_whole(path: &Path, text: &str) -> Result<(), Stop> {
    if text.contains("<<<<<<<") || text.parse::<toml::Table>().is_ok() {
        return Ok(());
    }
    let shown = path.display();
    Err(Stop::wrong(
        format!("{shown} is damaged, so what it names is not known"),
        format!("take it back, as with `git checkout '{shown}'`, or delete it; then `ner-pipe gc` again"),
    ))
}

/// Every lock file of the project: any pipeline file may have one beside it, in whatever folder; and those that
/// wrote to this cache from where no looking around leads.
pub(super) fn lock_files(root: &Path, store: &Store) -> BTreeSet<PathBuf> {
    let (cache, git) = (root.join("cache"), root.join(".git"));
    let found = walkdir::WalkDir::new(root)
        .into_iter()
        .filter_entry(|entry| entry.path() != cache && entry.path() != git)
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "lock") && path.is_file());
    found.chain(store.known_locks(root)).collect()
}

fn bytes(items: &[CacheItem]) -> u64 {
    items.iter().map(|item| item.bytes).sum()
}

fn text(args: &Args, garbage: &[CacheItem], kept: &[CacheItem], needed: &Named) -> Vec<String> {
    let mut lines: Vec<_> = garbage
        .iter()
        .map(|item| {
            let key = item.key.map(|key| key.short()).unwrap_or_default();
            let what = [item.kind.name(), &item.stage, &key];
            let what = what.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            format!("{what}: {}, last used {}", size(item.bytes), ago(item.idle))
        })
        .collect();
    let taken = if args.dry_run { "would take" } else { "took" };
    lines.push(format!("{taken} {} away, {}", count(garbage.len()), size(bytes(garbage))));
    let named = kept.iter().filter(|item| item.kind == ItemKind::Result && needed.has(item));
    lines.push(format!(
        "{} {}, {}; {} named by a lock",
        count(kept.len()),
        if kept.len() == 1 { "stays" } else { "stay" },
        size(bytes(kept)),
        named.count()
    ));
    let displaced = kept.iter().filter(|item| item.kind == ItemKind::Displaced).count();
    if displaced > 0 {
        lines.push(format!("of those, {displaced} in cache/displaced: yours; look, then use `--displaced`"));
    }
    if let Some(limit) = args.keep_size.filter(|limit| bytes(kept) > limit.as_u64()) {
        lines.push(format!("that is more than {limit}, and all of it is needed or no result"));
    }
    if args.keep_age.is_none() && args.keep_size.is_none() && io::stdout().is_terminal() {
        lines.push("to take results too: `--keep-age 30d` or `--keep-size 2GiB`".to_owned());
    }
    lines
}

fn count(things: usize) -> String {
    format!("{things} {}", if things == 1 { "thing" } else { "things" })
}

/// The largest unit says enough.
fn ago(idle: Duration) -> String {
    let minutes = idle.as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        1..120 => format!("{minutes} min ago"),
        120..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} d ago", minutes / 1440),
    }
}

fn as_json(dry_run: bool, garbage: &[CacheItem], kept: &[CacheItem]) -> serde_json::Value {
    let items = |items: &[CacheItem]| {
        let items = items.iter().map(|item| {
            json!({
                "sort": item.kind.name(),
                "key": item.key,
                "stage": item.stage,
                "bytes": item.bytes,
                "idle_seconds": item.idle.as_secs(),
            })
        });
        items.collect::<Vec<_>>()
    };
    json!({
        "dry_run": dry_run,
        "taken": items(garbage),
        "taken_bytes": bytes(garbage),
        "kept": items(kept),
        "kept_bytes": bytes(kept),
    })
}
