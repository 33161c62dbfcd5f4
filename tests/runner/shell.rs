//! What fits `ner-pipe` into a system: completions, manual pages, the schema for editors.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::project::{Project, TWO};

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

#[test]
fn every_shell_gets_completions_with_all_commands() {
    let project = Project::new(TWO);
    for shell in SHELLS {
        let said = project.ok(&["completions", shell]);
        for word in ["verify", "keep-age", "dry-run", "resolve"] {
            assert!(said.contains(word), "{shell}: no {word}");
        }
        assert!(!said.contains("exec-node"), "{shell}: what is not for people");
    }
    assert_eq!(project.ner_pipe(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn bash_understands_its_completions() {
    let project = Project::new(TWO);
    let script = project.ok(&["completions", "bash"]);
    let probe = "
COMP_WORDS=(ner-pipe ver); COMP_CWORD=1; _ner__pipe ner-pipe ver ner-pipe; echo \"${COMPREPLY[@]}\"
COMP_WORDS=(ner-pipe run --de); COMP_CWORD=2; _ner__pipe ner-pipe --de run; echo \"${COMPREPLY[@]}\"
COMP_WORDS=(ner-pipe lock res); COMP_CWORD=2; _ner__pipe ner-pipe res lock; echo \"${COMPREPLY[@]}\"
";
    let mut bash = Command::new("bash")
        .args(["--norc", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash is installed");
    let mut stdin = bash.stdin.take().expect("is piped");
    stdin.write_all(format!("{script}{probe}").as_bytes()).expect("reads");
    drop(stdin);
    let said = bash.wait_with_output().expect("ends").stdout;
    assert_eq!(String::from_utf8_lossy(&said).trim(), "verify\n--device\nresolve");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let project = Project::new(TWO);
    let page = project.ok(&["man"]);
    assert!(page.contains(".TH ner-pipe 1") && page.contains("ner\\-pipe\\-run"), "{page}");
    let said = project.ok(&["man", "--output", "share/man/man1"]);
    assert_eq!(said, "wrote the pages to share/man/man1\n");
    for name in ["ner-pipe", "ner-pipe-run", "ner-pipe-gc", "ner-pipe-lock-resolve"] {
        let page = project.read(&format!("share/man/man1/{name}.1"));
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    let page = project.read("share/man/man1/ner-pipe-run.1");
    let synopsis = page.lines().skip_while(|line| *line != ".SH SYNOPSIS").nth(1).expect("has one");
    for taken in
        ["[\\-j|\\-\\-jobs <N>]", "[\\-\\-set <STAGE.PARAM=VALUE>]...", "[\\-\\-dry\\-run]", "[STAGE]..."]
    {
        assert!(synopsis.contains(taken), "{taken}: {synopsis}");
    }
    assert!(!project.exists("share/man/man1/ner-pipe-exec-node.1"));
    project.write("a file", "");
    assert_eq!(project.ner_pipe(&["man", "--output", "a file"]).code, Some(1));
}

#[test]
fn the_schema_is_one_json_document() {
    let project = Project::new(TWO);
    let schema: serde_json::Value = serde_json::from_str(&project.ok(&["schema"])).expect("is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["$defs"]["command"].is_object());
}
