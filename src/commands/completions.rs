//! `ner-pipe completions SHELL`.

use clap::Command;
use clap_complete::{Shell, generate};

use super::{exit::Exit, output::print};
use crate::runner::Stop;

/// Print the completions for a shell
///
/// For instance: `ner-pipe completions bash > ~/.local/share/bash-completion/completions/ner-pipe`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Does it, for the whole command line.
///
/// # Errors
/// When they cannot be written.
pub fn run(args: &Args, mut whole: Command) -> Result<Exit, Stop> {
    let mut text = Vec::new();
    generate(args.shell, &mut whole, "ner-pipe", &mut text);
    // For bash, clap_complete writes a program's name that has a `-` in two ways, and its two halves do not meet.
    let text = String::from_utf8_lossy(&text).replace("ner__subcmd__pipe__subcmd__", "ner__pipe__subcmd__");
    print(text.as_bytes())?;
    Ok(Exit::Ok)
}
