//! `ner-pipe predict`: entities of texts, by any model.

mod lines;
mod output;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use stage_contract::{Invalid, StageError, Tool, ToolContext, ToolError};

use self::{lines::Lines, output::Output};
use crate::chosen::Chosen;
use encoder::predictor::Predictor;
use text::corpus::{Options, Text, Unit, is_lines};

/// The subcommand.
pub const PREDICT: Tool = Tool { name: "predict", command, run };

/// Find the entities of texts.
///
/// Reads the texts given, else one text a line from --input or standard input. Writes a table on a terminal, else one
/// JSON object a line: `{"text","entities":[{"type","text","start","end","score"}]}`, offsets in characters, end
/// exclusive.
#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    model: Chosen,
    /// Read texts from this file or folder: plain text, one a line, JSONL, CSV and more; `-` is lines of standard input
    #[arg(long, value_name = "PATH", conflicts_with = "text")]
    input: Option<PathBuf>,
    /// Take each line of plain text for a text, each document (lines up to a blank one), or each file
    #[arg(long, value_name = "line|document|file", default_value = "line", value_parser = unit, requires = "input")]
    unit: Unit,
    /// Read files that are not UTF-8 in this encoding: windows-1252
    #[arg(long, value_name = "NAME", requires = "input")]
    encoding: Option<String>,
    /// Write a table or JSON lines, whatever standard output is
    #[arg(long)]
    format: Option<Format>,
    /// Texts
    text: Vec<String>,
}

/// How entities are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One JSON object for each text.
    Jsonl,
}

fn command() -> Command {
    Arguments::augment_args(Command::new("predict"))
}

fn run(matches: &ArgMatches, cx: &ToolContext) -> Result<(), ToolError> {
    let arguments = Arguments::from_arg_matches(matches).map_err(|e| Invalid::new(e.to_string()))?;
    let model = arguments.model.found(cx)?;
    let mut source = source(&arguments)?;
    let predictor = model.open()?;
    let format = arguments.format.unwrap_or(if cx.terminal { Format::Table } else { Format::Jsonl });
    let mut output = Output::new(BufWriter::new(io::stdout().lock()), format);
    Ok(copy(&predictor, &mut source, &mut output).or_else(Stop::outcome)?)
}

fn unit(name: &str) -> Result<Unit, String> {
    serde_json::from_value(name.into()).map_err(|_| "expected line, document or file".to_owned())
}

/// Where texts come from.
enum Source {
    Given(std::vec::IntoIter<String>),
    Read(Lines<BufReader<Box<dyn Read>>>),
}

fn source(arguments: &Arguments) -> Result<Source, Invalid> {
    let read =
        |file: Option<&Path>, reader: Box<dyn Read>| Source::Read(Lines::new(file, BufReader::new(reader)));
    match &arguments.input {
        None if !arguments.text.is_empty() => Ok(Source::Given(arguments.text.clone().into_iter())),
        None if io::stdin().is_terminal() => Err(Invalid::new("there is no text to read")
            .help("ner-pipe predict --model DIR \"text\", or --input FILE, or pipe lines in")),
        Some(path) if path.as_os_str() != "-" => {
            let there = fs::metadata(path).map_err(|e| {
                Invalid::new(format!("cannot read {}: {e}", path.display()))
                    .help("name a file or folder of texts, or `-` for standard input")
            })?;
            let asked = arguments.unit != Unit::Line || arguments.encoding.is_some();
            // A pipe is read once, and a long file of lines piece by piece.
            if !there.is_dir() && !asked && (!there.is_file() || is_lines(path)) {
                let file = File::open(path)
                    .map_err(|e| Invalid::new(format!("cannot read {}: {e}", path.display())))?;
                return Ok(read(Some(path), Box::new(file)));
            }
            let (unit, encoding) = (arguments.unit, arguments.encoding.clone());
            let options = Options { unit, encoding, ..Options::default() };
            let found = Text::read(path, &options).map_err(|e| Invalid::of(&e))?;
            for note in &found.notes {
                tracing::info!("{note}");
            }
            let texts: Vec<_> = found.value.lines.into_iter().map(|line| line.text).collect();
            Ok(Source::Given(texts.into_iter()))
        }
        _ => Ok(read(None, Box::new(io::stdin().lock()))),
    }
}

impl Source {
    /// The next texts, at least one; none at the end. Texts before a bad line come before its error.
    fn next(&mut self) -> Result<Vec<String>, StageError> {
        match self {
            Self::Given(texts) => Ok(texts.by_ref().take(lines::MOST).collect()),
            Self::Read(lines) => lines.next(),
        }
    }
}

/// Why copying ended early.
enum Stop {
    Write(io::Error),
    Stage(StageError),
}

impl Stop {
    fn outcome(self) -> Result<(), StageError> {
        match self {
            // Whoever read us has enough, as `head` has.
            Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Self::Write(error) => Err(StageError::because("cannot write the entities", error)),
            Self::Stage(error) => Err(error),
        }
    }
}

/// Reads, predicts and writes piece by piece: what was read is answered before more is awaited.
fn copy(predictor: &Predictor, source: &mut Source, output: &mut Output<impl Write>) -> Result<(), Stop> {
    loop {
        let texts = source.next().map_err(Stop::Stage)?;
        if texts.is_empty() {
            return Ok(());
        }
        for (text, entities) in texts.iter().zip(predictor.entities(&texts).map_err(Stop::Stage)?) {
            output.text(text, &entities).map_err(Stop::Write)?;
        }
        output.flush().map_err(Stop::Write)?;
    }
}
