//! The house is kept: who may import whom, which crate stays in which room, what lies at the top level.
//! Each rule is a function from text to what breaks it, and is itself tested with a text that does.

use std::{collections::BTreeSet, fs, path::PathBuf};

#[path = "architecture/arrows.rs"]
mod arrows;

/// The runner's modules; each imports only modules before it.
const MODULES: [&str; 18] = [
    "failpoint",
    "secrets",
    "disk",
    "threads",
    "problem",
    "manifest",
    "pipeline",
    "fingerprint",
    "store",
    "lock",
    "revision",
    "publish",
    "executor",
    "watch",
    "runner",
    "page",
    "commands",
    "cli",
];

/// Crates of which only one module knows.
const ROOMS: [(&str, &str); 3] = [("petgraph", "pipeline"), ("blake3", "fingerprint"), ("maud", "page")];

/// Folders of `stages/` that are no stages.
const NO_STAGES: [&str; 8] = ["chosen", "contract", "hub", "kernels", "ml", "serve", "tests", "vendor"];

/// Stages, metrics and what they are about: the runner knows none of them by name. Words that a runner also has a use for
/// (split, mix, model, text) are not listed.
const STAGE_WORDS: [&str; 18] = [
    "annotate",
    "augment",
    "distill",
    "epoch",
    "epochs",
    "evaluate",
    "f1",
    "fidelity",
    "finetune",
    "gold",
    "latency",
    "logits",
    "precision",
    "prune",
    "recall",
    "student",
    "teach",
    "teacher",
];

/// What may be seen at the top level.
const TOP: [&str; 20] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "artifacts",
    "benches",
    "cache",
    "configs",
    "data",
    "docs",
    "fuzz",
    "pipeline.lock",
    "pipeline.toml",
    "python",
    "src",
    "stages",
    "target",
    "tests",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder with this ending, relative to the root, sorted; none when the folder is not there.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = walkdir::WalkDir::new(root().join(folder))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            entry.path().strip_prefix(root()).expect("below the root").to_string_lossy().into_owned()
        })
        .filter(|path| path.ends_with(ending) && !path.split('/').any(|part| part == "target"))
        .map(|path| (fs::read_to_string(root().join(&path)).expect("readable"), path))
        .map(|(content, path)| (path, content))
        .collect();
    found.sort();
    found
}

/// A file's code: no comments, so that documentation may name what code may not.
fn code(content: &str) -> String {
    content.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The names right after each `<from>::`: of a path, or of each item of a group.
fn names_after(content: &str, from: &str) -> BTreeSet<String> {
    let code = code(content);
    let from = format!("{from}::");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&from) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$' || c == ':') {
            continue;
        }
        found.extend(heads(&code[at + from.len()..]));
    }
    found
}

/// `a::b` gives a; `{a::{b, c}, d}` gives a and d.
fn heads(path: &str) -> Vec<String> {
    let word =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(group) = path.strip_prefix('{') else { return vec![word(path)] };
    let mut depth = 0;
    let mut items = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(item) = items.last_mut() {
            item.push(c);
        }
    }
    items.iter().map(|item| word(item)).filter(|item: &String| !item.is_empty()).collect()
}

/// The module that a file below `folder` belongs to.
fn module<'p>(path: &'p str, folder: &str) -> &'p str {
    let inner = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// What a file of the runner imports though it comes later, or by a path that hides where it goes.
fn imports_out_of_order(path: &str, content: &str) -> Vec<String> {
    let own = module(path, "src");
    let Some(rank) = MODULES.iter().position(|name| *name == own) else { return Vec::new() };
    let depth = path.matches('/').count();
    let up = vec!["super"; depth].join("::");
    names_after(content, "crate")
        .into_iter()
        .chain(names_after(content, &up))
        .filter(|name| MODULES.iter().position(|module| module == name).is_some_and(|other| other > rank))
        .map(|name| format!("{path}: `{own}` imports `{name}`, which comes after it"))
        .collect()
}

/// A file of the runner whose module is not in the list.
fn unknown_modules(paths: &[&str]) -> Vec<String> {
    paths
        .iter()
        .filter(|path| !["src/lib.rs", "src/main.rs"].contains(path))
        .filter(|path| !MODULES.contains(&module(path, "src")))
        .map(|path| format!("{path}: `{}` has no place in the order of modules", module(path, "src")))
        .collect()
}

