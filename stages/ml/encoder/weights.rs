//! Weights on the host, under Hugging Face's names.

mod checkpoint;

/// What a checkpoint calls the CRF, which is ours.
pub mod crf {
    /// `[labels, labels]` as [from, to]
    pub const TRANSITIONS: &str = "crf.transitions";
    /// `[labels]`
    pub const START: &str = "crf.start";
    /// `[labels]`
    pub const END: &str = "crf.end";
}

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use half::f16;
use safetensors::{Dtype, View, serialize_to_file};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::StageError;

use self::checkpoint::each;
pub use self::checkpoint::{Stored as Tensor, Tensors, Wanted, floats, is_pickle, own_name};

/// A tensor on the host, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis, outermost first.
    pub shape: Vec<usize>,
    /// `shape` multiplied out.
    pub values: Vec<f32>,
}

/// What numbers are stored as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    /// Four bytes each, bit by bit.
    #[default]
    F32,
    /// Two bytes each, rounded.
    F16,
}

/// Lengths of each tensor's axes, by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Named tensors. Linear weights are `[out, in]`, as `PyTorch` has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    origin: PathBuf,
    arrays: BTreeMap<String, Array>,
}

impl Weights {
    /// Reads the wanted weights of a model folder, safetensors or what `torch.save` wrote, in one file or in shards, in f32, f16
    /// or bf16; everything becomes f32.
    ///
    /// # Errors
    /// Unreadable, damaged, of another number type, or with a value that is no number; names the file and the tensor.
    pub fn load(model: &Path, wanted: &Wanted) -> Result<Self, StageError> {
        let (arrays, _) = each(model, wanted, |path, name, stored| {
            let values = stored.floats(&stored.bytes()?).unwrap_or_default();
            if values.iter().all(|value| value.is_finite()) {
                return Ok(Array { shape: stored.shape.clone(), values });
            }
            Err(StageError::new(format!("{}: {name} holds values that are not finite", path.display()))
                .help("use another checkpoint of this model: the training that made this one went wrong"))
        })?;
        Ok(Self { origin: model.to_owned(), arrays })
    }

    /// Reads the shape of each wanted tensor of a model folder, so that a damaged or foreign file shows before any work; and
    /// the names of the others.
    ///
    /// # Errors
    /// Unreadable, not whole, or of another number type.
    pub fn shapes(model: &Path, wanted: &Wanted) -> Result<(Shapes, Vec<String>), StageError> {
        each(model, wanted, |_, _, stored| Ok(stored.shape.clone()))
    }

    /// Writes a safetensors file. Equal weights give equal bytes: the format sorts by name.
    ///
    /// # Errors
    /// A value is too large for f16, or the disk refuses.
    pub fn save(&self, path: &Path, stored: Stored) -> Result<(), StageError> {
        if stored == Stored::F16 {
            let fits = |array: &Array| array.values.iter().all(|value| f16::from_f32(*value).is_finite());
            if let Some((name, _)) = self.arrays.iter().find(|(_, array)| !fits(array)) {
                return Err(StageError::new(format!("{name} holds a value that is too large for f16"))
                    .help("store the weights in f32: `dtype = \"f32\"`"));
            }
        }
        // transformers refuses a file without this entry.
        let information = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let arrays = self.arrays.iter().map(|(name, array)| (name, Cast { array, stored }));
        serialize_to_file(arrays, Some(information), path)
            .map_err(|e| StageError::because(format!("cannot write {}", path.display()), e))
    }

    /// Adds a tensor or replaces it.
    pub fn insert(&mut self, name: impl Into<String>, array: Array) {
        self.arrays.insert(name.into(), array);
    }

