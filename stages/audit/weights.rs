//! The tensors of a folder, one after another: what they are, and what is in them. No more than one is in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Serialize;
use stage_contract::{StageError, report::counted};

use super::finding::{Finding, percent};
use encoder::{
    arch::Architecture,
    config::Config,
    weights::{Shapes, Tensor, Tensors, Wanted, own_name},
};
use text::folder;

/// One file with tensors.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Part {
    pub name: String,
    pub bytes: u64,
    pub tensors: usize,
}

/// What was read of all tensors.
#[derive(Debug, Default)]
pub(super) struct Weights {
    pub files: Vec<Part>,
    /// Of the tensors that the model uses: shapes, and what is nothing but zeros.
    pub shapes: Shapes,
    pub blank: BTreeMap<String, Blank>,
    /// The tensors that it does not use.
    pub left: Vec<String>,
    /// Numbers of each type, by the type's name.
    pub stored: BTreeMap<String, usize>,
    /// Numbers that the model computes with.
    pub parameters: usize,
    /// Of the numbers in matrices that are no embedding of token types: all, and those that are 0.
    pub in_matrices: usize,
    pub zeros: usize,
    /// Bytes of all tensors.
    pub bytes: usize,
    /// What the files say beside their tensors, and of which file it is.
    pub information: Vec<(String, String, String)>,
    /// Whether every file was read.
    pub is_whole: bool,
    /// By name: which file each tensor is in.
    pub places: BTreeMap<String, String>,
}

/// Rows and columns of a matrix, or entries of a vector, that hold zeros alone.
#[derive(Debug, Default)]
pub(super) struct Blank {
    pub rows: Vec<bool>,
    pub columns: Vec<bool>,
}

impl Weights {
    /// Types of fractions that are stored, with how many numbers have each.
    pub fn floats(&self) -> impl Iterator<Item = (&str, usize)> {
        let floats = self.stored.iter().filter(|(kind, _)| is_float(kind));
        floats.map(|(kind, count)| (kind.as_str(), *count))
    }

    /// All numbers of fractions, those included that the model does not use.
    pub fn numbers(&self) -> usize {
        self.floats().map(|(_, count)| count).sum()
    }
}

fn is_float(kind: &str) -> bool {
    kind.starts_with('F') || kind.starts_with("BF")
}

/// Reads every tensor of a folder; `config` says which of them the model uses, where it is understood.
///
/// # Errors
/// There are no weights.
pub(super) fn read(
    model: &Path,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) -> Result<Weights, StageError> {
    let wanted = config.map_or(Wanted::All, |config| Wanted::Of {
        names: config.tensors().into_keys().collect(),
        base: config.architecture.tensors().base(),
    });
    let mut reader = Reader {
        wanted,
        config,
        found: Weights::default(),
        equal: BTreeMap::new(),
        unread: BTreeMap::new(),
        broken: BTreeMap::new(),
    };
    reader.found.is_whole = true;
    for path in folder::weights(model)? {
        let file = path.strip_prefix(model).unwrap_or(&path).display().to_string();
        let opened = Tensors::open(&path);
        let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let tensors = match opened {
            Ok(tensors) => tensors,
            Err(error) => {
                findings.push(Finding::of(&error).file(file));
                reader.found.is_whole = false;
                continue;
            }
        };
        reader.found.files.push(Part { name: file.clone(), bytes, tensors: tensors.tensors.len() });
        let information = tensors.information.into_iter();
        reader.found.information.extend(information.map(|(key, value)| (file.clone(), key, value)));
        for (name, tensor) in &tensors.tensors {
            findings.extend(reader.tensor(&file, name, tensor));
        }
    }
    findings.extend(reader.unread());
    findings.extend(reader.not_finite());
    findings.extend(reader.equals());
    reader.found.left.sort();
    Ok(reader.found)
}

struct Reader<'c> {
    wanted: Wanted,
    config: Option<&'c Config>,
    found: Weights,
    /// Names of tensors by what is in them.
    equal: BTreeMap<(String, Vec<usize>), Vec<String>>,
    /// Names of tensors that the model uses, by a type of numbers that is not read.
    unread: BTreeMap<String, Vec<String>>,
    /// By whether the model uses it: names, and how many of their values are not finite.
    broken: BTreeMap<bool, (Vec<String>, usize)>,
}

