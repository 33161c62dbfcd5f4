//! Training curves: `steps.jsonl`, one object a step, and `epochs.csv` under the header of the project's first version.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use serde::{Deserialize, Serialize};
use stage_contract::{Artifact, Kind, Shape, StageError};

use text::corpus::{json_problem, read, write};

/// Curves of one training run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// In order.
    pub steps: Vec<Step>,
    /// In order.
    pub epochs: Vec<Epoch>,
}

/// One optimiser step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// From 1.
    pub step: u64,
    /// From 1.
    pub epoch: u32,
    /// Learning rate of the encoder.
    pub lr: f64,
    /// Global L2 norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Sum of the weighted terms.
    pub loss: f64,
    /// `ce`, `kd`, `hidden`, `crf`.
    pub terms: BTreeMap<String, Term>,
}

/// One term of the loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// As it is.
    pub raw: f64,
    /// Times its weight.
    pub weighted: f64,
}

/// One row of `epochs.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: u32,
    /// Mean over the epoch's steps of the weighted sum of all terms.
    pub train_loss: f64,
    /// Plain cross-entropy on dev: to be compared between epochs, and not with `train_loss`. Empty in the file where it is
    /// undefined: no word counts.
    pub val_loss: Option<f64>,
    /// Strict micro F1 on dev, 0-1; empty in the file where it is undefined.
    pub val_f1: Option<f64>,
    /// Likewise.
    pub val_precision: Option<f64>,
    /// Likewise.
    pub val_recall: Option<f64>,
    /// Learning rate of the encoder at the epoch's end.
    pub lr: f64,
    /// Share of attention heads removed.
    pub pruning_ratio: f64,
}

const HEADER: &str = "epoch,train_loss,val_loss,val_f1,val_precision,val_recall,lr,pruning_ratio";

impl Epoch {
    fn values(&self) -> [Option<f64>; 7] {
        [
            Some(self.train_loss),
            self.val_loss,
            self.val_f1,
            self.val_precision,
            self.val_recall,
            Some(self.lr),
            Some(self.pruning_ratio),
        ]
    }

    fn parse(line: &str) -> Option<Self> {
        let (epoch, rest) = line.split_once(',')?;
        let value = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some) };
        let values: Vec<Option<f64>> = rest.split(',').map(value).collect::<Result<_, _>>().ok()?;
        let &[Some(train_loss), val_loss, val_f1, val_precision, val_recall, Some(lr), Some(pruning_ratio)] =
            values.as_slice()
        else {
            return None;
        };
        let epoch = epoch.parse().ok()?;
        Some(Self { epoch, train_loss, val_loss, val_f1, val_precision, val_recall, lr, pruning_ratio })
    }
}

impl Step {
    fn is_finite(&self) -> bool {
        [self.lr, self.grad_norm, self.loss]
            .into_iter()
            .chain(self.terms.values().flat_map(|term| [term.raw, term.weighted]))
            .all(f64::is_finite)
    }
}

impl Artifact for History {
    const KIND: Kind = Kind {
        name: "history",
        shape: Shape::Folder,
        extension: "",
        doc: "training curves: steps.jsonl and epochs.csv",
    };

    fn load(path: &Path) -> Result<Self, StageError> {
        let (file, wrong) = (path.join("steps.jsonl"), |file: &Path, line: usize, message: &str| {
            StageError::new(format!("{}:{line}: {message}", file.display()))
        });
        let mut steps = Vec::new();
        for (index, line) in read(&file)?.lines().enumerate() {
            steps.push(serde_json::from_str(line).map_err(|e| wrong(&file, index + 1, &json_problem(&e)))?);
        }
        let file = path.join("epochs.csv");
        let mut epochs = Vec::new();
        for (index, line) in read(&file)?.lines().enumerate() {
            if index == 0 {
                if line != HEADER {
                    return Err(wrong(&file, 1, &format!("the header is not `{HEADER}`")));
                }
                continue;
            }
            epochs
                .push(Epoch::parse(line).ok_or_else(|| wrong(&file, index + 1, "no row of eight numbers"))?);
        }
        Ok(Self { steps, epochs })
    }

    /// Refuses what is not finite: JSON has no name for it, and the training should have stopped.
    fn save(&self, path: &Path) -> Result<(), StageError> {
        if let Some(step) = self.steps.iter().find(|step| !step.is_finite()) {
            return Err(StageError::new(format!("step {} has a value that is not finite", step.step)));
        }
        if let Some(epoch) =
            self.epochs.iter().find(|epoch| epoch.values().iter().flatten().any(|v| !v.is_finite()))
        {
            return Err(StageError::new(format!("epoch {} has a value that is not finite", epoch.epoch)));
        }
        fs::create_dir(path).map_err(|e| StageError::io("create", path, e))?;
        write(&path.join("steps.jsonl"), |out| {
            for step in &self.steps {
                serde_json::to_writer(&mut *out, step)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })?;
        write(&path.join("epochs.csv"), |out| {
            writeln!(out, "{HEADER}")?;
            for epoch in &self.epochs {
                write!(out, "{}", epoch.epoch)?;
                for value in epoch.values() {
                    write!(out, ",{}", value.map(|value| value.to_string()).unwrap_or_default())?;
                }
                writeln!(out)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let term = Term { raw: 0.25, weighted: 0.125 };
        History {
            steps: vec![Step {
                step: 1,
                epoch: 1,
                lr: 2e-5,
                grad_norm: 1.5,
                loss: 0.125,
                terms: BTreeMap::from([("kd".to_owned(), term)]),
            }],
            epochs: vec![Epoch {
                epoch: 1,
                train_loss: 0.5,
                val_loss: Some(0.75),
                val_f1: Some(0.9),
                val_precision: Some(0.875),
                val_recall: Some(0.925),
                lr: 2e-5,
                pruning_ratio: 0.0,
            }],
        }
    }

    #[test]
    fn curves_survive_the_disk_under_the_first_versions_header() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history");
        history().save(&path).expect("saved");
        assert_eq!(History::load(&path).expect("loaded"), history());
        let csv = fs::read_to_string(path.join("epochs.csv")).expect("read");
        assert_eq!(csv, format!("{HEADER}\n1,0.5,0.75,0.9,0.875,0.925,0.00002,0\n"));
    }

    #[test]
    fn a_score_that_is_undefined_is_an_empty_field() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history");
        let mut history = history();
        (history.epochs[0].val_precision, history.epochs[0].val_f1) = (None, None);
        history.save(&path).expect("saved");
        assert_eq!(History::load(&path).expect("loaded"), history);
        let csv = fs::read_to_string(path.join("epochs.csv")).expect("read");
        assert!(csv.ends_with("\n1,0.5,0.75,,,0.925,0.00002,0\n"), "{csv}");
    }

    #[test]
    fn a_loss_that_is_not_finite_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut history = history();
        history.steps[0].loss = f64::NAN;
        assert!(history.save(&folder.path().join("h")).expect_err("nan").to_string().contains("step 1"));
    }
}
