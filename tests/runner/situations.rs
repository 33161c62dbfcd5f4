//! Everyday situations, in each of which some tool gives a wrong answer: six stages in a row, and how many of
//! them execute.

use std::{
    fs::{self, File, FileTimes, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use rustix::process::{Pid, Signal};

use crate::project::{Project, TWO};

/// `one` to `six`: each appends its name to what it reads, by a script of its own in `steps/`.
const STAGES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

const STEP: &str = "cat \"$1\" > \"$2\"\necho \"$3\" >> \"$2\"\n";

/// A pipeline of the six; results go to `<folder>/`.
fn pipeline(folder: &str) -> String {
    let scripts = STAGES
        .map(|stage| format!("{stage} = {{ path = \"steps/{stage}.sh\", kind = \"file\" }}\n"))
        .concat();
    let mut from = "sources.in".to_owned();
    let stages = STAGES.map(|stage| {
        let data = std::mem::replace(&mut from, format!("{stage}.out"));
        format!(
            r#"
[stage.{stage}]
use = "command"
inputs = {{ data = "{data}", step = "sources.{stage}" }}
outputs = {{ out = "{folder}/{stage}.txt" }}
params = {{ run = "echo {stage} >> trace; sh {{step}} {{data}} {{out}} {stage}" }}
"#
        )
    });
    format!("[sources]\nin = {{ path = \"data/in.txt\", kind = \"file\" }}\n{scripts}{}", stages.concat())
}

fn six() -> Project {
    let project = Project::new(&pipeline("out"));
    for stage in STAGES {
        project.write(&format!("steps/{stage}.sh"), STEP);
    }
    project
}

/// What the last stage gives for the usual input.
const RIGHT: &str = "b\na\nc\none\ntwo\nthree\nfour\nfive\nsix\n";

/// Runs, which must succeed; which stages executed.
fn executed(project: &Project) -> Vec<String> {
    let (code, outcomes) = project.run(&[]);
    assert_eq!(code, 0, "{outcomes:?}");
    STAGES.into_iter().filter(|stage| outcomes[*stage] == "executed").map(str::to_owned).collect()
}

/// Six that ran.
fn ran() -> Project {
    let project = six();
    assert_eq!(executed(&project), STAGES);
    assert_eq!(project.read("out/six.txt"), RIGHT);
    project
}

/// Sets a file's time of modification.
fn set_modified(path: &Path, time: SystemTime) {
    let file = File::options().append(true).open(path).expect("opens");
    file.set_times(FileTimes::new().set_modified(time)).expect("can be set");
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|meta| meta.modified()).expect("is there")
}

/// One more run executes nothing, and everything is as it should be.
fn is_right(project: &Project) {
    assert!(executed(project).is_empty());
    assert_eq!(project.read("out/six.txt"), RIGHT);
    assert_eq!(project.ner_pipe(&["status", "--check"]).code, Some(0));
}

#[test]
fn input_touched_with_the_same_bytes_executes_0() {
    let project = ran();
    for path in ["data/in.txt", "steps/four.sh", "out/three.txt", "pipeline.toml"] {
        set_modified(&project.path(path), SystemTime::now());
    }
    assert!(executed(&project).is_empty());
    project.write("data/in.txt", "b\na\nc\n");
    is_right(&project);
}

#[test]
fn a_comment_in_stage_4_executes_1_and_taken_back_0() {
    let project = ran();
    project.write("steps/four.sh", &format!("# a comment\n{STEP}"));
    assert_eq!(executed(&project), ["four"]);
    project.write("steps/four.sh", STEP);
    assert!(executed(&project).is_empty());
    project.replace("pipeline.toml", "echo four", ": a comment; echo four");
    assert_eq!(executed(&project), ["four"]);
    project.replace("pipeline.toml", ": a comment; ", "");
    assert!(executed(&project).is_empty());
    project.replace("pipeline.toml", "[stage.four]", "# a comment\n[stage.four]");
    is_right(&project);
}

#[test]
fn data_edited_executes_6_and_put_back_0() {
    let project = ran();
    project.write("data/in.txt", "z\n");
    assert_eq!(executed(&project), STAGES);
    assert_eq!(project.read("out/six.txt"), "z\none\ntwo\nthree\nfour\nfive\nsix\n");
    project.write("data/in.txt", "b\na\nc\n");
    is_right(&project);
    project.write("data/in.txt", "z\n");
    assert!(executed(&project).is_empty());
}

#[test]
fn an_edit_of_the_same_size_with_its_time_put_back_executes_6() {
    let project = ran();
    let path = project.path("data/in.txt");
    let time = modified(&path);
    fs::write(&path, "b\na\nd\n").expect("writes");
    set_modified(&path, time);
    assert_eq!(executed(&project), STAGES);
    // Another file in its place, as `mv` and `rsync -t` put it.
    let other = project.path("data/other.txt");
    fs::write(&other, "b\na\nc\n").expect("writes");
    set_modified(&other, time);
    fs::rename(&other, &path).expect("renames");
    is_right(&project);
}

#[test]
fn a_clock_set_back_or_forth_executes_what_changed_and_nothing_else() {
    let project = ran();
    let (past, future) = (Duration::from_hours(24), Duration::from_secs(4_000_000_000));
    for time in [SystemTime::UNIX_EPOCH + past, SystemTime::UNIX_EPOCH + future] {
        for path in ["data/in.txt", "steps/four.sh", "out/two.txt", "out/six.txt", "pipeline.lock"] {
            set_modified(&project.path(path), time);
        }
        assert!(executed(&project).is_empty());
        for entry in walkdir::WalkDir::new(project.path("cache")) {
            let entry = entry.expect("is readable");
            if entry.file_type().is_file() {
                set_modified(entry.path(), time);
            }
        }
        assert!(executed(&project).is_empty());
        // Edited under the wrong clock.
        project.write("data/in.txt", "b\na\nd\n");
        set_modified(&project.path("data/in.txt"), time);
        assert_eq!(executed(&project).is_empty(), time > SystemTime::now(), "the second time it is known");
        project.write("data/in.txt", "b\na\nc\n");
        set_modified(&project.path("data/in.txt"), time);
        assert!(executed(&project).is_empty());
    }
    is_right(&project);
}

#[test]
fn a_deleted_output_executes_0_and_is_restored() {
    let project = ran();
    for path in ["out/six.txt", "out/three.txt", "out"] {
        project.remove(path);
        assert_eq!(project.run(&[]).1["six"], if path == "out/three.txt" { "reused" } else { "restored" });
        assert_eq!(project.trace(), STAGES);
        is_right(&project);
    }
}

#[test]
fn a_damaged_middle_output_executes_0_and_is_repaired() {
    let project = ran();
    let path = project.path("out/three.txt");
    let (before, time) = (project.read("out/three.txt"), modified(&path));
    project.write("out/three.txt", &before.replace("two", "tow"));
    set_modified(&path, time);
    assert!(executed(&project).is_empty());
    assert_eq!(project.read("out/three.txt"), before);
    assert_eq!(project.trace(), STAGES);
    is_right(&project);
}

#[test]
fn killed_in_stage_5_with_half_its_output_the_next_run_executes_2() {
    let project = six();
    project.write(
        "steps/five.sh",
        &format!("echo half > \"$2\"; test -e go || {{ echo x > at; sleep 600; }}\n{STEP}"),
    );
    let running = project.start(&["run"]);
    project.wait_for("at");
    running.signal(Signal::KILL);
    drop(running.end());
    assert!(!project.exists("out/five.txt"));
    project.write("go", "");
    assert_eq!(executed(&project), ["five", "six"]);
    assert_eq!(project.trace(), ["one", "two", "three", "four", "five", "five", "six"]);
    is_right(&project);
}

#[test]
fn an_input_edited_while_its_stage_runs_is_noticed_and_never_recorded() {
    /// What is done to the input of stage three while it runs.
    type Edit = fn(&Project, &Path);
    let edits: [(&str, Edit); 6] = [
        ("edited", |project, _| project.write("data/in.txt", "z\n")),
        ("put back", |project, path| {
            let time = modified(path);
            project.write("data/in.txt", "z\na\nc\n");
            project.write("data/in.txt", "b\na\nc\n");
            set_modified(path, time);
        }),
        ("put back later", |project, _| {
            project.write("data/in.txt", "z\na\nc\n");
            project.write("data/in.txt", "b\na\nc\n");
        }),
        ("checked out and back", |project, path| {
            for content in ["z\na\nc\n", "b\na\nc\n"] {
                project.write("data/other.txt", content);
                fs::rename(project.path("data/other.txt"), path).expect("renames");
            }
        }),
        ("replaced", |project, path| {
            project.write("data/other.txt", "b\na\nd\n");
            fs::rename(project.path("data/other.txt"), path).expect("renames");
        }),
        ("deleted", |project, _| project.remove("data/in.txt")),
    ];
    for (name, edit) in edits {
        let project = six();
        let wait = "echo x > at; while [ ! -e go ]; do sleep 0.02; done\n";
        project.write("steps/one.sh", &format!("{wait}{STEP}"));
        let running = project.start(&["run"]);
        project.wait_for("at");
        edit(&project, &project.path("data/in.txt"));
        project.write("go", "");
        let ended = running.end();
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.out);
        assert!(ended.err.contains("changed while the stage ran: data/in.txt"), "{name}: {}", ended.err);
        assert!(project.entries().is_empty() && !project.exists("out") && !project.exists("pipeline.lock"));
        project.write("data/in.txt", "b\na\nc\n");
        assert_eq!(executed(&project), STAGES, "{name}");
        is_right(&project);
    }
}