impl Reader<'_> {
    /// Reads one; gives what keeps the model from being read.
    fn tensor(&mut self, file: &str, name: &str, tensor: &Tensor) -> Option<Finding> {
        let used = self.wanted.name(name);
        let own = used.clone().unwrap_or_else(|| own_name(name));
        *self.found.stored.entry(tensor.kind.clone()).or_default() += tensor.len();
        self.found.places.insert(name.to_owned(), file.to_owned());
        let about = |finding: Finding| Some(finding.file(file).tensors([own.clone()]));
        let bytes = match tensor.bytes() {
            Ok(bytes) => bytes,
            Err(error) => return about(Finding::of(&error)),
        };
        self.found.bytes += bytes.len();
        let seen = Seen::of(tensor, &bytes);
        match &used {
            None => self.found.left.push(own.clone()),
            Some(_) if is_float(&tensor.kind) || self.config.is_some() => {
                self.found.parameters += tensor.len();
                if self.found.shapes.insert(own.clone(), tensor.shape.clone()).is_some() {
                    let twice = Finding::error("there are two tensors of one name");
                    return about(twice.help("use a checkpoint as transformers saves it"));
                }
            }
            Some(_) => {}
        }
        let Some(seen) = seen else {
            if used.is_some() && self.config.is_some() {
                self.unread.entry(tensor.kind.clone()).or_default().push(own);
            }
            return None;
        };
        if seen.not_finite > 0 {
            let (names, count) = self.broken.entry(used.is_some()).or_default();
            names.push(own.clone());
            *count += seen.not_finite;
        }
        if !seen.is_constant {
            let content = blake3::hash(&bytes).to_hex().to_string();
            let of_kind = (format!("{} {content}", tensor.kind), tensor.shape.clone());
            self.equal.entry(of_kind).or_default().push(own.clone());
        }
        if used.is_some() {
            let types = self.config.and_then(|config| config.architecture.tensors().types);
            if tensor.shape.len() > 1 && !types.is_some_and(|types| own.starts_with(types)) {
                self.found.in_matrices += tensor.len();
                self.found.zeros += seen.zeros;
            }
            self.found.blank.insert(own, seen.blank);
        }
        None
    }

    fn unread(&mut self) -> Vec<Finding> {
        let finding = |(kind, names): (String, Vec<String>)| {
            Finding::error(format!("stored as {kind}, which is not read: {}", counted(names.len(), "tensor")))
                .tensors(names)
                .help("save the model in float32, float16 or bfloat16")
        };
        std::mem::take(&mut self.unread).into_iter().map(finding).collect()
    }

    fn not_finite(&mut self) -> Vec<Finding> {
        let broken = std::mem::take(&mut self.broken).into_iter();
        let finding = |(used, (names, count)): (bool, (Vec<String>, usize))| {
            let what = format!("NaN or infinite: {}", counted(count, "value"));
            let finding = if used { Finding::error(what) } else { Finding::warning(what) };
            finding
                .tensors(names)
                .help("use another checkpoint of this model: the training that made this one went wrong")
        };
        broken.map(finding).collect()
    }

    /// Whole layers that are equal are said once.
    fn equals(&self) -> Vec<Finding> {
        let groups: Vec<&Vec<String>> = self.equal.values().filter(|names| names.len() > 1).collect();
        let tied = |names: &&&Vec<String>| !self.found.left.iter().any(|left| names.contains(left));
        let twice: BTreeSet<&String> = groups.iter().filter(tied).copied().flatten().collect();
        let also: BTreeSet<&String> =
            groups.iter().copied().flatten().filter(|n| !twice.contains(n)).collect();
        let mut found = Vec::new();
        if !twice.is_empty() {
            found.push(
                Finding::warning(format!("{} are copies of one another", counted(twice.len(), "tensor")))
                    .tensors(twice.into_iter().cloned())
                    .help("ask whoever made it whether layers were copied: they cost what others cost"),
            );
        }
        if !also.is_empty() {
            found.push(
                Finding::note(
                    "tensors that the model does not use hold the numbers of others (tied weights)",
                )
                .tensors(also.into_iter().cloned()),
            );
        }
        found
    }
}

/// What is in one tensor.
struct Seen {
    zeros: usize,
    not_finite: usize,
    is_constant: bool,
    blank: Blank,
}

impl Seen {
    /// None for numbers of a type that is not read.
    fn of(tensor: &Tensor, bytes: &[u8]) -> Option<Self> {
        tensor.floats(&[])?;
        let columns = if tensor.shape.len() > 1 { tensor.shape[1..].iter().product() } else { 1 };
        let rows = tensor.shape.first().copied().unwrap_or(1);
        let mut seen = Self {
            zeros: 0,
            not_finite: 0,
            is_constant: true,
            blank: Blank { rows: Vec::with_capacity(rows), columns: vec![true; columns] },
        };
        let mut first = None;
        let width = bytes.len() / rows.max(1);
        for row in bytes.chunks_exact(width.max(1)) {
            let row = tensor.floats(row)?;
            let first = *first.get_or_insert_with(|| row.first().copied().unwrap_or_default());
            seen.is_constant &= row.iter().all(|value| value.to_bits() == first.to_bits());
            seen.not_finite += row.iter().filter(|value| !value.is_finite()).count();
            let zeros = row.iter().filter(|value| **value == 0.0).count();
            seen.zeros += zeros;
            seen.blank.rows.push(zeros == row.len());
            for (blank, value) in seen.blank.columns.iter_mut().zip(&row) {
                *blank &= *value == 0.0;
            }
        }
        Some(seen)
    }
}

/// How much of it is 0, where that is more than training leaves.
pub(super) fn scattered(weights: &Weights, architecture: Option<&dyn Architecture>) -> Option<Finding> {
    let is_embedding = |name: &str| {
        let tensors = architecture.map(Architecture::tensors);
        tensors.is_some_and(|tensors| {
            name.starts_with(tensors.word) || tensors.positions.is_some_and(|p| name.starts_with(p))
        })
    };
    let (mut rows, mut of) = (0, BTreeSet::new());
    for (name, blank) in
        weights.blank.iter().filter(|(name, blank)| blank.columns.len() > 1 && !is_embedding(name))
    {
        let blank = blank.rows.iter().filter(|blank| **blank).count();
        if blank > 0 {
            rows += blank;
            of.insert(name.clone());
        }
    }
    // What training leaves is a zero here and there.
    (weights.zeros * 20 > weights.in_matrices).then(|| {
        let share = percent(weights.zeros, weights.in_matrices);
        Finding::warning(format!("{share} of the numbers in matrices are 0 ({} of nothing else): they take as much time and disk as any others", counted(rows, "row")))
            .tensors(of)
            .help("count no parameter less for them; a `prune` stage takes heads and neurons out for good (criterion = \"magnitude\" takes those of zeros first)")
    })
}
