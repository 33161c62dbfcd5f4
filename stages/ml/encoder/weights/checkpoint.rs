//! The tensors of a model folder as they lie there: safetensors, or what `torch.save` wrote, which is read as data and never
//! executed.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    rc::Rc,
};

use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, tensor::Metadata};
use stage_contract::StageError;
use zip::ZipArchive;

use text::{folder, foreign::caught};

/// A tensor as it lies in a file.
pub struct Stored {
    /// Length of each axis, outermost first.
    pub shape: Vec<usize>,
    /// What its numbers are, as the file calls it: `F32`, `I64`.
    pub kind: String,
    /// The same, where it is one that is read.
    dtype: Option<Dtype>,
    path: PathBuf,
    read: Box<dyn Fn() -> io::Result<Vec<u8>>>,
}

impl Stored {
    /// Its numbers as they lie there, row after row, little-endian.
    ///
    /// # Errors
    /// The file is damaged there.
    pub fn bytes(&self) -> Result<Vec<u8>, StageError> {
        let read = caught(|| (self.read)()).ok_or_else(|| damaged(&self.path, GIVES_UP))?;
        read.map_err(|e| damaged(&self.path, e))
    }

    /// These bytes of it as numbers; none where they are of a type that is not read.
    #[must_use]
    pub fn floats(&self, bytes: &[u8]) -> Option<Vec<f32>> {
        self.dtype.map(|dtype| floats(dtype, bytes))
    }

    /// Numbers in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a file of a checkpoint says of its tensors; their numbers are read one tensor at a time, when they are asked for.
pub struct Tensors {
    /// What stands beside the tensors: `format` is the library that wrote them.
    pub information: BTreeMap<String, String>,
    /// By the name in the file.
    pub tensors: BTreeMap<String, Stored>,
}

impl Tensors {
    /// Reads what a file says of its tensors.
    ///
    /// # Errors
    /// Unreadable, not whole, or no checkpoint.
    pub fn open(path: &Path) -> Result<Self, StageError> {
        if folder::is_pointer(path) {
            return Err(folder::pointer(path));
        }
        if is_pickle(path) { pickled(path) } else { safetensors(path) }
    }
}

/// Whether a file is what `torch.save` wrote.
#[must_use]
pub fn is_pickle(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "bin")
}

/// Reads every tensor of a model folder that is wanted, under the name that it has without wrappers; and the names of those
/// that are not.
pub(super) fn each<T>(
    model: &Path,
    wanted: &Wanted,
    mut read: impl FnMut(&Path, &str, &Stored) -> Result<T, StageError>,
) -> Result<(BTreeMap<String, T>, Vec<String>), StageError> {
    let (mut found, mut left) = (BTreeMap::new(), Vec::new());
    for path in folder::weights(model)? {
        for (name, stored) in Tensors::open(&path)?.tensors {
            let Some(name) = wanted.name(&name) else {
                left.push(own_name(&name));
                continue;
            };
            if stored.dtype.is_none() {
                return Err(StageError::new(format!("{}: {name} is {}", path.display(), stored.kind))
                    .help("save the model in float32, float16 or bfloat16"));
            }
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
    #[must_use]
    pub fn name(&self, name: &str) -> Option<String> {
        let own = own_name(name);
        match self {
            Self::Of { names, base } if !names.contains(&own) => {
                Some(format!("{base}.{own}")).filter(|name| names.contains(name))
            }
            Self::Of { .. } | Self::All => Some(own),
        }
    }
}

/// More than this the format does not allow (`MAX_HEADER_SIZE` of safetensors).
const LONGEST_HEADER: u64 = 100_000_000;

/// Eight bytes say how long the header is; behind it come the numbers.
fn safetensors(path: &Path) -> Result<Tensors, StageError> {
    let file = File::open(path).map_err(|e| StageError::io("read", path, e))?;
    let size = file.metadata().map_err(|e| StageError::io("read", path, e))?.len();
    let mut length = [0; 8];
    (&file).read_exact(&mut length).map_err(|e| damaged(path, e))?;
    let length = u64::from_le_bytes(length);
    let Some(begin) = length.checked_add(8).filter(|end| *end <= size && length <= LONGEST_HEADER) else {
        return Err(damaged(path, "its header is longer than it"));
    };
    let mut header = vec![0; usize::try_from(length).unwrap_or_default()];
    (&file).read_exact(&mut header).map_err(|e| damaged(path, e))?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|e| damaged(path, e))?;
    if begin + header.data_len() as u64 != size {
        return Err(damaged(path, "it is not as long as its header says"));
    }
    let (path, file) = (path.to_owned(), Rc::new(file));
    let tensors = header.tensors().into_iter().map(|(name, info)| {
        let ((from, to), file) = (info.data_offsets, Rc::clone(&file));
        let read = move || {
            let mut bytes = vec![0; to - from];
            (&*file).seek(SeekFrom::Start(begin + from as u64))?;
            (&*file).read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let known = matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
        let stored = Stored {
            shape: info.shape.clone(),
            kind: format!("{:?}", info.dtype),
            dtype: known.then_some(info.dtype),
            path: path.clone(),
            read: Box::new(read),
        };
        (name, stored)
    });
    let tensors = tensors.collect();
    let information = header.metadata().clone().unwrap_or_default();
    Ok(Tensors { information: information.into_iter().collect(), tensors })
}

/// What is said where another crate panics.
const GIVES_UP: &str = "the library that reads it gives up";
/// Tensors may share their numbers, as tied embeddings do: all together may be so many times as large as their file.
const MOST_VIEWS: u64 = 4;
/// Bytes of the largest pickle in an archive; those of encoders have some 100 kB. Objects take up to a hundred times as much
/// memory as the bytes that they are made of.
const LARGEST_PICKLE: u64 = 16 << 20;

/// The size of what `torch.save` wrote, where its parts are such that they can be read one at a time.
fn size_of_pickled(path: &Path) -> Result<u64, StageError> {
    let failed = |e| StageError::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut head = Vec::new();
    file.by_ref().take(512).read_to_end(&mut head).map_err(failed)?;
    // PyTorch before 0.1.10: it would be read whole, whatever is asked for.
    if head.get(257..262) == Some(b"ustar") {
        return Err(damaged(path, "it is a tar archive of a PyTorch of 2016"));
    }
    if head.starts_with(b"PK") {
        let broken = |e| damaged(path, e);
        let mut archive = caught(|| ZipArchive::new(BufReader::new(file)))
            .ok_or_else(|| damaged(path, GIVES_UP))?
            .map_err(broken)?;
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(broken)?;
            let pickle = entry.name().is_ok_and(|name| name.ends_with(".pkl"));
            if pickle && entry.size() > LARGEST_PICKLE.min(size) {
                return Err(damaged(path, format!("its pickle claims {} bytes", entry.size())));
            }
        }
    }
    Ok(size)
}

/// What `torch.save` wrote: a pickle of a dictionary of tensors. The reader knows tensors and plain values and refuses to
/// build anything else, so that no code in the file runs.
fn pickled(path: &Path) -> Result<Tensors, StageError> {
    let size = size_of_pickled(path)?;
    // A foreign file, read by a foreign parser: what it does not expect must not end the process.
    let reader = caught(|| PytorchReader::new(path))
        .ok_or_else(|| damaged(path, GIVES_UP))?
        .map_err(|e| damaged(path, e))?;
    // A view may repeat what is stored: a number becomes a tensor of any size.
    let claimed =
        |claimed: u64, tensor: &pytorch_reader::Tensor| claimed.saturating_add(tensor.byte_len() as u64);
    let claimed = reader.tensors().values().fold(0, claimed);
    if claimed > size.saturating_mul(MOST_VIEWS) {
        return Err(damaged(path, format!("its tensors claim {claimed} bytes, and it has {size}")));
    }
    let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| {
        let stored = Stored {
            shape: tensor.shape().to_vec(),
            kind: format!("{:?}", tensor.dtype()),
            dtype: match tensor.dtype() {
                DType::F32 => Some(Dtype::F32),
                DType::F16 => Some(Dtype::F16),
                DType::BF16 => Some(Dtype::BF16),
                _ => None,
            },
            path: path.to_owned(),
            read: Box::new(move || tensor.read()),
        };
        (name, stored)
    });
    Ok(Tensors { information: BTreeMap::new(), tensors: tensors.collect() })
}

