//! `ner-pipe man`.

use std::{fs, path::PathBuf};

use clap::{ArgAction, Command};
use clap_mangen::{Man, generate_to};
use stage_contract::{StageError, terminal::stdout};

use super::{
    exit::Exit,
    output::{emit, print},
};
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
    let mut whole = whole.disable_help_subcommand(true);
    // Only now each knows what it is called in full.
    whole.build();
    let whole = with_synopsis(whole);
    let Some(folder) = &args.output else {
        let mut page = Vec::new();
        Man::new(whole).render(&mut page).map_err(|e| StageError::because("cannot write the page", e))?;
        print(&page)?;
        return Ok(Exit::Ok);
    };
    fs::create_dir_all(folder).map_err(|e| StageError::io("create", folder, e))?;
    generate_to(whole, folder).map_err(|e| StageError::io("write to", folder, e))?;
    emit(&mut stdout(), [format!("wrote the pages to {}", folder.display())])?;
    Ok(Exit::Ok)
}

/// With what each command takes spelled out; left to itself the page says of an option no more than its name.
fn with_synopsis(command: Command) -> Command {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let options = command.get_opts().chain(command.get_arguments().filter(|arg| is_flag(arg)));
    let options = options.filter(|arg| !arg.is_hide_set()).map(|arg| {
        let again = matches!(arg.get_action(), ArgAction::Append);
        let short = arg.get_short().filter(|_| arg.get_long().is_some());
        let short = short.map_or_else(String::new, |short| format!("-{short}|"));
        format!("[{short}{arg}]{}", if again { "..." } else { "" })
    });
    let rest = command.get_positionals().map(ToString::to_string);
    let rest = rest.chain(command.has_subcommands().then(|| "<COMMAND>".to_owned()));
    let usage = std::iter::once(name).chain(options).chain(rest).collect::<Vec<_>>().join(" ");
    command.override_usage(usage).mut_subcommands(with_synopsis)
}

fn is_flag(arg: &clap::Arg) -> bool {
    !arg.is_positional() && !arg.get_action().takes_values()
}
