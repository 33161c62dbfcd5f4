//! Within a module of the runner, a stage or a package of stages: which file names which, and that no way along these
//! arrows leads back.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, files, heads, kept, names_after};

/// Files that belong together, and form no circle.
struct Room {
    /// Where they lie: `src/runner`.
    folder: String,
    /// The file that declares them: `src/runner.rs`.
    root: String,
    /// How paths to them begin: `crate::runner`.
    prefix: String,
}

impl Room {
    /// A module at the root of a crate.
    fn module(source: &str, name: &str) -> Self {
        let folder = format!("{source}/{name}");
        Self { root: format!("{folder}.rs"), folder, prefix: format!("crate::{name}") }
    }

    /// A whole crate.
    fn package(folder: &str) -> Self {
        Self { root: format!("{folder}/lib.rs"), folder: folder.to_owned(), prefix: "crate".to_owned() }
    }
}

/// Every module of the runner that has files of its own, every stage, every package.
fn rooms() -> Vec<Room> {
    let modules = ["pipeline", "fingerprint", "store", "executor", "runner", "page", "commands"]
        .map(|name| Room::module("src", name));
    let stages =
        ["annotate", "augment", "evaluate", "export", "generate", "predict", "prune", "split", "teach"];
    let packages = [
        "ml/text",
        "ml/encoder",
        "ml/measure",
        "ml/export",
        "ml/train",
        "ml/distillation",
        "kernels",
        "contract",
        "hub",
        "serve",
    ];
    let stages = stages.map(|name| Room::module("stages", name));
    let packages = packages.map(|folder| Room::package(&format!("stages/{folder}")));
    modules.into_iter().chain(stages).chain(packages).collect()
}

/// Words of code that only an executor needs; `Command` is also what a stage of the pipeline file may be.
const OF_PROCESSES: [&str; 8] =
    ["process", "pid", "Pid", "Child", "Signal", "signal_hook", "rustix", "Command::new"];

/// A file of a room: `[]` is the root (`src/store.rs`), `["slot"]` is `src/store/slot.rs`.
type Path = Vec<String>;

/// A room's files and their code, without tests and comments.
fn sources(room: &Room, files: &[(String, String)]) -> BTreeMap<Path, String> {
    let mut sources = BTreeMap::new();
    for (path, content) in files {
        let below = || path.strip_prefix(&room.folder)?.strip_prefix('/')?.strip_suffix(".rs");
        let Some(inner) = (if *path == room.root { Some("") } else { below() }) else { continue };
        let module: Path = inner.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let beside = ["tests", "testing", "benches", "build"];
        // The parts of a stage may name its parameters, which stand in the stage's file.
        let is_stage =
            module.is_empty() && room.folder.starts_with("stages/") && !room.root.ends_with("lib.rs");
        if !is_stage && !module.iter().any(|part| beside.contains(&part.as_str())) {
            let code = code(content.split("#[cfg(test)]").next().unwrap_or_default());
            // Inside of an inline module `super` is the file itself.
            let outer = code.lines().filter(|line| !line.starts_with("    use super::"));
            sources.insert(module, outer.collect::<Vec<_>>().join("\n"));
        }
    }
    sources
}

/// All words of some code but for the names of modules that it declares.
fn words(code: &str) -> BTreeSet<&str> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("mod "));
    lines.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).collect()
}

/// `{a::b, c::{d, e}}` gives `a::b` and `c::{d, e}`.
fn branches(group: &str) -> Vec<String> {
    let (mut depth, mut found) = (0, vec![String::new()]);
    for c in group.trim().trim_start_matches('{').trim_end_matches('}').chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match found.last_mut() {
            Some(_) if c == ',' && depth == 0 => found.push(String::new()),
            Some(last) => last.push(c),
            None => {}
        }
    }
    found
}

/// What a file hands on of its children, by name, and its code without that.
fn re_exports(code: &str) -> (BTreeMap<String, String>, String) {
    let (mut found, mut rest) = (BTreeMap::new(), String::new());
    for (index, part) in code.split("pub use ").enumerate() {
        if index == 0 {
            rest.push_str(part);
            continue;
        }
        let (statement, after) = part.split_once(';').unwrap_or((part, ""));
        let statement = statement.trim().trim_start_matches("self::");
        let branches =
            if statement.starts_with('{') { branches(statement) } else { vec![statement.to_owned()] };
        for (child, names) in branches.iter().filter_map(|branch| branch.split_once("::")) {
            found.extend(heads(names).into_iter().map(|name| (name, child.trim().to_owned())));
        }
        rest.push_str(after);
    }
    (found, rest)
}

