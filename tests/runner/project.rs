//! A project in a temporary folder, and the binary to run in it.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Once, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use serde_json::Value;
use signal_hook::flag::register_conditional_shutdown;
use tempfile::TempDir;

/// `sort` and then `count`: what each executes is written to `trace`, one name a line.
pub const TWO: &str = r#"
[sources]
in = { path = "data/in.txt", kind = "file" }

[stage.sort]
use = "command"
inputs = { data = "sources.in" }
outputs = { out = "out/sorted.txt" }
params = { run = "echo sort >> trace; sort {data} > {out}" }

[stage.count]
use = "command"
inputs = { data = "sort.out" }
outputs = { n = "out/count.txt" }
params = { run = "echo count >> trace; wc -l < {data} > {n}" }
"#;

/// A project folder.
pub struct Project {
    dir: TempDir,
}

/// How a process ended and what it said.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The program under test: `ner-pipe`, or this very binary (see `tests/registry.rs` and
/// `tests/failpoints.rs`).
pub fn program() -> Command {
    if ["registry", "failpoints"].contains(&env!("CARGO_CRATE_NAME")) {
        let mut command = Command::new(env::current_exe().expect("is a file"));
        command.env("NER_PIPE_UNDER_TEST", "1");
        return command;
    }
    Command::new(env!("CARGO_BIN_EXE_ner-pipe"))
}

impl Project {
    /// With this pipeline file and `data/in.txt`.
    pub fn new(pipeline: &str) -> Self {
        // Spaces and accents in every path: what is not quoted breaks everywhere.
        let dir = tempfile::Builder::new().prefix("un café l'été ").tempdir().expect("a folder");
        let project = Self { dir };
        project.write("data/in.txt", "b\na\nc\n");
        project.write("pipeline.toml", pipeline);
        project
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("is below the project")).expect("creates");
        fs::write(path, content).expect("writes");
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    pub fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removes");
    }

    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from}");
        self.write(path, &text.replace(from, to));
    }

    /// The stages that executed so far, in order.
    pub fn trace(&self) -> Vec<String> {
        fs::read_to_string(self.path("trace")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).current_dir(self.dir.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        // Nobody asks the real hub.
        command.env("HF_HOME", self.path("home")).env("HF_HUB_OFFLINE", "1").env("NO_PROXY", "127.0.0.1");
        command
    }

    /// Runs `ner-pipe` and waits for it.
    pub fn ner_pipe(&self, arguments: &[&str]) -> Ended {
        self.with(&[], arguments)
    }

    /// The same with these variables in its environment.
    pub fn with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let output = command.envs(environment.iter().copied()).output().expect("starts");
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("is UTF-8"),
            err: String::from_utf8(output.stderr).expect("is UTF-8"),
        }
    }

    /// Runs a shell script in the project; `$NER_PIPE` is the program.
    pub fn shell(&self, script: &str) -> Ended {
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(self.dir.path());
        let output = command.env("NER_PIPE", program().get_program()).stdin(Stdio::null()).output();
        Ended::of(&output.expect("starts"))
    }

    /// Runs a shell script in the project as root of a namespace of its own, where it may mount; `$NER_PIPE`
    /// is the program. What it mounts is gone afterwards. None, and said aloud, where that is not permitted.
    pub fn privately(&self, script: &str) -> Option<String> {
        let unshare = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--mount", "sh", "-euc", script]).current_dir(self.dir.path());
            command.env("NER_PIPE", program().get_program()).stdin(Stdio::null()).output()
        };
        let permitted = unshare("mkdir mounted; mount -t tmpfs -o size=1m tmpfs mounted");
        if !permitted.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: no namespace with mounts is permitted here");
            return None;
        }
        let output = unshare(script).expect("starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        Some(said)
    }

    /// Runs `ner-pipe`, which must succeed, and gives what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.ner_pipe(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}\n{}\n{}", ended.out, ended.err);
        ended.out
    }

    /// `ner-pipe run --format json` with these arguments: the exit code, and each stage's outcome.
    pub fn run(&self, arguments: &[&str]) -> (i32, BTreeMap<String, String>) {
        let ended = self.ner_pipe(&[&["run", "--format", "json"], arguments].concat());
        let stages = ended.events().into_iter().filter(|event| event["event"] == "stage");
        let outcomes = stages.map(|event| (text(&event["stage"]), text(&event["outcome"]))).collect();
        (ended.code.expect("was not killed"), outcomes)
    }

    /// Runs, which must succeed with these outcomes.
    pub fn expect(&self, arguments: &[&str], outcomes: &[(&str, &str)]) {
        let wanted = outcomes.iter().map(|(stage, outcome)| ((*stage).to_owned(), (*outcome).to_owned()));
        assert_eq!(self.run(arguments), (0, wanted.collect()));
    }

    /// Starts `ner-pipe` in a process group of its own.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.start_to(arguments, Stdio::piped())
    }

    /// The same, with its standard output going there.
    pub fn start_to(&self, arguments: &[&str], out: impl Into<Stdio>) -> Running {
        listens_to_signals();
        let mut command = self.command(arguments);
        command.stdout(out).stderr(Stdio::piped()).process_group(0);
        Running(Some(command.spawn().expect("starts")))
    }

    /// Waits until a file is there and not empty.
    pub fn wait_for(&self, path: &str) {
        until(path, || fs::metadata(self.path(path)).is_ok_and(|meta| meta.len() > 0));
    }

    /// A process's number that a stage wrote to a file.
    pub fn pid(&self, path: &str) -> Pid {
        self.wait_for(path);
        Pid::from_raw(self.read(path).trim().parse().expect("is a number")).expect("is a process")
    }

    /// `status --format json`: state by stage.
    pub fn states(&self) -> BTreeMap<String, String> {
        self.stages().into_iter().map(|stage| (text(&stage["id"]), text(&stage["state"]))).collect()
    }

    /// `status --format json`: the stages.
    pub fn stages(&self) -> Vec<Value> {
        let status: Value = serde_json::from_str(&self.ok(&["status", "--format", "json"])).expect("is JSON");
        status["stages"].as_array().expect("is a list").clone()
    }

    /// [`Project::entries`], also before there is a cache.
    pub fn entries_if_any(&self) -> Vec<PathBuf> {
        if self.exists("cache/entries") { self.entries() } else { Vec::new() }
    }

    /// The folders in `cache/entries`.
    pub fn entries(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("cache/entries")).expect("is there");
        entries.map(|entry| entry.expect("is readable").path()).collect()
    }
}

