//! `ner-pipe accept STAGE`.

use std::{collections::BTreeSet, io, path::PathBuf};

use serde_json::json;
use stage_contract::Registry;

use super::{Exit, Machine, emit, find, open};
use crate::{
    runner::{Accepted, Stop, accept, acceptable},
    watch::Format,
};

/// Take the result of a stage over to its new code: for a refactor that changes no result
///
/// Nothing is executed, and nothing is checked but that the result is whole and that the code alone
/// differs: it is your word that the new code gives the same. What is below stays up to date.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stages whose code changed
    #[arg(value_name = "STAGE", required_unless_present = "all")]
    stages: Vec<String>,
    /// All stages of which the code alone changed
    #[arg(long, conflicts_with = "stages")]
    all: bool,
    /// Say what would be accepted, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The pipeline file
    #[arg(long, value_name = "FILE", default_value = "pipeline.toml")]
    file: PathBuf,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    machine: Machine,
}

/// Does it.
///
/// # Errors
/// When a named stage cannot be accepted: then none is.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = open(registry, &args.file, &[], args.machine.wish())?;
    let named =
        args.stages.iter().map(|id| find(&project.pipeline, id)).collect::<Result<BTreeSet<_>, _>>()?;
    let chosen = if args.all { (0..project.pipeline.nodes.len()).collect() } else { named };
    let plan = acceptable(&mut project, &chosen, args.all)?;
    let id = |accepted: &Accepted| project.pipeline.nodes[accepted.node].id.clone();
    let lines: Vec<String> = plan
        .iter()
        .map(|accepted| {
            let (id, from, to) = (id(accepted), accepted.from.key(), accepted.fingerprint.manifest.key());
            match args.format {
                Format::Text => {
                    let verb = if args.dry_run { "would be accepted" } else { "accepted" };
                    format!("{id}  {verb}: {} -> {} ({})", from.short(), to.short(), accepted.why)
                }
                Format::Json => json!({
                    "event": "accept", "stage": id, "from": from, "key": to, "reason": accepted.why,
                    "dry_run": args.dry_run,
                })
                .to_string(),
            }
        })
        .collect();
    if !args.dry_run {
        accept(&mut project, &plan)?;
    }
    let none = if lines.is_empty() && args.format == Format::Text {
        vec!["nothing to accept: of no stage the code alone changed".to_owned()]
    } else {
        Vec::new()
    };
    emit(&mut io::stdout(), [lines, none].concat())?;
    Ok(Exit::Ok)
}
