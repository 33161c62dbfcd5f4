//! `ner-pipe schema`.

use serde_json::Value;
use stage_contract::{Port, Registry, terminal::stdout};

use super::{exit::Exit, output::emit};
use crate::{
    pipeline::{grammar, offer},
    runner::Stop,
};

/// Print the JSON schema of `pipeline.toml`, for editors, or of what a stage writes
///
/// `ner-pipe schema > .pipeline.schema.json`, and `#:schema ./.pipeline.schema.json` as the first line of
/// `pipeline.toml`: Even Better TOML and Taplo then complete and check it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An output that is JSON and described, like `evaluate.report`, in place of `pipeline.toml`
    #[arg(value_name = "STAGE.OUTPUT")]
    output: Option<String>,
}

/// Does it.
///
/// # Errors
/// When it cannot be written, or there is no such output.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let schema = match &args.output {
        None => grammar(registry),
        Some(wanted) => output(wanted, registry)?,
    };
    emit(&mut stdout(), [format!("{schema:#}")])?;
    Ok(Exit::Ok)
}

fn output(wanted: &str, registry: &Registry) -> Result<Value, Stop> {
    let outputs = registry.stages().iter().flat_map(|kind| {
        let name = |port: &Port| format!("{}.{}", kind.spec.name, port.name);
        kind.spec.outputs.iter().filter_map(move |port| Some((name(port), (port.schema)()?)))
    });
    let known: Vec<_> = outputs.collect();
    known.iter().find(|(name, _)| name == wanted).map(|(_, schema)| schema.clone()).ok_or_else(|| {
        let help = offer(wanted, known.iter().map(|(name, _)| name.as_str()));
        Stop::wrong(format!("no output `{wanted}` has a schema"), help)
    })
}
