//! What a stage leaves running when it does not listen, or when the processes that would end it are killed: in control
//! groups, and where there are none.

use std::{fs, path::PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::project::{Project, gone, until};

/// A deaf shell that leaves a deaf process with a session of its own, and `then`.
fn project(then: &str, terms: &str) -> Project {
    let project = Project::new(&format!(
        r#"
[stage.make]
use = "command"
outputs = {{ out = "out/made.txt" }}
params = {{ run = "rm -f ready; trap '' TERM; echo $PPID > child; setsid sh stray.sh & until test -s ready; do sleep 0.01; done; {then}" }}
{terms}
"#
    ));
    project
        .write("stray.sh", "trap '' TERM HUP INT; echo $$ >> strays; echo > ready; sleep 600 & wait; wait\n");
    project
}

/// All that was left: by the numbers that they wrote.
fn strays(project: &Project) -> Vec<Pid> {
    project.wait_for("strays");
    let numbers = project.read("strays");
    numbers.lines().map(|pid| Pid::from_raw(pid.parse().expect("a number")).expect("a process")).collect()
}

/// Runs a script in new projects: as it is, and where no control group can be made. `check` gets each afterwards.
fn everywhere(made: impl Fn() -> Project, script: &str, check: impl Fn(&Project)) {
    let plain = made();
    let ended = plain.shell(script);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    check(&plain);
    let hidden = made();
    // The mount is still listed; what is below is a folder like any other.
    let hide = "mount -t tmpfs tmpfs /sys/fs/cgroup";
    if hidden.privately(&format!("{hide}; {script}")).is_some() {
        check(&hidden);
    }
}

fn all_gone(project: &Project, count: usize) {
    let strays = strays(project);
    assert_eq!(strays.len(), count);
    strays.into_iter().for_each(gone);
}

#[test]
fn what_is_deaf_outlives_neither_timeout_nor_grace() {
    let made = || project("sleep 600", "timeout = \"2s\"\ngrace = \"100ms\"");
    everywhere(made, "$NER_PIPE run > said 2>&1 || test $? = 1", |project| {
        assert!(
            project.read("said").contains("took longer than its timeout of 2s"),
            "{}",
            project.read("said")
        );
        all_gone(project, 1);
    });
}

#[test]
fn what_is_left_ends_with_the_child_that_is_killed_and_does_not_pile_up() {
    let terms = "retries = 2\nbackoff = \"1ms\"";
    let made = || project("kill -9 $PPID; sleep 600", terms);
    everywhere(made, "$NER_PIPE run > said 2>&1 || test $? = 1", |project| {
        assert!(project.read("said").contains("attempt 3 of 3"), "{}", project.read("said"));
        all_gone(project, 3);
    });
}

#[test]
fn the_second_signal_ends_what_is_deaf() {
    let made = || project("sleep 600", "grace = \"1h\"");
    let script = "$NER_PIPE run > said 2>&1 & runner=$!
        until test -s strays; do sleep 0.01; done
        kill $runner; sleep 0.3; kill $runner
        wait $runner || test $? = 130";
    everywhere(made, script, |project| all_gone(project, 1));
}

#[test]
fn the_runner_keeps_no_dead_children_while_it_waits() {
    let project = project("kill -9 $PPID; sleep 600", "retries = 1\nbackoff = \"1h\"");
    let running = project.start(&["run"]);
    strays(&project).into_iter().for_each(gone);
    let runner = running.pid().as_raw_nonzero().to_string();
    let parent = |stat: String| {
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1).map(str::to_owned))
    };
    until("no child of the runner", || {
        let processes = fs::read_dir("/proc").expect("is there").flatten();
        let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
        !stats.filter_map(parent).any(|parent| parent == runner)
    });
    running.signal(Signal::INT);
    assert_eq!(running.end().code, Some(130));
}

#[test]
fn what_the_runner_had_before_it_began_is_not_its_own_to_end() {
    // As in a script that ends with `exec`: the shell's child is the runner's.
    let made = || project("sleep 600", "timeout = \"2s\"\ngrace = \"100ms\"");
    let script = "sh -c 'sleep 600 & echo $! > mine; exec \"$NER_PIPE\" run' > said 2>&1 || test $? = 1";
    everywhere(made, script, |project| {
        all_gone(project, 1);
        let mine = project.pid("mine");
        test_kill_process(mine).expect("is alive");
        kill_process(mine, Signal::KILL).expect("is ours");
    });
}

