//! Several stages at once. That they were is proved by stages that end only when the other has begun;
//! that they were not, by a folder that only one of them can hold.

use rustix::process::Signal;

use crate::project::{Project, gone, text};

/// A stage that reads the source; `more` are further keys.
fn stage(id: &str, run: &str, more: &str) -> String {
    format!(
        r#"
[stage.{id}]
use = "command"
inputs = {{ data = "sources.in" }}
outputs = {{ out = "out/{id}.txt" }}
params = {{ run = """echo {id} >> trace; {run}; cp {{data}} {{out}}""" }}
{more}
"#
    )
}

fn project(stages: &[String]) -> Project {
    let head = "[sources]\nin = { path = \"data/in.txt\", kind = \"file\" }\n";
    Project::new(&format!("{head}{}", stages.concat()))
}

/// Says that it is there, and waits for another.
fn meet(own: &str, other: &str) -> String {
    format!("touch {own}; until [ -e {other} ]; do sleep 0.02; done")
}

/// Fails when another stage is inside at the same time.
const ALONE: &str = "mkdir inside && sleep 0.1 && rmdir inside || exit 9";

#[test]
fn independent_stages_execute_at_once() {
    let pair =
        [stage("a", &meet("a-is-here", "b-is-here"), ""), stage("b", &meet("b-is-here", "a-is-here"), "")];
    let project = project(&pair);
    project.expect(&["--jobs", "2"], &[("a", "executed"), ("b", "executed")]);
}

#[test]
fn with_one_job_stages_execute_in_the_order_of_the_file() {
    let project = project(&["c", "a", "b"].map(|id| stage(id, ALONE, "")));
    project.expect(&["--jobs", "1"], &[("a", "executed"), ("b", "executed"), ("c", "executed")]);
    assert_eq!(project.trace(), ["c", "a", "b"]);
}

#[test]
fn the_number_of_jobs_changes_neither_results_nor_the_lock_nor_the_closing_events() {
    let ids = ["d", "b", "a", "c"];
    let stages: Vec<_> = ids
        .iter()
        .enumerate()
        // The first to start is the last to end.
        .map(|(n, id)| stage(id, &format!("sleep 0.{}", 4 - n), ""))
        .chain([stage("bad", "exit 3", ""), stage("after", "true", "").replace("sources.in", "bad.out")])
        .collect();
    let closing = |jobs: &str| {
        let project = project(&stages);
        let ended = project.ner_pipe(&["run", "--format", "json", "--jobs", jobs]);
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        let mut events = ended.events();
        events.retain(|event| ["stage", "run"].contains(&event["event"].as_str().expect("is named")));
        for event in &mut events {
            event.as_object_mut().expect("is an object").remove("seconds");
        }
        (events, project.read("pipeline.lock"), project.read("out/d.txt"))
    };
    assert_eq!(closing("1"), closing("8"));
}

#[test]
fn a_failed_stage_takes_only_what_follows_from_it() {
    let failing = format!("{}; exit 3", meet("a-is-here", "b-is-here"));
    let project = project(&[
        stage("a", &failing, ""),
        stage("after", "true", "").replace("sources.in", "a.out"),
        stage("b", &meet("b-is-here", "a-is-here"), ""),
        stage("beside", "true", "").replace("sources.in", "b.out"),
    ]);
    let (code, outcomes) = project.run(&["--jobs", "4"]);
    assert_eq!(code, 1);
    let outcomes: Vec<_> = outcomes.iter().map(|(id, outcome)| (id.as_str(), outcome.as_str())).collect();
    assert_eq!(outcomes, [("a", "failed"), ("after", "skipped"), ("b", "executed"), ("beside", "executed")]);
}

#[test]
fn ctrl_c_cancels_all_that_execute_and_all_that_wait() {
    let hang = |id: &str| stage(id, &format!("echo $$ > {id}.pid; sleep 600 & wait"), "");
    let project = project(&[
        hang("a"),
        hang("b"),
        stage("queued", "true", ""),
        stage("after", "true", "").replace("sources.in", "a.out"),
    ]);
    let running = project.start(&["run", "--format", "json", "--jobs", "2"]);
    let shells = [project.pid("a.pid"), project.pid("b.pid")];
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    shells.into_iter().for_each(gone);
    let outcomes: Vec<_> = ended
        .events()
        .iter()
        .filter(|event| event["event"] == "stage")
        .map(|event| format!("{} {}", event["stage"], event["outcome"]).replace('"', ""))
        .collect();
    assert_eq!(outcomes, ["a cancelled", "b cancelled", "queued cancelled", "after skipped"]);
    assert_eq!(project.trace().len(), 2);
}

