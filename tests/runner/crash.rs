use rustix::process::Signal;

use crate::project::{Project, gone};

/// `first`, then `slow`, which starts a child of its own and hangs until `go` is there.
const SLOW: &str = r#"
[sources]
in = { path = "data/in.txt", kind = "file" }

[stage.first]
use = "command"
inputs = { data = "sources.in" }
outputs = { out = "out/first.txt" }
params = { run = "echo first >> trace; cp {data} {out}" }

[stage.slow]
use = "command"
inputs = { data = "first.out" }
outputs = { out = "out/slow.txt" }
params = { run = """
echo slow >> trace
echo half > {out}
test -e go || (echo $$ > shell; sleep 600 & echo $! > child; wait)
cp {data} {out}
""" }

[stage.last]
use = "command"
inputs = { data = "slow.out" }
outputs = { out = "out/last.txt" }
params = { run = "echo last >> trace; cp {data} {out}" }
"#;

/// After an end of any sort: nothing half done is seen, and the next run goes on.
fn goes_on(project: &Project) {
    assert!(!project.exists("out/slow.txt"), "half a result is never published");
    project.write("go", "");
    project.expect(&[], &[("first", "reused"), ("slow", "executed"), ("last", "executed")]);
    assert_eq!(project.trace(), ["first", "slow", "slow", "last"]);
    assert_eq!(project.read("out/last.txt"), "b\na\nc\n");
    let left = std::fs::read_dir(project.path("cache/tmp")).expect("is there").count();
    assert_eq!(left, 0, "what the dead run left is swept");
}

#[test]
fn the_whole_group_killed_leaves_no_child_and_the_next_run_goes_on() {
    let project = Project::new(SLOW);
    let running = project.start(&["run"]);
    let (child, shell) = (project.pid("child"), project.pid("shell"));
    running.kill_group();
    gone(child);
    gone(shell);
    drop(running.end());
    goes_on(&project);
}

#[test]
fn the_runner_alone_killed_leaves_no_child_either() {
    let project = Project::new(SLOW);
    let running = project.start(&["run"]);
    let (child, shell) = (project.pid("child"), project.pid("shell"));
    running.signal(Signal::KILL);
    gone(child);
    gone(shell);
    drop(running.end());
    goes_on(&project);
}

#[test]
fn a_killed_child_process_takes_its_own_children_with_it() {
    let project =
        Project::new(&SLOW.replace("& echo $! > child; wait", "& echo $! > child; kill -9 $PPID; wait"));
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("its process was killed by SIGKILL"), "{}", ended.err);
    assert!(ended.err.contains("kept: the result of the stage before it"), "{}", ended.err);
    gone(project.pid("child"));
    goes_on(&project);
}

#[test]
fn ctrl_c_stops_the_stage_and_ends_with_130() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let project = Project::new(SLOW);
        let running = project.start(&["run", "--format", "json"]);
        let child = project.pid("child");
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{}", ended.err);
        gone(child);
        let events = ended.events();
        let outcomes: Vec<_> = events
            .iter()
            .filter(|event| event["event"] == "stage")
            .map(|event| event["outcome"].clone())
            .collect();
        assert_eq!(outcomes, ["executed", "cancelled", "skipped"]);
        assert_eq!(events.last().expect("has one")["cancelled"], 1);
        goes_on(&project);
    }
}

#[test]
fn a_stage_that_ends_well_when_asked_to_stop_has_no_result_for_all_that() {
    let polite = SLOW.replace("echo half", "trap 'exit 0' TERM; echo half");
    let project = Project::new(&polite);
    let running = project.start(&["run"]);
    let child = project.pid("child");
    running.signal(Signal::INT);
    assert_eq!(running.end().code, Some(130));
    gone(child);
    goes_on(&project);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_a_stage_that_does_not_listen() {
    let project = Project::new(&SLOW.replace("echo half", "trap '' TERM; echo half"));
    let running = project.start(&["run"]);
    let child = project.pid("child");
    running.signal(Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(200));
    running.signal(Signal::INT);
    let begun = std::time::Instant::now();
    assert_eq!(running.end().code, Some(130));
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "it did not wait for the grace to end");
    gone(child);
    goes_on(&project);
}

#[test]
fn what_nohup_ignores_does_not_stop_a_run() {
    let project = Project::new(SLOW);
    let shell = format!("trap '' HUP; exec '{}' run", env!("CARGO_BIN_EXE_ner-pipe"));
    let mut running = std::process::Command::new("sh")
        .args(["-c", &shell])
        .current_dir(project.path(""))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let child = project.pid("child");
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, Signal::HUP).expect("is alive");
    rustix::process::kill_process(child, Signal::KILL).expect("is alive, and so is its stage");
    assert!(running.wait().expect("ends").success());
    assert_eq!(project.read("out/last.txt"), "b\na\nc\n");
}
