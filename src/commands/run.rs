//! `ner-pipe run`.

mod announce;

use std::{collections::BTreeSet, io, num::NonZero};

use stage_contract::{
    Registry, StageError,
    terminal::{stderr, stdout},
};

use super::{
    exit::Exit,
    options::{Setting, count, open, working_folder},
    output::emit,
    targets::find_all,
};
use crate::{
    executor::{CancelToken, OnRepeat},
    pipeline::{Override, Pipeline},
    runner::{self, Finished, RunOptions, Stop},
    store::Store,
    watch::{Format, Outcome, refusal, watch},
};

/// Run the pipeline: execute what changed, take the rest from the cache
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Args {
    /// Run these stages and what they need; all of them when none is named
    #[arg(value_name = "STAGE")]
    stages: Vec<String>,
    /// Say what would be done, why, and what it took earlier; do nothing
    #[arg(long)]
    dry_run: bool,
    /// Execute this stage even if its result is in the cache
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,
    /// Change a parameter for this run; the result has its own key
    #[arg(long, value_name = "STAGE.PARAM=VALUE")]
    set: Vec<Override>,
    #[command(flatten)]
    setting: Setting,
    /// How many stages may execute at once; as many as there are CPUs when not given
    #[arg(long, short, value_name = "N", value_parser = count)]
    jobs: Option<NonZero<usize>>,
    /// Do not wait for another run that makes a result needed here: end with exit code 4
    #[arg(long)]
    no_wait: bool,
    /// Let an inconclusive gate count as a failed one
    #[arg(long)]
    strict: bool,
    /// Allow stages to print text of the corpus
    #[arg(long)]
    show_text: bool,
    /// Hold each stage to its `resources.memory`: one that needs more fails (Linux with cgroup v2)
    #[arg(long)]
    limit_memory: bool,
}

/// Does it.
///
/// # Errors
/// When the run cannot begin.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let ended = begin(args, registry);
    if let (Format::Json, false, Err(stop)) = (args.setting.format, args.dry_run, &ended) {
        // A program that reads the events learns of it too.
        emit(&mut stdout(), refusal(&stop.messages()))?;
    }
    match ended? {
        (exit, None) => Ok(exit),
        (Exit::Ok, Some(error)) => {
            Err(StageError::because("all stages are done, but the output is incomplete", error).into())
        }
        (exit, Some(error)) => {
            emit(&mut stderr(), [format!("error: the output is incomplete: {error}")])?;
            Ok(exit)
        }
    }
}

/// How a run ended, and why not all of it reached standard output.
fn begin(args: &Args, registry: &Registry) -> Result<(Exit, Option<io::Error>), Stop> {
    if !args.dry_run
        && let Some(note) = Store::mend_version(&working_folder()?)?
    {
        emit(&mut stderr(), [format!("note: {note}")])?;
    }
    let mut project = open(registry, &args.setting.pipeline.file, &args.set, args.setting.machine.options())?;
    let options = args.options(&project.pipeline)?;
    if args.dry_run {
        return Ok((announce::announce(&mut project, &options, args.setting.format)?, None));
    }
    let cancel = CancelToken::listen(OnRepeat::Exit)?;
    let ids: Vec<String> =
        options.wanted.iter().map(|&node| project.pipeline.nodes[node].id.clone()).collect();
    let mut watch = watch(args.setting.format, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let finished = runner::run(&mut project, &options, &cancel, watch.as_mut())?;
    Ok((args.exit(&finished, &cancel), watch.trouble()))
}

impl Args {
    fn options(&self, pipeline: &Pipeline) -> Result<RunOptions, Stop> {
        let named = find_all(pipeline, &self.stages)?;
        let forced: BTreeSet<_> = find_all(pipeline, &self.force)?.into_iter().collect();
        let all = (0..pipeline.nodes.len()).collect();
        let wanted = if named.is_empty() { all } else { pipeline.closure(&named) };
        if let Some(&stray) = forced.difference(&wanted).next() {
            let id = &pipeline.nodes[stray].id;
            return Err(Stop::wrong(
                format!("`--force {id}`, but the stages to run do not need `{id}`"),
                format!(
                    "name it too: {}",
                    pipeline.typed(&format!("run {} {id} --force {id}", self.stages.join(" ")))
                ),
            ));
        }
        let &Self { jobs, no_wait, show_text, limit_memory, .. } = self;
        Ok(RunOptions { wanted, forced, jobs, no_wait, show_text, limit_memory })
    }

    fn exit(&self, finished: &Finished, cancel: &CancelToken) -> Exit {
        let summary = &finished.summary;
        let cancelled = summary.count(Outcome::Cancelled) > 0;
        let missed =
            !summary.gates("fail").is_empty() || (self.strict && !summary.gates("inconclusive").is_empty());
        match () {
            () if cancelled && cancel.is_cancelled() => Exit::Cancelled,
            () if finished.panicked => Exit::Internal,
            () if summary.count(Outcome::Failed) > 0 => Exit::Failed,
            () if finished.busy => Exit::WouldWait,
            () if missed => Exit::GateFailed,
            () => Exit::Ok,
        }
    }
}
