//! Nothing that others wrote commands a terminal: names, TOML, logs, file names, arguments; piped or not.

use serde_json::Value;

use crate::{
    project::{Project, TWO},
    terminal::on_a_terminal,
};

/// A clear screen, a title, C1, text turned around.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2066}\u{7f}";

/// The same as TOML has it in a string.
const WRITTEN: &str = r"\u001b[2J\u001b]0;x\u0007\u009b31m\u202e\u2066\u007f";

/// All of [`EVIL`], and what works like it.
fn raw(said: &str) -> Option<char> {
    let turns = |c: char| ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
    said.chars().find(|c| (c.is_control() && !"\n\t".contains(*c)) || turns(*c))
}

/// With an evil log, an evil output, and an evil comment.
fn project() -> Project {
    let text = TWO.replace("out/sorted.txt", &format!("out/{WRITTEN}.txt"));
    let text = text.replace("echo sort >>", "cat data/evil; cat data/evil >&2; echo sort >>");
    // TOML itself forbids the others in a comment.
    let project = Project::new(&format!("# \u{9b}\u{202e}\n{text}# \u{9b}\u{202e}\n"));
    project.write("data/evil", EVIL);
    project
}

#[test]
fn no_command_lets_anything_through() {
    let project = project();
    project.write(&format!("{EVIL}/pipeline.toml"), "x = 1 # \u{9b}\n");
    let file = format!("{EVIL}/pipeline.toml");
    let set = format!("sort.{EVIL}=1");
    let run = format!("sort.run=echo '{WRITTEN}'; exit 3");
    let commands: [&[&str]; 22] = [
        &["run"],
        &["log", "sort"],
        &["status"],
        &["why", "sort"],
        &["verify"],
        &["report", "--output", EVIL],
        &["metrics"],
        &["gc", "--dry-run"],
        &["run", "--file", &file],
        &["run", "--set", &set],
        &["run", "--set", &run],
        &["run", "-vv", "--force", "sort"],
        &["log", EVIL],
        &["why", EVIL],
        &["run", EVIL],
        &["stages", EVIL],
        &["diff", EVIL, EVIL],
        &["-C", EVIL, "status"],
        &[EVIL],
        &["run", "--format", EVIL],
        &["run", "--dry-run", "--force", "sort"],
        &["clean"],
    ];
    for arguments in commands {
        let ended = project.ner_pipe(arguments);
        let said = ended.out + &ended.err;
        assert_eq!(raw(&said), None, "{arguments:?}: {said:?}");
        let shown = on_a_terminal(&project, arguments, &[("TERM", "dumb")]).replace("\r\n", "\n");
        assert_eq!(raw(&shown), None, "{arguments:?}: {shown:?}");
        // Here colours, bars and their erasing are ours.
        let shown = on_a_terminal(&project, arguments, &[("TERM", "xterm")]);
        for evil in ["\u{1b}[2J", "\u{1b}]", "\u{7}", "\u{9b}", "\u{202e}", "\u{2066}", "\u{7f}"] {
            assert!(!shown.contains(evil), "{arguments:?}: {evil:?}: {shown:?}");
        }
    }
}

#[test]
fn what_is_kept_from_the_terminal_is_written_out_and_files_have_it() {
    let project = project();
    project.ok(&["run"]);
    let log = project.ok(&["log", "sort"]);
    assert!(log.contains("\\u001b[2J\\u001b]0;x\\u0007\\u009b31m\\u202e\\u2066\\u007f"), "{log}");
    assert!(project.exists(&format!("out/{EVIL}.txt")), "the output has its name");
    let logs = project.entries().into_iter().map(|entry| entry.join("log.txt"));
    let mut logs = logs.map(|log| std::fs::read_to_string(log).expect("is text"));
    assert!(logs.any(|log| log.contains(EVIL)), "and the file its bytes");
}

#[test]
fn json_has_the_same_value_and_no_raw_character() {
    let project = project();
    let ended = project.ner_pipe(&["run", "--format", "json", EVIL]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(raw(&ended.out), None, "{:?}", ended.out);
    let problem: &Value = &ended.events()[0];
    assert!(problem["message"].as_str().is_some_and(|message| message.contains(EVIL)), "{problem}");
}

#[test]
fn a_log_that_is_no_text_is_shown_all_the_same() {
    let project =
        Project::new(&TWO.replace("sort {data}", "printf 'a\\\\2331m\\\\377b\\\\303'; sort {data}"));
    project.ok(&["run"]);
    assert!(project.ok(&["log", "sort"]).contains("a\u{fffd}1m\u{fffd}b\u{fffd}"));
}