/// The file in the cache that holds `content`.
pub fn cached(project: &Project, content: &str) -> PathBuf {
    let files = project.entries().into_iter().flat_map(|entry| walkdir::WalkDir::new(entry.join("out")));
    let files = files.map(|file| file.expect("is readable").into_path());
    files
        .filter(|path| path.is_file())
        .find(|path| fs::read_to_string(path).expect("is text") == content)
        .expect("is in the cache")
}

impl Ended {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
    }
}

/// A started process; killed when the test ends early.
pub struct Running(Option<Child>);

impl Running {
    pub fn pid(&self) -> Pid {
        let id = self.0.as_ref().expect("runs").id();
        Pid::from_raw(id.try_into().expect("is small")).expect("is a process")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("is alive");
    }

    /// As Ctrl-\ and a closed laptop do: everything that is in the runner's process group.
    pub fn kill_group(&self) {
        kill_process_group(self.pid(), Signal::KILL).expect("is alive");
    }

    pub fn end(mut self) -> Ended {
        Ended::of(&self.0.take().expect("runs").wait_with_output().expect("ends"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Tests started by `nohup` or a shell's `&` ignore signals, and so would all they start; what has a
/// handler here begins with the default.
fn listens_to_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [Signal::INT, Signal::HUP] {
            let always = Arc::new(AtomicBool::new(true));
            register_conditional_shutdown(signal.as_raw(), 130, always).expect("can be handled");
        }
    });
}

/// Waits until something holds; a minute means never, even on a busy machine.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a process is gone; a zombie that nobody waits for is gone too.
pub fn gone(pid: Pid) {
    until(&format!("the end of process {pid:?}"), || {
        let state =
            fs::read_to_string(Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("stat"));
        let zombie =
            state.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z')));
        zombie || test_kill_process(pid).is_err()
    });
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}