/// Modules that lib.rs declares in another order.
fn declared_out_of_order(lib: &str) -> Vec<String> {
    let code = code(lib);
    let declared =
        code.lines().filter_map(|line| line.trim().trim_start_matches("pub ").strip_prefix("mod "));
    let ranks: Vec<_> = declared
        .filter_map(|name| MODULES.iter().position(|module| *module == name.trim_end_matches(';').trim()))
        .collect();
    let swapped = ranks.windows(2).filter(|pair| pair[0] > pair[1]);
    swapped
        .map(|pair| format!("src/lib.rs: `{}` stands before `{}`", MODULES[pair[0]], MODULES[pair[1]]))
        .collect()
}

/// Uses of a crate outside of its room.
fn crates_outside_their_room(path: &str, content: &str) -> Vec<String> {
    let code = code(content);
    ROOMS
        .iter()
        .filter(|(name, room)| module(path, "src") != *room && mentions(&code, name))
        .map(|(name, room)| format!("{path}: `{name}` stays in `{room}`"))
        .collect()
}

/// Whether code names a crate: `name::` or `use name`.
fn mentions(code: &str, name: &str) -> bool {
    let whole = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let path = code.match_indices(&format!("{name}::")).any(|(at, _)| whole(at));
    path || code.contains(&format!("use {name};")) || code.contains(&format!("use {name} as "))
}

/// Stages that a stage's file, or a file of `ml/`, imports.
fn imports_of_stages(path: &str, content: &str, stages: &BTreeSet<String>) -> Vec<String> {
    let own = module(path, "stages");
    let depth = path.matches('/').count();
    let up = vec!["super"; depth].join("::");
    names_after(content, "crate")
        .into_iter()
        .chain(names_after(content, &up))
        .filter(|name| name != own && stages.contains(name))
        .map(|name| format!("{path}: `{own}` imports the stage `{name}`; share it through `ml`"))
        .collect()
}

/// The stages, from the paths of their files.
fn stage_names(paths: &[&str]) -> BTreeSet<String> {
    let modules = paths.iter().map(|path| module(path, "stages"));
    modules
        .filter(|name| !NO_STAGES.contains(name) && !["lib", "build"].contains(name))
        .map(str::to_owned)
        .collect()
}

/// Mentions of the runner's crate below `stages/`: in code, or as a dependency.
fn mentions_of_the_runner(path: &str, content: &str) -> Vec<String> {
    let named = if path.ends_with("Cargo.toml") {
        content.lines().any(|line| line.trim_start().starts_with("ner-pipe"))
    } else {
        mentions(&code(content), "ner_pipe")
    };
    if named { vec![format!("{path}: a stage must not know the runner")] } else { Vec::new() }
}

/// Kinds other than the runner's own two.
fn kinds_of_stages(path: &str, content: &str) -> Vec<String> {
    let code = code(content);
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let kinds: BTreeSet<String> = code
        .match_indices("Kind::")
        .filter(|(at, _)| !code[..*at].ends_with("Error"))
        .map(|(at, found)| heads(&code[at + found.len()..]).concat())
        .collect();
    // Kinds are constants; an enum may have that name too.
    let other =
        |kind: &&String| !["FILE", "FOLDER"].contains(&kind.as_str()) && **kind == kind.to_uppercase();
    kinds.iter().filter(other).map(|kind| format!("{path}: the runner knows no kind `{kind}`")).collect()
}

/// Words of stages in the runner's own code; its tests may name them.
fn words_of_stages(path: &str, content: &str) -> Vec<String> {
    let code = code(content);
    let code = code.split("#[cfg(test)]").next().unwrap_or_default().to_lowercase();
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let found = STAGE_WORDS.iter().filter(|word| words.contains(*word));
    found.map(|word| format!("{path}: the runner knows no `{word}`")).collect()
}

/// Names at the top level that nobody agreed on.
fn strangers<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let visible = names.filter(|name| !name.starts_with('.'));
    visible
        .filter(|name| !TOP.contains(name))
        .map(|name| format!("{name} does not belong at the top level"))
        .collect()
}

