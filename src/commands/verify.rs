//! `ner-pipe verify`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::json;
use stage_contract::{Registry, terminal::stdout};

use super::{
    exit::Exit,
    gc::lock_files,
    options::{Setting, working_folder},
    output::emit,
    targets::{find, gone, is_called},
};
use crate::{
    executor::{CancelToken, OnRepeat},
    fingerprint::Key,
    lock::Lock,
    pipeline::{self, Pipeline},
    runner::{Comparison, Stop, rerun},
    store::{self, Checked, Store},
    watch::{Format, size, watch},
};

/// Read the whole cache and verify every digest; or execute a stage again and compare
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the results that the lock names for these stages, and all instances of one that is expanded
    #[arg(value_name = "STAGE")]
    stages: Vec<String>,
    /// Execute this stage again, beside its result, and compare what it writes with what was recorded
    #[arg(long, value_name = "STAGE", conflicts_with_all = ["stages", "set_aside"])]
    rerun: Option<String>,
    /// Move what is damaged to `cache/damaged`, so that `ner-pipe run` makes it again
    #[arg(long)]
    set_aside: bool,
    #[command(flatten)]
    setting: Setting,
}

/// Does it.
///
/// # Errors
/// When a file of ner-pipe's cannot be read, or a stage that is executed again produces no result.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    match &args.rerun {
        Some(stage) => args.again(stage, registry),
        None => args.check(registry),
    }
}

impl Args {
    fn check(&self, registry: &Registry) -> Result<Exit, Stop> {
        let root = working_folder()?;
        let store = Store::at(&root)?;
        let only = if self.stages.is_empty() { None } else { Some(self.keys(&root, registry)?) };
        let Checked { whole, bytes, damaged } = store.check(only.as_ref());
        let absent = if only.is_none() { absent(&root, &store) } else { BTreeMap::new() };
        let mut aside = BTreeMap::new();
        if self.set_aside {
            for damage in &damaged {
                if let Ok(key) = damage.key.parse::<Key>() {
                    let policy = store::WaitPolicy { wait: true, cancelled: &|| false, waiting: &mut || {} };
                    aside.insert(damage.key.clone(), store.quarantine(&key, None, policy)?);
                }
            }
        }
        let lines = match self.setting.format {
            Format::Json => {
                vec![
                    json!({ "whole": whole, "bytes": bytes, "damaged": damaged, "absent": absent })
                        .to_string(),
                ]
            }
            Format::Text => {
                let mut lines = Vec::new();
                for damage in &damaged {
                    let stage = damage.stage.as_deref().unwrap_or("unknown stage");
                    lines.push(format!("damaged: {} {stage}", damage.key.get(..12).unwrap_or(&damage.key)));
                    lines.extend(damage.what.iter().map(|what| format!("  {what}")));
                    let home = aside
                        .get(&damage.key)
                        .and_then(Option::as_ref)
                        .map(|home| home.strip_prefix(&root).unwrap_or(home));
                    lines.extend(home.map(|home| format!("  it is now in {}", home.display())));
                }
                lines.extend(absent.iter().map(|(name, key)| {
                    format!("note: {name} is not in the cache ({}): `ner-pipe run` makes it", key.short())
                }));
                lines.push(format!("{whole} intact, {} damaged, {} read", damaged.len(), size(bytes)));
                if !damaged.is_empty() {
                    lines.push(if self.set_aside {
                        "help: `ner-pipe run` makes again what is needed".to_owned()
                    } else {
                        "help: type `ner-pipe verify --set-aside`, then `ner-pipe run`".to_owned()
                    });
                }
                lines
            }
        };
        emit(&mut stdout(), lines)?;
        Ok(if damaged.is_empty() { Exit::Ok } else { Exit::Damaged })
    }

    /// What the lock names for the stages: that does not take the pipeline file, nor what it reads.
    fn keys(&self, root: &Path, registry: &Registry) -> Result<BTreeSet<Key>, Stop> {
        let path = pipeline::lock_file(&self.setting.pipeline.file);
        let lock = Lock::read(&root.join(&path)).map_err(|e| Stop::wrong(e.to_string(), e.help()))?;
        let pipeline = Pipeline::load(root, &self.setting.pipeline.file, registry, &[]).ok();
        let mut keys = BTreeSet::new();
        for name in &self.stages {
            if let Some(pipeline) = &pipeline {
                gone(pipeline, &lock, name)?;
            }
            let named = lock.stages().filter(|(id, _)| is_called(id, name));
            let named: Vec<_> = named.map(|(_, locked)| locked.key).collect();
            if named.is_empty() {
                return Err(Stop::wrong(
                    format!("no stage `{name}` in {}", path.display()),
                    "leave the name out to verify everything, or type `ner-pipe run` first",
                ));
            }
            keys.extend(named);
        }
        Ok(keys)
    }

    fn again(&self, stage: &str, registry: &Registry) -> Result<Exit, Stop> {
        let mut project = self.setting.open(registry)?;
        let nodes = find(&project.pipeline, stage)?;
        let ids: Vec<_> = nodes.iter().map(|&node| project.pipeline.nodes[node].id.clone()).collect();
        let cancel = CancelToken::listen(OnRepeat::Exit)?;
        let mut watch = watch(self.setting.format, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        let mut exit = Exit::Ok;
        for (&node, id) in nodes.iter().zip(&ids) {
            let found = rerun(&mut project, node, &cancel, watch.as_mut())?;
            if !self.tell(id, &found)? {
                exit = Exit::Damaged;
            }
        }
        Ok(exit)
    }

    /// Whether it was the same.
    fn tell(&self, stage: &str, found: &Comparison) -> Result<bool, Stop> {
        let Comparison { key, outputs } = found;
        let same = outputs.values().all(Vec::is_empty);
        let lines = match self.setting.format {
            Format::Json => vec![
                json!({ "event": "rerun", "stage": stage, "key": key, "same": same, "different": outputs.iter()
                    .filter(|(_, paths)| !paths.is_empty()).collect::<BTreeMap<_, _>>() })
                .to_string(),
            ],
            Format::Text => {
                let mut lines = Vec::new();
                for (name, paths) in outputs {
                    match paths.as_slice() {
                        [] => lines.push(format!("{stage}.{name} is the same, byte for byte")),
                        paths => {
                            lines.push(format!("{stage}.{name} differs:"));
                            lines.extend(paths.iter().map(|path| format!("  {path}")));
                        }
                    }
                }
                lines.push(if same {
                    format!("{stage} reproduces its recorded result")
                } else {
                    format!("{stage} does not reproduce its recorded result, which is kept")
                });
                lines
            }
        };
        emit(&mut stdout(), lines)?;
        Ok(same)
    }
}

/// What locks name and the cache has not: in a clone that is everything, and no damage.
fn absent(root: &Path, store: &Store) -> BTreeMap<String, Key> {
    let mut absent = BTreeMap::new();
    for path in lock_files(root, store).into_iter().filter(|path| path.starts_with(root)) {
        let Ok(lock) = Lock::read(&path) else { continue };
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        for (id, locked) in lock.stages() {
            if !store.root().join("entries").join(locked.key.to_string()).exists() {
                absent.insert(format!("{id} of {shown}"), locked.key);
            }
        }
    }
    absent
}
