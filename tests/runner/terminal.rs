//! Colour and progress bars: on a terminal that wants them, and nowhere else.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    process::{Command, Stdio},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::project::{Project, TWO};

/// What `ner-pipe` writes to a terminal, in this environment and no other.
fn on_a_terminal(project: &Project, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&terminal).expect("is ours");
    unlockpt(&terminal).expect("is ours");
    let name = ptsname(&terminal, Vec::new()).expect("has a name");
    let open = || {
        let name = name.to_str().expect("is UTF-8");
        OpenOptions::new().read(true).write(true).open(name).expect("opens")
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_ner-pipe"))
        .args(arguments)
        .current_dir(project.path(""))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("is set"))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(open())
        .stderr(open())
        .spawn()
        .expect("starts");
    let mut said = Vec::new();
    let reader = std::thread::spawn(move || {
        // Ends with an error when the other side is closed.
        let _ = File::from(terminal).read_to_end(&mut said);
        said
    });
    child.wait().expect("ends");
    String::from_utf8_lossy(&reader.join().expect("ends")).into_owned()
}

const ESCAPE: char = '\u{1b}';

#[test]
fn a_terminal_gets_colour_and_a_bar_and_one_that_wants_none_gets_none() {
    let slow = TWO.replace("echo sort >> trace;", "echo sort >> trace; sleep 0.4;");
    let run = |environment: &[(&str, &str)]| on_a_terminal(&Project::new(&slow), &["run"], environment);
    let xterm = ("TERM", "xterm");
    let said = run(&[xterm]);
    assert!(said.contains("\u{1b}[32msort   executed"), "{said:?}");
    assert!(said.contains("never run") && said.contains("\u{1b}[2K"), "a bar: {said:?}");
    let coloured = "\u{1b}[32m";
    for environment in [&[xterm, ("NO_COLOR", "1")] as &[(&str, &str)], &[xterm, ("CLICOLOR", "0")]] {
        let said = run(environment);
        assert!(!said.contains(coloured) && said.contains("sort   executed"), "{environment:?}: {said:?}");
    }
    assert!(run(&[xterm, ("NO_COLOR", "")]).contains(coloured), "empty is not set");
    for environment in [
        &[xterm, ("CI", "true")] as &[(&str, &str)],
        &[("TERM", "dumb")],
        &[("TERM", "dumb"), ("NO_COLOR", "1")],
    ] {
        let said = run(environment);
        assert!(!said.contains(ESCAPE) && said.contains("sort   executed"), "{environment:?}: {said:?}");
    }
}

#[test]
fn problems_are_coloured_for_those_who_want_it() {
    let project = Project::new(&TWO.replace("sort.out", "sort.oot"));
    let said = |environment: &[(&str, &str)]| on_a_terminal(&project, &["run"], environment);
    assert!(said(&[("TERM", "xterm")]).contains(ESCAPE));
    for environment in [("NO_COLOR", "1"), ("CLICOLOR", "0")] {
        let said = said(&[("TERM", "xterm"), environment]);
        assert!(!said.contains("\u{1b}["), "{environment:?}: {said:?}");
        assert!(said.contains("has no output `oot`"), "{said:?}");
    }
    assert!(!said(&[("TERM", "dumb")]).contains("\u{1b}["));
    assert!(!project.ner_pipe(&["run"]).err.contains(ESCAPE), "no terminal");
}