#[test]
fn the_same_command_twice_executes_once_and_the_other_takes_the_result() {
    let twin = |id: &str| {
        // The same line and file name, in another folder: the same key.
        stage("twin", "sleep 0.2", "")
            .replace("[stage.twin]", &format!("[stage.{id}]"))
            .replace("out/twin.txt", &format!("out/{id}/twin.txt"))
    };
    for extra in [&[] as &[&str], &["--no-wait"]] {
        let project = project(&["one", "two", "three"].map(twin));
        let arguments = [&["--jobs", "8"], extra].concat();
        project.expect(&arguments, &[("one", "executed"), ("two", "restored"), ("three", "restored")]);
        assert_eq!(project.trace(), ["twin"]);
        assert_eq!(project.read("out/three/twin.txt"), project.read("out/one/twin.txt"));
    }
}

#[test]
fn when_the_first_of_two_equal_stages_fails_the_other_tries_for_itself() {
    let twin = |id: &str| {
        stage("twin", "mkdir once || exit 0; exit 3", "")
            .replace("[stage.twin]", &format!("[stage.{id}]"))
            .replace("out/twin.txt", &format!("out/{id}/twin.txt"))
    };
    let project =
        project(&["one", "two"].map(twin).map(|text| text.replace("|| exit 0; exit 3", "&& exit 3")));
    let (code, outcomes) = project.run(&["--jobs", "8"]);
    assert_eq!((code, outcomes["one"].as_str(), outcomes["two"].as_str()), (1, "failed", "executed"));
}

#[test]
fn stages_that_share_a_mutex_never_execute_at_once() {
    let mutexes = ["mutex = \"db\"", "mutex = [\"port\", \"db\"]", "mutex = \"db\""];
    let stages: Vec<_> =
        ["a", "b", "c"].iter().zip(mutexes).map(|(id, mutex)| stage(id, ALONE, mutex)).collect();
    project(&stages).expect(&["--jobs", "8"], &[("a", "executed"), ("b", "executed"), ("c", "executed")]);
}

#[test]
fn a_resource_of_the_users_own_is_never_overdrawn() {
    let stages = ["a", "b", "c"].map(|id| stage(id, ALONE, "resources = { licence = 2 }"));
    let project = project(&[&["[resources]\nlicence = 3\n".to_owned()] as &[_], &stages].concat());
    project.expect(&["--jobs", "8"], &[("a", "executed"), ("b", "executed"), ("c", "executed")]);
}

#[test]
fn a_stage_that_needs_less_starts_before_one_that_has_to_wait() {
    let project = project(&[
        "[resources]\nlicence = 2\n".to_owned(),
        stage("a", &meet("a-is-here", "small-is-here"), "resources = { licence = 1 }"),
        stage("large", "true", "resources = { licence = 2 }"),
        stage("small", &meet("small-is-here", "a-is-here"), "resources = { licence = 1 }"),
    ]);
    project.expect(&["--jobs", "8"], &[("a", "executed"), ("large", "executed"), ("small", "executed")]);
    assert_eq!(project.trace()[2], "large");
}

#[test]
fn a_reused_result_waits_for_no_resource() {
    let project = project(&[
        stage("slow", "until [ -e go ]; do sleep 0.02; done", "mutex = \"m\""),
        stage("after", "touch go", "mutex = \"other\"").replace("sources.in", "first.out"),
        stage("first", "true", "mutex = \"m\""),
    ]);
    project.expect(&["first"], &[("first", "executed")]);
    // `first` has its mutex in use by `slow`, which ends only when `after` has executed.
    project.expect(&["--jobs", "2"], &[("slow", "executed"), ("after", "executed"), ("first", "reused")]);
}

#[test]
fn a_command_is_told_how_many_cpus_it_has() {
    let show = "echo $NER_PIPE_THREADS $OMP_NUM_THREADS > told";
    let project =
        project(&["[resources]\ncpu = 8\n".to_owned(), stage("a", show, "resources = { cpu = 3 }")]);
    project.ok(&["run"]);
    assert_eq!(project.read("told").trim(), "3 3");
    project.ok(&["run", "--force", "a", "--threads", "2"]);
    assert_eq!(project.read("told").trim(), "2 2", "--threads is the most for any stage");
}

