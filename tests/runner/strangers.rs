//! What a user made lies where an output is to go.

use std::{fs, os::unix::fs::symlink};

use crate::project::{Project, TWO};

fn walk(project: &Project, folder: &str) -> Vec<String> {
    let found = walkdir::WalkDir::new(project.path(folder)).into_iter();
    found.filter_map(Result::ok).map(|entry| entry.path().display().to_string()).collect()
}

#[test]
fn a_users_file_or_folder_in_the_place_of_an_output_stops_everything_before_it_begins() {
    let project = Project::new(TWO);
    project.write("out/sorted.txt", "mine");
    project.write("out/count.txt/mine too", "mine");
    for _ in 0..2 {
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(2), "{}", ended.out);
        for said in [
            "output `out` would overwrite `out/sorted.txt`, which ner-pipe did not make",
            "output `n` would overwrite `out/count.txt`",
            "help: move it away: `mv 'out/sorted.txt' 'out/sorted.txt.mine'`",
            "2 problems; nothing was done",
        ] {
            assert!(ended.err.contains(said), "{said}\n{}", ended.err);
        }
        assert!(project.trace().is_empty());
        assert_eq!(project.read("out/sorted.txt"), "mine");
        assert_eq!(project.read("out/count.txt/mine too"), "mine");
    }
    fs::rename(project.path("out/sorted.txt"), project.path("out/sorted.txt.mine")).expect("renames");
    project.remove("out/count.txt");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert_eq!(project.read("out/sorted.txt.mine"), "mine");
}

#[test]
fn an_output_that_moves_over_a_users_file_is_refused_too() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.write("src/count.txt", "mine");
    project.replace("pipeline.toml", "out/count.txt", "src/count.txt");
    assert_eq!(project.run(&[]).0, 2, "though its result is in the cache");
    project.replace("pipeline.toml", "src/count.txt", "src");
    assert_eq!(project.run(&[]).0, 2);
    assert_eq!(project.read("src/count.txt"), "mine");
    project.replace("pipeline.toml", "\"src\"", "\"other/count.txt\"");
    project.expect(&[], &[("sort", "reused"), ("count", "restored")]);
}

#[test]
fn a_file_where_a_folder_is_needed_or_a_link_is_a_users_too() {
    let project = Project::new(TWO);
    project.write("out", "mine");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("overwrite `out`"), "{}", ended.err);
    project.remove("out");
    fs::create_dir(project.path("out")).expect("creates");
    for target in ["nowhere", "sorted.txt", "../data/in.txt"] {
        symlink(target, project.path("out/sorted.txt")).expect("links");
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(2), "{target}: {}", ended.out);
        assert!(project.trace().is_empty());
        fs::remove_file(project.path("out/sorted.txt")).expect("is a link still");
    }
}

#[test]
fn nothing_is_lost_with_an_empty_file_or_folder() {
    let project = Project::new(TWO);
    project.write("out/sorted.txt", "");
    fs::create_dir(project.path("out/count.txt")).expect("creates");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert_eq!(project.read("out/count.txt").trim(), "3");
    let kept = walk(&project, "cache/displaced");
    assert!(kept.iter().any(|path| path.ends_with("count.txt")), "{kept:?}");
}

#[test]
fn what_was_published_before_is_no_stranger() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    // Without a cache, the lock knows it.
    project.remove("cache");
    project.replace("pipeline.toml", "wc -l", "wc -c");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    // Without a lock, the cache does.
    project.remove("pipeline.lock");
    project.write("data/in.txt", "new\n");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    // Edited, it was ours still: it is kept, and repaired.
    project.write("out/count.txt", "edited");
    project.expect(&[], &[("sort", "reused"), ("count", "restored")]);
    assert!(walk(&project, "cache/displaced").iter().any(|path| path.ends_with("count.txt")));
}

#[test]
fn what_turns_up_while_a_run_goes_on_is_kept() {
    let project =
        Project::new(&TWO.replace("echo count >>", "mkdir -p out; echo mine > out/count.txt; echo count >>"));
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.err.contains("out/count.txt was not a result of ner-pipe; it is now cache/displaced/"),
        "{}",
        ended.err
    );
    assert_eq!(project.read("out/count.txt").trim(), "3");
    assert!(walk(&project, "cache/displaced").iter().any(|path| path.ends_with("count.txt")));
}

#[test]
fn a_source_that_its_stage_moves_away_is_kept() {
    for (end, terms) in [("", ""), ("; exit 3", "retries = 1\nbackoff = \"1ms\"")] {
        let run = format!("mv {{data}} {{out}}{end}");
        let project = Project::new(
            &TWO.replace("sort {data} > {out}", &run)
                .replace("[stage.sort]", &format!("[stage.sort]\n{terms}")),
        );
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(1));
        let kept =
            "sort: data/in.txt is gone since the stage ran; what that wrote to `out` is now cache/displaced/";
        assert!(ended.err.contains(kept), "{}", ended.err);
        let kept = walk(&project, "cache/displaced").into_iter().find(|path| path.ends_with("sorted.txt"));
        assert_eq!(project.read(&kept.expect("is there")), "b\na\nc\n");
    }
}

#[test]
fn an_old_result_that_the_cache_has_lost_is_a_result_still() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let change = |to: &str| project.write("data/in.txt", to);
    let replaced = || {
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(!ended.err.contains("was not a result"), "{}", ended.err);
        assert!(!project.exists("cache/displaced"), "{}", ended.err);
    };
    // With the cache went what it knew of the place: the lock has it.
    project.ok(&["clean", "--cache", "--yes"]);
    change("one\n");
    replaced();
    // With the lock went what it says: the cache knows what was placed, if not how to make it again.
    project.remove("pipeline.lock");
    project.remove("cache/entries");
    change("two\n");
    replaced();
    project.write("out/count.txt", "edited");
    change("three\nthree\n");
    let ended = project.ner_pipe(&["run"]);
    assert!(ended.err.contains("out/count.txt was not a result of ner-pipe"), "{}", ended.err);
    assert!(!ended.err.contains("out/sorted.txt"), "{}", ended.err);
    assert_eq!(
        walk(&project, "cache/displaced").iter().filter(|path| path.ends_with("count.txt")).count(),
        1
    );
}

#[test]
fn status_says_what_run_will_refuse() {
    let project = Project::new(TWO);
    project.write("out/sorted.txt", "mine");
    let said = project.ok(&["status"]);
    assert!(said.contains("`ner-pipe run` refuses: output `out` would overwrite `out/sorted.txt`"), "{said}");
    assert!(said.contains("\n  help: move it away: `mv 'out/sorted.txt' 'out/sorted.txt.mine'`"), "{said}");
    assert_eq!(project.ner_pipe(&["status", "--check"]).code, Some(3));
    project.remove("out/sorted.txt");
    project.ok(&["run"]);
    assert!(!project.ok(&["status"]).contains("refuses"));
}
