//! The command line: which subcommand, and how the process ends.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal},
    path::PathBuf,
    process::{self, ExitCode},
};

use clap::{ArgAction, Args as _, CommandFactory, FromArgMatches, Parser, Subcommand};
use console::Term;
use stage_contract::{
    Invalid, Registry, StageError, Tool, ToolContext, ToolError,
    terminal::{coloured_error, harmless, stderr},
};
use tracing_subscriber::{EnvFilter, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    commands::{
        Exit, Machine, accept, clean, completions, diff, exec_node, gc, init, lock, log, man, metrics, print,
        report, run, schema, stages, status, verify, why, working_folder,
    },
    executor::causes,
    problem::Problems,
    runner::Stop,
    threads,
    watch::{coloured, columns, wrap},
};

/// Turns a large named-entity model into a small, fast one, and proves what you got
#[derive(Debug, Parser)]
#[command(name = "ner-pipe", version, propagate_version = false)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Global {
    /// The project's folder, in place of the working folder
    #[arg(short = 'C', value_name = "DIR", global = true)]
    folder: Option<PathBuf>,
    /// Say more on standard error; twice for all (or set `RUST_LOG`)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Status(status::Args),
    Why(why::Args),
    Diff(diff::Args),
    Accept(accept::Args),
    Log(log::Args),
    Stages(stages::Args),
    Init(init::Args),
    Lock(lock::Args),
    Metrics(metrics::Args),
    Report(report::Args),
    Verify(verify::Args),
    Gc(gc::Args),
    Clean(clean::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    ExecNode(exec_node::Args),
}

/// The whole program: reads the command line, does it, and says with which exit code to end.
#[must_use]
pub fn main(registry: &Registry) -> ExitCode {
    let matches = whole(registry).try_get_matches().unwrap_or_else(|error| misread(&error));
    let result = Global::from_arg_matches(&matches)
        .map_err(|error| misread(&error))
        .and_then(|global| prepare(&global))
        .and_then(|()| match matches.subcommand() {
            Some((name, inner)) => match registry.tools().iter().find(|tool| tool.name == name) {
                Some(tool) => run_tool(tool, inner),
                None => Cli::from_arg_matches(&matches)
                    .map_err(|error| misread(&error))
                    .and_then(|cli| dispatch(&cli.command, inner, registry)),
            },
            None => Ok(Exit::Wrong.code()),
        });
    ExitCode::from(result.unwrap_or_else(|stop| complain(&stop).code()))
}

/// Ends as clap does. What was typed may be the name of a foreign file (`*`): quoted, it is made harmless, and colour
/// is left to what holds nothing of that sort.
fn misread(error: &clap::Error) -> ! {
    let plain = error.to_string();
    let safe = harmless(&plain);
    if safe == plain {
        error.exit();
    }
    // Standard error is closed.
    drop(coloured_error(&safe));
    process::exit(error.exit_code());
}

/// The command line with the registry's tools.
fn whole(registry: &Registry) -> clap::Command {
    let tools = registry.tools().iter().map(|tool| {
        let command = (tool.command)().name(tool.name);
        // `augment_args` puts its own doc comment in the place of what the tool says about itself.
        let about = command.get_about().cloned().unwrap_or_default();
        Machine::augment_args(command).about(about).long_about(None)
    });
    Cli::command().mut_subcommand("init", |command| init::options(command, registry)).subcommands(tools)
}

/// The same without what is not for people, which completions and manual pages would show.
fn for_people(registry: &Registry) -> clap::Command {
    let whole = whole(registry);
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("ner-pipe")
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .args(whole.get_arguments().cloned())
        .subcommands(shown.collect::<Vec<_>>())
}

