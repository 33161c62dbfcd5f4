//! The project's folder is moved while a run goes on.

use std::{fs, process::Command};

use crate::project::{Project, TWO};

#[test]
fn a_project_that_is_moved_while_it_runs_is_told_so_and_nothing_is_made_where_it_was() {
    let text =
        TWO.replace("sort {data} > {out}", "while [ ! -e go ]; do sleep 0.02; done; sort {data} > {out}");
    let project =
        Project::new(&format!("{text}retries = 1\nbackoff = \"0s\"\n").replace("sort.out", "sources.in"));
    fs::create_dir(project.path("home")).expect("creates");
    for name in ["data", "pipeline.toml"] {
        fs::rename(project.path(name), project.path(&format!("home/{name}"))).expect("renames");
    }
    let run = project.start(&["-C", "home", "run", "--jobs", "1"]);
    project.wait_for("home/trace");
    fs::rename(project.path("home"), project.path("moved")).expect("renames");
    project.write("moved/go", "");
    let ended = run.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let said = format!(
        "the project's folder is no longer {}: it was moved while the run went on",
        project.path("home").display()
    );
    assert_eq!(ended.err.matches(&said).count(), 2, "{}", ended.err);
    assert!(ended.err.contains("help: type `ner-pipe run` in the folder where it lies now"), "{}", ended.err);
    for wrong in ["free some space", "log", "attempt", "does not exist"] {
        assert!(!ended.err.contains(wrong), "{wrong}: {}", ended.err);
    }
    assert!(!project.exists("home"));
    project.expect(&["-C", "moved"], &[("sort", "executed"), ("count", "executed")]);
    assert_eq!(fs::read_dir(project.path("moved/cache/tmp")).expect("is there").count(), 0);
}

#[test]
fn nothing_is_written_to_another_project_that_took_the_place_of_the_running_one() {
    let project = Project::new(
        &TWO.replace("sort {data} > {out}", "sort {data} > {out}; while [ ! -e go ]; do sleep 0.02; done"),
    );
    fs::create_dir(project.path("home")).expect("creates");
    for name in ["data", "pipeline.toml"] {
        fs::rename(project.path(name), project.path(&format!("home/{name}"))).expect("renames");
    }
    let run = project.start(&["-C", "home", "run"]);
    project.wait_for("home/trace");
    let copied = Command::new("cp").arg("-r").arg(project.path("home")).arg(project.path("copy")).status();
    assert!(copied.expect("starts").success());
    fs::rename(project.path("home"), project.path("moved")).expect("renames");
    fs::rename(project.path("copy"), project.path("home")).expect("renames");
    project.write("moved/go", "");
    let ended = run.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("it was moved while the run went on"), "{}", ended.err);
    assert!(!project.exists("home/out") && !project.exists("home/pipeline.lock"));
}
