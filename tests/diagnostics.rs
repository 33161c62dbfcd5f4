//! A bad pipeline file in, the rendered message out: one file below `diagnostics/` for each problem code,
//! and the message a user sees as its snapshot. Lines `# --set ..` at the top of a file are given as overrides.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use ner_pipe::{
    pipeline::{Origin, Override, Pipeline, Place, Work},
    problem::{Code, Problems},
};
use stage_contract::{Available, Device};

#[path = "diagnostics/stages.rs"]
mod stages;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

/// File names without `.toml`, sorted.
fn cases() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(root())
        .expect("the folder of bad files")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What is wrong with a file: on loading, else when its stages look at their inputs.
fn problems(name: &str) -> Problems {
    let file = format!("{name}.toml");
    let content = fs::read(root().join(&file)).unwrap_or_default();
    let overrides: Vec<Override> = String::from_utf8_lossy(&content)
        .lines()
        .map_while(|line| line.strip_prefix("# --set "))
        .map(|text| text.parse().expect("well formed"))
        .collect();
    // Stages are absent of a build that has none.
    let registry = if name == "absent_stage" { ner_pipe::without_ml() } else { stages::registry() };
    match Pipeline::load(&root(), Path::new(&file), &registry, &overrides) {
        Err(problems) => problems,
        Ok(pipeline) => preflight(&pipeline),
    }
}

fn preflight(pipeline: &Pipeline) -> Problems {
    let mut problems = Problems::new();
    for (index, node) in pipeline.nodes.iter().enumerate() {
        let Work::Stage { stage, .. } = &node.work else { continue };
        let paths: BTreeMap<_, _> = node
            .inputs
            .iter()
            .filter_map(|wire| match wire.from {
                Origin::Source(source) => match &pipeline.sources[source].at {
                    Place::Path(path) => Some((wire.port.clone(), root().join(path))),
                    Place::Hub(_) => None,
                },
                Origin::Output { .. } => None,
            })
            .collect();
        if let Err(invalid) = stage.preflight(&Available::new(&paths), Device::CPU) {
            problems.push(pipeline.problem(index, &invalid));
        }
    }
    problems
}

/// The code that a file is about, from its name; `None` for `many`.
fn code_of(name: &str) -> Option<Code> {
    let wanted = name.split('-').next().unwrap_or(name);
    Code::ALL.iter().copied().find(|code| code.name() == wanted)
}

#[test]
fn every_bad_file_says_what_to_type() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("diagnostics/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in cases().iter().filter(|name| *name != "name_taken-first") {
            let problems = problems(name);
            assert!(!problems.is_empty(), "{name}.toml is not bad");
            if let Some(code) = code_of(name) {
                assert!(
                    problems.iter().any(|problem| problem.code() == code),
                    "{name}.toml is about {code}:\n{problems}"
                );
            }
            insta::assert_snapshot!(name.clone(), problems.render(false, false));
        }
        insta::assert_snapshot!("missing_pipeline", problems("missing_pipeline").render(false, false));
    });
}

#[test]
fn every_code_has_its_bad_file() {
    // A file that is missing cannot be there, and `init` reads none.
    let about: BTreeSet<_> = cases()
        .iter()
        .filter_map(|name| code_of(name))
        .chain([Code::MissingPipeline, Code::CannotInit])
        .collect();
    let without: Vec<_> =
        Code::ALL.iter().filter(|code| !about.contains(code)).map(Code::to_string).collect();
    assert!(without.is_empty(), "no file in tests/diagnostics for {without:?}");
}

#[test]
fn every_problem_has_a_help_line_and_a_place() {
    for name in cases() {
        for problem in &problems(&name) {
            assert!(
                miette::Diagnostic::help(problem).is_some(),
                "{name}: `{problem}` does not say what to do"
            );
            let placeless = [Code::EmptyPipeline, Code::NameTaken];
            assert!(
                placeless.contains(&problem.code()) || problem.file().is_some(),
                "{name}: `{problem}` is nowhere"
            );
            assert!(
                !problem.to_string().starts_with(char::is_uppercase),
                "{name}: `{problem}` is no fragment"
            );
        }
    }
}