fn prepare(global: &Global) -> Result<(), Stop> {
    let level = match global.verbose {
        0 => "warn",
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // It would show requests as they are, with the token in them.
    let no_requests = filter_fn(|event| !event.target().starts_with("ureq"));
    // Without colour: what is told may be a foreign file's, and goes through the door.
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(stderr);
    // The only one in this process.
    drop(tracing_subscriber::registry().with(filter).with(no_requests).with(lines).try_init());
    if let Some(folder) = &global.folder {
        env::set_current_dir(folder).map_err(|error| {
            Stop::wrong(
                format!("cannot work in {}: {error}", folder.display()),
                "name a folder that exists: `-C DIR`",
            )
        })?;
    }
    Ok(())
}

fn dispatch(command: &Command, matches: &clap::ArgMatches, registry: &Registry) -> Result<u8, Stop> {
    // These read no file that is worth it; a job starts its own when it can say so in its answer.
    if !matches!(
        command,
        Command::Completions(_) | Command::Man(_) | Command::Schema(_) | Command::ExecNode(_)
    ) {
        threads::start_shared()?;
    }
    let exit = match command {
        Command::Run(args) => run::run(args, registry)?,
        Command::Status(args) => status::run(args, registry)?,
        Command::Why(args) => why::run(args, registry)?,
        Command::Diff(args) => diff::run(args)?,
        Command::Accept(args) => accept::run(args, registry)?,
        Command::Log(args) => log::run(args, registry)?,
        Command::Stages(args) => {
            let mut text = Vec::new();
            stages::run(args, registry, &mut text).map_err(Problems::from)?;
            print(&text)?;
            Exit::Ok
        }
        Command::Init(init::Args {}) => {
            let mut text = Vec::new();
            let sources = init::sources(matches, registry);
            init::run(&sources, registry, &working_folder()?, &mut text)?;
            print(&text)?;
            Exit::Ok
        }
        Command::Lock(args) => lock::run(args, registry)?,
        Command::Metrics(args) => metrics::run(args)?,
        Command::Report(args) => report::run(args, registry)?,
        Command::Verify(args) => verify::run(args, registry)?,
        Command::Gc(args) => gc::run(args)?,
        Command::Clean(args) => clean::run(args, registry)?,
        Command::Schema(args) => schema::run(args, registry)?,
        Command::Completions(args) => completions::run(args, for_people(registry))?,
        Command::Man(args) => man::run(args, for_people(registry))?,
        Command::ExecNode(args) => return exec_node::run(args, registry),
    };
    Ok(exit.code())
}

fn run_tool(tool: &Tool, matches: &clap::ArgMatches) -> Result<u8, Stop> {
    threads::start_shared()?;
    let machine = Machine::from_arg_matches(matches).unwrap_or_default().options();
    let terminal = io::stdout().is_terminal();
    let context = ToolContext { threads: machine.threads(), device: machine.device, terminal };
    (tool.run)(matches, &context).map_err(|error| match error {
        ToolError::Wrong(Invalid { message, help, .. }) => Stop::wrong(message, help.unwrap_or_default()),
        ToolError::Failed(error) => error.into(),
    })?;
    Ok(Exit::Ok.code())
}

/// Says on standard error what is wrong, and which exit code that means.
fn complain(stop: &Stop) -> Exit {
    let terminal = io::stderr().is_terminal();
    let columns = columns(&Term::stderr());
    let broken =
        |text: &str| harmless(text).lines().map(|line| wrap(line, columns) + "\n").collect::<String>();
    let (text, exit) = match stop {
        Stop::Problems(problems) => (problems.render(terminal, coloured(terminal)), Exit::Wrong),
        Stop::Wrong { message, help } => {
            (broken(&format!("error: {message}\n  help: {help}\n")), Exit::Wrong)
        }
        Stop::Failed(StageError::Cancelled) => ("cancelled\n".to_owned(), Exit::Cancelled),
        Stop::Failed(error) => (broken(&explain(error)), Exit::Failed),
    };
    // Standard error is closed.
    drop(coloured_error(&text));
    exit
}

fn explain(error: &StageError) -> String {
    let mut lines = vec![format!("error: {error}")];
    lines.extend(causes(error as &dyn Error).into_iter().map(|cause| format!("  because: {cause}")));
    if let Some(help) = error.advice() {
        lines.push(format!("  help: {help}"));
    }
    lines.push(String::new());
    lines.join("\n")
}
