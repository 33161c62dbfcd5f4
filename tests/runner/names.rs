//! Names that programs trip over, links that have no end, files without a byte, folders with many files.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use crate::project::{Project, TWO, program};

/// One folder in, the same folder out.
const FOLDER: &str = r#"
[sources]
in = { path = "data/dossier", kind = "folder" }

[stage.copy]
use = "command"
inputs = { data = "sources.in" }
outputs = { out = "out/copie/" }
params = { run = "echo copy >> trace; cp -r {data} {out}" }

[stage.count]
use = "command"
inputs = { data = "copy.out" }
outputs = { n = "out/count.txt" }
params = { run = "echo count >> trace; find {data}/ -type f -print0 | tr -dc '\\0' | wc -c > {n}" }
"#;

const BOTH: [&str; 2] = ["copy", "count"];

fn expect(project: &Project, copy: &str, count: &str) {
    project.expect(&[], &[(BOTH[0], copy), (BOTH[1], count)]);
}

#[test]
fn names_with_spaces_accents_newlines_and_quotes_are_names() {
    let name = "l'été \"à\" $HOME; `x`\n *";
    let escaped = name.replace('"', "\\\"").replace('\n', "\\n");
    let project = Project::new(&TWO.replace("in.txt", &escaped).replace("sorted.txt", &escaped));
    project.write(&format!("data/{name}"), "b\na\n");
    for _ in 0..2 {
        project.ok(&["run"]);
        project.ok(&["status", "--check"]);
        assert_eq!(project.read(&format!("out/{name}")), "a\nb\n");
        project.remove("out");
    }
    project.write(&format!("data/{name}"), "c\n");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    for command in [&["log", "sort"] as &[&str], &["why", "sort"], &["status", "--format", "dot"]] {
        project.ok(command);
    }
    assert_eq!(project.trace(), ["sort", "count", "sort", "count"]);
}

#[test]
fn files_in_folders_may_have_any_name() {
    let project = Project::new(FOLDER);
    let names: [&[u8]; 5] = [b"caf\xe9", b"a\nb", b" ", b"-rf", b"\xff\xfe\n\t"];
    let inside = |folder: &str, name: &[u8]| project.path(folder).join(OsStr::from_bytes(name));
    for name in names {
        let folder = inside("data/dossier", name);
        fs::create_dir_all(&folder).expect("creates");
        fs::write(folder.join(OsStr::from_bytes(name)), name).expect("writes");
    }
    expect(&project, "executed", "executed");
    assert_eq!(project.read("out/count.txt").trim(), "5");
    project.remove("out");
    expect(&project, "restored", "restored");
    for name in names {
        let file = inside("out/copie", name).join(OsStr::from_bytes(name));
        assert_eq!(fs::read(file).expect("is there"), name);
    }
    fs::rename(inside("data/dossier", b"caf\xe9"), inside("data/dossier", b"caf\xe8")).expect("renames");
    expect(&project, "executed", "executed");
}

#[test]
fn a_project_may_lie_in_a_folder_of_any_name_that_is_text() {
    for (name, code) in [("a\nb".as_bytes(), 0), ("l'été $x".as_bytes(), 0), (b"caf\xe9 \xff", 2)] {
        let project = Project::new(TWO);
        let root = project.path("").join(OsStr::from_bytes(name));
        fs::create_dir(&root).expect("creates");
        for entry in ["data", "pipeline.toml"] {
            fs::rename(project.path(entry), root.join(entry)).expect("renames");
        }
        let output = program().arg("-C").arg(&root).arg("run").output().expect("starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{name:?}: {said}");
        if code == 0 {
            assert_eq!(fs::read_to_string(root.join("out/sorted.txt")).expect("is there"), "a\nb\nc\n");
        } else {
            assert!(said.contains("is not UTF-8") && said.contains("help: rename it"), "{said}");
            assert!(!root.join("cache").exists() && !root.join("trace").exists());
        }
    }
}

#[test]
fn a_file_of_0_bytes_is_a_file() {
    let project = Project::new(TWO);
    project.write("data/in.txt", "");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert_eq!((project.read("out/sorted.txt"), project.read("out/count.txt").trim()), (String::new(), "0"));
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    project.remove("out");
    project.expect(&[], &[("sort", "restored"), ("count", "restored")]);
    assert_eq!(project.read("out/sorted.txt"), "");
    project.write("out/sorted.txt", "x");
    project.expect(&[], &[("sort", "restored"), ("count", "reused")]);
    project.write("data/in.txt", "x");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    project.write("data/in.txt", "");
    project.expect(&[], &[("sort", "restored"), ("count", "restored")]);
}

#[test]
fn a_link_without_end_is_named_before_work_and_in_an_output_fails_the_stage() {
    let project = Project::new(FOLDER);
    project.write("data/dossier/a/x", "");
    project.write("data/dossier/b/x", "");
    for (link, target) in [("a/up", ".."), ("a/self", "self"), ("a/b", "../b")] {
        symlink(target, project.path("data/dossier").join(link)).expect("links");
        if link == "a/b" {
            symlink("../a", project.path("data/dossier/b/a")).expect("links");
        }
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(2), "{link}: {}", ended.out);
        assert!(ended.err.contains("leads back to a folder above it"), "{link}: {}", ended.err);
        assert!(ended.err.contains("remove the link, or point it elsewhere"), "{link}: {}", ended.err);
        assert!(project.trace().is_empty());
        fs::remove_file(project.path("data/dossier").join(link)).expect("removes");
    }
    fs::remove_file(project.path("data/dossier/b/a")).expect("removes");
    for bad in [
        "ln -s . {out}/loop",
        "ln -s loop {out}/loop",
        "mkdir {out}/c {out}/d; ln -s ../d {out}/c/d; ln -s ../c {out}/d/c",
        "ln -s ../../../.. {out}/above",
        "ln -s nowhere {out}/nowhere",
    ] {
        let project =
            Project::new(&FOLDER.replace("cp -r {data} {out}", &format!("cp -r {{data}} {{out}}; {bad}")));
        project.write("data/dossier/x", "");
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(1), "{bad}: {}", ended.out);
        assert!(project.entries().is_empty() && !project.exists("out"), "{bad}");
        assert_eq!(fs::read_dir(project.path("cache/tmp")).expect("is there").count(), 0, "{bad}");
    }
}

#[test]
fn a_link_to_nothing_in_a_source_is_passed_over_until_its_target_is_there() {
    let project = Project::new(&FOLDER.replace("cp -r {data} {out}", "mkdir {out}; cp {data}/x {out}"));
    project.write("data/dossier/x", "1");
    symlink("later", project.path("data/dossier/link")).expect("links");
    expect(&project, "executed", "executed");
    expect(&project, "reused", "reused");
    project.write("data/dossier/later", "2");
    assert_eq!(project.states()["copy"], "stale");
}

#[test]
fn a_folder_of_10000_files_is_an_output_like_any_other() {
    let many = "mkdir {out}; cd {out}; seq 10000 | split -l 1 -a 4 - f";
    let project = Project::new(&FOLDER.replace("cp -r {data} {out}", many));
    project.write("data/dossier/x", "1");
    expect(&project, "executed", "executed");
    assert_eq!(project.read("out/count.txt").trim(), "10000");
    expect(&project, "reused", "reused");
    fs::write(project.path("out/copie/faaaa"), "edited").expect("writes");
    assert_eq!(project.states()["copy"], "stale", "one of all");
    assert_eq!(project.trace(), BOTH);
}
