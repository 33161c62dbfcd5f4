//! `ner-pipe report`: all that the pipeline came to, as one page.

use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use stage_contract::{Registry, StageError, terminal::stdout};

use super::{
    exit::Exit,
    options::{Machine, PipelineFile, open},
    output::{document, emit},
};
use crate::{
    disk,
    page::{GENERATOR, page},
    runner::{Stop, plan},
};

/// Write an HTML report of the results: gates, graph, and what each stage shows of its outputs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write it, `-` for standard output; `report.html` beside the artifacts when not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also show text of the corpus, where a stage shows some
    #[arg(long)]
    show_text: bool,
    #[command(flatten)]
    pipeline: PipelineFile,
    #[command(flatten)]
    machine: Machine,
}

/// Reads what is there, executes nothing.
///
/// # Errors
/// When the pipeline file is wrong, a source cannot be read, or the page would take the place of something else.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = open(registry, &args.pipeline.file, &[], args.machine.options())?;
    let all: BTreeSet<usize> = (0..project.pipeline.nodes.len()).collect();
    let plan = plan(&mut project, &all, &BTreeSet::new())?;
    let page = page(&project, &plan, args.show_text);
    let usual = project.pipeline.artifacts.join("report.html");
    let path = args.output.as_deref().unwrap_or(&usual);
    if path == Path::new("-") {
        document(page.as_bytes())?;
        return Ok(Exit::Ok);
    }
    expect_ours(path)?;
    if path == usual {
        let folder = project.pipeline.root.join(&project.pipeline.artifacts);
        fs::create_dir_all(&folder).map_err(|e| StageError::io("create", &folder, e))?;
        project.claim_artifacts()?;
    }
    // What has text in it is its owner's alone.
    let mode = if args.show_text { 0o600 } else { 0o644 };
    project.store.replace(path, page.as_bytes(), mode)?;
    emit(&mut stdout(), [format!("wrote {}", path.display())])?;
    Ok(Exit::Ok)
}

/// A page takes the place of a page alone: a slip of the hand must not cost a file.
fn expect_ours(path: &Path) -> Result<(), Stop> {
    let mut start = Vec::new();
    let read = disk::open(path).and_then(|file| file.take(GENERATOR.len() as u64).read_to_end(&mut start));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(_) if start == GENERATOR.as_bytes() => Ok(()),
        _ => Err(Stop::wrong(
            format!("{} is there and is no page of `ner-pipe report`", path.display()),
            "name another file: `--output FILE`, or move that one away",
        )),
    }
}
