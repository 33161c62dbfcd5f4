//! `ner-pipe why STAGE`.

use std::{collections::BTreeSet, io, path::PathBuf};

use stage_contract::Registry;

use super::{Exit, Machine, emit, find, open};
use crate::runner::{Next, State, Stop, survey};

/// Say exactly why a stage is not up to date
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stage
    stage: String,
    /// The pipeline file
    #[arg(long, value_name = "FILE", default_value = "pipeline.toml")]
    file: PathBuf,
    #[command(flatten)]
    machine: Machine,
}

/// Does it.
///
/// # Errors
/// When the pipeline file is wrong, or a source cannot be read.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = open(registry, &args.file, &[], args.machine.wish())?;
    let node = find(&project.pipeline, &args.stage)?;
    let wanted = project.pipeline.closure(&[node]);
    let survey = survey(&mut project, &wanted, &BTreeSet::new())?;
    let outlook = &survey.outlooks[&node];
    let id = &project.pipeline.nodes[node].id;
    let mut lines = Vec::new();
    lines.push(match outlook.state {
        State::Fresh => format!("{id} is fresh: its parameters, inputs and code are those of its result"),
        State::Stale => format!("{id} is stale:"),
        State::Maybe => format!("{id} may be stale:"),
        State::NeverRun => format!("{id} has no recorded result:"),
    });
    lines.extend(outlook.reasons.iter().map(|reason| format!("  {reason}")));
    if let Some(key) = &outlook.key {
        let place = if project.store.peek(key).is_some() { "in the cache" } else { "not in the cache" };
        lines.push(format!("key {key} ({place})"));
    }
    lines.push(match outlook.next {
        Next::Reuse => "`ner-pipe run` would leave it as it is".to_owned(),
        Next::Restore => "`ner-pipe run` would place its outputs from the cache".to_owned(),
        Next::Execute => "`ner-pipe run` would execute it".to_owned(),
        Next::Unknown => "`ner-pipe run` would execute it if its inputs come out different".to_owned(),
    });
    if let Some((failure, _)) = project.store.failure(&project.pipeline.file, id) {
        lines.push(format!("its last attempt failed: {}", failure.why.join(": ")));
    }
    emit(&mut io::stdout(), lines)?;
    Ok(Exit::Ok)
}
