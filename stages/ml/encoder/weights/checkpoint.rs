//! The tensors of a model folder as they lie there: safetensors, or what `torch.save` wrote, which is read as data and never
//! executed.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    error::Error,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use stage_contract::StageError;

use text::folder;

/// A tensor of a checkpoint.
pub(super) struct Stored<'a> {
    /// Length of each axis, outermost first.
    pub shape: Vec<usize>,
    /// Of its numbers.
    pub dtype: Dtype,
    path: &'a Path,
    read: Box<dyn Fn() -> io::Result<Cow<'a, [u8]>> + 'a>,
}

impl Stored<'_> {
    /// Its numbers, row after row, little-endian.
    ///
    /// # Errors
    /// The file is damaged there.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, StageError> {
        (self.read)().map_err(|e| damaged(self.path, e))
    }
}

/// Reads every tensor of a model folder that is wanted, under the name that it has without wrappers; and the names of those
/// that are not.
pub(super) fn each<T>(
    model: &Path,
    wanted: &Wanted,
    mut read: impl FnMut(&Path, &str, &Stored<'_>) -> Result<T, StageError>,
) -> Result<(BTreeMap<String, T>, Vec<String>), StageError> {
    let (mut found, mut left) = (BTreeMap::new(), Vec::new());
    for path in folder::weights(model)? {
        let is_pickle = path.extension().is_some_and(|extension| extension == "bin");
        let bytes = if is_pickle { Vec::new() } else { folder::read(&path)? };
        let tensors = if is_pickle { pickled(&path)? } else { safetensors(&path, &bytes)? };
        for (name, stored) in tensors {
            let Some(name) = wanted.name(&name) else {
                left.push(own_name(&name));
                continue;
            };
            let stored = stored.map_err(|dtype| {
                StageError::new(format!("{}: {name} is {dtype}", path.display()))
                    .help("save the model in float32, float16 or bfloat16")
            })?;
            let value = read(&path, &name, &stored)?;
            if found.insert(name.clone(), value).is_some() {
                return Err(StageError::new(format!("{}: there are two tensors {name}", path.display()))
                    .help("use a checkpoint as transformers saves it"));
            }
        }
    }
    left.sort();
    Ok((found, left))
}

/// The tensors to read of a checkpoint.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All, under any name.
    All,
    /// Those of a model.
    Of {
        /// Their names.
        names: BTreeSet<String>,
        /// What stands before all names but the classifier's; an encoder that was saved alone lacks it.
        base: &'static str,
    },
}

impl Wanted {
    /// The name that a tensor has here, if it is wanted.
    fn name(&self, name: &str) -> Option<String> {
        let own = own_name(name);
        match self {
            Self::Of { names, base } if !names.contains(&own) => {
                Some(format!("{base}.{own}")).filter(|name| names.contains(name))
            }
            Self::Of { .. } | Self::All => Some(own),
        }
    }
}

/// By name: the first mistake is the same every time.
type Tensors<'a> = BTreeMap<String, Result<Stored<'a>, String>>;

fn safetensors<'a>(path: &'a Path, bytes: &'a [u8]) -> Result<Tensors<'a>, StageError> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| damaged(path, e))?.tensors();
    let known = |dtype| matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
    let tensors = tensors.into_iter().map(|(name, view)| {
        let stored = Stored {
            shape: view.shape().to_vec(),
            dtype: view.dtype(),
            path,
            read: Box::new(move || Ok(Cow::Borrowed(view.data()))),
        };
        let stored = if known(stored.dtype) { Ok(stored) } else { Err(format!("{:?}", stored.dtype)) };
        (name, stored)
    });
    Ok(tensors.collect())
}

/// What `torch.save` wrote: a pickle of a dictionary of tensors. The reader knows tensors and plain values and refuses to
/// build anything else, so that no code in the file runs.
fn pickled(path: &Path) -> Result<Tensors<'_>, StageError> {
    if folder::is_pointer(path) {
        return Err(folder::pointer(path));
    }
    // A foreign file, read by a foreign parser: what it does not expect must not end the process.
    let reader = catch_unwind(AssertUnwindSafe(|| PytorchReader::new(path)))
        .map_err(|_| damaged(path, "its pickle cannot be parsed"))?
        .map_err(|e| damaged(path, e))?;
    let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| {
        let dtype = match tensor.dtype() {
            DType::F32 => Ok(Dtype::F32),
            DType::F16 => Ok(Dtype::F16),
            DType::BF16 => Ok(Dtype::BF16),
            other => Err(format!("{other:?}")),
        };
        let stored = dtype.map(|dtype| Stored {
            shape: tensor.shape().to_vec(),
            dtype,
            path,
            read: Box::new(move || tensor.read().map(Cow::Owned)),
        });
        (name, stored)
    });
    Ok(tensors.collect())
}

