//! Two pipeline files in one project: neither disturbs the other.

use std::{fs, os::unix::fs::symlink};

use crate::project::{Project, TWO};

/// `pipeline.toml`, and `b.toml` that says the same in other words.
fn rivals() -> Project {
    let project = Project::new(TWO);
    project.write("b.toml", &TWO.replace("wc -l", "wc -c"));
    project
}

fn b(project: &Project) -> (i32, String) {
    let ended = project.ner_pipe(&["run", "--file", "b.toml"]);
    (ended.code.expect("was not killed"), ended.err)
}

#[test]
fn where_another_pipeline_file_publishes_nothing_is_placed_and_nothing_begins() {
    let project = rivals();
    project.ok(&["run"]);
    let executed = project.trace();
    for arguments in [&["run"] as &[&str], &["run", "--dry-run"], &["run", "--force", "sort"]] {
        let ended = project.ner_pipe(&[arguments, &["--file", "b.toml"]].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?} {}", ended.out);
        for said in [
            "output `out` would go where `pipeline.toml` publishes: `out/sorted.txt`",
            "output `n` would go where `pipeline.toml` publishes: `out/count.txt`",
            "[b.toml:8:13]",
            "[b.toml:14:13]",
            "help: publish it elsewhere, here or in `pipeline.toml`; or remove `pipeline.toml`",
            "2 problems; nothing was done",
        ] {
            assert!(ended.err.contains(said), "{said}\n{}", ended.err);
        }
    }
    assert_eq!(project.trace(), executed);
    assert!(!project.exists("b.lock"));
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn a_place_in_another_pipelines_folder_is_taken_too() {
    let folder = TWO.replace("out/count.txt", "out/count/").replace("wc -l < {data} > {n}", "mkdir {n}");
    let project = Project::new(&folder);
    project.ok(&["run"]);
    project.write("b.toml", &TWO.replace("out/count.txt", "out/count/b.txt").replace("sorted", "b"));
    let (code, said) = b(&project);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("output `n` would go where `pipeline.toml` publishes: `out/count`"), "{said}");
}

#[test]
fn a_pipeline_file_that_is_gone_or_publishes_elsewhere_has_no_claim() {
    let project = rivals();
    project.ok(&["run"]);
    fs::rename(project.path("pipeline.toml"), project.path("c.toml")).expect("renames");
    project.expect(&["--file", "c.toml"], &[("sort", "reused"), ("count", "reused")]);
    assert_eq!(b(&project).0, 2, "it is c.toml's now");
    project.write("c.toml", &TWO.replace("out/", "out/c/"));
    let (code, said) = b(&project);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("was not a result"), "{said}");
    assert_eq!(project.read("out/count.txt").trim(), "6");
    project.ok(&["run", "--file", "c.toml"]);
    project.write("c.toml", TWO);
    assert_eq!(project.run(&["--file", "c.toml"]).0, 2, "it is b.toml's now");
    project.write("b.toml", "not a pipeline");
    assert_eq!(project.run(&["--file", "c.toml"]).0, 2, "nobody knows what it will be");
    project.remove("b.toml");
    assert_eq!(project.run(&["--file", "c.toml"]).0, 0);
}

#[test]
fn what_an_older_ner_pipe_remembered_is_nobodys() {
    let project = rivals();
    project.ok(&["run"]);
    for mark in fs::read_dir(project.path("cache/published")).expect("is there") {
        fs::write(mark.expect("is readable").path(), "out/some path\n").expect("writes");
    }
    fs::remove_dir_all(project.path("cache/locked")).expect("is there");
    let (code, said) = b(&project);
    assert_eq!(code, 0, "{said}");
    assert_eq!(project.run(&[]).0, 2, "now it is b.toml's");
}

#[test]
fn an_instance_that_takes_anothers_place_is_told_once_for_all() {
    let many = r#"
[stage.s]
use = "command"
foreach = ["a", "b", "c"]
outputs = { out = "out/{key}.txt" }
params = { run = "echo {item} > {out}" }
"#;
    let project = Project::new(many);
    project.ok(&["run"]);
    project.write("b.toml", many);
    let (code, said) = b(&project);
    assert_eq!((code, said.matches("would go where").count()), (2, 1), "{said}");
}

