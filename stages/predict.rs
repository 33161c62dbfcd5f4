//! `ner-pipe predict`: entities of texts, by any model.

mod copy;
mod folder;
mod lines;
mod options;
mod progress;
mod stream;
mod target;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use stage_contract::{Invalid, StageError, Tool, ToolContext, ToolError, terminal};

use self::{
    copy::{Copy, Stop},
    folder::{Folder, run_of},
    lines::shown,
    options::Reading,
    progress::Progress,
    stream::Piped,
    target::{Pending, a_folder, named, taken},
};
use crate::chosen::{Chosen, Found};
use encoder::predictor::Predictor;
use text::{
    corpus::{Document, Entries, Entry, Options},
    entities::{Format, Keep, Offsets, Style, Threshold, Writer},
};

/// The subcommand.
pub const PREDICT: Tool = Tool { name: "predict", command, run };

/// Find the entities of texts.
///
/// Reads the texts given, else --input, else standard input: a text a line, or a JSON record a line. Files and folders
/// may be of any form that a corpus may have. Writes a table on a terminal, else one JSON object a line: the record with
/// `"entities":[{"type","text","start","end","score"}]`, offsets in characters, end exclusive.
#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    model: Chosen,
    /// Read texts from this file or folder: plain text, JSONL, CSV, `CoNLL` and more; `-` is standard input
    #[arg(long, value_name = "PATH", conflicts_with = "text")]
    input: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Write to this file, which must not be there yet; for a folder to this folder, which goes on where it was stopped
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Overwrite the file of --output, and files of its folder that this command did not write
    #[arg(long, requires = "output")]
    force: bool,
    /// Write in this form; else in that of the ending of --output, a table on a terminal, and JSONL
    #[arg(long, value_name = "jsonl|table|conll|brat|spacy|html")]
    format: Option<Format>,
    /// Count offsets in characters (`start`, `end`), bytes (`start_byte`, `end_byte`) or both, in JSONL
    #[arg(long, value_name = "characters|bytes|both")]
    offsets: Option<Offsets>,
    /// Keep entities of these types only
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',')]
    types: Vec<String>,
    /// Keep entities with at least this score, of all types or of one; may be given several times
    #[arg(long, value_name = "[TYPE=]SCORE")]
    threshold: Vec<Threshold>,
    /// Texts
    text: Vec<String>,
}

fn command() -> Command {
    Arguments::augment_args(Command::new("predict"))
}

fn run(matches: &ArgMatches, cx: &ToolContext) -> Result<(), ToolError> {
    let arguments = Arguments::from_arg_matches(matches).map_err(|e| Invalid::new(e.to_string()))?;
    let options = arguments.reading.options()?;
    let work = Work::of(&arguments, &options, cx.terminal)?;
    let model = arguments.model.found(cx)?;
    let predictor = model.open()?;
    let keep = Keep::new(&arguments.types, &arguments.threshold, predictor.model().config.labels.types())?;
    work.done(&predictor, keep, &model)
}

