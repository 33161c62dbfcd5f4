//! The teacher's word logits on disk: what it says of each record, so that a training need not ask it again.
//!
//! A safetensors file with one f32 tensor `[words + continuations, labels]` for each record, named by its id: words first, each
//! at its first sub-word, then the sub-words that no word is read off; the entry `ner_pipe` of its
//! metadata says whose they are: `{"teacher": blake3 of model.safetensors, "labels": [..]}`.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use safetensors::{Dtype, SafeTensors, serialize_to_file};
use serde::{Deserialize, Serialize};
use stage_contract::{Artifact, Invalid, Kind, Shape, StageError};

use crate::{
    model::ModelFolder,
    weights::{Array, floats},
};

/// Word logits of records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logits {
    /// Whose they are.
    pub origin: Origin,
    /// `[words + continuations, labels]` by record id; a word that no piece covers as in [`crate::infer::WordLogits`].
    pub texts: BTreeMap<String, Array>,
}

/// The model that logits are of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// blake3 of its model.safetensors, as a silver record's provenance has it.
    pub teacher: String,
    /// Its labels: the columns.
    pub labels: Vec<String>,
}

/// The entry of the file's metadata.
const ENTRY: &str = "ner_pipe";

impl Origin {
    /// Reads whose logits a file holds, so that another teacher's show before any work.
    ///
    /// # Errors
    /// When it is no file of logits.
    pub fn load(path: &Path) -> Result<Self, StageError> {
        Self::parse(path, &read(path)?)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, StageError> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
            StageError::because(format!("{} is truncated or no safetensors file", path.display()), e)
        })?;
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let origin = entry.and_then(|entry| serde_json::from_str(entry).ok());
        origin.ok_or_else(|| {
            StageError::new(format!("{} does not say whose logits it holds", path.display()))
                .help("wire the logits of `annotate`: `logits = \"annotate.logits\"`")
        })
    }

    /// Checks that these are logits of this teacher.
    ///
    /// # Errors
    /// They are another's, or the teacher is unreadable.
    pub fn check(&self, teacher: &ModelFolder) -> Result<(), Invalid> {
        let digest = teacher.digest().map_err(|e| Invalid::of(&e).at("teacher"))?;
        if self.teacher == digest {
            return Ok(());
        }
        let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
        Err(Invalid::new(format!(
            "the logits are those of the model {}.., but the teacher is {}..",
            short(&self.teacher),
            short(&digest)
        ))
        .at("logits")
        .help("wire the logits that `annotate` made with this teacher, or leave `logits` out"))
    }
}

impl Artifact for Logits {
    const KIND: Kind = Kind {
        name: "logits",
        shape: Shape::File,
        extension: "safetensors",
        doc: "a model's logits, one tensor for each record",
    };

    fn load(path: &Path) -> Result<Self, StageError> {
        let bytes = read(path)?;
        let origin = Origin::parse(path, &bytes)?;
        let wrong = |message: String| {
            StageError::new(format!("{}: {message}", path.display())).help("make it again: run `annotate`")
        };
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| {
            StageError::because(format!("{} is truncated or no safetensors file", path.display()), e)
        })?;
        let mut texts = BTreeMap::new();
        for (id, view) in tensors.iter() {
            let shape = view.shape().to_vec();
            if view.dtype() != Dtype::F32 || shape.len() != 2 || shape[1] != origin.labels.len() {
                let (dtype, columns) = (view.dtype(), origin.labels.len());
                return Err(wrong(format!(
                    "record {id} is {dtype:?} {shape:?}, and not F32 [sub-words, {columns}]"
                )));
            }
            let values = floats(view.dtype(), view.data());
            if values.iter().any(|value| !value.is_finite()) {
                return Err(wrong(format!("record {id} holds values that are not finite")));
            }
            texts.insert(id.to_owned(), Array { shape, values });
        }
        Ok(Self { origin, texts })
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        let cannot = || format!("cannot write {}", path.display());
        let origin = serde_json::to_string(&self.origin).map_err(|e| StageError::because(cannot(), e))?;
        serialize_to_file(&self.texts, Some(HashMap::from([(ENTRY.to_owned(), origin)])), path)
            .map_err(|e| StageError::because(cannot(), e))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, StageError> {
    fs::read(path).map_err(|e| StageError::io("read", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_survive_the_disk_bit_by_bit_and_say_whose_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("1"), folder.path().join("2"));
        let text = |words: usize, values: &[f32]| Array { shape: vec![words, 2], values: values.to_vec() };
        let logits = Logits {
            origin: Origin { teacher: "12ab".into(), labels: vec!["O".into(), "I-PER".into()] },
            texts: BTreeMap::from([
                ("a-1".to_owned(), text(2, &[0.1, -1e4, 3.5, f32::MIN_POSITIVE])),
                ("é-2".to_owned(), text(0, &[])),
            ]),
        };
        logits.save(&one).expect("saved");
        let read = Logits::load(&one).expect("loaded");
        assert_eq!(read, logits);
        read.save(&two).expect("saved again");
        assert_eq!(fs::read(&one).expect("1"), fs::read(&two).expect("2"));
        assert_eq!(Origin::load(&one).expect("its metadata"), logits.origin);

        let torn =
            Logits { texts: BTreeMap::from([("a-1".to_owned(), text(1, &[f32::NAN, 0.0]))]), ..logits };
        torn.save(&two).expect("saved");
        let error = Logits::load(&two).expect_err("no number").to_string();
        assert!(error.ends_with("record a-1 holds values that are not finite"), "{error}");
        fs::write(&two, b"no").expect("written");
        assert!(
            Logits::load(&two).expect_err("damaged").to_string().contains("truncated or no safetensors file")
        );
        crate::weights::Weights::default().save(&two, crate::weights::Stored::F32).expect("a model's");
        assert!(Logits::load(&two).expect_err("a model's").to_string().contains("does not say whose"));
    }
}
