use stage_contract::{Invalid, Kind};
use tempfile::TempDir;

use super::*;
use crate::{manifest::Manifest, problem::Text};

/// Not that of any stages.
const TEMPLATE: Template = Template {
    alone: &[
        (DEFAULT_FILE, "[stage.a]\nconfig = \"configs/a.toml\"\n"),
        ("configs/a.toml", "run = \"date > {out}\"\n"),
    ],
    given: &[
        (
            DEFAULT_FILE,
            "[sources]\ntext = { path = \"data/text\", kind = \"file\" }\n\
             toy = { path = \"data/toy\", kind = \"folder\" }\n\
             more = { path = \"data/more\", kind = \"file\" }\n\
             [stage.a]\nuse = \"command\"\ninputs = { a = \"sources.toy\", more = \"sources.more\" }\n\
             outputs = { out = \"out/a\" }\nparams = { run = \"ls {a} > {out}\" }\n",
        ),
        ("configs/b.toml", ""),
    ],
    sources: &[
        Given { name: "toy", kind: Kind::FOLDER, required: true, doc: "a toy" },
        Given { name: "text", kind: Kind::FILE, required: true, doc: "a text" },
        Given { name: "more", kind: Kind::FILE, required: false, doc: "more text" },
    ],
    fit: |_, _| Ok(Vec::new()),
};

/// A project, and a folder elsewhere with a toy, a text and more.
fn folders() -> (TempDir, TempDir) {
    let (project, elsewhere) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    fs::create_dir_all(elsewhere.path().join("toy")).expect("created");
    for file in ["toy/wheel", "text", "more"] {
        fs::write(elsewhere.path().join(file), "round").expect("written");
    }
    fs::write(project.path().join("text"), "of the project").expect("written");
    (project, elsewhere)
}

/// Refuses a toy without its wheel.
fn registry() -> Registry {
    crate::without_ml().template(TEMPLATE).source(Kind::FOLDER, |folder, _| {
        if folder.join("wheel").is_file() {
            return Ok(());
        }
        Err(Invalid::new("it has no wheel").help("screw it on"))
    })
}

fn init(project: &TempDir, sources: &Sources) -> Result<String, Problems> {
    let mut out = Vec::new();
    run(sources, &registry(), project.path(), &mut out).map(|()| String::from_utf8(out).expect("text"))
}

fn read(project: &TempDir, path: &str) -> String {
    fs::read_to_string(project.path().join(path)).expect("is there")
}

#[test]
fn a_project_without_sources_is_the_one_that_needs_nothing() {
    let (project, _) = folders();
    init(&project, &Sources::new()).expect("an empty folder");
    for (name, content) in TEMPLATE.alone {
        assert_eq!(read(&project, name), *content);
    }
    let ignored = read(&project, ".gitignore");
    assert!(ignored.contains("/cache/\n/artifacts/\n/data/\n") && !ignored.contains("\npipeline.lock"));
}

#[test]
fn what_lies_in_the_project_is_named_and_what_lies_elsewhere_is_linked() {
    let (project, elsewhere) = folders();
    let sources =
        Sources::from([("toy", elsewhere.path().join("toy")), ("text", project.path().join("text"))]);
    let said = init(&project, &sources).expect("all there");
    assert!(said.contains("linked data/toy -> "), "{said}");
    let pipeline = read(&project, DEFAULT_FILE);
    assert!(pipeline.contains("path = \"text\"") && pipeline.contains("path = \"data/toy\""), "{pipeline}");
    assert_eq!(read(&project, "data/toy/wheel"), "round");
    assert!(!pipeline.contains("more"), "{pipeline}");
    assert!(Manifest::parse(&Text::new("p", &pipeline)).is_ok(), "{pipeline}");
    assert!(project.path().join("configs/b.toml").is_file());
}

#[test]
fn a_source_that_may_be_given_stays_when_it_is() {
    let (project, elsewhere) = folders();
    let sources = ["toy", "text", "more"].map(|name| (name, elsewhere.path().join(name)));
    init(&project, &sources.into()).expect("all there");
    assert!(read(&project, DEFAULT_FILE).contains("more = \"sources.more\""));
    assert_eq!(read(&project, "data/more"), "round");
}

#[test]
fn nothing_is_overwritten_and_then_nothing_is_written() {
    let (project, _) = folders();
    fs::create_dir(project.path().join("configs")).expect("created");
    fs::write(project.path().join("configs/a.toml"), "mine = 1\n").expect("written");
    let problems = init(&project, &Sources::new()).expect_err("a file is there");
    assert!(problems.to_string().contains("`configs/a.toml` is there already"), "{problems}");
    assert!(!project.path().join(DEFAULT_FILE).exists());
}

#[test]
fn a_gitignore_that_is_there_is_kept_and_what_it_lacks_is_said() {
    let (project, _) = folders();
    fs::write(project.path().join(".gitignore"), "cache\n/target\n").expect("written");
    let said = init(&project, &Sources::new()).expect("nothing in the way");
    assert!(said.contains("add these lines to it: /artifacts/ /data/"), "{said}");
    assert_eq!(read(&project, ".gitignore"), "cache\n/target\n");
}

#[test]
fn a_source_that_is_not_whole_and_one_that_is_not_there_are_both_said() {
    let (project, elsewhere) = folders();
    fs::remove_file(elsewhere.path().join("toy/wheel")).expect("removed");
    let sources =
        Sources::from([("toy", elsewhere.path().join("toy")), ("text", PathBuf::from("no/such/text"))]);
    let problems = init(&project, &sources).expect_err("two mistakes");
    assert_eq!(problems.len(), 2, "{problems}");
    assert!(problems.to_string().contains("`--toy`: it has no wheel"), "{problems}");
}

#[test]
fn a_build_without_a_template_says_where_there_is_one() {
    let (project, _) = folders();
    let problems = run(&Sources::new(), &crate::without_ml(), project.path(), &mut Vec::new());
    let said = problems.expect_err("nothing to write").to_string();
    assert!(said.contains("no project to start from") && said.contains("cargo build --release"), "{said}");
}

#[test]
fn a_source_is_an_option_that_asks_for_those_that_must_be_there() {
    let command = options(clap::Command::new("init"), &registry());
    let parse = |arguments: &[&str]| {
        let matches = command.clone().try_get_matches_from([&["init"], arguments].concat());
        matches.map(|matches| sources(&matches, &registry()))
    };
    let given = parse(&["--toy", "a", "--text", "b"]).expect("enough");
    assert_eq!(given, Sources::from([("text", PathBuf::from("b")), ("toy", PathBuf::from("a"))]));
    assert!(parse(&["--toy", "a"]).is_err() && parse(&["--more", "c"]).is_err());
    assert!(parse(&[]).expect("none is").is_empty());
}
