//! `ner-pipe export`: what the stage does, to a folder of the user's.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use stage_contract::{Artifact, Invalid, StageError, Tool, ToolContext, ToolError, terminal};

use super::{Export, given, lines, scores::Scores};
use crate::chosen;
use encoder::model::{Model, outside};
use export::{Target, Texts, check, export};
use text::corpus::{Options, Text};

/// The subcommand.
pub const EXPORT: Tool = Tool { name: "export", command, run };

/// Turn a model into ONNX, or into a folder for stock transformers.
///
/// What is written is compared with the model, word by word, before it is put into its place: an export that says something
/// else is not written.
#[derive(Debug, Args)]
struct Arguments {
    /// Take the model in this folder, in Hugging Face layout, or of the Hugging Face Hub: hub:OWNER/NAME or
    /// hub:OWNER/NAME@REVISION
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Make this of it: onnx (f32), onnx-int8 (linear layers on bytes), hf (a model whose layers are alike), hf-dense (any
    /// model, with zeros where heads and neurons were removed)
    #[arg(long, value_name = "onnx|onnx-int8|hf|hf-dense", value_parser = target)]
    to: Target,
    /// Write this folder, which is not there yet or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Compare on texts of this file or folder; else on sentences that are built in
    #[arg(long, value_name = "PATH")]
    text: Option<PathBuf>,
    /// Compare on so many texts, evenly spread over --text
    #[arg(long, value_name = "N", default_value_t = Export::default().check, requires = "text", value_parser = positive)]
    check: usize,
    /// Let 8 bits lose so many points of F1 against the model itself
    #[arg(long, value_name = "POINTS", default_value_t = Export::default().max_loss, value_parser = points)]
    max_loss: f64,
    /// Put scores and gates of this report of the stage `evaluate` on the model card
    #[arg(long, value_name = "report.json")]
    evaluation: Option<PathBuf>,
    /// Take the scores of the model that the report calls so
    #[arg(long, value_name = "NAME", default_value_t = Export::default().scores_of, requires = "evaluation")]
    scores_of: String,
}

fn target(name: &str) -> Result<Target, String> {
    let found = Target::ALL.into_iter().find(|target| target.name() == name);
    found.ok_or_else(|| format!("expected {}", Target::ALL.map(Target::name).join(", ")))
}

fn positive(number: &str) -> Result<usize, String> {
    number.parse().ok().filter(|number| *number > 0).ok_or_else(|| "expected 1 or more".to_owned())
}

fn points(number: &str) -> Result<f64, String> {
    let found = number.parse().ok().filter(|points| (0.0..=100.0).contains(points));
    found.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

fn command() -> Command {
    Arguments::augment_args(Command::new("export"))
}

fn run(matches: &ArgMatches, _cx: &ToolContext) -> Result<(), ToolError> {
    let arguments = Arguments::from_arg_matches(matches).map_err(|e| Invalid::new(e.to_string()))?;
    let Arguments { model, to, out, text, check: number, max_loss, evaluation, scores_of } = arguments;
    free(&out)?;
    let model = chosen::folder(&model)?;
    let (config, _) = outside(&model)?;
    check(&config, to).map_err(|e| Invalid::of(&e))?;
    let scores = evaluation.map(|path| Scores::load(&path)?.section(&config, &scores_of)).transpose()?;
    let texts = match text {
        Some(path) => given(Text::read(&path, &Options::default())?.value, number),
        None => Texts::built_in(),
    };
    let model = Model::load(&model, &Device::flex())?;
    let exported = beside(&out, |folder| export(&model, to, &texts, max_loss, scores.as_deref(), folder))?;
    let said = lines(&exported).iter().try_for_each(|line| writeln!(terminal::stdout(), "{line}"));
    said.map_err(|e| StageError::because("cannot say what was written", e).into())
}

/// # Errors
/// There is something.
fn free(out: &Path) -> Result<(), Invalid> {
    let empty = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    };
    if empty {
        return Ok(());
    }
    Err(Invalid::new(format!("{} is there already, and is no empty folder", out.display()))
        .help("name a folder that is not there yet: --out DIR"))
}

/// Writes a folder beside its place, and moves it there when it is whole.
fn beside<T>(out: &Path, write: impl FnOnce(&Path) -> Result<T, StageError>) -> Result<T, StageError> {
    let parent = out.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| StageError::io("create", parent, e))?;
    let draft = tempfile::Builder::new().prefix(".export-").tempdir_in(parent);
    let draft = draft.map_err(|e| StageError::io("write to", parent, e))?;
    let folder = draft.path().join("export");
    let written = write(&folder)?;
    // An empty folder is replaced, and nothing else is.
    fs::rename(&folder, out).map_err(|e| StageError::io("write", out, e))?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_or_not_at_all_and_takes_nobodys_place() {
        let parent = tempfile::tempdir().expect("a folder");
        let out = parent.path().join("below/out");
        let fails = |folder: &Path| -> Result<(), StageError> {
            fs::create_dir_all(folder).expect("made");
            fs::write(folder.join("half"), "x").expect("written");
            Err(StageError::new("stopped"))
        };
        beside(&out, fails).expect_err("it stopped");
        assert!(!out.exists());
        assert_eq!(fs::read_dir(parent.path().join("below")).expect("there").count(), 0, "no draft is left");
        let whole = |folder: &Path| {
            fs::create_dir_all(folder).expect("made");
            fs::write(folder.join("whole"), "x").map_err(|e| StageError::io("write", folder, e))
        };
        free(&out).expect("nothing is there");
        beside(&out, whole).expect("written");
        assert!(out.join("whole").is_file());
        let refused = free(&out).expect_err("there is something");
        assert!(refused.help.expect("a way out").contains("--out"), "{}", refused.message);
        free(&out.join("whole")).expect_err("a file is no folder");
        let empty = parent.path().join("empty");
        fs::create_dir(&empty).expect("made");
        free(&empty).expect("an empty folder is free");
        beside(&empty, whole).expect("written");
        assert!(empty.join("whole").is_file());
    }

    #[test]
    fn what_no_option_takes_is_refused_with_what_it_takes() {
        assert_eq!(target("int8"), Err("expected onnx, onnx-int8, hf, hf-dense".to_owned()));
        assert_eq!(target("hf-dense"), Ok(Target::HfDense));
        for bad in ["-1", "101", "NaN", "x"] {
            points(bad).expect_err(bad);
        }
        positive("0").expect_err("none");
    }
}
