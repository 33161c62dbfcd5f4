//! `ner-pipe audit`: what a model folder is, and what is wrong with it, before anybody trains on it.

mod claims;
mod finding;
mod labels;
mod look;
mod page;
mod said;
mod stock;
#[cfg(test)]
mod tests;
mod units;
mod vocabulary;
mod weights;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use stage_contract::{Invalid, StageError, Tool, ToolContext, ToolError, terminal};

use self::{finding::Severity, look::Audit, page::page};
use crate::chosen;

/// The subcommand.
pub const AUDIT: Tool = Tool { name: "audit", command, run };

/// Say what a model folder is, and what is wrong with it.
///
/// Reads config, weights, tokenizer and card of any folder, whole or damaged, and compares them with one another. Nothing is
/// changed, and nothing in the folder is executed. Exits with 2 when ner-pipe cannot use the model.
#[derive(Debug, Args)]
struct Arguments {
    /// Look at this folder, or at a model of the Hugging Face Hub: hub:OWNER/NAME or hub:OWNER/NAME@REVISION
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Write a page for people or one JSON object
    #[arg(long, default_value = "text")]
    format: Format,
}

/// How an audit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, in 80 columns.
    Text,
    /// For programs.
    Json,
}

fn command() -> Command {
    Arguments::augment_args(Command::new("audit"))
}

fn run(matches: &ArgMatches, _cx: &ToolContext) -> Result<(), ToolError> {
    let Arguments { model, format } =
        Arguments::from_arg_matches(matches).map_err(|e| Invalid::new(e.to_string()))?;
    let audit = Audit::of(&chosen::whatever(&model)?, &model.display().to_string());
    let written = match format {
        Format::Text => page(&audit),
        Format::Json => serde_json::to_string_pretty(&audit).map(|text| text + "\n").map_err(unwritten)?,
    };
    match terminal::stdout().write_all(written.as_bytes()) {
        // Whoever read us has enough, as `head` has.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(unwritten)?,
    }
    verdict(&audit).map_err(ToolError::from)
}

fn unwritten(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StageError {
    StageError::because("cannot write the audit", error)
}

/// # Errors
/// The model cannot be used.
fn verdict(audit: &Audit) -> Result<(), Invalid> {
    match audit.findings.iter().find(|finding| finding.severity == Severity::Error) {
        None => Ok(()),
        Some(first) => {
            let wrong = Invalid::new(format!("{} cannot be used: {}", audit.model, first.what));
            Err(Invalid { help: first.help.clone(), ..wrong })
        }
    }
}