/// What training with several GPUs (`DataParallel`) and `torch.compile` put before the names of all tensors.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// What the norms of checkpoints that came from `TensorFlow` are called.
const OLD_NAMES: [(&str, &str); 2] =
    [("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")];

/// The name of a tensor without what wrappers put before it.
#[must_use]
pub fn own_name(mut name: &str) -> String {
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
    let kind = if is_pickle(path) { "PyTorch checkpoint" } else { "safetensors file" };
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

    /// An archive as `torch.save` makes it, of one tensor of `count` numbers over a storage of one: a view that repeats it.
    fn archive(count: u64, padding: usize) -> Vec<u8> {
        use std::io::Write;
        let long = |number: u64| [&[0x8a, 8][..], &number.to_le_bytes()].concat();
        let text = |text: &str| {
            [&b"X"[..], &u32::try_from(text.len()).expect("short").to_le_bytes()[..], text.as_bytes()]
                .concat()
        };
        let pickle = [
            b"\x80\x02}".to_vec(),
            text("a"),
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            b"ctorch\nFloatStorage\n".to_vec(),
            text("0"),
            text("cpu"),
            long(1),
            b"tQK\x00".to_vec(),
            long(count),
            b"\x85K\x00\x85\x89}tRs".to_vec(),
            b"N0".repeat(padding),
            b".".to_vec(),
        ]
        .concat();
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in
            [("model/data.pkl", &pickle[..]), ("model/version", &b"3"[..]), ("model/data/0", &[0; 4][..])]
        {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(name, options.compression_method(zip::CompressionMethod::Deflated))
                .expect("begun");
            zip.write_all(bytes).expect("written");
        }
        zip.finish().expect("whole").into_inner()
    }

    #[test]
    fn a_checkpoint_that_claims_more_than_it_holds_is_refused_before_it_is_read() {
        let message = |bytes: &[u8]| {
            let error = Weights::shapes(folder(bytes).path(), &Wanted::All).expect_err("refused");
            stage_contract::Invalid::of(&error).message
        };
        let shapes = Weights::shapes(folder(&archive(3, 0)).path(), &Wanted::All).expect("a view").0;
        assert_eq!(shapes["a"], [3]);
        let found = message(&archive(1_000_000_000, 0));
        assert!(found.contains("its tensors claim 4000000000 bytes"), "{found}");
        let found = message(&archive(3, 1 << 20));
        assert!(found.contains("its pickle claims"), "what unpacks to more than the file: {found}");
        let mut tar = vec![0; 1024];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(message(&tar).contains("a tar archive of a PyTorch of 2016"));
    }
}