#[test]
fn no_output_takes_the_place_of_another_pipeline_file_or_its_lock() {
    let project = Project::new(TWO);
    project.write("artifacts/b/b.toml", &TWO.replace("out/", "b/"));
    project.ok(&["run"]);
    let to = |path: &str| project.write("pipeline.toml", &TWO.replace("out/count.txt", path));
    let refused = |said: &str| {
        for lost in [false, true] {
            if lost {
                drop(fs::remove_dir_all(project.path("cache/published")));
            }
            let ended = project.ner_pipe(&["run"]);
            assert_eq!(ended.code, Some(2), "{}", ended.out);
            assert!(ended.err.contains(said), "{said}\n{}", ended.err);
            assert!(ended.err.contains("pipeline.toml:14:13"), "{}", ended.err);
        }
    };
    to("artifacts/b/b.toml");
    refused("output `n` would overwrite a pipeline file, `artifacts/b/b.toml`");
    to("artifacts/b/b.lock");
    refused("output `count.n` would replace the lock file of `artifacts/b/b.toml`, `artifacts/b/b.lock`");
    project.ok(&["run", "--file", "artifacts/b/b.toml"]);
    let text = TWO.replace("out/count.txt", "artifacts/b/").replace("wc -l < {data} > {n}", "mkdir {n}");
    project.write("pipeline.toml", &text);
    refused("would overwrite a pipeline file, `artifacts/b/b.toml`");
    assert!(project.read("artifacts/b/b.toml").contains("b/count.txt"));
    to("out/count.txt");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn a_stage_may_write_a_pipeline_file_and_write_it_anew() {
    let project = Project::new(&TWO.replace("out/count.txt", "out/made.toml").replace(
        "wc -l < {data} > {n}",
        "printf '[stage.a]\\nuse = \\\"command\\\"\\noutputs = {{ o = \\\"out/o\\\" }}\\n' > {n}; wc -l < {data} | sed 's/^/# /' >> {n}",
    ));
    project.ok(&["run"]);
    project.write("data/in.txt", "one\n");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert!(project.read("out/made.toml").contains("# 1"));
    project.write("out/made.toml", &project.read("out/made.toml").replace("out/o", "out/mine"));
    assert_eq!(project.run(&[]).0, 2, "edited, it is somebody's work");
}

#[test]
fn what_a_lock_in_a_linked_folder_names_stays() {
    let project = Project::new(TWO);
    let elsewhere = tempfile::tempdir().expect("a folder");
    symlink(elsewhere.path(), project.path("linked")).expect("links");
    project.write("linked/p.toml", &TWO.replace("out/", "linked/").replace("wc -l", "wc -c"));
    let run = |project: &Project| project.ok(&["run", "--file", "linked/p.toml"]);
    run(&project);
    let age = |project: &Project| {
        for entry in project.entries() {
            crate::gc::age(&entry, 40);
        }
    };
    let taken = |project: &Project| crate::gc::taken(&crate::gc::gc(project, &["--keep-age", "1d"]));
    age(&project);
    assert_eq!(taken(&project), 0);
    // A cache of before they were remembered: one run with nothing to do is enough.
    project.remove("cache/locked");
    run(&project);
    age(&project);
    assert_eq!(taken(&project), 0);
    // The project moves away, and nothing runs.
    let moved = Project::new(TWO);
    for name in ["cache", "linked"] {
        fs::rename(project.path(name), moved.path(name)).expect("renames");
    }
    assert_eq!(taken(&moved), 0);
    fs::remove_file(moved.path("linked/p.lock")).expect("is there");
    assert_eq!(taken(&moved), 2);
    let left = fs::read_dir(moved.path("cache/locked")).expect("is there").count();
    assert_eq!(left, 0, "a lock that is gone is forgotten");
}

#[test]
fn two_pipeline_files_that_begin_in_the_same_moment_do_not_take_one_place() {
    let slow =
        TWO.replace("sort {data} > {out}", "while [ ! -e go ]; do sleep 0.02; done; sort {data} > {out}");
    let project = Project::new(&slow);
    project.write("b.toml", &TWO.replace("sort {data}", "sort -r {data}"));
    let first = project.start(&["run"]);
    project.wait_for("trace");
    let (code, said) = b(&project);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("would go where `pipeline.toml` publishes: `out/sorted.txt`"), "{said}");
    project.write("go", "");
    assert_eq!(first.end().code, Some(0));
    assert_eq!((project.read("out/sorted.txt").as_str(), project.trace().len()), ("a\nb\nc\n", 2));
    // A place that was taken for a run that failed is free again with its pipeline file.
    project.write("c.toml", &TWO.replace("out/", "c/").replace("sort {data}", "false; exit 3"));
    project.write("d.toml", &TWO.replace("out/", "c/"));
    assert_eq!(project.run(&["--file", "c.toml"]).0, 1);
    assert_eq!(project.run(&["--file", "d.toml"]).0, 2);
    // Nothing was placed there: what lies there now is the user's.
    project.write("c/count.txt", "mine");
    let ended = project.ner_pipe(&["run", "--file", "c.toml"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("overwrite `c/count.txt`, which ner-pipe did not make"), "{}", ended.err);
    project.remove("c/count.txt");
    project.remove("c.toml");
    assert_eq!(project.run(&["--file", "d.toml"]).0, 0);
}

#[test]
fn two_pipeline_files_that_begin_in_the_same_moment_do_not_share_a_folder_of_artifacts() {
    let text = |name: &str, run: &str| {
        let below =
            TWO.replace("out/", &format!("artifacts/same/{name}-")).replace("sort {data} > {out}", run);
        format!("pipeline.name = \"same\"\n{below}")
    };
    let project = Project::new(TWO);
    project.write("a.toml", &text("a", "while [ ! -e go ]; do sleep 0.02; done; sort {data} > {out}"));
    project.write("b.toml", &text("b", "sort -r {data} > {out}"));
    let first = project.start(&["run", "--file", "a.toml"]);
    project.wait_for("trace");
    let (code, said) = b(&project);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("`a.toml` publishes to `artifacts/same` already"), "{said}");
    project.write("go", "");
    assert_eq!(first.end().code, Some(0));
}

