//! The runner's own stage `command`: any program, by `sh -c` in the project root.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    os::{fd::AsFd, unix::process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use stage_contract::StageError;

use crate::{
    disk::quoted,
    executor::{cancel::CancelToken, job::Job, orphans, termination},
    pipeline::Template,
    threads,
};

/// Runs the command line with the paths filled in. What it prints is the log; it reads nothing.
pub fn execute(run: &str, job: &Job, cancel: &CancelToken) -> Result<(), StageError> {
    let line = fill(run, job)?;
    let failed = |e: io::Error| StageError::because("cannot start `sh`", e);
    orphans::adopt().map_err(failed)?;
    let mut log = io::stderr();
    writeln!(log, "$ {line}").map_err(failed)?;
    let named =
        |sort: &'static str| move |(name, path): (&String, &PathBuf)| (variable(sort, name), path.clone());
    let collected = collected(job).into_iter().map(|(name, paths)| {
        let paths: Vec<_> = paths.iter().map(|path| path.as_os_str()).collect();
        (variable("IN", name), paths.join("\n".as_ref()))
    });
    let single = job.inputs.iter().filter(|(name, _)| !name.contains('@'));
    let status = Command::new("sh")
        .arg("-c")
        .arg(&line)
        .current_dir(&job.root)
        .envs(single.map(named("IN")))
        .envs(collected)
        .envs(job.outputs.iter().map(named("OUT")))
        .stdin(Stdio::null())
        .stdout(log.as_fd().try_clone_to_owned().map_err(failed)?)
        .status()
        .map_err(|error| threads::refused("`sh`", error))?;
    orphans::end();
    if cancel.is_cancelled() {
        // Even when it says that it is done: asked to stop, a script may end well with half a result.
        Err(StageError::Cancelled)
    } else if status.success() {
        Ok(())
    } else {
        Err(explain(status))
    }
}

/// `NER_PIPE_IN_<NAME>`: a shell's variable has no `-`.
fn variable(sort: &str, name: &str) -> String {
    format!("NER_PIPE_{sort}_{}", name.to_uppercase().replace('-', "_"))
}

fn fill(run: &str, job: &Job) -> Result<String, StageError> {
    let wrong =
        || StageError::new(format!("`{run}` is not a command line with {{name}} for inputs and outputs"));
    let template = Template::parse(run).map_err(|_| wrong())?;
    let mut complete = true;
    let collected = collected(job);
    let line = template.fill(|name| {
        if let Some(paths) = collected.get(name) {
            return paths.iter().map(|path| quoted(path)).collect::<Vec<_>>().join(" ");
        }
        let path = job.inputs.get(name).or_else(|| job.outputs.get(name));
        complete &= path.is_some();
        path.map_or_else(String::new, |path| quoted(path))
    });
    if complete { Ok(line) } else { Err(wrong()) }
}

/// Inputs that are all instances of a stage: `<input>@<key>` for each, in the order of the keys.
fn collected(job: &Job) -> BTreeMap<&str, Vec<&Path>> {
    let mut found: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
    for (name, path) in &job.inputs {
        if let Some((input, _)) = name.split_once('@') {
            found.entry(input).or_default().push(path);
        }
    }
    found
}

fn explain(status: ExitStatus) -> StageError {
    /// A shell reports a program that a signal ended as 128 and the signal's number.
    const SIGNALLED: i32 = 128;
    let code = status.code();
    let signal =
        status.signal().or_else(|| code.and_then(|code| code.checked_sub(SIGNALLED)).filter(|s| *s > 0));
    match (signal, code) {
        (Some(signal), None) => killed("the command", signal),
        (Some(signal), Some(code)) if signal < 32 => {
            let StageError::Failed { message, help, source } = killed("a program of the command", signal)
            else {
                return StageError::Cancelled;
            };
            StageError::Failed { message: format!("{message} (exit code {code})"), help, source }
        }
        (_, Some(code)) => {
            let error = StageError::new(format!("the command ended with exit code {code}"));
            match code {
                126 => error.help("make the program executable (`chmod +x`), or write `sh {code}`"),
                127 => error.help("install the program, or write its path"),
                _ => error,
            }
        }
        (_, None) => StageError::new("the command ended for no known reason"),
    }
}

fn killed(what: &str, signal: i32) -> StageError {
    let (message, help) = termination::killed(what, signal);
    StageError::Failed { message, help, source: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_command_ended_is_said_plainly() {
        let said = |raw| explain(ExitStatus::from_raw(raw)).to_string();
        assert_eq!(said(3 << 8), "the command ended with exit code 3");
        assert!(said(9).starts_with("the command was killed by SIGKILL: often the kernel's out-of-memory"));
        assert_eq!(said(143 << 8), "a program of the command was killed by SIGTERM (exit code 143)");
        assert_eq!(said(200 << 8), "the command ended with exit code 200");
    }
}