    /// The tensor of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.get(name)
    }

    /// Takes out the tensor of this name.
    pub fn remove(&mut self, name: &str) -> Option<Array> {
        self.arrays.remove(name)
    }

    /// The tensor of this name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Array> {
        self.arrays.get_mut(name)
    }

    /// Takes a tensor out.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, StageError> {
        let array = self.arrays.remove(name).ok_or_else(|| {
            StageError::new(format!("{}has no tensor {name}, expected {shape:?}", self.place())).help(
                "use a checkpoint and a config.json of one and the same model, fine-tuned for token classification",
            )
        })?;
        if array.shape != shape {
            let found = array.shape;
            return Err(StageError::new(format!(
                "{}tensor {name} is {found:?}, but config.json makes it {shape:?}",
                self.place()
            ))
            .help("use a checkpoint and a config.json of one and the same model"));
        }
        Ok(array.values)
    }

    /// Checks that every tensor was taken.
    ///
    /// # Errors
    /// Names those that are left.
    pub fn finish(self) -> Result<(), StageError> {
        if self.arrays.is_empty() {
            return Ok(());
        }
        let mut names: Vec<_> = self.arrays.keys().map(String::as_str).take(5).collect();
        if self.arrays.len() > names.len() {
            names.push("..");
        }
        let (count, names) = (self.arrays.len(), names.join(", "));
        Err(StageError::new(format!("{}config.json has no place for {count} tensors: {names}", self.place()))
            .help("use a checkpoint and a config.json of one and the same model"))
    }

    /// Numbers in all tensors.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.arrays.values().map(|array| array.values.len()).sum()
    }

    fn place(&self) -> String {
        if self.origin.as_os_str().is_empty() {
            String::new()
        } else {
            format!("{}: ", self.origin.display())
        }
    }
}

impl View for &Array {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

/// An array on its way to a file.
struct Cast<'a> {
    array: &'a Array,
    stored: Stored,
}