/// The control group that a process was put into; none, and said aloud, where that is not permitted.
fn group(child: Pid) -> Option<PathBuf> {
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", child.as_raw_nonzero())).expect("is alive");
    let own =
        groups.lines().find_map(|line| line.strip_prefix("0::")).filter(|own| own.contains("/ner-pipe-"));
    let Some(own) = own else {
        eprintln!("SKIPPED: no control group may be made here");
        return None;
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("is there");
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("is mounted");
    let point = mount.split(' ').nth(4).expect("has a place");
    Some(PathBuf::from(format!("{point}{own}")))
}

#[test]
fn runner_and_child_killed_in_the_same_instant_leave_nothing_where_there_are_control_groups() {
    let project = project("sleep 600", "");
    let running = project.start(&["run"]);
    let strays = strays(&project);
    let child = project.pid("child");
    let Some(group) = group(child) else { return };
    assert!(group.is_dir(), "{}", group.display());
    // Neither can do anything any more when it is killed.
    for signal in [Signal::STOP, Signal::KILL] {
        running.signal(signal);
        kill_process(child, signal).expect("is alive");
    }
    strays.into_iter().for_each(gone);
    until("the end of the group", || !group.exists());
    drop(running.end());
}

#[test]
fn a_run_leaves_no_control_group_and_ends_those_of_the_dead() {
    let project = project("sleep 600", "");
    let running = project.start(&["run"]);
    let strays = strays(&project);
    let child = project.pid("child");
    let Some(group) = group(child) else { return };
    let parent = group.parent().expect("is below").to_owned();
    // All that could end it is killed, the guard too.
    let name = group.display().to_string();
    let guard = |process: fs::DirEntry| {
        let line = fs::read_to_string(process.path().join("cmdline")).ok()?;
        let pid = Pid::from_raw(process.file_name().to_str()?.parse().ok()?)?;
        (line.split('\0').any(|word| word == name) && pid != child).then_some(pid)
    };
    let guards: Vec<_> = fs::read_dir("/proc").expect("is there").flatten().filter_map(guard).collect();
    assert_eq!(guards.len(), 1, "{guards:?}");
    for signal in [Signal::STOP, Signal::KILL] {
        for guard in &guards {
            kill_process(*guard, signal).expect("is alive");
        }
        running.signal(signal);
        kill_process(child, signal).expect("is alive");
    }
    drop(running.end());
    assert!(strays.iter().all(|stray| test_kill_process(*stray).is_ok()), "nobody is left to end them");
    let next = Project::new(crate::project::TWO);
    next.ok(&["run"]);
    strays.into_iter().for_each(gone);
    until("the end of the group", || {
        next.ok(&["run", "--force", "sort"]);
        !group.exists()
    });
    let own = format!("ner-pipe-{}-", child.as_raw_nonzero());
    let left = fs::read_dir(parent).expect("is there").flatten();
    assert!(!left.into_iter().any(|left| left.file_name().to_string_lossy().starts_with(&own)));
}

#[test]
fn a_stage_is_held_to_its_memory_on_request_or_nothing_runs() {
    let text = r#"
[stage.make]
use = "command"
outputs = { out = "out/made.txt" }
params = { run = "echo make >> trace; head -c 300000000 /dev/zero | tail -c 200000000 | wc -c > {out}" }
resources = { memory = "60MiB" }
"#;
    let project = Project::new(text);
    let ended = project.ner_pipe(&["run", "--limit-memory"]);
    if ended.code == Some(2) {
        assert!(ended.err.contains("memory cannot be limited here: "), "{}", ended.err);
        assert!(ended.err.contains("systemd-run --user --scope -p Delegate=yes"), "{}", ended.err);
        assert!(project.trace().is_empty() && !project.exists("cache"));
        eprintln!("SKIPPED: {}", ended.err);
    } else {
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.err.contains("it needed more memory than it was given"), "{}", ended.err);
    }
    project.expect(&[], &[("make", "executed")]);
}
