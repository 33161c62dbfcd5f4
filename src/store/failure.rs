use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use stage_contract::StageError;

use super::{
    Store,
    entry::read_json,
    remove,
    tree::{private_folder, write_private},
};
use crate::{
    failpoint::{Point, reach},
    fingerprint::{Digest, Key},
};

/// A node's last failed attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The node's id.
    pub stage: String,
    /// The key that was to be made.
    pub key: Key,
    /// Why there is no result: message, then causes.
    pub why: Vec<String>,
    /// When, in seconds since 1970.
    pub when: u64,
}

impl Store {
    /// Keeps the log of a failed attempt, in place of the node's last one. It is completed beside the log,
    /// in the slot, and then renamed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record_failure(&self, pipeline: &Path, failure: &Failure, log: &Path) -> Result<(), StageError> {
        let home = self.failure_folder(pipeline, &failure.stage);
        let failed = |e| StageError::io("keep", log, e);
        private_folder(&self.root.join("failed"))?;
        let made = log.with_file_name("failed");
        private_folder(&made)?;
        let json =
            serde_json::to_vec_pretty(failure).map_err(|e| StageError::because("cannot write JSON", e))?;
        write_private(&made.join("failure.json"), &json)?;
        fs::rename(log, made.join("log.txt")).map_err(failed)?;
        reach(Point::FailureBegun).map_err(failed)?;
        remove(&home)?;
        reach(Point::FailureRemoved).map_err(failed)?;
        fs::rename(&made, &home).map_err(failed)
    }

    /// The last failed attempt of a node since its last success, with its log.
    #[must_use]
    pub fn failure(&self, pipeline: &Path, stage: &str) -> Option<(Failure, PathBuf)> {
        let folder = self.failure_folder(pipeline, stage);
        Some((read_json(&folder.join("failure.json")).ok()?, folder.join("log.txt")))
    }

    /// Forgets a failed attempt: the node succeeded since.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget_failure(&self, pipeline: &Path, stage: &str) -> Result<(), StageError> {
        let folder = self.failure_folder(pipeline, stage);
        if !folder.exists() {
            return Ok(());
        }
        reach(Point::FailureForget).map_err(|e| StageError::io("remove", &folder, e))?;
        remove(&folder)
    }

    /// Hashed, because a node's id may hold any character and two pipeline files may share it.
    fn failure_folder(&self, pipeline: &Path, stage: &str) -> PathBuf {
        let name = Digest::of(format!("{}\0{stage}", self.qualified(pipeline).display()).as_bytes());
        self.root.join("failed").join(name.short())
    }
}