#[test]
fn many_mistakes_are_found_at_once_and_in_the_order_of_the_file() {
    let problems = problems("many");
    let codes: Vec<_> = problems.iter().map(|problem| problem.code().name()).collect();
    let expected = "wrong_type missing_source unknown_kind outside_project unknown_input mistyped_parameter \
                    unknown_parameter unknown_origin invalid_parameter unknown_stage cycle duplicate_output \
                    bad_placeholder";
    assert_eq!(codes, expected.split(' ').collect::<Vec<_>>());
}

#[test]
fn a_source_may_be_a_link_out_of_the_project() {
    let project = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    fs::write(elsewhere.path().join("corpus.txt"), "Bonjour.\n").expect("written");
    std::os::unix::fs::symlink(elsewhere.path(), project.path().join("data")).expect("linked");
    let content = "[sources]\nin = { path = \"data/corpus.txt\", kind = \"file\" }\n\
                   [stage.copy]\nuse = \"command\"\ninputs = { in = \"sources.in\" }\n\
                   outputs = { out = \"out.txt\" }\nparams = { run = \"cp {in} {out}\" }\n";
    fs::write(project.path().join("pipeline.toml"), content).expect("written");
    let loaded = Pipeline::load(project.path(), Path::new("pipeline.toml"), &stages::registry(), &[]);
    assert!(loaded.is_ok(), "{}", loaded.err().unwrap_or_default());
}

#[test]
fn a_file_that_breaks_off_anywhere_is_reported_and_nothing_panics() {
    let project = tempfile::tempdir().expect("a folder");
    for name in ["many", "cycle", "bad_placeholder", "wrong_type", "bad_name"] {
        let whole = fs::read_to_string(root().join(format!("{name}.toml"))).expect("readable");
        for (end, _) in whole.char_indices().skip(1).step_by(5) {
            fs::write(project.path().join("pipeline.toml"), &whole[..end]).expect("written");
            let loaded = Pipeline::load(project.path(), Path::new("pipeline.toml"), &stages::registry(), &[]);
            if let Err(problems) = loaded {
                let shown = problems.render(false, false);
                assert!(!shown.contains("Failed to read"), "{name} up to byte {end}:\n{shown}");
            }
        }
    }
}

#[test]
fn set_changes_one_key_of_a_nested_parameter_and_leaves_the_rest() {
    let project = tempfile::tempdir().expect("a folder");
    fs::create_dir(project.path().join("teacher")).expect("created");
    fs::write(project.path().join("records"), "").expect("written");
    let content = "[sources]\nr = { path = \"records\", kind = \"records\" }\n\
                   t = { path = \"teacher\", kind = \"model\" }\n[stage.distill]\n\
                   inputs = { train = \"sources.r\", dev = \"sources.r\", teacher = \"sources.t\" }\n\
                   params = { schedule = { warmup = 0.2, kind = \"cosine\" } }\n";
    let load = |content: &str, set: &[&str]| {
        fs::write(project.path().join("pipeline.toml"), content).expect("written");
        let set: Vec<Override> = set.iter().map(|text| text.parse().expect("well formed")).collect();
        let loaded = Pipeline::load(project.path(), Path::new("pipeline.toml"), &stages::registry(), &set);
        loaded.unwrap_or_else(|problems| panic!("{problems}")).nodes[0].parameters()
    };
    let set = ["distill.schedule.warmup=0.3", "distill.epochs=5"];
    let given = load(content, &set);
    assert_eq!(given["schedule"], serde_json::json!({ "warmup": 0.3, "kind": "cosine" }));
    assert_eq!(given["epochs"], 5);
    assert_eq!(given["temperature"], 2.5);
    let bare = content.split("params").next().expect("a start");
    assert_eq!(load(bare, &set)["schedule"], serde_json::json!({ "warmup": 0.3, "kind": "linear" }));
}
