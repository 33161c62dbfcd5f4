//! `ner-pipe accept STAGE`.

use std::collections::BTreeSet;

use serde_json::json;
use stage_contract::{Registry, terminal::stdout};

use super::{exit::Exit, options::Setting, output::emit, targets::find_all};
use crate::{
    runner::{Accepted, Stop, accept, acceptable},
    watch::Format,
};

/// Mark the existing result as valid for a stage's new code, after a refactor that changes none
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
    #[command(flatten)]
    setting: Setting,
}

/// Does it.
///
/// # Errors
/// When a named stage cannot be accepted: then none is.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = args.setting.open(registry)?;
    let chosen: BTreeSet<usize> = if args.all {
        (0..project.pipeline.nodes.len()).collect()
    } else {
        find_all(&project.pipeline, &args.stages)?.into_iter().collect()
    };
    let plan = acceptable(&mut project, &chosen, args.all)?;
    let id = |accepted: &Accepted| project.pipeline.nodes[accepted.node].id.clone();
    let lines: Vec<String> = plan
        .iter()
        .map(|accepted| {
            let (id, from, to) = (id(accepted), accepted.from.key(), accepted.fingerprint.manifest.key());
            match args.setting.format {
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
    let none = if lines.is_empty() && args.setting.format == Format::Text {
        vec!["nothing to accept: no stage changed in its code alone".to_owned()]
    } else {
        Vec::new()
    };
    emit(&mut stdout(), [lines, none].concat())?;
    Ok(Exit::Ok)
}
