use super::*;

#[test]
fn the_own_group_is_found_wherever_it_is_mounted() {
    let mounts = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  31 24 0:27 / /sys/fs/cgroup/a\\040b rw,nosuid - cgroup2 cgroup2 rw\n";
    let hybrid = "4:memory:/x\n0::/user.slice/s\n";
    assert_eq!(folder(hybrid, mounts), Some("/sys/fs/cgroup/a b/user.slice/s".into()));
    let inside = mounts.replace("0:27 / ", "0:27 /docker/1 ");
    assert_eq!(folder("0::/docker/1/y\n", &inside), Some("/sys/fs/cgroup/a b/y".into()));
    assert_eq!(folder("0::/docker/2\n", &inside), None, "not visible from here");
    assert_eq!(folder("0::/../x\n", mounts), None, "outside of the namespace");
    assert_eq!(folder("4:memory:/x\n", mounts), None, "no cgroup v2");
}

/// The files that a kernel with the controller has in a group, which this test plays.
fn kernel(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("makes a folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("writes");
    }
    folder
}

#[test]
fn a_limit_is_written_and_what_became_of_it_is_read() {
    let family = Family::begin().expect("adopts");
    let files = [
        (KILL, ""),
        ("cgroup.events", "populated 0\nfrozen 0\n"),
        ("memory.max", "max"),
        ("memory.oom.group", "0"),
        ("memory.peak", "4096\n"),
        ("memory.events", "low 0\noom 1\noom_kill 2\noom_group_kill 1\n"),
    ];
    let folder = kernel(&files);
    let group = Group::fill(folder.path(), Some(1 << 20), &family).expect("is made");
    let read = |name| fs::read_to_string(folder.path().join(name)).expect("is there");
    assert!(read("memory.max").starts_with("1048576") && read("memory.oom.group").starts_with('1'));
    let memory = group.end(&family);
    assert_eq!((memory.peak, memory.exceeded), (Some(4096), true));
    assert!(read(KILL).starts_with('1'));
}

#[test]
fn without_the_controller_no_limit_is_promised() {
    let family = Family::begin().expect("adopts");
    let folder = kernel(&[(KILL, ""), ("cgroup.controllers", "cpu pids\n"), ("cgroup.subtree_control", "")]);
    assert!(Group::fill(folder.path(), Some(1 << 20), &family).is_err(), "there is no memory.max");
    assert!(count_memory(folder.path()).is_err_and(|why| why.contains("does not count memory")));
    let folder =
        kernel(&[("cgroup.controllers", "cpu memory\n"), ("cgroup.subtree_control", "cpu memory\n")]);
    assert_eq!(count_memory(folder.path()), Ok(()));
}
