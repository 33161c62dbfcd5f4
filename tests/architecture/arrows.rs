//! Within a module of the runner: which file names which, and that no way along these arrows leads back.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, files, heads, kept, names_after};

/// Modules whose files form no circle.
const ROOMS: [&str; 3] = ["store", "executor", "runner"];

/// Words of code that only an executor needs; `Command` is also what a stage of the pipeline file may be.
const OF_PROCESSES: [&str; 8] =
    ["process", "pid", "Pid", "Child", "Signal", "signal_hook", "rustix", "Command::new"];

/// A file of a room: `[]` is the root (`src/store.rs`), `["slot"]` is `src/store/slot.rs`.
type Path = Vec<String>;

/// A room's files and their code, without tests and comments.
fn sources(room: &str, files: &[(String, String)]) -> BTreeMap<Path, String> {
    let mut sources = BTreeMap::new();
    for (path, content) in files {
        let Some(inner) = path.strip_prefix(&format!("src/{room}")) else { continue };
        let Some(inner) =
            inner.strip_suffix(".rs").filter(|inner| inner.is_empty() || inner.starts_with('/'))
        else {
            continue;
        };
        let module: Path = inner.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if !module.iter().any(|part| part == "tests") {
            sources.insert(module, code(content.split("#[cfg(test)]").next().unwrap_or_default()));
        }
    }
    sources
}

/// All words of some code but for the names of modules that it declares.
fn words(code: &str) -> BTreeSet<&str> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("mod "));
    lines.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).collect()
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
        if let Some((child, names)) = statement.split_once("::") {
            found.extend(heads(names).into_iter().map(|name| (name, child.trim().to_owned())));
        }
        rest.push_str(after);
    }
    (found, rest)
}

/// Which files of a room each of its files names.
fn arrows(room: &str, sources: &BTreeMap<Path, String>) -> BTreeMap<Path, BTreeSet<Path>> {
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
        to.extend(names_after(rest, &format!("crate::{room}")).iter().map(|name| find(&[], name)));
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
fn circles(room: &str, files: &[(String, String)]) -> Vec<String> {
    let arrows = arrows(room, &sources(room, files));
    let mut left: BTreeSet<&Path> = arrows.keys().collect();
    // What names nothing that is left can be taken away; what can never be is on a circle, or leads to one.
    while let Some(free) = left.iter().find(|path| arrows[**path].iter().all(|to| !left.contains(to))) {
        let free = *free;
        left.remove(free);
    }
    let shown = |path: &Path| [&[room.to_owned()], path.as_slice()].concat().join("/");
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
    let sources = files("src", ".rs");
    kept(&ROOMS.iter().flat_map(|room| circles(room, &sources)).collect::<Vec<_>>());
}

#[test]
fn a_circle_is_noticed() {
    let circles = |root: &str, a: &str, b: &str| {
        let named = [("src/room.rs", root), ("src/room/a.rs", a), ("src/room/b.rs", b), ("src/roomy.rs", a)];
        circles("room", &named.map(|(path, code)| (path.to_owned(), code.to_owned()))).len()
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
