use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    thread,
    time::Duration,
};

use crate::project::{Project, TWO, until};

#[test]
fn outputs_that_the_cache_has_are_removed_and_placed_again() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.write("out/mine.txt", "mine");
    project.write("out/count.txt", "edited");
    let said = project.ok(&["clean"]);
    assert!(said.contains("out/sorted.txt removed\n"), "{said}");
    assert!(said.contains("out/count.txt stays: the cache does not have it\n"), "{said}");
    assert!(said.contains("1 removed, 1 left; `ner-pipe run` places them again"), "{said}");
    assert!(!project.exists("out/sorted.txt") && project.exists("out/mine.txt"));
    assert_eq!(project.read("out/count.txt"), "edited");
    project.write("out/count.txt", "3\n");
    project.expect(&[], &[("sort", "restored"), ("count", "reused")]);
}

#[test]
fn an_output_whose_copy_in_the_cache_is_damaged_stays() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    std::fs::write(crate::project::cached(&project, "a\nb\nc\n"), "a\nX\nc\n").expect("writes");
    assert!(project.ok(&["clean"]).contains("out/sorted.txt stays: the cache does not have it"));
    project.remove("cache");
    assert!(project.ok(&["clean"]).contains("0 removed, 1 left\n"));
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
}

#[test]
fn the_cache_is_removed_only_when_it_is_meant_and_what_is_the_users_stays() {
    let project = Project::new(TWO);
    assert!(project.ok(&["clean", "--cache", "--yes"]).contains("there is no cache here"));
    project.ok(&["run"]);
    project.write("out/sorted.txt", "mine");
    project.ok(&["run"]);
    let ended = project.ner_pipe(&["clean", "--cache"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("this would remove 2 results and 0 checkpoints"), "{}", ended.err);
    assert!(
        ended.err.contains("help: say that you mean it: `ner-pipe clean --cache --yes`"),
        "{}",
        ended.err
    );
    let said = project.ok(&["clean", "--cache", "--yes"]);
    assert!(said.contains("1 of your own files in cache/displaced stay"), "{said}");
    assert!(!project.exists("cache/entries") && project.exists("cache/displaced"));
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    project.ok(&["clean", "--cache", "--yes", "--displaced"]);
    assert!(!project.exists("cache"));
    assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
}

#[test]
fn what_another_program_keeps_in_a_folder_called_cache_stays() {
    let project = Project::new(TWO);
    let theirs = ["cache/tmp/session", "cache/photos/a.jpg", "cache/damaged/b", "cache/index"];
    for path in theirs {
        project.write(path, "theirs");
    }
    for command in [&["gc"] as &[&str], &["clean", "--cache", "--yes", "--displaced"]] {
        assert!(project.ok(command).contains("there is no cache here"), "{command:?}");
    }
    assert!(theirs.iter().all(|path| project.exists(path)));
    project.ok(&["run"]);
    project.ok(&["clean", "--cache", "--yes", "--displaced"]);
    assert!(project.exists("cache/photos/a.jpg") && project.exists("cache/index"));
    assert!(!project.exists("cache/entries") && !project.exists("cache/version"));
}

#[test]
fn neither_the_cache_of_a_running_stage_is_removed_nor_what_it_reads() {
    let project =
        Project::new(&TWO.replace("wc -l", "echo $$ > shell; while [ ! -e go ]; do sleep 0.02; done; wc -l"));
    let running = project.start(&["run"]);
    project.wait_for("shell");
    for command in [&["clean"] as &[&str], &["clean", "--cache", "--yes"]] {
        let ended = project.ner_pipe(command);
        assert_eq!(ended.code, Some(4), "{}", ended.out);
        assert!(ended.err.contains("a run is at work in the cache"), "{}", ended.err);
    }
    project.write("go", "");
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn outputs_of_stages_and_instances_that_are_gone_are_removed_too_unless_edited() {
    let many = r#"
[stage.s]
use = "command"
foreach = ["a", "b", "c", "d"]
outputs = { out = "out/{key}.txt" }
params = { run = "echo {item} > {out}" }
"#;
    let project = Project::new(&format!("{many}{}", TWO.replace("sources.in", "s@a.out")));
    project.write("b.toml", &many.replace("out/", "b/"));
    project.ok(&["run"]);
    project.ok(&["run", "--file", "b.toml"]);
    project.write("pipeline.toml", &many.replace(r#""b", "c", "d""#, r#""d""#));
    project.write("out/b.txt", "edited");
    let said = project.ok(&["clean"]);
    for line in [
        "out/a.txt removed\n",
        "out/c.txt removed\n",
        "out/sorted.txt removed\n",
        "out/count.txt removed\n",
        "out/b.txt stays: it is not what was placed there\n",
        "5 removed, 1 left",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert_eq!(project.read("out/b.txt"), "edited");
    assert_eq!(project.read("b/a.txt"), "a\n", "another pipeline file's");
    assert!(project.ok(&["clean"]).contains("0 removed, 1 left\n"));
    // A place that was cleaned is free, and what is put there is the user's.
    project.write("out/a.txt", "mine");
    assert_eq!(project.run(&[]).0, 2);
}

#[test]
fn the_cache_of_a_run_that_makes_no_result_at_the_moment_is_not_removed() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.remove("out");
    // Whoever reads what it says has stopped reading, and so it stops at the first word.
    let (mut reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(&vec![b'\n'; 1 << 16]).expect("fits in exactly");
    let run = project.start_to(&["run", "--format", "json"], writer);
    let lock = || File::open(project.path("cache/locks/use"));
    until("the run to be there", || {
        lock().is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    });
    let ended = project.ner_pipe(&["clean", "--cache", "--yes"]);
    assert_eq!(ended.code, Some(4), "{}", ended.out);
    assert!(ended.err.contains("a run is at work in the cache"), "{}", ended.err);
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("is text");
    assert_eq!(run.end().code, Some(0), "{said}");
    assert_eq!(said.matches("\"outcome\":\"restored\"").count(), 2, "{said}");
    assert!(project.ok(&["clean", "--cache", "--yes"]).contains("removed 2 results"));
    assert!(!project.exists("cache"));
}

#[test]
fn a_run_that_begins_while_the_cache_is_removed_waits_and_makes_everything() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let executed = project.trace();
    // As `clean --cache` does.
    let removing = File::create(project.path("cache/locks/use")).expect("opens");
    removing.try_lock().expect("nobody has it");
    fs::remove_dir_all(project.path("cache/entries")).expect("removes");
    let run = project.start(&["run"]);
    thread::sleep(Duration::from_millis(300));
    assert!(!project.exists("cache/entries"), "nobody makes what is being removed");
    project.remove("cache");
    drop(removing);
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(project.trace().len(), executed.len() + 2);
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    assert!(project.ok(&["verify"]).contains("2 intact, 0 damaged"));
}
