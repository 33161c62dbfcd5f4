//! Where a training run stands, on disk: weights, optimiser, best epoch so far, curves. Written beside and renamed,
//! so that a half-written checkpoint is never taken for whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::module::Module;
use serde::{Deserialize, Serialize};
use stage_contract::StageError;

use crate::{
    history::{Epoch, History, Step},
    optimizer::Groupwise,
};
use encoder::network::Network;
use measure::scores::Score;

/// How well a network does on the dev part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dev {
    /// Strict entity scores, micro.
    pub score: Score,
    /// Mean cross-entropy per word; none without a word that counts.
    pub loss: Option<f64>,
}

/// Everything about a run but its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// 1-based epoch under way.
    pub epoch: u32,
    /// Steps of that epoch that are done.
    pub batch: usize,
    /// Steps done in all.
    pub step: usize,
    /// 1-based epoch with the best dev F1; 0 = none yet.
    pub best_epoch: u32,
    best: Option<Dev>,
    loss_sum: f64,
    steps: Vec<Step>,
    epochs: Vec<Epoch>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            epoch: 1,
            batch: 0,
            step: 0,
            best_epoch: 0,
            best: None,
            loss_sum: 0.0,
            steps: Vec::new(),
            epochs: Vec::new(),
        }
    }
}

impl State {
    /// Whether `patience` epochs have passed without a better one.
    #[must_use]
    pub fn stopped(&self, patience: u32) -> bool {
        patience > 0 && self.best_epoch > 0 && self.epoch > self.best_epoch + patience
    }

    /// Counts a step.
    pub fn advance(&mut self) {
        self.step += 1;
        self.batch += 1;
    }

    /// Keeps the line of a step that was counted.
    pub fn record(&mut self, step: Step) {
        self.loss_sum += step.loss;
        self.steps.push(step);
    }

    /// Ends an epoch; true when it is the best so far. `pruned` is the share of the teacher's heads that are gone.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn finish_epoch(&mut self, dev: Dev, pruned: f64) -> bool {
        self.epochs.push(Epoch {
            epoch: self.epoch,
            train_loss: self.loss_sum / self.batch.max(1) as f64,
            val_loss: dev.loss,
            val_f1: dev.score.f1,
            val_precision: dev.score.precision,
            val_recall: dev.score.recall,
            lr: self.steps.last().map_or(0.0, |step| step.lr),
            pruning_ratio: pruned,
        });
        // Where there is no entity, no epoch is better than the first.
        let rank = |dev: Dev| dev.score.f1.unwrap_or(0.0);
        let better = self.best.is_none_or(|best| rank(dev) > rank(best));
        if better {
            self.best = Some(dev);
            self.best_epoch = self.epoch;
        }
        self.epoch += 1;
        self.batch = 0;
        self.loss_sum = 0.0;
        better
    }

    /// Mean loss of the last epoch that ended.
    #[must_use]
    pub fn train_loss(&self) -> f64 {
        self.epochs.last().map_or(0.0, |epoch| epoch.train_loss)
    }

    /// Scores of the best epoch.
    #[must_use]
    pub fn best_dev(&self) -> Dev {
        self.best.unwrap_or_default()
    }

    /// The curves.
    #[must_use]
    pub fn into_history(self) -> History {
        History { steps: self.steps, epochs: self.epochs }
    }
}

/// What was found on disk.
pub struct Saved {
    /// The network as it was after the last step.
    pub network: Network,
    /// The network of the best epoch.
    pub best: Option<Network>,
    /// Counters and curves.
    pub state: State,
    optimizer: PathBuf,
}

impl Saved {
    /// Puts the saved moments into a fresh optimiser.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn optimizer(&self, fresh: Groupwise) -> Result<Groupwise, StageError> {
        fresh.load(&self.optimizer).map_err(|e| damaged(&self.optimizer, e))
    }
}

/// The folder of a node's checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    whole: PathBuf,
    part: PathBuf,
    old: PathBuf,
}

impl Checkpoint {
    /// Keeps checkpoints in `folder`.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { whole: folder.join("whole"), part: folder.join("part"), old: folder.join("old") }
    }

    /// Reads the checkpoint, when there is one; `like` gives the shapes.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn load(&self, like: &Network) -> Result<Option<Saved>, StageError> {
        // Killed between the two renames of `save`: the older one is whole.
        let folder = if self.whole.is_dir() { &self.whole } else { &self.old };
        let path = folder.join("state.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StageError::io("read", &path, e)),
        };
        let state = serde_json::from_str(&text).map_err(|e| damaged(&path, e))?;
        let read = |name: &str| {
            let path = folder.join(name);
            like.clone().try_load_file(&path).map_err(|e| damaged(&path, e))
        };
        let best = if folder.join("best.bpk").is_file() { Some(read("best.bpk")?) } else { None };
        Ok(Some(Saved {
            network: read("network.bpk")?,
            best,
            state,
            optimizer: folder.join("optimizer.bpk"),
        }))
    }

    /// Replaces the checkpoint.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(
        &self,
        network: &Network,
        best: Option<&Network>,
        optimizer: &Groupwise,
        state: &State,
    ) -> Result<(), StageError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |e| StageError::io("write", &path, e)
        };
        let burn = |path: &Path| {
            let message = format!("cannot write {}", path.display());
            move |e| StageError::because(message, e)
        };
        remove(&self.part)?;
        fs::create_dir_all(&self.part).map_err(io(&self.part))?;
        let path = self.part.join("network.bpk");
        network.valid().save_file(&path).map_err(burn(&path))?;
        if let Some(best) = best {
            let path = self.part.join("best.bpk");
            best.clone().save_file(&path).map_err(burn(&path))?;
        }
        let path = self.part.join("optimizer.bpk");
        optimizer.save(&path).map_err(burn(&path))?;
        let path = self.part.join("state.json");
        let text =
            serde_json::to_string(state).map_err(|e| StageError::because("cannot write the state", e))?;
        fs::write(&path, text).map_err(io(&path))?;
        remove(&self.old)?;
        if self.whole.is_dir() {
            fs::rename(&self.whole, &self.old).map_err(io(&self.old))?;
        }
        fs::rename(&self.part, &self.whole).map_err(io(&self.whole))?;
        remove(&self.old)
    }
}

/// Removes a folder that may not be there.
///
/// # Errors
/// When the disk refuses.
pub fn remove(folder: &Path) -> Result<(), StageError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StageError::io("remove", folder, e)),
        _ => Ok(()),
    }
}

fn damaged(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StageError {
    StageError::because(format!("the checkpoint {} is damaged", path.display()), source)
        .help("delete that folder and run again: the stage starts anew")
}
