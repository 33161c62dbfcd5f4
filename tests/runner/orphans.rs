//! Stages that do what they should not: write nothing, write elsewhere, leave something running.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    time::{Duration, Instant},
};

use crate::project::{Project, TWO, gone};

/// What a stage leaves running: for a minute it writes to the output that it was given, and beside it.
const STRAY: &str = r#"
exec >> "$1" 2>&1
echo $$ > stray
for i in $(seq 6000); do echo stray; echo stray > "$1.more"; sleep 0.01; done
"#;

#[test]
fn what_a_stage_leaves_running_is_ended_and_changes_no_result() {
    for leave in [
        "sh stray.sh \"$1\" &",
        // A session of its own: no signal to the group reaches it.
        "setsid sh stray.sh \"$1\" &",
        // And a parent that is gone.
        "sh -c 'setsid sh stray.sh \"$0\" & exit' \"$1\" &",
    ] {
        let project = Project::new(&TWO.replace("> {out}", "> {out}; sh leave.sh {out}"));
        project.write("stray.sh", STRAY);
        project.write("leave.sh", &format!("{leave}\nwhile [ ! -s stray ]; do sleep 0.01; done\n"));
        project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
        gone(project.pid("stray"));
        let (sorted, count) = (project.read("out/sorted.txt"), project.read("out/count.txt"));
        assert!(sorted.starts_with("a\nb\nc\n"), "{leave}");
        assert_eq!(count.trim(), sorted.lines().count().to_string(), "{leave}: one result for all");
        project.remove("out");
        project.expect(&[], &[("sort", "restored"), ("count", "restored")]);
        assert_eq!(project.read("out/sorted.txt"), sorted, "{leave}: the cache has the same");
        assert!(!project.exists("cache/damaged"));
    }
}

#[test]
fn a_run_does_not_wait_for_what_a_stage_leaves_behind() {
    let project =
        Project::new(&TWO.replace("echo sort >>", "setsid sleep 600 & echo $! > stray; echo sort >>"));
    let begun = Instant::now();
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert!(begun.elapsed() < Duration::from_mins(5), "it did not wait for it");
    gone(project.pid("stray"));
}

#[test]
fn the_runner_killed_takes_what_left_its_group_with_it() {
    let project = Project::new(
        &TWO.replace("echo sort >>", "setsid sleep 600 & echo $! > stray; sleep 600; echo sort >>"),
    );
    let running = project.start(&["run"]);
    let stray = project.pid("stray");
    running.signal(rustix::process::Signal::KILL);
    gone(stray);
    drop(running.end());
}

#[test]
fn a_stage_that_writes_nothing_fails() {
    for nothing in ["true", "mkdir -p {out} && rmdir {out}", "ln -s nowhere {out}", "touch {out}.txt"] {
        let project = Project::new(&TWO.replace("sort {data} > {out}", nothing));
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(1), "{nothing}");
        assert!(ended.err.contains("output `out` is missing"), "{nothing}: {}", ended.err);
        assert!(project.entries().is_empty() && !project.exists("out"));
    }
}

#[test]
fn a_stage_that_writes_into_its_input_fails_and_the_input_is_repaired() {
    let project =
        Project::new(&TWO.replace("wc -l < {data} > {n}", "wc -l < {data} > {n}; echo more >> {data}"));
    for _ in 0..2 {
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        assert!(
            ended.err.contains("input `data` changed while the stage ran: out/sorted.txt"),
            "{}",
            ended.err
        );
        assert_eq!(project.entries().len(), 1, "that of sort");
    }
    project.replace("pipeline.toml", "; echo more >> {data}", "");
    project.expect(&[], &[("sort", "restored"), ("count", "executed")]);
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
    assert_eq!(project.read("out/count.txt").trim(), "3");
}

#[test]
fn a_stage_that_writes_over_another_result_is_put_right_by_the_next_run() {
    for elsewhere in ["echo x > out/sorted.txt", "rm out/sorted.txt", "rm -r out; mkdir -p out/sorted.txt/x"]
    {
        // Not its input: nothing of its own result depends on it.
        let text = TWO.replace(r#"inputs = { data = "sort.out" }"#, r#"inputs = { data = "sources.in" }"#);
        let project = Project::new(&text.replace("wc -l", &format!("{elsewhere}; wc -l")));
        // After it, and not beside it.
        project.expect(&["--jobs", "1"], &[("sort", "executed"), ("count", "executed")]);
        assert_eq!(project.states()["sort"], "stale", "{elsewhere}");
        project.expect(&[], &[("sort", "restored"), ("count", "reused")]);
        assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n", "{elsewhere}");
        project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    }
}

#[test]
fn a_stage_that_writes_into_the_cache_is_found_out() {
    let project = Project::new(&TWO.replace(
        "wc -l < {data}",
        "for f in cache/entries/*/out/out/sorted.txt; do echo x > $f; done; wc -l < {data}",
    ));
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    project.remove("out");
    project.expect(&[], &[("sort", "executed"), ("count", "restored")]);
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
}

#[test]
fn what_a_stage_writes_beside_its_output_is_no_part_of_the_result() {
    // A pipe, too: whoever opened it would wait for ever.
    let beside = r#"(cd \"$(dirname {n})\" && mkdir more && echo x > more/x && mkfifo pipe); wc -l"#;
    let project = Project::new(&TWO.replace("wc -l", beside));
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    let names = project.entries().into_iter().flat_map(|entry| walkdir::WalkDir::new(entry.join("out")));
    let names: Vec<_> = names.map(|entry| entry.expect("is readable").into_path()).collect();
    assert!(names.iter().all(|path| !path.ends_with("pipe") && !path.ends_with("more")), "{names:?}");
    assert!(project.ok(&["log", "count"]).contains("files beside output `n`"));
}

#[test]
fn an_output_that_is_another_name_of_a_users_file_leaves_that_alone() {
    let project = Project::new(&TWO.replace("sort {data} > {out}", "ln data/mine {out}"));
    project.write("data/mine", "mine");
    fs::set_permissions(project.path("data/mine"), fs::Permissions::from_mode(0o644)).expect("chmod");
    project.ok(&["run"]);
    let meta = fs::metadata(project.path("data/mine")).expect("is there");
    assert_eq!((meta.permissions().mode() & 0o777, meta.nlink()), (0o644, 1));
    project.write("data/mine", "else");
    assert_eq!(project.ner_pipe(&["verify"]).code, Some(0));
    assert_eq!(project.read("out/sorted.txt"), "mine");
}