/// Which files of a room each of its files names.
fn arrows(room: &Room, sources: &BTreeMap<Path, String>) -> BTreeMap<Path, BTreeSet<Path>> {
    let exports: BTreeMap<_, _> = sources.iter().map(|(path, code)| (path, re_exports(code))).collect();
    // The file that a name stands for, seen from within a module.
    let find = |module: &[String], name: &str| {
        let child = |name: &str| [module, &[name.to_owned()]].concat();
        let export = exports.get(&module.to_vec()).and_then(|(names, _)| names.get(name));
        let named = export.map_or(name, String::as_str);
        if sources.contains_key(&child(named)) { child(named) } else { module.to_vec() }
    };
    let mut arrows = BTreeMap::new();
    for (path, (names, rest)) in &exports {
        let mut to = BTreeSet::new();
        for up in 1..=path.len() {
            let above = &path[..path.len() - up];
            let names = names_after(rest, &vec!["super"; up].join("::"));
            to.extend(names.iter().filter(|name| *name != "super").map(|name| find(above, name)));
        }
        to.extend(names_after(rest, &room.prefix).iter().map(|name| find(&[], name)));
        let words = words(rest);
        to.extend(names.keys().filter(|name| words.contains(name.as_str())).map(|name| find(path, name)));
        let children = sources.keys().filter(|child| child.split_last().is_some_and(|(_, up)| up == **path));
        let called = |child: &&Path| !names_after(rest, &child[child.len() - 1]).is_empty();
        to.extend(children.filter(called).cloned());
        to.remove(*path);
        arrows.insert((*path).clone(), to);
    }
    arrows
}

/// A way from a file back to itself, if there is one.
fn circles(room: &Room, files: &[(String, String)]) -> Vec<String> {
    let arrows = arrows(room, &sources(room, files));
    let mut left: BTreeSet<&Path> = arrows.keys().collect();
    // What names nothing that is left can be taken away; what can never be is on a circle, or leads to one.
    while let Some(free) = left.iter().find(|path| arrows[**path].iter().all(|to| !left.contains(to))) {
        let free = *free;
        left.remove(free);
    }
    let shown = |path: &Path| [std::slice::from_ref(&room.folder), path.as_slice()].concat().join("/");
    left.iter()
        .map(|path| {
            let to: Vec<_> = arrows[*path].iter().filter(|to| left.contains(to)).map(shown).collect();
            format!("{}.rs is on a circle, or leads to one: it names {}", shown(path), to.join(", "))
        })
        .collect()
}

/// What a file of the runner knows of processes.
fn mentions_of_processes(path: &str, content: &str) -> Vec<String> {
    let code = code(content);
    let words = words(&code);
    let named = OF_PROCESSES
        .iter()
        .filter(|name| words.contains(**name) || name.contains(':') && code.contains(**name));
    named.map(|name| format!("{path}: `{name}` stays in `executor`")).collect()
}

#[test]
fn the_files_of_a_room_form_no_circle() {
    let sources = [files("src", ".rs"), files("stages", ".rs")].concat();
    let rooms = rooms();
    for room in &rooms {
        assert!(sources.iter().any(|(path, _)| *path == room.root), "{} is there", room.root);
    }
    kept(&rooms.iter().flat_map(|room| circles(room, &sources)).collect::<Vec<_>>());
}

#[test]
fn a_circle_is_noticed() {
    let circles = |root: &str, a: &str, b: &str| {
        let named = [("src/room.rs", root), ("src/room/a.rs", a), ("src/room/b.rs", b), ("src/roomy.rs", a)];
        circles(&Room::module("src", "room"), &named.map(|(path, code)| (path.to_owned(), code.to_owned())))
            .len()
    };
    let root = "mod a;\nmod b;\npub use a::{A, make};\npub use b::B;";
    assert_eq!(circles(root, "", "use super::A;"), 0);
    assert_eq!(circles(root, "use super::B;", "use super::a::A;"), 2);
    assert_eq!(circles(root, "use crate::room::b;", "use crate::{x, room::A};\nuse crate::room::A;"), 2);
    assert_eq!(circles(root, "#[cfg(test)]\nmod tests { use super::super::B; }", "use super::A;"), 0);
    let own = format!("{root}\nstruct Own(A);");
    assert_eq!(circles(&own, "", "use super::Own;"), 0);
    assert_eq!(circles(&own, "use super::Own;", ""), 2);
    assert_eq!(circles("mod a;\nstruct Own;\nfn f() { a::f() }", "use super::Own;", ""), 2);
}

#[test]
fn the_runner_names_no_process() {
    let runner = files("src/runner", ".rs").into_iter().chain(files("src", "src/runner.rs"));
    kept(&runner.flat_map(|(path, content)| mentions_of_processes(&path, &content)).collect::<Vec<_>>());
}

#[test]
fn a_runner_that_names_a_process_is_noticed() {
    for bad in [
        "use std::{process::Command, fs};",
        "let exit = std::process::exit(1);",
        "use rustix::process::kill_process;",
        "fn stop(child: Child) {}",
    ] {
        assert!(!mentions_of_processes("src/runner/attempt.rs", bad).is_empty(), "{bad}");
    }
    kept(&mentions_of_processes("src/runner/x.rs", "match work { Work::Command { run } => {} } // a Child"));
}