impl View for Cast<'_> {
    fn dtype(&self) -> Dtype {
        match self.stored {
            Stored::F32 => Dtype::F32,
            Stored::F16 => Dtype::F16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.array.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.array.values.iter();
        Cow::Owned(match self.stored {
            Stored::F32 => values.flat_map(|value| value.to_le_bytes()).collect(),
            Stored::F16 => values.flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        let bytes = match self.stored {
            Stored::F32 => size_of::<f32>(),
            Stored::F16 => size_of::<f16>(),
        };
        self.array.values.len() * bytes
    }
}

/// One of the two axes of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Of a vector: its entries.
    Rows,
    /// Not of a vector.
    Columns,
}

impl Array {
    /// The given rows or columns of a matrix, or entries of a vector.
    #[must_use]
    pub fn keep(&self, indices: &[usize], axis: Along) -> Self {
        let rows = self.shape[0];
        let columns = self.values.len() / rows;
        let row = |row: usize| &self.values[row * columns..][..columns];
        let mut shape = self.shape.clone();
        let values = match axis {
            Along::Rows => {
                shape[0] = indices.len();
                indices.iter().flat_map(|index| row(*index)).copied().collect()
            }
            Along::Columns => {
                shape[1] = indices.len();
                (0..rows).flat_map(|r| indices.iter().map(move |index| row(r)[*index])).collect()
            }
        };
        Self { shape, values }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use half::{bf16, f16};
    use safetensors::tensor::TensorView;
    use text::folder::{INDEX, WEIGHTS as FILE};

    use super::*;

    fn wanted<const N: usize>(names: [&str; N]) -> Wanted {
        Wanted::Of { names: names.map(str::to_owned).into(), base: "roberta" }
    }

    fn weights() -> Weights {
        let mut weights = Weights::default();
        weights
            .insert("b", Array { shape: vec![2, 3], values: vec![0.5, -0.0, 1e-38, f32::MAX, -2.0, 3.25] });
        weights.insert("a", Array { shape: vec![1], values: vec![1.0] });
        weights
    }

    #[test]
    fn a_round_trip_keeps_every_bit_and_equal_weights_give_equal_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) = (folder.path().join(FILE), folder.path().join("2"));
        weights().save(&first, Stored::F32).expect("written");
        let read = Weights::load(folder.path(), &Wanted::All).expect("read");
        let bits = |array: &Array| array.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(read.get("b").map(bits), weights().get("b").map(bits));
        read.save(&second, Stored::F32).expect("written");
        assert_eq!(fs::read(first).expect("bytes"), fs::read(second).expect("bytes"));
    }

    #[test]
    fn half_precision_is_read_exactly() {
        let halves: Vec<u8> = [1.5_f32, -0.25].iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(floats(Dtype::F16, &halves), [1.5, -0.25]);
        let halves: Vec<u8> =
            [1.5_f32, -0.25].iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(floats(Dtype::BF16, &halves), [1.5, -0.25]);
    }

    #[test]
    fn double_precision_is_refused_before_any_work_unless_nobody_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let write = |name| {
            let tensor = TensorView::new(Dtype::F64, vec![1], &[0; 8]).expect("one number");
            serialize_to_file([(name, tensor)], None, &path).expect("written");
        };
        write("classifier.weight");
        for error in [
            Weights::shapes(folder.path(), &Wanted::All).expect_err("F64"),
            Weights::load(folder.path(), &Wanted::All).expect_err("F64"),
        ] {
            assert!(error.to_string().ends_with("classifier.weight is F64"), "{error}");
        }
        write("lm_head.bias");
        assert_eq!(Weights::shapes(folder.path(), &wanted([])).expect("nothing used").0, BTreeMap::new());
    }

    #[test]
    fn weights_that_are_not_finite_are_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        for value in [f32::NAN, f32::INFINITY] {
            let mut weights = weights();
            weights.insert("c", Array { shape: vec![2], values: vec![0.0, value] });
            weights.save(&path, Stored::F32).expect("written");
            let error = Weights::load(folder.path(), &Wanted::All).expect_err("not finite").to_string();
            assert!(error.ends_with(": c holds values that are not finite"), "{error}");
        }
    }

    #[test]
    fn half_the_file_holds_every_value_rounded_or_none_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let of = |values: &[f32]| {
            let mut weights = Weights::default();
            weights.insert("a", Array { shape: vec![values.len()], values: values.to_vec() });
            weights
        };
        let values = [0.1_f32, -2.0, 1e-9, 65504.0];
        of(&values).save(&path, Stored::F16).expect("written");
        let read = Weights::load(folder.path(), &Wanted::All).expect("read");
        let rounded = values.map(|value| f16::from_f32(value).to_f32()).to_vec();
        assert_eq!(read.get("a").map(|array| array.values.clone()), Some(rounded));
        let error = of(&[1.0, 7e4]).save(&path, Stored::F16).expect_err("too large");
        assert_eq!(error.to_string(), "a holds a value that is too large for f16");
    }

    #[test]
    fn errors_name_file_tensor_and_shapes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        weights().save(&path, Stored::F32).expect("written");
        let mut read = Weights::load(folder.path(), &Wanted::All).expect("read");
        let place = folder.path().display();
        let error = read.take("classifier.weight", &[7, 4]).expect_err("missing").to_string();
        assert_eq!(error, format!("{place}: has no tensor classifier.weight, expected [7, 4]"));
        let error = read.clone().take("b", &[3, 2]).expect_err("transposed").to_string();
        assert_eq!(error, format!("{place}: tensor b is [2, 3], but config.json makes it [3, 2]"));
        read.take("b", &[2, 3]).expect("there");
        let error = read.finish().expect_err("a is left").to_string();
        assert_eq!(error, format!("{place}: config.json has no place for 1 tensors: a"));
        fs::write(&path, "no").expect("written");
        assert!(
            Weights::load(folder.path(), &Wanted::All)
                .expect_err("damaged")
                .to_string()
                .ends_with("is truncated or no safetensors file")
        );
    }

    #[test]
    fn only_what_is_wanted_is_read_and_the_rest_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut more = weights();
        for name in ["roberta.pooler.dense.weight", "lm_head.bias"] {
            more.insert(name, Array { shape: vec![1], values: vec![0.0] });
        }
        more.save(&folder.path().join(FILE), Stored::F32).expect("written");
        let wanted = wanted(["a", "b"]);
        assert_eq!(Weights::load(folder.path(), &wanted).expect("read").arrays, weights().arrays);
        let (shapes, left) = Weights::shapes(folder.path(), &wanted).expect("read");
        assert_eq!(shapes.into_keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(left, ["lm_head.bias", "roberta.pooler.dense.weight"]);
    }

    #[test]
    fn an_encoder_that_was_saved_without_its_name_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bare = Weights::default();
        for name in ["encoder.weight", "classifier.weight"] {
            bare.insert(name, Array { shape: vec![1], values: vec![0.5] });
        }
        bare.save(&folder.path().join(FILE), Stored::F32).expect("saved");
        let names = ["roberta.encoder.weight", "classifier.weight"];
        let read = Weights::load(folder.path(), &wanted(names)).expect("read");
        assert!(names.iter().all(|name| read.get(name).is_some()), "{read:?}");
    }

    #[test]
    fn shapes_are_read_and_a_file_that_is_cut_off_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let mut weights = Weights::default();
        weights.insert("a.weight", Array { shape: vec![2, 3], values: vec![0.5; 6] });
        weights.save(&path, Stored::F32).expect("saved");
        assert_eq!(
            Weights::shapes(folder.path(), &Wanted::All).expect("read").0,
            BTreeMap::from([("a.weight".to_owned(), vec![2, 3])])
        );
        let bytes = fs::read(&path).expect("read");
        for length in [0, 7, 8, 20, bytes.len() - 1] {
            fs::write(&path, &bytes[..length]).expect("written");
            let error = Weights::shapes(folder.path(), &Wanted::All).expect_err("is cut off");
            assert!(error.to_string().contains("is truncated or no safetensors file"), "{length}: {error}");
        }
    }

    #[test]
    fn shards_are_read_as_one_and_a_tensor_in_two_of_them_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let part = |name: &str| {
            let mut part = Weights::default();
            part.insert(name, weights().get(name).expect("there").clone());
            part
        };
        let path = |number: usize| folder.path().join(format!("model-{number}.safetensors"));
        let index = |map: serde_json::Value| {
            fs::write(folder.path().join(INDEX), serde_json::json!({"weight_map": map}).to_string())
                .expect("written");
        };
        part("a").save(&path(1), Stored::F32).expect("saved");
        part("b").save(&path(2), Stored::F32).expect("saved");
        index(serde_json::json!({"a": "model-1.safetensors", "b": "model-2.safetensors"}));
        let read = Weights::load(folder.path(), &Wanted::All).expect("both");
        assert_eq!(read.arrays, weights().arrays);
        let (shapes, _) = Weights::shapes(folder.path(), &Wanted::All).expect("both");
        assert_eq!(shapes.keys().collect::<Vec<_>>(), ["a", "b"]);
        weights().save(&path(2), Stored::F32).expect("saved");
        let error = Weights::load(folder.path(), &Wanted::All).expect_err("`a` is in both").to_string();
        assert!(error.ends_with("model-2.safetensors: there are two tensors a"), "{error}");
    }

    #[test]
    fn what_wrappers_put_before_names_is_taken_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut wrapped = Weights::default();
        for (name, array) in weights().arrays {
            wrapped.insert(format!("_orig_mod.module.{name}"), array);
        }
        wrapped.save(&folder.path().join(FILE), Stored::F32).expect("saved");
        assert_eq!(Weights::load(folder.path(), &Wanted::All).expect("read").arrays, weights().arrays);
    }
}
