//! Where a pruning in several rounds stands, on disk: the model after the last round that ended, and what each did.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stage_contract::StageError;

use crate::prune::{importance::Importance, surgery::Kept};
use encoder::model::Model;
use train::checkpoint::remove;

/// What is known after some rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Done {
    /// Rounds that ended.
    pub rounds: u32,
    /// What is left of each layer, in the numbers of the model that the stage was given; nothing of one that went.
    pub kept: Vec<Kept>,
    /// Scores before the first cut.
    pub scores: Option<Importance>,
    /// What they were measured on.
    pub measured: Value,
    /// The vocabulary's part of the report.
    pub vocabulary: Value,
    /// A line for each round.
    pub report: Vec<Value>,
}

/// The folder in which rounds are kept.
#[derive(Debug)]
pub(super) struct Rounds {
    root: PathBuf,
}

impl Rounds {
    pub fn at(folder: &Path) -> Self {
        Self { root: folder.to_owned() }
    }

    /// Where a round's training keeps its own checkpoint.
    pub fn training(&self, round: u32) -> PathBuf {
        self.root.join(format!("training-{round}"))
    }

    fn whole(&self, rounds: u32) -> PathBuf {
        self.root.join(format!("round-{rounds}"))
    }

    /// The last of `most` rounds that ended whole.
    pub fn last(&self, most: u32, device: &Device) -> Result<Option<(Model, Done)>, StageError> {
        let Some(folder) = (1..=most).rev().map(|round| self.whole(round)).find(|folder| folder.is_dir())
        else {
            return Ok(None);
        };
        let path = folder.join("done.json");
        let text = fs::read_to_string(&path).map_err(|e| StageError::io("read", &path, e))?;
        let done = serde_json::from_str(&text).map_err(|e| {
            StageError::because(format!("the checkpoint {} is damaged", path.display()), e)
                .help("delete that folder and run again: the stage starts anew")
        })?;
        Ok(Some((Model::load(&folder.join("model"), device)?, done)))
    }

    /// Keeps a round that ended; those before it are of no more use.
    pub fn keep(&self, model: &Model, done: &Done) -> Result<(), StageError> {
        let (part, whole) = (self.root.join("part"), self.whole(done.rounds));
        remove(&part)?;
        model.save(&part.join("model"))?;
        let path = part.join("done.json");
        let text = serde_json::to_string(done).map_err(|e| StageError::because("cannot write a round", e))?;
        fs::write(&path, text).map_err(|e| StageError::io("write", &path, e))?;
        fs::rename(&part, &whole).map_err(|e| StageError::io("write", &whole, e))?;
        for old in 1..done.rounds {
            remove(&self.whole(old))?;
        }
        remove(&self.training(done.rounds))
    }
}

impl Done {
    /// Only these layers of the given model stay.
    pub fn keep_layers(&mut self, layers: &[usize]) {
        for (layer, kept) in self.kept.iter_mut().enumerate() {
            if !layers.contains(&layer) {
                *kept = Kept { heads: Vec::new(), ffn: Vec::new() };
            }
        }
    }

    /// The layers of the given model that are left.
    pub fn layers(&self) -> impl Iterator<Item = usize> {
        self.kept.iter().enumerate().filter(|(_, kept)| !kept.gone()).map(|(layer, _)| layer)
    }

    /// Scores of the layers that are left as scores of all: a layer that went has none.
    pub fn in_given(&self, scores: Importance) -> Importance {
        let spread = |scores: Vec<Vec<f64>>| {
            let mut scores = scores.into_iter();
            let of = |kept: &Kept| if kept.gone() { Vec::new() } else { scores.next().unwrap_or_default() };
            self.kept.iter().map(of).collect()
        };
        Importance { heads: spread(scores.heads), ffn: spread(scores.ffn) }
    }

    /// Notes what a cut of the present model left, in the numbers of the model that the stage was given.
    pub fn cut(&mut self, kept: &[Kept]) {
        for (all, kept) in self.kept.iter_mut().filter(|all| !all.gone()).zip(kept) {
            all.heads = kept.heads.iter().map(|&head| all.heads[head]).collect();
            all.ffn = kept.ffn.iter().map(|&neuron| all.ffn[neuron]).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoder::testing::fixture::{model, teacher_labels};

    #[test]
    fn cuts_add_up_in_the_numbers_of_the_first_model() {
        let mut done =
            Done { kept: vec![Kept { heads: vec![0, 1, 2, 3], ffn: vec![0, 1, 2] }], ..Done::default() };
        done.cut(&[Kept { heads: vec![0, 2, 3], ffn: vec![1, 2] }]);
        done.cut(&[Kept { heads: vec![1, 2], ffn: vec![0] }]);
        assert_eq!(done.kept, [Kept { heads: vec![2, 3], ffn: vec![1] }]);
    }

    #[test]
    fn the_last_whole_round_is_found_again_and_a_half_one_is_not() {
        let root = tempfile::tempdir().expect("a folder");
        let (rounds, device) = (Rounds::at(root.path()), Device::flex());
        assert!(rounds.last(4, &device).expect("nothing there").is_none());
        let model = model(teacher_labels(), &[]);
        for round in [1, 2] {
            rounds.keep(&model, &Done { rounds: round, ..Done::default() }).expect("kept");
        }
        fs::create_dir_all(root.path().join("part/model")).expect("half of the third");
        let (_, done) = rounds.last(4, &device).expect("read").expect("there");
        assert_eq!(done.rounds, 2);
        assert!(!root.path().join("round-1").exists());
    }
}
