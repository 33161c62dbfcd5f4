//! What a disk or a machine does not give ends in an error that names it, and takes no more memory than it is worth.

use std::{
    fs,
    os::unix::net::UnixListener,
    process::{Command, Output},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::project::{Ended, Project, TWO, program};

/// Runs a shell script in the project; `$NER_PIPE` is the program.
fn shell(project: &Project, script: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(project.path("")).env("NER_PIPE", program().get_program());
    command.output().expect("starts")
}

fn said(output: &Output) -> String {
    let Output { status, stdout, stderr } = output;
    format!("{status}\n{}\n{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}

fn fifo(project: &Project, path: &str) {
    let path = project.path(path);
    fs::create_dir_all(path.parent().expect("has one")).expect("creates");
    drop(fs::remove_file(&path));
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("makes");
}

/// Runs, and makes sure that it did not wait for whoever writes to a pipe.
fn at_once(project: &Project, arguments: &[&str]) -> Ended {
    let running = project.start(arguments);
    let pid = running.pid();
    let begun = Instant::now();
    let over = std::thread::spawn(move || running.end());
    while !over.is_finished() {
        if begun.elapsed() > Duration::from_secs(50) {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("is alive");
            panic!("{arguments:?} waits");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    over.join().expect("ends")
}

#[test]
fn a_folder_of_any_depth_is_read_placed_verified_and_removed() {
    /// More folders than a process may have open.
    const DEPTH: usize = 1200;
    let deep = format!("mkdir -p {{out}}/{0}; echo x > {{out}}/{0}f", "d/".repeat(DEPTH));
    let project = Project::new(
        &TWO.replace("data/in.txt\", kind = \"file\"", "data\", kind = \"folder\"")
            .replace("out/sorted.txt", "out/d/")
            .replace("sort {data} > {out}", &deep)
            .replace("wc -l < {data}", "find {data} | wc -l"),
    );
    assert!(shell(&project, &deep.replace("{out}", "data/deep")).status.success());
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert_eq!(project.read("out/count.txt").trim(), (DEPTH + 2).to_string());
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    project.ok(&["status", "--check"]);
    project.ok(&["verify"]);
    project.ok(&["verify", "--rerun", "sort"]);
    project.ok(&["clean"]);
    assert!(!project.exists("out/d"));
    project.expect(&[], &[("sort", "restored"), ("count", "restored")]);
    project.expect(&["--force", "sort"], &[("sort", "executed"), ("count", "reused")]);
    project.ok(&["clean", "--cache", "--yes"]);
    assert!(!project.exists("cache"));
    // What the tests' own tools would remove one level in another.
    ner_pipe::disk::remove(&project.path("out")).expect("removes");
    ner_pipe::disk::remove(&project.path("data")).expect("removes");
}

#[test]
fn what_is_deeper_than_a_path_is_long_is_an_error_and_leaves_nothing() {
    let deep = format!("mkdir -p {{out}}/{0}; cd -P {{out}}/{0}; mkdir -p {0}", "d/".repeat(1500));
    let project = Project::new(
        &TWO.replace("out/sorted.txt", "out/d/")
            .replace("sort {data} > {out}", &deep)
            .replace("wc -l <", "ls"),
    );
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("File name too long") || ended.err.contains("exit code"), "{}", ended.err);
    assert_eq!(fs::read_dir(project.path("cache/tmp")).expect("is there").count(), 0);
}

#[test]
fn of_a_large_log_only_the_end_is_read() {
    let loud = "yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | head -c 100000000; echo; echo the end; exit 3";
    let project = Project::new(&TWO.replace("sort {data} > {out}", loud));
    // Room for the program and a hundred MB; for the log and the text that is made of it, there is none.
    let mut command = Command::new("sh");
    let limited = "ulimit -v 150000; exec \"$NER_PIPE\" run";
    command.args(["-c", limited]).current_dir(project.path("")).env("NER_PIPE", program().get_program());
    let output = command.env("RAYON_NUM_THREADS", "1").env("MALLOC_ARENA_MAX", "1").output().expect("starts");
    assert!(output.status.code() == Some(1) && said(&output).contains("the end"), "{}", said(&output));
}

#[test]
fn too_little_room_in_memory_or_too_few_threads_is_an_error_that_names_the_limit() {
    let project = Project::new(TWO);
    let limited = |limit: &str| {
        let mut script = format!("ulimit {limit}; exec \"$NER_PIPE\" run");
        // The limit of processes is none for root.
        if limit.starts_with("-u") && rustix::process::geteuid().is_root() {
            script = format!(
                "exec setpriv --reuid=54321 --clear-groups sh -c 'ulimit {limit}; exec \"$NER_PIPE\" run'"
            );
        }
        let output = shell(&project, &format!("chmod -R a+rwX .; {script}"));
        (output.status.code(), said(&output))
    };
    for threads in [2, 3, 4, 5, 6, 8, 10, 12] {
        let (code, said) = limited(&format!("-u {threads}"));
        assert!(matches!(code, Some(0 | 1 | 126)), "-u {threads}: {said}");
        if code == Some(1) {
            assert!(said.contains("ulimit -u") || said.contains("log "), "-u {threads}: {said}");
        }
    }
    // With less than the first the system cannot load a program with debug information.
    for kib in (60_000..400_000).step_by(20_000) {
        let (code, said) = limited(&format!("-v {kib}"));
        // 127: the program itself has no room.
        assert!(matches!(code, Some(0 | 1 | 127)), "-v {kib}: {said}");
        if code == Some(1) {
            assert!(said.contains("ulimit -v"), "-v {kib}: {said}");
        }
    }
}

#[test]
fn a_pipe_in_the_place_of_any_file_makes_nobody_wait() {
    let commands: [&[&str]; 7] = [
        &["status"],
        &["log", "sort"],
        &["verify"],
        &["gc"],
        &["report"],
        &["run"],
        &["clean", "--cache", "--yes"],
    ];
    let fixed = [
        "cache/version",
        "cache/stats",
        "cache/locks/use",
        "cache/locks/publish",
        "pipeline.lock",
        "other.lock",
        "pipeline.toml",
        ".gitignore",
        "artifacts/report.html",
        "out/sorted.txt",
    ];
    for place in fixed {
        let project = Project::new(TWO);
        project.ok(&["run"]);
        fifo(&project, place);
        for command in commands {
            let ended = at_once(&project, command);
            assert!(ended.code.is_some_and(|code| code < 100), "{place}: {command:?}: {}", ended.err);
        }
    }
    for place in ["entry.json", "manifest.json", "log.txt", "out/out/sorted.txt"] {
        let project = Project::new(TWO);
        project.ok(&["run"]);
        for entry in project.entries() {
            let place = entry.join(place);
            if place.exists() {
                fifo(&project, place.to_str().expect("is text"));
            }
        }
        for command in commands {
            let ended = at_once(&project, command);
            assert!(ended.code.is_some_and(|code| code < 100), "{place}: {command:?}: {}", ended.err);
        }
    }
    for folder in ["published", "locked"] {
        let project = Project::new(TWO);
        project.ok(&["run"]);
        for file in fs::read_dir(project.path("cache").join(folder)).expect("is there") {
            fifo(&project, file.expect("is readable").path().to_str().expect("is text"));
        }
        for command in commands {
            at_once(&project, command);
        }
    }
}

#[test]
fn a_pipe_or_socket_in_an_output_or_source_is_named() {
    for (make, what) in [
        ("mkdir {out}; mkfifo {out}/pipe", "pipe is neither a file nor a folder"),
        ("mkdir {out}; mkfifo {out}/pipe; ln {out}/pipe {out}/second", "it is a pipe, and no file"),
        ("mkdir {out}; mkfifo pipe; ln -s ../../../../../../pipe {out}/link", "it is a pipe, and no file"),
        ("mkdir {out}; ln -s /dev/null {out}/link", "it is a device, and no file"),
    ] {
        let project =
            Project::new(&TWO.replace("out/sorted.txt", "out/d/").replace("sort {data} > {out}", make));
        let ended = at_once(&project, &["run"]);
        assert_eq!(ended.code, Some(1), "{make}: {}", ended.err);
        assert!(ended.err.contains(what), "{make}: {}", ended.err);
    }
    let project = Project::new(&TWO.replace("data/in.txt\", kind = \"file\"", "data\", kind = \"folder\""));
    let _listener = UnixListener::bind(project.path("data/s")).expect("binds");
    let ended = at_once(&project, &["run"]);
    assert!(ended.code == Some(2) && ended.err.contains("data/s is neither"), "{}", ended.err);
    assert!(project.trace().is_empty());
}

#[test]
fn a_damaged_version_is_said_to_be_and_a_run_that_finds_every_result_whole_writes_it_anew() {
    for (content, what) in [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("x\u{1b}[31m", r#"it says "x\u{1b}[31m""#),
        ("0", r#"it says "0""#),
    ] {
        let project = Project::new(TWO);
        project.ok(&["run"]);
        project.write("cache/version", content);
        for command in [&["status"] as &[&str], &["gc"], &["verify"], &["run", "--dry-run"]] {
            let ended = project.ner_pipe(command);
            assert_eq!(ended.code, Some(1), "{command:?}");
            assert!(ended.err.contains("is damaged") && ended.err.contains(what), "{}", ended.err);
            assert!(
                ended.err.contains("type `ner-pipe run`") && !ended.err.contains("newer"),
                "{}",
                ended.err
            );
        }
        let ended = project.ner_pipe(&["run", "--format", "json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.err.contains("All 2 results are whole, so it was written anew"), "{}", ended.err);
        assert_eq!(project.read("cache/version"), "1\n");
        project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    }
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.write("cache/version", "");
    fs::write(crate::project::cached(&project, "a\nb\nc\n"), "x").expect("writes");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("1 of 2 results are, too"), "{}", ended.err);
    assert!(ended.err.contains("`mv cache cache.damaged`"), "{}", ended.err);
    fs::rename(project.path("cache"), project.path("cache.damaged")).expect("renames");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    project.write("cache/version", "2");
    let ended = project.ner_pipe(&["run"]);
    assert!(ended.code == Some(1) && ended.err.contains("use the newer ner-pipe"), "{}", ended.err);
}

#[test]
fn names_and_paths_that_the_disk_does_not_take_are_found_before_work() {
    let long = |bytes: usize| "n".repeat(bytes);
    let deep = format!("out/{}x", "m/".repeat(2100));
    for (published, fits) in [
        (format!("out/{}", long(255)), true),
        (format!("out/{}", long(256)), false),
        (format!("out/{}/x", long(256)), false),
        (format!("out/{}", "é".repeat(128)), false),
        (deep, false),
    ] {
        let project = Project::new(&TWO.replace("out/count.txt", &published));
        let ended = project.ner_pipe(&["run"]);
        if fits {
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            project.write("data/in.txt", "new\n");
            project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
            continue;
        }
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains("at a path that the disk does not take"), "{}", ended.err);
        assert!(ended.err.contains("are the most") && ended.err.contains("shorter names"), "{}", ended.err);
        assert!(project.trace().is_empty());
    }
    let project = Project::new(
        &TWO.replace("outputs = { n =", &format!("outputs = {{ {} =", long(300)))
            .replace("> {n}", &format!("> {{{}}}", long(300))),
    );
    let ended = project.ner_pipe(&["run"]);
    assert!(ended.code == Some(2) && ended.err.contains("a name of 300 bytes"), "{}", ended.err);
    assert!(project.trace().is_empty());
}
