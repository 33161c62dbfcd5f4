//! `pipeline.lock`: the committed record of the last good state. One table per stage; no times, no
//! measured values, no names of machines, so that it merges well and two machines agree on it.

mod conflict;
mod layout;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use hub::Pin;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stage_contract::StageError;
use thiserror::Error;

use crate::{
    disk,
    fingerprint::{Digest, Key, Manifest},
    store::{Named, Record, Store},
};

/// What the file's fields mean; raised when an older ner-pipe could misread it.
const FORMAT: i64 = 1;

/// The lock file cannot be understood.
#[derive(Debug, Error)]
pub enum LockError {
    /// Git left both sides in it.
    #[error("{} has a merge conflict in it", .0.display())]
    Conflict(PathBuf),
    /// A newer ner-pipe wrote it.
    #[error("{} has format {found}, and this ner-pipe knows format {FORMAT}", path.display())]
    Newer {
        /// The lock file.
        path: PathBuf,
        /// The format it says.
        found: i64,
    },
    /// Not what ner-pipe writes.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The lock file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
    /// The system says no.
    #[error("cannot read {}", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
}

impl LockError {
    /// The way out.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Newer { .. } => "use the newer ner-pipe that wrote it".to_owned(),
            Self::Io(path, _) => format!("make {} readable", path.display()),
            Self::Conflict(_) => "type `ner-pipe lock resolve` (with the `--file` that you gave here), \
                                  which takes for each stage the side that fits"
                .to_owned(),
            Self::Damaged { path, .. } => format!(
                "delete it (`rm {0}`) and type `ner-pipe run`: it is written anew, and what the cache holds \
                 is not computed again; or take the committed one back with `git checkout {0}`",
                path.display()
            ),
        }
    }
}

/// The last good state of every stage, by node id, and the commit of every source that lies on the hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    path: PathBuf,
    content: Content,
    /// Nodes whose record is not in the file yet.
    unwritten: BTreeSet<String>,
    /// Sources likewise.
    unwritten_sources: BTreeSet<String>,
}

/// What a lock says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// By node id.
    pub stages: BTreeMap<String, Locked>,
    /// By the source's id.
    pub sources: BTreeMap<String, LockedSource>,
}

/// The commit that a source of the hub is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSource {
    /// The repository.
    pub hub: String,
    /// Branch, tag or commit, as the pipeline file asks for it.
    pub revision: String,
    /// What it was then.
    pub commit: String,
    /// The source's kind, which says what files it needs.
    pub kind: String,
    /// The hash of each file, as the hub names it.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

impl LockedSource {
    /// Of a source of this kind.
    #[must_use]
    pub fn new(pin: &Pin, kind: &str) -> Self {
        let Pin { repo, revision, commit, files } = pin.clone();
        Self { hub: repo, revision, commit, kind: kind.to_owned(), files }
    }

    /// For the hub.
    ///
    /// # Errors
    /// When it is not what ner-pipe writes.
    pub fn pin(&self) -> Result<Pin, String> {
        Pin::new(&self.hub, &self.revision, &self.commit, &self.files)
    }
}

/// The last good state of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The result's key.
    pub key: Key,
    /// The stage's name.
    #[serde(rename = "use")]
    pub uses: String,
    /// The stage's version.
    pub version: u32,
    /// Fingerprint of its code, where it is a stage of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The pipeline's seed, where the stage is given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Content of each input.
    #[serde(default)]
    pub inputs: BTreeMap<String, Digest>,
    /// Content of each output; none of a stage that measures.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Digest>,
    /// What the pipeline file writes at the source of an input.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, toml::Table>,
    /// Results worth comparing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// All parameters; those without a value are left out, as TOML has none for them.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub params: toml::Table,
}

impl Locked {
    /// Of a result.
    #[must_use]
    pub fn new(manifest: &Manifest, record: &Record, pipeline_seed: u64) -> Self {
        let outputs = record.outputs.iter().map(|(name, stored)| (name.to_string(), stored.digest));
        Self {
            key: record.key,
            uses: manifest.stage.clone(),
            version: manifest.version,
            code: manifest.code.clone(),
            seed: manifest.seed.map(|_| pipeline_seed),
            inputs: manifest.inputs.clone(),
            options: manifest.options.iter().map(|(port, value)| (port.clone(), params(value))).collect(),
            // What holds measured values is another each time.
            outputs: if manifest.machine.is_some() { BTreeMap::new() } else { outputs.collect() },
            metrics: record.metrics.clone(),
            params: params(&manifest.params),
        }
    }
}

/// Every key and commit that a lock names, also one that is in conflict or otherwise damaged: what it may need is to stay.
#[must_use]
pub fn named_in(text: &str) -> Named {
    let written = |name: &str| {
        let start = format!("{name} = \"");
        text.lines().filter_map(move |line| line.strip_prefix(&start)?.strip_suffix('"'))
    };
    Named {
        keys: written("key").filter_map(|key| key.parse().ok()).collect(),
        commits: written("commit").map(str::to_owned).collect(),
    }
}

/// Parameters as the lock writes them.
#[must_use]
pub fn params(params: &Value) -> toml::Table {
    match to_toml(params) {
        Some(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    }
}

fn to_toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => toml::Value::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), _, _) => toml::Value::Integer(integer),
            (None, None, Some(float)) => toml::Value::Float(float),
            // TOML's integers end at 2^63.
            _ => toml::Value::String(number.to_string()),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(to_toml).collect()),
        Value::Object(fields) => toml::Value::Table(
            fields.iter().filter_map(|(name, value)| Some((name.clone(), to_toml(value)?))).collect(),
        ),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "format")]
    _format: i64,
    #[serde(default)]
    stage: BTreeMap<String, Locked>,
    #[serde(default)]
    source: BTreeMap<String, LockedSource>,
}