/// Ways past the door (`stages/contract/terminal.rs`) to standard output or error.
fn past_the_door(path: &str, content: &str) -> Vec<String> {
    let code = code(content);
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let ways = ["io::stdout()", "io::stderr()", "Stdout", "Stderr", "println!", "print!(", "dbg!("];
    let asks = |rest: &str| rest.starts_with(".is_terminal()");
    let found =
        ways.iter().filter(|way| code.match_indices(**way).any(|(at, way)| !asks(&code[at + way.len()..])));
    found.map(|way| format!("{path}: `{way}` goes past `terminal`")).collect()
}

fn kept(broken: &[String]) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_module_imports_only_modules_before_it() {
    let sources = files("src", ".rs");
    assert!(!sources.is_empty());
    kept(&sources.iter().flat_map(|(path, content)| imports_out_of_order(path, content)).collect::<Vec<_>>());
    kept(&unknown_modules(&sources.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>()));
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("readable");
    kept(&declared_out_of_order(&lib));
}

#[test]
fn an_import_of_a_later_module_is_noticed() {
    for bad in [
        "use crate::runner::Run;",
        "use crate::{problem::Problem, store::{Entry, Key}};",
        "fn f() { crate::cli::main() }",
        "use super::super::watch::Bar;",
    ] {
        assert_eq!(imports_out_of_order("src/pipeline/load.rs", bad).len(), 1, "{bad}");
    }
    assert_eq!(imports_out_of_order("src/manifest.rs", "use super::pipeline::Pipeline;").len(), 1);
    let good = "// not crate::runner\nuse crate::{problem::Problem, manifest};\nuse super::keys;";
    kept(&imports_out_of_order("src/pipeline/load.rs", good));
    assert_eq!(unknown_modules(&["src/lib.rs", "src/helper.rs", "src/store/slot.rs"]).len(), 1);
    assert_eq!(declared_out_of_order("pub mod store;\nmod problem;\npub mod lock;").len(), 1);
}

#[test]
fn all_that_is_printed_goes_through_one_door() {
    // The job's own process: its output is events, its error the log, and both are files or pipes.
    let inside = ["src/executor/node.rs", "src/executor/node/command.rs", "stages/contract/terminal.rs"];
    let elsewhere = ["stages/build/", "stages/vendor/"];
    let apart = |path: &str| {
        inside.contains(&path)
            || elsewhere.iter().any(|folder| path.starts_with(folder))
            || path.split('/').any(|part| ["tests", "benches", "testing"].contains(&part))
            || path.ends_with("tests.rs")
            || path.ends_with("testing.rs")
    };
    let sources = [files("src", ".rs"), files("stages", ".rs"), files("python/src", ".rs")].concat();
    assert!(sources.len() > 300, "{}", sources.len());
    let sources = sources.iter().filter(|(path, _)| !apart(path));
    kept(&sources.flat_map(|(path, content)| past_the_door(path, content)).collect::<Vec<_>>());
}

#[test]
fn a_way_past_the_door_is_noticed() {
    for bad in ["writeln!(io::stderr(), \"x\")", "use std::io::Stdout;", "eprintln!(\"x\")", "print!(\"x\")"]
    {
        assert_eq!(past_the_door("src/cli.rs", bad).len(), 1, "{bad}");
    }
    kept(&past_the_door(
        "src/cli.rs",
        "if io::stdout().is_terminal() { writeln!(stdout(), \"\") } // io::stdout()",
    ));
}

