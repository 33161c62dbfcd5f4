use crate::project::{Project, TWO, until};

fn slow() -> String {
    TWO.replace("echo sort >> trace;", "echo sort >> trace; while [ ! -e go ]; do sleep 0.02; done;")
}

#[test]
fn two_runs_at_once_execute_each_stage_once_and_both_succeed() {
    let project = Project::new(&slow());
    let first = project.start(&["run", "--format", "json"]);
    project.wait_for("trace");
    let second = project.start(&["run", "--format", "json"]);
    // Give the second time to come to the lock.
    std::thread::sleep(std::time::Duration::from_millis(300));
    project.write("go", "");
    let (first, second) = (first.end(), second.end());
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{}\n{}", first.err, second.err);
    assert_eq!(project.trace(), ["sort", "count"]);
    assert!(second.out.contains("waiting for another run"), "{}", second.out);
    assert_eq!(project.read("out/count.txt").trim(), "3");
    assert_eq!(project.states()["count"], "fresh");
}

#[test]
fn without_waiting_it_ends_with_4() {
    let project = Project::new(&slow());
    let first = project.start(&["run"]);
    project.wait_for("trace");
    let second = project.ner_pipe(&["run", "--no-wait"]);
    assert_eq!(second.code, Some(4));
    assert!(second.err.contains("another run is making this result"), "{}", second.err);
    project.write("go", "");
    assert_eq!(first.end().code, Some(0));
}

#[test]
fn a_run_that_waits_takes_over_when_the_other_dies() {
    let project = Project::new(&slow());
    let first = project.start(&["run"]);
    project.wait_for("trace");
    let second = project.start(&["run"]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    first.kill_group();
    until("the second run's own start", || project.trace().len() == 2);
    project.write("go", "");
    let ended = second.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(project.trace(), ["sort", "sort", "count"]);
    drop(first.end());
}
