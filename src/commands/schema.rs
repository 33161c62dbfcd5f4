//! `ner-pipe schema`.

use std::io;

use stage_contract::Registry;

use super::{Exit, emit};
use crate::{pipeline::grammar, runner::Stop};

/// Print the JSON schema of `pipeline.toml`, for editors
///
/// `ner-pipe schema > .pipeline.schema.json`, and `#:schema ./.pipeline.schema.json` as the first line of
/// `pipeline.toml`: Even Better TOML and Taplo then complete and check it.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
///
/// # Errors
/// When it cannot be written.
pub fn run(_args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    emit(&mut io::stdout(), [format!("{:#}", grammar(registry))])?;
    Ok(Exit::Ok)
}