#[test]
fn petgraph_and_blake3_stay_in_their_rooms() {
    let sources = files("src", ".rs");
    kept(
        &sources
            .iter()
            .flat_map(|(path, content)| crates_outside_their_room(path, content))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn a_crate_outside_of_its_room_is_noticed() {
    assert_eq!(crates_outside_their_room("src/store.rs", "let h = blake3::hash(b);").len(), 1);
    assert_eq!(crates_outside_their_room("src/runner.rs", "use petgraph::graph::DiGraph;").len(), 1);
    kept(&crates_outside_their_room("src/fingerprint/tree.rs", "use blake3::Hasher; // petgraph::x"));
}

#[test]
fn the_runner_names_no_stage_metric_or_kind() {
    let sources = files("src", ".rs");
    let own = || sources.iter().filter(|(path, _)| !path.ends_with("tests.rs"));
    kept(&own().flat_map(|(path, content)| words_of_stages(path, content)).collect::<Vec<_>>());
    kept(&own().flat_map(|(path, content)| kinds_of_stages(path, content)).collect::<Vec<_>>());
}

#[test]
fn a_runner_that_names_a_stage_is_noticed() {
    let bad = "const ABSENT: [&str; 2] = [\"Distill\", \"dev.f1\"];";
    assert_eq!(words_of_stages("src/lib.rs", bad).len(), 2);
    assert_eq!(kinds_of_stages("src/page.rs", "if kind == Kind::REPORT {").len(), 1);
    let good =
        "// not distill\nlet pruned = Kind::FILE;\n#[cfg(test)]\nmod tests { const A: &str = \"f1\"; }";
    kept(&words_of_stages("src/page.rs", good));
    kept(&kinds_of_stages("src/page.rs", good));
}

#[test]
fn no_stage_imports_another_and_ml_imports_none() {
    let sources: Vec<_> = files("stages", ".rs")
        .into_iter()
        .filter(|(path, _)| !["contract", "kernels", "vendor"].contains(&module(path, "stages")))
        // What `init` writes is a pipeline of all of them.
        .filter(|(path, _)| !["lib", "build", "template"].contains(&module(path, "stages")))
        .collect();
    let stages = stage_names(&sources.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>());
    kept(
        &sources
            .iter()
            .flat_map(|(path, content)| imports_of_stages(path, content, &stages))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn a_stage_that_imports_a_stage_is_noticed() {
    let stages =
        stage_names(&["stages/distill.rs", "stages/prune/heads.rs", "stages/ml/crf.rs", "stages/lib.rs"]);
    assert_eq!(stages, BTreeSet::from(["distill".to_owned(), "prune".to_owned()]));
    assert_eq!(imports_of_stages("stages/prune.rs", "use crate::distill::Distill;", &stages).len(), 1);
    assert_eq!(imports_of_stages("stages/prune/heads.rs", "use super::super::distill::x;", &stages).len(), 1);
    assert_eq!(imports_of_stages("stages/ml/crf.rs", "use crate::{ml::labels, prune};", &stages).len(), 1);
    kept(&imports_of_stages("stages/prune/heads.rs", "use crate::{ml::crf, prune::Prune};", &stages));
}

#[test]
fn nothing_below_stages_knows_the_runner() {
    let mut sources = files("stages", ".rs");
    sources.extend(files("stages", "Cargo.toml"));
    sources.retain(|(path, _)| !path.ends_with("build.rs") && module(path, "stages") != "contract");
    kept(
        &sources.iter().flat_map(|(path, content)| mentions_of_the_runner(path, content)).collect::<Vec<_>>(),
    );
    // The contract may speak of it, and cannot depend on it.
    let contract = files("stages/contract", "Cargo.toml");
    kept(
        &contract
            .iter()
            .flat_map(|(path, content)| mentions_of_the_runner(path, content))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn a_stage_that_knows_the_runner_is_noticed() {
    assert_eq!(mentions_of_the_runner("stages/split.rs", "use ner_pipe::store::Entry;").len(), 1);
    assert_eq!(
        mentions_of_the_runner("stages/Cargo.toml", "[dependencies]\nner-pipe = { path = \"..\" }").len(),
        1
    );
    kept(&mentions_of_the_runner(
        "stages/ml/config.rs",
        "#[serde(rename = \"ner_pipe\")] // see ner_pipe::store",
    ));
}

#[test]
fn the_top_level_holds_only_what_was_agreed() {
    let entries = fs::read_dir(root()).expect("readable").filter_map(Result::ok);
    let names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().any(|name| name == "Cargo.toml"));
    kept(&strangers(names.iter().map(String::as_str)));
}

#[test]
fn a_stranger_at_the_top_level_is_noticed() {
    assert_eq!(strangers(["src", "scripts", ".ci", "Makefile"].into_iter()).len(), 2);
}