/// Where texts come from.
#[derive(Debug)]
enum Source<'a> {
    Given(&'a [String]),
    /// Standard input.
    Pipe,
    /// What is read once, from its beginning to its end.
    Once(&'a Path),
    /// A file or a folder.
    Files(&'a Path),
}

/// Where entities go.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Out,
    Files(Vec<PathBuf>),
    Folder(&'a Path),
}

/// What is to be done, before anything is read.
#[derive(Debug)]
struct Work<'a> {
    source: Source<'a>,
    target: Target<'a>,
    options: &'a Options,
    format: Format,
    style: Style,
    force: bool,
    /// Whether a terminal shows what is written.
    shown: bool,
}

impl<'a> Work<'a> {
    fn of(arguments: &'a Arguments, options: &'a Options, terminal: bool) -> Result<Self, Invalid> {
        let source = source(arguments)?;
        let shown = terminal && arguments.output.is_none();
        let named = arguments.output.as_deref().and_then(Format::of_file);
        let usual = if shown { Format::Table } else { Format::Jsonl };
        let format = arguments.format.or(named).unwrap_or(usual);
        if arguments.offsets.is_some() && format != Format::Jsonl {
            return Err(Invalid::new(format!("--offsets is of JSONL, and not of {format}"))
                .help("--format jsonl, or leave --offsets out"));
        }
        let target = target(arguments, &source, format)?;
        let files = matches!(source, Source::Files(path) if path.is_dir()) && target == Target::Out;
        let style = Style { offsets: arguments.offsets.unwrap_or_default(), files };
        Ok(Self { source, target, options, format, style, force: arguments.force, shown })
    }

    /// Does it, and says on standard error what was left out, also where it was stopped.
    fn done(&self, predictor: &Predictor, keep: Keep, model: &Found) -> Result<(), ToolError> {
        let precision = model.precision.name();
        // How many records may be bad changes nothing of the others.
        let options = Options { errors: 0, ..self.options.clone() };
        let said = format!("{keep:?} {options:?} {} {:?} {precision}", self.format, self.style);
        let mut copy = Copy::new(predictor, keep, self.options, self.progress());
        let result = self.copied(&mut copy, &|| run_of(&model.folder, &said));
        copy.progress.finish();
        // Nobody may listen.
        drop(copy.lost().iter().try_for_each(|note| writeln!(terminal::stderr(), "{note}")));
        result.map_err(options::told)
    }

    fn progress(&self) -> Progress {
        let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        let all = |path: &Path| Entries::new(self.options).files(path).unwrap_or_default();
        match self.source {
            Source::Files(path) if !self.shown => {
                Progress::new(all(path).iter().map(|(_, path)| size(path)).sum())
            }
            _ => Progress::none(),
        }
    }

    fn copied(
        &self,
        copy: &mut Copy<'_, '_>,
        run: &dyn Fn() -> Result<String, StageError>,
    ) -> Result<(), ToolError> {
        match (&self.source, &self.target) {
            (Source::Given(texts), _) => {
                let entries = texts.iter().map(Entry::new).collect();
                self.placed(|writer, outs| copy.document(&Document::new("texts", entries), writer, outs))?;
            }
            (Source::Pipe, _) => self.piped(copy, None, io::stdin())?,
            (Source::Once(path), _) => {
                let file = File::open(path).map_err(|e| StageError::io("read", path, e))?;
                self.piped(copy, Some(path), file)?;
            }
            (Source::Files(input), Target::Folder(output)) => {
                let (format, style, force) = (self.format, self.style, self.force);
                Folder { input, output, format, style, force, run: run()? }.write(copy)?;
            }
            (Source::Files(path), _) => {
                let files = copy.reader.files(path)?;
                self.placed(|writer, outs| {
                    for (name, file) in files {
                        let below = file.strip_prefix(path).ok().filter(|below| *below != Path::new(""));
                        let shown = below.map_or_else(|| name.clone(), |below| below.display().to_string());
                        let (place, bytes) =
                            (copy.progress.place(), fs::metadata(&file).map_or(0, |meta| meta.len()));
                        copy.file((name, file), &shown, writer, outs)?;
                        copy.progress.at(place + bytes);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Reads what can be read but once: as it comes, where its first line and the format let that be.
    fn piped(
        &self,
        copy: &mut Copy<'_, '_>,
        file: Option<&Path>,
        mut reader: impl Read + 'static,
    ) -> Result<(), StageError> {
        let name = shown(file);
        let piped = if self.format.streams() && self.options.is_by_line() {
            Piped::of(file, reader, self.options)?
        } else {
            let mut bytes = Vec::new();
            reader
                .read_to_end(&mut bytes)
                .map_err(|e| StageError::because(format!("cannot read {name}"), e))?;
            Piped::Whole(bytes)
        };
        match piped {
            Piped::Texts(texts) => self.placed(|writer, outs| copy.texts(&name, *texts, writer, outs)),
            Piped::Whole(bytes) => match copy.reader.read_bytes(&name, bytes)? {
                Some(document) => self.placed(|writer, outs| copy.document(&document, writer, outs)),
                None => Ok(()),
            },
        }
    }

    /// Writes to where entities go.
    fn placed(
        &self,
        write: impl FnOnce(&mut dyn Writer, &mut [&mut dyn Write]) -> Result<(), Stop>,
    ) -> Result<(), StageError> {
        let mut writer = self.format.writer(self.style);
        if let Target::Files(paths) = &self.target {
            let mut pending = Pending::create(paths)?;
            write(writer.as_mut(), &mut pending.outs())?;
            return pending.commit();
        }
        let mut out = BufWriter::new(terminal::document());
        write(writer.as_mut(), &mut [&mut out]).or_else(Stop::outcome)
    }
}

/// Whether the output is a folder, there or to be.
fn names_a_folder(Arguments { output, .. }: &Arguments) -> bool {
    output.as_ref().is_some_and(|path| path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/"))
}

fn source(arguments: &Arguments) -> Result<Source<'_>, Invalid> {
    let path = match &arguments.input {
        None if !arguments.text.is_empty() => return Ok(Source::Given(&arguments.text)),
        None if io::stdin().is_terminal() => {
            return Err(Invalid::new("there is no text to read")
                .help("ner-pipe predict --model DIR \"text\", or --input FILE, or pipe lines in"));
        }
        None => return Ok(Source::Pipe),
        Some(path) if path.as_os_str() == "-" => return Ok(Source::Pipe),
        Some(path) => path,
    };
    let there = fs::metadata(path).map_err(|e| {
        Invalid::new(format!("cannot read {}: {e}", path.display()))
            .help("name a file or folder of texts, or `-` for standard input")
    })?;
    Ok(if there.is_dir() || there.is_file() { Source::Files(path) } else { Source::Once(path) })
}

fn target<'a>(arguments: &'a Arguments, source: &Source<'_>, format: Format) -> Result<Target<'a>, Invalid> {
    let folder = match source {
        Source::Files(path) if path.is_dir() => Some(*path),
        _ => None,
    };
    let advice = folder.map_or_else(|| format!("--output FILE.{}", format.endings()[0]), a_folder);
    let Some(output) = &arguments.output else {
        return match format.endings() {
            [_] => Ok(Target::Out),
            _ => Err(Invalid::new(format!("{format} is more than one file, and standard output is one"))
                .help(advice)),
        };
    };
    let named_folder = names_a_folder(arguments);
    if folder.is_some() && output.exists() && !output.is_dir() {
        let message = format!("--output {} is a file, and --input a folder", output.display());
        return Err(Invalid::new(message).help(advice));
    }
    match source {
        Source::Files(_) if folder.is_some() || named_folder => Ok(Target::Folder(output)),
        _ if named_folder => Err(Invalid::new(format!(
            "--output {} is a folder, and texts come from no file",
            output.display()
        ))
        .help(advice)),
        _ => {
            let paths = named(output, format);
            match paths.iter().find(|path| path.exists() && !arguments.force) {
                Some(path) => Err(taken(path, "")),
                None => Ok(Target::Files(paths)),
            }
        }
    }
}
