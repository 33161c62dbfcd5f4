//! One file per subcommand: its arguments, and what it does with them.

pub mod accept;
pub mod clean;
pub mod completions;
pub mod diff;
pub mod exec_node;
pub mod gc;
pub mod init;
pub mod lock;
pub mod log;
pub mod man;
pub mod metrics;
pub mod report;
pub mod run;
pub mod schema;
pub mod stages;
pub mod status;
pub mod verify;
pub mod why;

use std::{
    collections::BTreeSet,
    env,
    io::{self, ErrorKind, Write},
    num::NonZero,
    path::{Path, PathBuf},
};

use console::Term;
use stage_contract::{DeviceRequest, Registry, StageError};

use crate::{
    lock::Lock,
    pipeline::{self, Override, Pipeline},
    runner::{MachineOptions, Project, Stop},
    watch::{Format, columns, wrap},
};

/// How the process ends (docs/formats.md, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok,
    /// A stage failed.
    Failed,
    /// The pipeline file or the command line is wrong.
    Wrong,
    /// Something is stale, under `--check`.
    Stale,
    /// Another run makes a result, under `--no-wait`; or uses the cache that `clean` is to remove.
    WouldWait,
    /// `verify` found a damaged result, or a stage that does not reproduce its result.
    Damaged,
    /// A gate says fail.
    GateFailed,
    /// An internal error.
    Internal,
    /// The user stopped it.
    Cancelled,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Wrong => 2,
            Self::Stale => 3,
            Self::WouldWait => 4,
            Self::Damaged => 5,
            Self::GateFailed => 6,
            Self::Internal => 101,
            Self::Cancelled => 130,
        }
    }
}

/// Which pipeline.
#[derive(Clone, Debug, clap::Args)]
pub struct PipelineFile {
    /// The pipeline file
    #[arg(long, value_name = "FILE", default_value = pipeline::DEFAULT_FILE)]
    file: PathBuf,
}

/// Which pipeline, on what to compute, and the output format.
#[derive(Clone, Debug, clap::Args)]
pub struct Setting {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    machine: Machine,
}

impl Setting {
    fn open<'r>(&self, registry: &'r Registry) -> Result<Project<'r>, Stop> {
        open(registry, &self.pipeline.file, &[], self.machine.options())
    }
}

/// On what to compute.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Machine {
    /// Where to compute: auto, cpu, cuda, cuda:N, or cuda:0,1 for a training on several GPUs
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device)]
    device: DeviceRequest,
    /// CPU threads; all of them when not given
    #[arg(long, value_name = "N", value_parser = count)]
    threads: Option<NonZero<usize>>,
}

impl Machine {
    /// For the runner.
    #[must_use]
    pub fn options(&self) -> MachineOptions {
        MachineOptions { device: self.device.clone(), threads: self.threads }
    }
}

/// How many, of what there is at least one of.
fn count(text: &str) -> Result<NonZero<usize>, String> {
    text.parse().map_err(|_| "type a whole number from 1 up, or leave the option out".to_owned())
}

fn device(text: &str) -> Result<DeviceRequest, String> {
    text.parse()
}

/// The project in the working folder.
fn open<'r>(
    registry: &'r Registry,
    file: &Path,
    set: &[Override],
    machine: MachineOptions,
) -> Result<Project<'r>, Stop> {
    Project::open(registry, &working_folder()?, file, set, machine)
}

/// The project's folder: `-C` has been followed.
///
/// # Errors
/// When it was removed.
pub fn working_folder() -> Result<PathBuf, StageError> {
    env::current_dir().map_err(|e| StageError::because("cannot tell the working folder", e))
}

/// The nodes of these ids: of a stage that is expanded, all its instances.
fn find_all(pipeline: &Pipeline, ids: &[String]) -> Result<Vec<usize>, Stop> {
    let found = ids.iter().map(|id| find(pipeline, id)).collect::<Result<Vec<_>, _>>();
    found.map(|found| found.concat())
}

fn find(pipeline: &Pipeline, id: &str) -> Result<Vec<usize>, Stop> {
    let found = pipeline.find_all(id);
    if !found.is_empty() {
        return Ok(found);
    }
    let names: BTreeSet<_> = pipeline.nodes.iter().flat_map(|node| [&*node.id, &*node.family]).collect();
    let near = names.iter().min_by_key(|known| strsim::damerau_levenshtein(known, id));
    let close = near.filter(|known| strsim::damerau_levenshtein(known, id) <= 1 + id.len() / 3);
    let help = close.map_or_else(
        || {
            let ids = pipeline.nodes.iter().map(|node| format!("`{}`", node.id));
            format!("choose one of {}", ids.collect::<Vec<_>>().join(", "))
        },
        |known| format!("did you mean `{known}`?"),
    );
    Err(Stop::wrong(format!("no stage `{id}` in {}", pipeline.file.display()), help))
}

/// What a name means besides what the pipeline file has: stages and instances that it has no longer, and that the
/// lock names until the next result is recorded. It is said of each.
fn gone(pipeline: &Pipeline, lock: &Lock, name: &str) -> Result<Vec<String>, StageError> {
    let named = lock.stages().map(|(id, _)| id).filter(|id| is_called(id, name));
    let gone: Vec<_> = named.filter(|id| pipeline.find(id).is_none()).map(str::to_owned).collect();
    let (file, lock) = (pipeline.file.display(), pipeline.lock.display());
    let said = |id: &String| {
        format!("note: `{id}` is no longer in {file}; this is its last result, as {lock} has it")
    };
    emit(&mut io::stderr(), gone.iter().map(said))?;
    Ok(gone)
}

/// Whether a stage that a lock names is the one called so, or an instance of it.
fn is_called(id: &str, name: &str) -> bool {
    id.strip_prefix(name).is_some_and(|key| key.is_empty() || key.starts_with('@'))
}

/// Writes lines; a reader that has seen enough (`| head`) is no error.
fn emit(out: &mut impl Write, lines: impl IntoIterator<Item = String>) -> Result<(), StageError> {
    let written = lines.into_iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    forgive(written).map_err(|e| StageError::because("cannot write the output", e))
}

/// Lines for people: broken between words on a terminal.
fn wrapped(lines: Vec<String>) -> Vec<String> {
    let columns = columns(&Term::stdout());
    lines.into_iter().map(|line| wrap(&line, columns)).collect()
}

/// Writes a whole text, likewise.
///
/// # Errors
/// When it cannot be written.
pub fn print(text: &[u8]) -> Result<(), StageError> {
    let mut out = io::stdout();
    let written = out.write_all(text).and_then(|()| out.flush());
    forgive(written).map_err(|e| StageError::because("cannot write the output", e))
}

fn forgive(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
