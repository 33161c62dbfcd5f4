//! A folder of files for a folder of files, which goes on where it was stopped.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use blake3::Hasher;
use serde::{Deserialize, Serialize};
use stage_contract::{Invalid, StageError, ToolError};

use super::{
    copy::Copy,
    target::{Pending, taken, with_endings},
};
use text::{
    corpus::read,
    entities::{Format, Style},
    folder,
};

/// Where the output folder says what it holds: docs/formats.md, "Predict output". Readers pass over hidden files.
const RECORD: &str = ".ner-pipe-predict.jsonl";

/// A file that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    /// blake3 of model and options.
    run: String,
    /// The file below the input.
    input: String,
    /// blake3 of its bytes.
    hash: String,
    /// The files below the output with the blake3 of each.
    outputs: BTreeMap<String, String>,
}

/// What the output folder holds.
struct Record {
    folder: PathBuf,
    file: File,
    /// By run and input: a folder may hold what several formats write.
    done: BTreeMap<(String, String), Done>,
    /// blake3 of each file as it was written last.
    written: BTreeMap<String, String>,
}

impl Record {
    /// Reads it, and keeps others from writing into the folder.
    fn open(folder: &Path) -> Result<Self, ToolError> {
        fs::create_dir_all(folder).map_err(|e| StageError::io("create", folder, e))?;
        let path = folder.join(RECORD);
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|e| StageError::io("create", &path, e))?;
        if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            let message = format!("another predict writes into {}", folder.display());
            return Err(Invalid::new(message).help("wait for it, or name another --output").into());
        }
        // A line that a stop cut off is of a file that is written again.
        let lines = read(&path)?;
        let done = lines.lines().filter_map(|line| serde_json::from_str::<Done>(line).ok());
        let folder = folder.to_owned();
        let mut record = Self { folder, file, done: BTreeMap::new(), written: BTreeMap::new() };
        done.for_each(|done| record.note(done));
        if !lines.is_empty() && !lines.ends_with('\n') {
            record.file.write_all(b"\n").map_err(|e| StageError::io("write", &path, e))?;
        }
        Ok(record)
    }

    /// Whether a file is done, and what was written of it is there as it was.
    fn has(&self, run: &str, input: &str, hash: &str) -> bool {
        self.done.get(&(run.to_owned(), input.to_owned())).is_some_and(|done| {
            done.hash == hash && done.outputs.iter().all(|(path, hash)| is(&self.folder.join(path), hash))
        })
    }

    /// Whether a file is there as it was written.
    fn is_ours(&self, path: &Path) -> bool {
        self.written.get(&below(&self.folder, path)).is_some_and(|hash| is(path, hash))
    }

    fn note(&mut self, done: Done) {
        self.written.extend(done.outputs.clone());
        self.done.insert((done.run.clone(), done.input.clone()), done);
    }

    fn add(&mut self, done: Done) -> Result<(), StageError> {
        let mut line = serde_json::to_vec(&done).map_err(|e| StageError::because("no JSON", e))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|e| StageError::io("write", &self.folder.join(RECORD), e))?;
        self.note(done);
        Ok(())
    }
}

/// What is written of files, and where.
pub(super) struct Folder<'a> {
    /// A folder, or a file.
    pub input: &'a Path,
    pub output: &'a Path,
    pub format: Format,
    pub style: Style,
    /// Whether files that are in the way are overwritten.
    pub force: bool,
    /// blake3 of model and options.
    pub run: String,
}

impl Folder<'_> {
    /// Writes the entities of each file that is not done.
    ///
    /// # Errors
    /// A file of somebody else is in the way, before any work; a file cannot be read, or written.
    pub fn write(&self, copy: &mut Copy<'_, '_>) -> Result<(), ToolError> {
        let root = if self.input.is_dir() { self.input } else { self.input.parent().unwrap_or(self.input) };
        self.check_apart()?;
        let files = copy.reader.files(self.input)?;
        let names: Vec<PathBuf> =
            files.iter().map(|(_, path)| path.strip_prefix(root).unwrap_or(path).to_owned()).collect();
        let outputs: Vec<Vec<PathBuf>> =
            bases(&names).iter().map(|base| with_endings(&self.output.join(base), self.format)).collect();
        let mut record = Record::open(self.output)?;
        if !self.force
            && let Some(path) = outputs.iter().flatten().find(|path| path.exists() && !record.is_ours(path))
        {
            return Err(taken(path, ", and not as this command would have written it").into());
        }
        let (mut written, mut before) = (0, 0);
        for (((name, path), input), outputs) in files.into_iter().zip(names).zip(outputs) {
            let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
            let place = copy.progress.place();
            let (input, hash) = (input.display().to_string(), hash(&path)?);
            if record.has(&self.run, &input, &hash) {
                before += 1;
            } else {
                let mut pending = Pending::create(&outputs)?;
                let mut writer = self.format.writer(self.style);
                let whole = copy.file((name, path), &input, writer.as_mut(), &mut pending.outs());
                if whole.map_err(StageError::from)? {
                    pending.commit()?;
                    let outputs =
                        outputs.iter().map(|path| Ok((below(self.output, path), self::hash(path)?)));
                    let outputs = outputs.collect::<Result<_, StageError>>()?;
                    record.add(Done { run: self.run.clone(), input, hash, outputs })?;
                    written += 1;
                }
            }
            copy.progress.at(place + bytes);
        }
        if before > 0 {
            let files = if written == 1 { "file" } else { "files" };
            copy.say(format!("{written} {files} written, {before} done before left as they are"));
        }
        Ok(())
    }

    /// # Errors
    /// What is written would be read the next time.
    fn check_apart(&self) -> Result<(), Invalid> {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (input, output) = (whole(self.input), whole(self.output));
        if !input.is_dir() || !output.starts_with(&input) {
            return Ok(());
        }
        Err(Invalid::new(format!(
            "the output {} is in the input {}, of which it would be the next time",
            self.output.display(),
            self.input.display()
        ))
        .help("name an --output that is no part of --input"))
    }
}

/// Files without their endings; with them where two would be one.
fn bases(names: &[PathBuf]) -> Vec<PathBuf> {
    let short = |name: &PathBuf| {
        let ending = name.extension().unwrap_or_default();
        let packed = ["gz", "zst"].iter().any(|packed| ending.eq_ignore_ascii_case(packed));
        if packed { name.with_extension("").with_extension("") } else { name.with_extension("") }
    };
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(short(name)).or_default() += 1;
    }
    names.iter().map(|name| if counts[&short(name)] == 1 { short(name) } else { name.clone() }).collect()
}

fn below(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

fn is(path: &Path, expected: &str) -> bool {
    hash(path).is_ok_and(|hash| hash == expected)
}

fn hash(path: &Path) -> Result<String, StageError> {
    let mut hasher = Hasher::new();
    add(&mut hasher, path)?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn add(hasher: &mut Hasher, path: &Path) -> Result<(), StageError> {
    let read = |file: File| hasher.update_reader(file).map(|_| ());
    File::open(path).and_then(read).map_err(|e: io::Error| StageError::io("read", path, e))
}

/// blake3 of all files that a model is read from, and of what else decides what is written.
///
/// # Errors
/// A file is unreadable.
pub(super) fn run_of(model: &Path, said: &str) -> Result<String, StageError> {
    let mut hasher = Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes()).update(said.as_bytes());
    for path in folder::files(model)?.into_iter().chain(folder::beside(model)) {
        add(&mut hasher, &path)?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}