#[test]
fn every_gpu_goes_to_one_command_at_a_time() {
    let show = |id: &str, other: &str| {
        let run = format!("{}; echo $CUDA_VISIBLE_DEVICES > {id}.gpu", meet(id, other));
        stage(id, &run, "resources = { gpu = 1 }")
    };
    let project = project(&[
        show("a", "b"),
        show("b", "a"),
        stage("both", "echo $CUDA_VISIBLE_DEVICES > both.gpu", "resources = { gpu = 2 }"),
    ]);
    let ended = project.with(&[("CUDA_VISIBLE_DEVICES", "4,7")], &["run", "--jobs", "8"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let mut seen = ["a.gpu", "b.gpu"].map(|file| project.read(file).trim().to_owned());
    seen.sort();
    assert_eq!(seen, ["4", "7"]);
    assert_eq!(project.read("both.gpu").trim(), "4,7");
}

#[test]
fn what_this_machine_can_never_give_is_said_before_any_work() {
    let project = project(&[
        stage("a", "true", ""),
        stage("b", "true", "resources = { memory = \"900000 TiB\", gpu = 5 }"),
    ]);
    let ended = project.with(&[("CUDA_VISIBLE_DEVICES", "0")], &["run"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("this stage needs 5 gpu, and there is 1"), "{}", ended.err);
    assert!(project.trace().is_empty(), "nothing was done");
    let ended = project.ner_pipe(&["run", "a"]);
    assert_eq!(ended.code, Some(0), "what is not asked for does not matter: {}", ended.err);
}

#[test]
fn a_killed_runner_leaves_none_of_its_stages() {
    let hang = |id: &str| stage(id, &format!("echo $$ > {id}.pid; sleep 600 & wait"), "");
    let project = project(&[hang("a"), hang("b")]);
    let running = project.start(&["run", "--jobs", "2"]);
    let shells = [project.pid("a.pid"), project.pid("b.pid")];
    running.signal(Signal::KILL);
    shells.into_iter().for_each(gone);
    drop(running.end());
}

#[test]
fn what_a_stage_leaves_running_ends_with_it_and_others_are_left_alone() {
    let wait = "echo $$ > slow.pid; until [ -e go ]; do sleep 0.02; done";
    let project = project(&[
        stage("slow", wait, ""),
        stage("leaves", "until [ -s slow.pid ]; do sleep 0.02; done; sleep 600 & echo $! > child", ""),
        stage("after", "touch go", "").replace("sources.in", "leaves.out"),
    ]);
    project.expect(&["--jobs", "2"], &[("slow", "executed"), ("leaves", "executed"), ("after", "executed")]);
    gone(project.pid("child"));
}

#[test]
fn stages_start_in_the_order_of_the_file_however_many_at_once() {
    let project = project(&["c", "a", "d", "b"].map(|id| stage(id, "true", "")));
    for jobs in ["2", "8"] {
        let force = ["--force", "c", "--force", "a", "--force", "d", "--force", "b"];
        let ended =
            project.ner_pipe(&[&["run", "--format", "json", "--jobs", jobs] as &[_], &force].concat());
        let events = ended.events();
        let starts: Vec<_> = events
            .iter()
            .filter(|event| event["event"] == "start")
            .map(|event| text(&event["stage"]))
            .collect();
        assert_eq!(starts, ["c", "a", "d", "b"], "{}", ended.err);
    }
}

#[test]
fn an_input_edited_while_its_stage_is_queued_is_read_as_it_is_then() {
    let project = project(&[
        "later = { path = \"data/later.txt\", kind = \"file\" }\n".to_owned(),
        stage("first", "until [ -e go ]; do sleep 0.02; done", ""),
        stage("second", "true", "").replace("sources.in", "sources.later"),
    ]);
    project.write("data/later.txt", "old");
    let running = project.start(&["run", "--jobs", "1"]);
    project.wait_for("trace");
    project.write("data/later.txt", "new");
    project.write("go", "");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(project.read("out/second.txt"), "new");
    assert_eq!(project.states()["second"], "fresh");
}
