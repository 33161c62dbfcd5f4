//! `ner-pipe man`.

use std::{fs, io, path::PathBuf};

use clap::Command;
use clap_mangen::{Man, generate_to};
use stage_contract::StageError;

use super::{Exit, emit, print};
use crate::runner::Stop;

/// Print the manual page
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write the pages of all commands to this folder: `man -l DIR/ner-pipe-run.1`
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Does it, for the whole command line.
///
/// # Errors
/// When they cannot be written.
pub fn run(args: &Args, whole: Command) -> Result<Exit, Stop> {
    let Some(folder) = &args.output else {
        let mut page = Vec::new();
        Man::new(whole).render(&mut page).map_err(|e| StageError::because("cannot write the page", e))?;
        print(&page)?;
        return Ok(Exit::Ok);
    };
    fs::create_dir_all(folder).map_err(|e| StageError::io("create", folder, e))?;
    generate_to(whole, folder).map_err(|e| StageError::io("write to", folder, e))?;
    emit(&mut io::stdout(), [format!("wrote the pages to {}", folder.display())])?;
    Ok(Exit::Ok)
}
