use std::time::Instant;

use super::{
    Next, Project, RunOptions, Stop, destinations::claim_destinations, plan::plan, preflight::preflight,
    run_loop::RunLoop, sources,
};
use crate::{
    executor::CancelToken,
    watch::{Outcome, Summary, Watch},
};

/// How a run went.
#[derive(Debug)]
pub struct Finished {
    /// What happened to each node.
    pub summary: Summary,
    /// A stage's code is wrong.
    pub panicked: bool,
    /// Another run makes a result that is needed, and waiting was not wanted.
    pub busy: bool,
}

/// Runs the pipeline.
///
/// # Errors
/// When the run cannot begin; what happens to a stage is in the summary.
pub fn run(
    project: &mut Project<'_>,
    options: &RunOptions,
    cancel: &CancelToken,
    watch: &mut dyn Watch,
) -> Result<Finished, Stop> {
    let begun = Instant::now();
    if project.pipeline.root.to_str().is_none() {
        // Commands are text, and paths are in them.
        let message = format!("the path of the project, {}, is not UTF-8", project.pipeline.root.display());
        return Err(Stop::wrong(message, "rename it, or reach it by a link with another name"));
    }
    if options.limit_memory {
        project
            .executor
            .expect_memory_limits()
            .map_err(|error| Stop::wrong(error.to_string(), error.advice().unwrap_or_default()))?;
    }
    let used = project.store.prepare();
    if used.is_ok() {
        sources::fetch(project, &options.wanted, cancel, watch)?;
    }
    let plan = plan(project, &options.wanted, &options.forced)?;
    // With nothing to do, a cache that cannot be written is as good as any.
    let _used = match used {
        Err(_) if plan.nodes.values().all(|planned| planned.next == Next::Reuse) => None,
        used => Some(used?),
    };
    preflight(project, &plan)?;
    claim_destinations(project, &plan)?;
    project.register();
    for note in project.notes.drain(..) {
        watch.note(&note);
    }
    let history = RunLoop::new(project, options, cancel, watch, plan).run();
    if project.folder.expect_unmoved().is_ok() {
        project.memo.save();
    }
    let (panicked, busy) = (history.panicked, history.busy);
    let nodes = history.into_nodes();
    let reused = nodes.iter().filter(|node| node.outcome != Outcome::Executed);
    let gated = reused.filter(|node| node.gates.values().any(|verdict| verdict != "pass"));
    let logs = gated.map(|node| project.pipeline.typed(&format!("log {}", node.stage))).collect();
    let summary = Summary { nodes, seconds: begun.elapsed().as_secs_f64(), logs };
    watch.finished(&summary);
    Ok(Finished { summary, panicked, busy })
}