#[test]
fn a_folder_in_which_another_pipeline_file_publishes_is_not_replaced_and_status_says_so() {
    let project = Project::new(&TWO.replace("out/count.txt", "out/count/n.txt"));
    project.ok(&["run"]);
    let folder = TWO.replace("out/count.txt", "out/count/").replace("wc -l < {data} > {n}", "mkdir {n}");
    project.write("b.toml", &folder.replace("out/sorted.txt", "b/sorted.txt"));
    let said = "output `n` would go where `pipeline.toml` publishes: `out/count/n.txt`";
    let help = "publish it elsewhere, here or in `pipeline.toml`";
    for arguments in [&["run"] as &[&str], &["run", "--dry-run"]] {
        let ended = project.ner_pipe(&[arguments, &["--file", "b.toml"]].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?} {}", ended.out);
        assert!(ended.err.contains(said) && ended.err.contains(help), "{}", ended.err);
        assert!(!ended.err.contains("did not make"), "{}", ended.err);
    }
    let shown = project.ok(&["status", "--file", "b.toml"]);
    assert!(
        shown.contains(&format!("`ner-pipe run --file b.toml` refuses: {said}\n  help: {help}")),
        "{shown}"
    );
    let shown: serde_json::Value =
        serde_json::from_str(&project.ok(&["status", "--file", "b.toml", "--format", "json"]))
            .expect("is JSON");
    assert_eq!(shown["refused"][0]["message"], said);
    assert!(shown["refused"][0]["help"].as_str().is_some_and(|shown| shown.starts_with(help)));
    assert!(!project.ok(&["status"]).contains("refuses"));
}
