//! Whether every result is what was recorded: every record, every manifest, every byte.

use std::{collections::BTreeSet, error::Error, path::Path};

use rayon::prelude::*;
use serde::Serialize;
use stage_contract::Shape;

use super::{Entry, Store, entry::read_manifest};
use crate::fingerprint::{Key, Unreadable, observe};

/// What was found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Results that are what was recorded.
    pub whole: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// The others, by key.
    pub damaged: Vec<Damage>,
}

/// A result that is not what was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The name of its folder in `cache/entries`: its key.
    pub key: String,
    /// The node it was made for, where the record can be read.
    pub stage: Option<String>,
    /// What is wrong with it.
    pub what: Vec<String>,
}

impl Store {
    /// Reads results on all cores: these, or all.
    #[must_use]
    pub fn check(&self, only: Option<&BTreeSet<Key>>) -> Checked {
        let mut folders = self.ours("entries");
        folders
            .retain(|folder| key_of(folder).is_some_and(|key| only.is_none_or(|only| only.contains(&key))));
        let found: Vec<_> = folders.par_iter().filter_map(|folder| check(folder)).collect();
        let mut checked = Checked::default();
        for (bytes, damage) in found {
            checked.bytes += bytes;
            match damage {
                None => checked.whole += 1,
                Some(damage) => checked.damaged.push(damage),
            }
        }
        checked
    }
}

fn key_of(folder: &Path) -> Option<Key> {
    folder.file_name()?.to_str()?.parse().ok()
}

/// Bytes read, and what is wrong; nothing when the folder is gone: a run set it aside meanwhile.
fn check(folder: &Path) -> Option<(u64, Option<Damage>)> {
    let mut what = Vec::new();
    let mut bytes = 0;
    let entry = Entry::read(folder);
    match &entry {
        Err(error) => what.push(match read_manifest(folder) {
            Err(error) => format!("manifest.json: {error}"),
            Ok(manifest) if key_of(folder) != Some(manifest.key()) => {
                "manifest.json is not of this key".to_owned()
            }
            Ok(_) => format!("entry.json: {error}"),
        }),
        Ok(entry) => {
            for (name, stored) in &entry.record.outputs {
                let path = entry.path(name, stored);
                match observe(&path) {
                    Ok(seen) => {
                        bytes += seen.bytes;
                        if seen.digest != stored.digest || (seen.shape == Shape::Folder) != stored.folder {
                            what.push(format!(
                                "output `{name}` was modified: its digest is not the recorded one"
                            ));
                        }
                    }
                    Err(Unreadable::Missing(missing)) if missing == path => {
                        what.push(format!("output `{name}` is missing"));
                    }
                    Err(error) => {
                        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                        what.push(format!("output `{name}` cannot be read: {error}{cause}"));
                    }
                }
            }
            if !entry.log_matches() {
                what.push("log.txt was modified".to_owned());
            }
        }
    }
    if what.is_empty() {
        return Some((bytes, None));
    }
    if !folder.exists() {
        return None;
    }
    let key = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Some((bytes, Some(Damage { key, stage: entry.ok().map(|entry| entry.record.stage), what })))
}