#[test]
fn an_input_touched_locked_or_linked_while_its_stage_runs_costs_no_result() {
    /// What is done to an input meanwhile.
    type Action = fn(&Path);
    let pipeline = r#"
[sources]
in = { path = "data/in.txt", kind = "file" }
texts = { path = "data/texts", kind = "folder" }

[stage.read]
use = "command"
inputs = { data = "sources.in", texts = "sources.texts" }
outputs = { out = "out/all.txt" }
params = { run = "echo x > at; while [ ! -e go ]; do sleep 0.02; done; cat {data} {texts}/a.txt > {out}; echo read >> trace" }
"#;
    let actions: [(&str, Action); 3] = [
        ("touched", |path| {
            let done = Command::new("touch").arg(path).status();
            assert!(done.expect("starts").success());
        }),
        ("locked", |path| {
            let mode = fs::metadata(path).expect("is there").mode() & 0o600;
            fs::set_permissions(path, Permissions::from_mode(mode | 0o044)).expect("chmod");
        }),
        ("linked", |path| {
            fs::hard_link(path, path.ancestors().nth(2).expect("is deep").join("link")).expect("links");
        }),
    ];
    for (name, action) in actions {
        let project = Project::new(pipeline);
        project.write("data/texts/a.txt", "a");
        project.write("data/texts/b/c.txt", "c");
        let running = project.start(&["run"]);
        project.wait_for("at");
        action(&project.path("data/in.txt"));
        drop(fs::remove_file(project.path("link")));
        action(&project.path("data/texts/a.txt"));
        project.write("go", "");
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.err);
        assert_eq!(project.ner_pipe(&["status", "--check"]).code, Some(0));
        assert_eq!(project.trace(), ["read"]);
    }
}