/// What training with several GPUs (`DataParallel`) and `torch.compile` put before the names of all tensors.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// What the norms of checkpoints that came from `TensorFlow` are called.
const OLD_NAMES: [(&str, &str); 2] =
    [("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")];

fn own_name(mut name: &str) -> String {
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = inner;
    }
    let renamed = OLD_NAMES.iter().find_map(|(old, new)| Some(format!("{}{new}", name.strip_suffix(old)?)));
    renamed.unwrap_or_else(|| name.to_owned())
}

/// Little-endian numbers as f32; none for a type that is not read.
#[must_use]
pub fn floats(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let half = |convert: fn([u8; 2]) -> f32| {
        let (numbers, _) = bytes.as_chunks::<2>();
        numbers.iter().map(|n| convert(*n)).collect()
    };
    match dtype {
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|n| f32::from_le_bytes(*n)).collect(),
        Dtype::F16 => half(|n| f16::from_le_bytes(n).to_f32()),
        Dtype::BF16 => half(|n| bf16::from_le_bytes(n).to_f32()),
        _ => Vec::new(),
    }
}

fn damaged(path: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> StageError {
    let kind = if path.extension().is_some_and(|extension| extension == "bin") {
        "PyTorch checkpoint"
    } else {
        "safetensors file"
    };
    StageError::because(format!("{} is truncated or no {kind}", path.display()), source)
        .help("copy it again from the model's own repository")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::weights::{Array, Weights};

    fn folder(bytes: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(folder::PYTORCH), bytes).expect("written");
        folder
    }

    #[test]
    fn what_torch_saved_is_read_as_it_was() {
        for bytes in [
            &include_bytes!("../../../testdata/checkpoint.bin")[..],
            include_bytes!("../../../testdata/checkpoint-legacy.bin"),
        ] {
            let folder = folder(bytes);
            let names = ["a.weight", "transposed", "row", "half", "brain", "LayerNorm.weight"];
            let wanted = Wanted::Of { names: names.map(str::to_owned).into(), base: "bert" };
            let mut found = Weights::load(folder.path(), &wanted).expect("read");
            for (name, shape, values) in [
                ("a.weight", &[2, 3][..], &[0.0, 0.25, 0.5, 0.75, 1.0, 1.25][..]),
                ("transposed", &[3, 2], &[0.0, 0.75, 0.25, 1.0, 0.5, 1.25]),
                ("row", &[3], &[0.75, 1.0, 1.25]),
                ("half", &[2], &[1.5, -0.25]),
                ("brain", &[2], &[1.5, -0.25]),
                ("LayerNorm.weight", &[2], &[1.0, 1.0]),
            ] {
                let right = Array { shape: shape.to_vec(), values: values.to_vec() };
                assert_eq!(found.remove(name), Some(right), "{name}");
            }
            found.finish().expect("nothing else was asked for");
        }
    }

    /// `os.system`, `builtins.exec` and a class of the file's own, in several protocols: none is looked up, let alone called.
    #[test]
    fn a_hostile_pickle_does_nothing() {
        let mark = tempfile::tempdir().expect("a folder");
        let mark = mark.path().join("executed");
        let touch = format!("touch {}", mark.display());
        let python = format!("open({:?}, 'w')", mark.display().to_string());
        let short =
            |text: &str| [b"\x8c", &[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
        for pickle in [
            format!("cos\nsystem\n(S'{touch}'\ntR.").into_bytes(),
            format!("cposix\nsystem\n(S'{touch}'\ntR.").into_bytes(),
            format!("c__builtin__\nexec\n(S{python:?}\ntR.").into_bytes(),
            [
                b"\x80\x04".to_vec(),
                short("os"),
                short("system"),
                b"\x93".to_vec(),
                short(&touch),
                b"\x85R.".to_vec(),
            ]
            .concat(),
            format!("(S'{touch}'\nios\nsystem\n.").into_bytes(),
            [b"\x80\x02".to_vec(), b"c__main__\nModel\n)\x81}(X\x01\x00\x00\x00ab.".to_vec()].concat(),
        ] {
            let folder = folder(&pickle);
            let error = Weights::load(folder.path(), &Wanted::All).expect_err("no tensors").to_string();
            assert!(error.contains("is truncated or no PyTorch checkpoint"), "{error}");
            assert!(!mark.exists(), "it was executed");
        }
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error_wherever_it_is_damaged() {
        let whole = include_bytes!("../../../testdata/checkpoint.bin");
        for cut in (0..whole.len()).step_by(37) {
            Weights::load(folder(&whole[..cut]).path(), &Wanted::All).expect_err("cut off");
        }
        for at in (0..whole.len()).step_by(11) {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 0x55;
            // Names and padding may change unseen; what must not happen is a panic.
            drop(Weights::load(folder(&bytes).path(), &Wanted::All));
        }
    }
}
