use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use stage_contract::StageError;

use super::{Store, entry::read_json, remove, tree::private_folder, write_whole};
use crate::fingerprint::{Digest, Key};

/// The last attempt of a node that gave no result.
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
    /// Keeps the log of a failed attempt, in place of the node's last one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record_failure(&self, pipeline: &Path, failure: &Failure, log: &Path) -> Result<(), StageError> {
        self.forget_failure(pipeline, &failure.stage)?;
        let folder = self.failure_folder(pipeline, &failure.stage);
        private_folder(&folder)?;
        let json =
            serde_json::to_vec_pretty(failure).map_err(|e| StageError::because("cannot write JSON", e))?;
        write_whole(&folder.join("failure.json"), &json)?;
        let kept = folder.join("log.txt");
        fs::rename(log, &kept).map_err(|e| StageError::io("keep", log, e))
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
        remove(&self.failure_folder(pipeline, stage))
    }

    /// Hashed, because a node's id may hold any character and two pipeline files may share it.
    fn failure_folder(&self, pipeline: &Path, stage: &str) -> PathBuf {
        let name = Digest::of(format!("{}\0{stage}", pipeline.display()).as_bytes());
        self.root.join("failed").join(name.short())
    }
}
