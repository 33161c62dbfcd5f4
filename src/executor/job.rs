use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stage_contract::{Devices, StageError};

use crate::disk;

/// A job, beside its answer.
pub const JOB: &str = "job.json";

/// How a job ended, as it says itself.
pub const ANSWER: &str = "answer.json";

/// What it used, beside its answer.
pub const USAGE: &str = "usage.json";

/// All that the runner and a job exchange; no part of a result.
pub const EXCHANGED: [&str; 3] = [JOB, ANSWER, USAGE];

/// All that a child process needs to execute one node. Paths are absolute.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The node's id.
    pub node: String,
    /// What to do.
    pub task: Task,
    /// The project root: the working folder of commands.
    pub root: PathBuf,
    /// Inputs by port.
    pub inputs: BTreeMap<String, PathBuf>,
    /// What the pipeline file writes at the source of an input, by port.
    #[serde(default)]
    pub options: BTreeMap<String, Value>,
    /// Where outputs go: the parents exist, the paths do not.
    pub outputs: BTreeMap<String, PathBuf>,
    /// What lets the stage resume.
    pub checkpoint: PathBuf,
    /// The node's seed.
    pub seed: u64,
    /// Where tensors live.
    pub devices: Devices,
    /// CPU threads.
    pub threads: usize,
    /// More of the environment, for commands: what they may use of the machine.
    pub environment: BTreeMap<String, String>,
    /// Variables of the runner's environment that it asks for. Their values are in no file: some are secrets.
    pub env: BTreeSet<String>,
    /// The most bytes of memory that it may hold, where it is to be held to that.
    pub memory: Option<u64>,
    /// `--show-text`.
    pub show_text: bool,
    /// Held while the job is executed: no two processes may do it at once.
    pub lock: PathBuf,
    /// Where the child writes its [`Answer`].
    pub answer: PathBuf,
}

/// What a job does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// A stage of the registry.
    Stage {
        /// Its name.
        name: String,
        /// Its parameters.
        params: Value,
    },
    /// The runner's own stage `command`.
    Command {
        /// The command line as written in the pipeline file.
        run: String,
    },
}

/// How a job ended, as it reports itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Answer {
    /// All outputs are written.
    Done,
    /// It was asked to stop and did.
    Cancelled,
    /// It failed.
    Failed {
        /// A lower-case fragment.
        message: String,
        /// The underlying causes, outermost first.
        causes: Vec<String>,
        /// What the user can do.
        help: Option<String>,
    },
    /// The stage's code is wrong.
    Panicked {
        /// What it said.
        message: String,
    },
}

impl Answer {
    /// Of a stage that stopped.
    #[must_use]
    pub fn of(error: &StageError) -> Self {
        let StageError::Failed { message, .. } = error else { return Self::Cancelled };
        let help = error.advice().map(str::to_owned);
        Self::Failed { message: message.clone(), causes: causes(error), help }
    }
}

/// What a job used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The most bytes of memory that one of its processes held.
    pub memory: u64,
}

/// The causes below an error, outermost first.
#[must_use]
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut found = Vec::new();
    let mut below = error.source();
    while let Some(cause) = below {
        found.push(cause.to_string());
        below = cause.source();
    }
    found
}

pub(super) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, StageError> {
    let bytes = disk::read_own(path).map_err(|e| StageError::io("read", path, e))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| StageError::because(format!("cannot understand {}", path.display()), e))
}

pub(super) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), StageError> {
    let bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| StageError::because(format!("cannot write {}", path.display()), e))?;
    std::fs::write(path, bytes).map_err(|e| StageError::io("write", path, e))
}
