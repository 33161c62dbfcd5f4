use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use stage_contract::Shape;

use super::PathPart;
use crate::{
    disk,
    fingerprint::{Digest, Key, Manifest, observe},
};

/// What is recorded about a result, in `entry.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The key it was made for.
    pub key: Key,
    /// The node's id at that time.
    pub stage: String,
    /// Outputs by name.
    pub outputs: BTreeMap<PathPart, Stored>,
    /// What each input was wired to, by port; none in older records. It decides nothing, and distinguishes a new wire
    /// from new content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: BTreeMap<String, String>,
    /// Results worth comparing; go into the lock.
    pub metrics: BTreeMap<String, f64>,
    /// Measured values; never in the lock.
    pub measured: BTreeMap<String, f64>,
    /// Verdicts by gate: `pass`, `fail`, `inconclusive`.
    pub gates: BTreeMap<String, String>,
    /// How long it took.
    pub seconds: f64,
    /// The most bytes of memory that one of its processes held; none where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The device it was made on.
    pub device: String,
    /// CPU threads it was made with.
    pub threads: usize,
    /// When it was finished, in seconds since 1970.
    pub finished: u64,
    /// The ner-pipe that made it, and for a stage what compiled that.
    pub made_by: String,
    /// The code that made it, part by part: the manifest has its digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub code: BTreeMap<String, String>,
    /// The key that it was really made for, when it was accepted (`ner-pipe accept`) for code that
    /// is said to produce the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_from: Option<Key>,
}

/// One output in an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The name of the file or folder, as it is published.
    pub file: PathPart,
    /// Its content.
    pub digest: Digest,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Whether it is a folder.
    pub folder: bool,
}

/// A result in the cache.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is recorded about it.
    pub record: Record,
    /// What it depends on.
    pub manifest: Manifest,
    folder: PathBuf,
    /// Of what the stage printed; entries from before it was recorded have none.
    log: Option<Digest>,
}

impl Entry {
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        if !fs::symlink_metadata(folder)?.is_dir() {
            return Err(invalid("it is no folder"));
        }
        let (record, log) = open(read_json(&folder.join("entry.json"))?)?;
        let manifest = read_manifest(folder)?;
        if manifest.key() != record.key || !folder.ends_with(record.key.to_string()) {
            return Err(invalid("the manifest does not belong to the key"));
        }
        Ok(Self { record, manifest, folder: folder.to_owned(), log })
    }

    /// The result's key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.record.key
    }

    /// An output's path in the cache.
    #[must_use]
    pub fn path(&self, output: &str, stored: &Stored) -> PathBuf {
        self.folder.join("out").join(output).join(&*stored.file)
    }

    /// What the stage printed.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log.txt")
    }

    /// Bytes of all outputs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.record.outputs.values().map(|stored| stored.bytes).sum()
    }

    /// Remembers that it was used now, for [`Store::gc_plan`](super::Store::gc_plan): as the folder's time, since
    /// file systems note reading rarely or not at all.
    pub fn mark_used(&self) {
        /// A run with nothing to do is to write nothing, mostly; but what is in use is to be young for `gc` (its `RECENT`).
        const OFTEN: Duration = Duration::from_mins(5);
        let marked = || -> io::Result<()> {
            let folder = fs::File::open(&self.folder)?;
            let now = SystemTime::now();
            // A time in the future is wrong as well.
            if now.duration_since(folder.metadata()?.modified()?).is_ok_and(|age| age < OFTEN) {
                return Ok(());
            }
            folder.set_modified(now)
        };
        // A cache that may only be read is no reason to stop.
        if let Err(error) = marked() {
            tracing::debug!(entry = %self.folder.display(), %error, "its last use stays as it was");
        }
    }

    /// Whether every output is there in its size. The bytes themselves are verified when they are placed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.record.outputs.iter().all(|(name, stored)| {
            let path = self.path(name, stored);
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_file() => !stored.folder && meta.len() == stored.bytes,
                Ok(meta) if meta.is_dir() => stored.folder,
                _ => false,
            }
        })
    }

    /// Whether the log is what the stage printed.
    #[must_use]
    pub fn log_matches(&self) -> bool {
        self.log.is_none_or(|digest| observe(&self.log()).is_ok_and(|seen| seen.digest == digest))
    }

    /// Reads every byte and compares: the first output that is not what was recorded.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        self.record.outputs.iter().find_map(|(name, stored)| {
            let intact = observe(&self.path(name, stored)).is_ok_and(|seen| {
                seen.digest == stored.digest && (seen.shape == Shape::Folder) == stored.folder
            });
            (!intact).then(|| name.to_string())
        })
    }
}

/// `entry.json`: the record, the log's digest, and a hash over both, because a flipped bit in a metric would
/// be a metric like any other.
pub(super) fn seal(record: &Record, log: Digest) -> serde_json::Result<Vec<u8>> {
    let mut fields = serde_json::to_value(record)?;
    fields["log"] = json!(log);
    fields["seal"] = json!(seal_of(&fields));
    serde_json::to_vec_pretty(&fields)
}

fn seal_of(fields: &Value) -> Digest {
    Digest::of(fields.to_string().as_bytes())
}

/// What [`seal`] wrote, when nothing in it changed since.
fn open(mut fields: Value) -> io::Result<(Record, Option<Digest>)> {
    let seal = fields.as_object_mut().and_then(|fields| fields.shift_remove("seal"));
    let record = Record::deserialize(&fields)?;
    let whole = match &seal {
        Some(seal) => *seal == json!(seal_of(&fields)),
        // Written before there were seals: then nothing else is in it either.
        None => serde_json::to_value(&record)? == fields,
    };
    if !whole {
        return Err(invalid("the record is not what was written"));
    }
    let log = fields.get("log").map(Digest::deserialize).transpose()?;
    Ok((record, log))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

pub(super) fn read_manifest(folder: &Path) -> io::Result<Manifest> {
    read_json(&folder.join("manifest.json"))
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&disk::read_own(path)?).map_err(io::Error::from)
}