#[test]
fn a_stage_that_links_its_inputs_has_a_result_of_its_own() {
    let text = TWO.replace("sort {data} > {out}", "ln {data} linked; ln {data} {out}; sort {data}");
    let project = Project::new(&text.replace("wc -l < {data} > {n}", "ln {data} {n}"));
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    let mode = |path: &str| fs::metadata(project.path(path)).expect("is there").mode();
    assert_eq!(mode("data/in.txt"), mode("pipeline.toml"), "the source is not ours to change");
    project.write("data/in.txt", "z\n");
    assert_eq!(project.read("out/count.txt"), "b\na\nc\n");
    project.remove("linked");
    project.write("data/in.txt", "b\na\nc\n");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn two_and_eight_runs_at_once_execute_6_in_all_and_all_succeed() {
    for count in [2, 8] {
        let project = six();
        let runs: Vec<_> = (0..count).map(|_| project.start(&["run"])).collect();
        for run in runs {
            let ended = run.end();
            assert_eq!(ended.code, Some(0), "{}", ended.err);
        }
        assert_eq!(project.trace(), STAGES);
        is_right(&project);
        let left = fs::read_dir(project.path("cache/tmp")).expect("is there").count();
        assert_eq!(left, 0);
    }
}

#[test]
fn runs_of_two_files_at_once_share_what_they_make() {
    let project = six();
    project.write("autre/pipeline.toml", &pipeline("autre/out"));
    let one = ["run"].as_slice();
    let other = ["run", "--file", "autre/pipeline.toml"].as_slice();
    let runs: Vec<_> = [one, other, one, other].map(|arguments| project.start(arguments)).into();
    for run in runs {
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    assert_eq!(project.trace(), STAGES);
    assert_eq!(project.read("autre/out/six.txt"), RIGHT);
    assert_eq!(project.read("autre/pipeline.lock"), project.read("pipeline.lock"));
    is_right(&project);
}

#[test]
fn the_one_of_eight_runs_that_is_at_work_killed_costs_that_stage() {
    let project = six();
    project.write("steps/three.sh", &format!("test -e go || {{ echo $$ > at; sleep 600; }}\n{STEP}"));
    let mut runs: Vec<_> = (0..8).map(|_| project.start(&["run"])).collect();
    let stage = project.pid("at");
    project.write("go", "");
    let above: Vec<_> = std::iter::successors(Some(stage), |pid| parent(*pid)).collect();
    let at_work = runs.iter().position(|run| above.contains(&run.pid())).expect("one of them");
    let killed = runs.swap_remove(at_work);
    killed.signal(Signal::KILL);
    assert_eq!(killed.end().code, None);
    for run in runs {
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    assert_eq!(project.trace(), ["one", "two", "three", "three", "four", "five", "six"]);
    is_right(&project);
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    Pid::from_raw(stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?)
}

#[test]
fn many_runs_over_a_damaged_cache_repair_it_once() {
    let project = ran();
    project.remove("out");
    for entry in project.entries() {
        let record = fs::read_to_string(entry.join("entry.json")).expect("is there");
        if record.contains(r#""stage": "three""#) {
            fs::write(entry.join("out/out/three.txt"), "damage").expect("writes");
        }
    }
    let runs: Vec<_> = (0..6).map(|_| project.start(&["run"])).collect();
    for run in runs {
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    assert_eq!(project.trace()[6..], ["three"]);
    is_right(&project);
}

#[test]
fn an_artifact_shares_no_file_with_the_cache() {
    let project = ran();
    for entry in walkdir::WalkDir::new(project.path("cache/entries")) {
        let meta = entry.expect("is readable").metadata().expect("is readable");
        assert!(meta.is_dir() || meta.nlink() == 1);
    }
}

#[test]
fn an_input_whose_path_leads_elsewhere_for_a_while_is_noticed() {
    use std::os::unix::fs::symlink;
    for through in ["in.txt", "in/file.txt"] {
        let project = Project::new(&format!(
            r#"
[sources]
i = {{ path = "{through}", kind = "file" }}
[stage.a]
use = "command"
inputs = {{ i = "sources.i" }}
outputs = {{ o = "o.txt" }}
params = {{ run = "touch begun; while [ ! -e swapped ]; do sleep 0.01; done; cat {{i}} > {{o}}; touch read; while [ ! -e back ]; do sleep 0.01; done" }}
"#
        ));
        project.write("one", "one");
        project.write("two", "two");
        if through == "in.txt" {
            symlink("one", project.path(through)).expect("linked");
        } else {
            project.write(through, "one");
        }
        let wait = |name: &str| {
            while !project.exists(name) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        };
        let code = std::thread::scope(|scope| {
            let run = scope.spawn(|| project.ner_pipe(&["run"]).code);
            wait("begun");
            let at = project.path(through);
            if through == "in.txt" {
                std::fs::remove_file(&at).expect("removed");
                symlink("two", &at).expect("linked");
            } else {
                std::fs::rename(project.path("in"), project.path("aside")).expect("moved");
                project.write(through, "two");
            }
            project.write("swapped", "");
            wait("read");
            if through == "in.txt" {
                std::fs::remove_file(&at).expect("removed");
                symlink("one", &at).expect("linked");
            } else {
                std::fs::remove_dir_all(project.path("in")).expect("removed");
                std::fs::rename(project.path("aside"), project.path("in")).expect("moved");
            }
            project.write("back", "");
            run.join().expect("ended")
        });
        assert_eq!(code, Some(1), "{through}");
        assert!(!project.exists("o.txt"), "{through}: nothing was recorded");
    }
}