impl Lock {
    /// Reads the lock file; a missing one is empty.
    ///
    /// # Errors
    /// When it is not what ner-pipe writes.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let text = match disk::read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(LockError::Io(path.to_owned(), error)),
        };
        Self::parse(path, &text)
    }

    /// Parses the text of the lock file at `path`, now or in another revision.
    ///
    /// # Errors
    /// When it is not what ner-pipe writes.
    pub fn parse(path: &Path, text: &str) -> Result<Self, LockError> {
        let damaged =
            |message: &str| LockError::Damaged { path: path.to_owned(), message: message.trim().to_owned() };
        if text.is_empty() {
            return Ok(Self { path: path.to_owned(), ..Self::default() });
        }
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            // Only now: a parameter's text may hold what looks like a marker.
            if conflict::is_conflicted(text) {
                LockError::Conflict(path.to_owned())
            } else {
                damaged(e.message())
            }
        })?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(FORMAT) => {}
            Some(found) if found > FORMAT => return Err(LockError::Newer { path: path.to_owned(), found }),
            _ => return Err(damaged("it does not say `format = 1`")),
        }
        let file: File = table.try_into().map_err(|e: toml::de::Error| damaged(&e.to_string()))?;
        if let Some(wrong) = file.source.values().find_map(|source| source.pin().err()) {
            return Err(damaged(&wrong));
        }
        let content = Content { stages: file.stage, sources: file.source };
        Ok(Self { path: path.to_owned(), content, ..Self::default() })
    }

    /// The last good state of a node.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Locked> {
        self.content.stages.get(id)
    }

    /// The commit of a source of the hub.
    #[must_use]
    pub fn source(&self, id: &str) -> Option<&LockedSource> {
        self.content.sources.get(id)
    }

    /// Every node with its last good state, sorted by id.
    pub fn stages(&self) -> impl Iterator<Item = (&str, &Locked)> {
        self.content.stages.iter().map(|(id, locked)| (id.as_str(), locked))
    }

    /// Records a result; [`Lock::save`] writes it.
    pub fn record(&mut self, id: &str, locked: Locked) {
        self.content.stages.insert(id.to_owned(), locked);
        self.unwritten.insert(id.to_owned());
    }

    /// Records the commit of a source; [`Lock::save`] writes it.
    pub fn record_source(&mut self, id: &str, locked: LockedSource) {
        self.content.sources.insert(id.to_owned(), locked);
        self.unwritten_sources.insert(id.to_owned());
    }

    /// Writes what was recorded, drops nodes and sources that the pipeline no longer has, and leaves the file alone when
    /// it says so already. Call it while holding [`crate::store::Store::publish_lock`]: another run may write too,
    /// and what it wrote stays.
    ///
    /// # Errors
    /// When the file became unreadable meanwhile, or the disk refuses; then all is still to be written.
    pub fn save(
        &mut self,
        store: &Store,
        nodes: &BTreeSet<&str>,
        sources: &BTreeSet<&str>,
    ) -> Result<(), StageError> {
        if self.unwritten.is_empty() && self.unwritten_sources.is_empty() {
            return Ok(());
        }
        let now = Self::read(&self.path).map_err(|error| {
            let help = error.help();
            StageError::because("cannot record the result", error).help(help)
        })?;
        let mut next = now.content.clone();
        let new = self.unwritten.iter().filter_map(|id| self.content.stages.get_key_value(id));
        next.stages.extend(new.map(|(id, locked)| (id.clone(), locked.clone())));
        let new = self.unwritten_sources.iter().filter_map(|id| self.content.sources.get_key_value(id));
        next.sources.extend(new.map(|(id, locked)| (id.clone(), locked.clone())));
        next.stages.retain(|id, _| nodes.contains(id.as_str()));
        next.sources.retain(|id, _| sources.contains(id.as_str()));
        if next != now.content {
            Self::write(store, &self.path, &next)?;
        }
        self.content = next;
        self.unwritten.clear();
        self.unwritten_sources.clear();
        Ok(())
    }

    /// Writes a lock of the project of `store` that says this alone.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(store: &Store, path: &Path, content: &Content) -> Result<(), StageError> {
        // Unlike the cache, it holds no text and is meant to be shared.
        // A link to it is the user's, and stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        store.replace(&path, layout::render(content)?.as_bytes(), 0o644)
    }
}

/// A lock file that git left in conflict.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// This branch's.
    pub ours: Lock,
    /// The other's.
    pub theirs: Lock,
    /// What both came from, where that is known.
    pub base: Option<Lock>,
}

impl Conflict {
    /// Takes the text of a lock file with conflict markers apart.
    ///
    /// # Errors
    /// When its markers do not fit together, or a side is not what ner-pipe writes.
    pub fn parse(path: &Path, text: &str) -> Result<Self, LockError> {
        let sides = conflict::split(text).ok_or_else(|| LockError::Damaged {
            path: path.to_owned(),
            message: "its conflict markers do not fit together".to_owned(),
        })?;
        Ok(Self {
            ours: Lock::parse(path, &sides.ours)?,
            theirs: Lock::parse(path, &sides.theirs)?,
            // Where the common ancestor was itself a merge, its part may be in conflict.
            base: sides.base.and_then(|text| Lock::parse(path, &text).ok()),
        })
    }
}

#[cfg(test)]
mod tests;
