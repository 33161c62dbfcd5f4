//! Colour and progress bars: on a terminal that wants them, and nowhere else.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::Command,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::project::{Project, TWO};

/// What `ner-pipe` writes to a terminal, in this environment and no other.
pub fn on_a_terminal(project: &Project, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    typing(project, arguments, environment, || {}, "")
}

const COLUMNS: u16 = 80;

/// The same; `keys` are typed once `ready` returns.
fn typing(
    project: &Project,
    arguments: &[&str],
    environment: &[(&str, &str)],
    ready: impl Fn(),
    keys: &str,
) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&terminal).expect("is ours");
    unlockpt(&terminal).expect("is ours");
    let name = ptsname(&terminal, Vec::new()).expect("has a name");
    let open = || {
        let name = name.to_str().expect("is UTF-8");
        OpenOptions::new().read(true).write(true).open(name).expect("opens")
    };
    tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 })
        .expect("can be set");
    // Its own terminal, as a shell has it: then Ctrl-C is a signal.
    let mut child = Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_ner-pipe")])
        .args(arguments)
        .current_dir(project.path(""))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("is set"))
        .envs(environment.iter().copied())
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .spawn()
        .expect("starts");
    let mut keyboard = File::from(terminal.try_clone().expect("can be shared"));
    let mut said = Vec::new();
    let reader = std::thread::spawn(move || {
        // Ends with an error when the other side is closed.
        let _ = File::from(terminal).read_to_end(&mut said);
        said
    });
    ready();
    keyboard.write_all(keys.as_bytes()).expect("can be typed");
    drop(keyboard);
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

#[test]
fn a_bar_is_gone_after_ctrl_c() {
    let project =
        Project::new(&TWO.replace("echo sort >>", "sleep 0.5; echo x > at; sleep 600; echo sort >>"));
    let ready = || project.wait_for("at");
    let said = typing(&project, &["run"], &[("TERM", "xterm")], ready, "\u{3}");
    let (before, after) = said.split_once("^C").expect("the terminal shows it");
    let line = before.rsplit("\u{1b}[2K").next().expect("has one");
    assert!(line.chars().count() + 2 < COLUMNS.into(), "it stays on its line: {line:?}");
    assert!(after.starts_with("\r\u{1b}[2K"), "and that is cleared: {after:?}");
    assert!(after.contains("2 stages: 1 skipped, 1 cancelled"), "{after:?}");
}

#[test]
fn long_lines_break_between_words_on_a_terminal_and_nowhere_else() {
    let words = "mot ".repeat(40);
    let project = Project::new(&TWO.replace("sort {data}", &format!(": {words}; sort {{data}}")));
    project.ok(&["run"]);
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    let environment = [("TERM", "xterm"), ("NO_COLOR", "1")];
    for arguments in [&["why", "sort"] as &[&str], &["status"], &["run", "--dry-run"], &["run"]] {
        let plain = || project.ok(arguments);
        let piped = if arguments == ["run"] { String::new() } else { plain() };
        let said = on_a_terminal(&project, arguments, &environment);
        let last = said.rsplit("\u{1b}[2K").next().expect("has one");
        let lines: Vec<_> = last.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS.into()), "{arguments:?}: {last}");
        let broken = lines.iter().filter(|line| line.starts_with("  ") && line.contains("mot mot")).count();
        assert!(broken > 1, "{arguments:?}: {last}");
        let whole = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(arguments == ["run"] || whole(last) == whole(&piped), "{arguments:?}: {last}");
        assert!(arguments == ["run"] || piped.lines().any(|line| line.len() > 160), "{piped}");
    }
}
