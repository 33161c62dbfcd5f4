//! The runner is stopped at each place where it writes, killed or refused by the disk, and the next run has
//! to make good: the same bytes, nothing executed twice that was whole, nothing half-written taken for whole,
//! nothing left behind. The binary is its own program under test: with `NER_PIPE_UNDER_TEST` set it is
//! `ner-pipe` with a listener at the failpoints, and so are the child processes that it starts.

#[path = "registry/fake.rs"]
mod fake;
#[path = "runner/project.rs"]
#[expect(dead_code, reason = "shared with tests/runner, which uses the rest")]
mod project;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    process::{Command, ExitCode, Output, Stdio},
};

use libtest_mimic::{Arguments, Trial};
use ner_pipe::{
    failpoint::{Point, listen},
    lock::Lock,
    store::Store,
};
use project::{Project, program};
use rustix::process::{Signal, getpid, kill_process};

/// A file to which every point that is reached adds its name: of the runner and its children together.
const REACHED: &str = "NER_PIPE_REACHED";
/// What is to happen: `name:n:kill` or `name:n:refuse` at the n-th time, or each time for `*`; some of these,
/// with commas between them.
const FAIL: &str = "NER_PIPE_FAIL";

const PIPELINE: &str = r#"
[sources]
in = { path = "data/in.txt", kind = "file" }
far = { hub = "owner/name", kind = "folder" }

[stage.one]
use = "command"
inputs = { data = "sources.in" }
outputs = { out = "out/one.txt" }
params = { run = "sort {data} > {out}" }

[stage.many]
use = "command"
inputs = { data = "one.out", far = "sources.far" }
outputs = { out = "out/many/" }
params = { run = "mkdir {out}; cp {data} {out}/a; cp {far}/part {out}/b; ln -s a {out}/link" }

[stage.probe]
inputs = { text = "one.out" }

[stage.last]
use = "command"
inputs = { report = "probe.report", many = "many.out" }
outputs = { out = "out/last.txt", log = "out/last.log" }
params = { run = "echo said; cat {many}/* {report} > {out}; echo x > {log}; test -e calm" }
"#;

/// A state of the project, and the run that is stopped there.
struct Scenario {
    name: &'static str,
    prepare: fn(&Project),
    arguments: &'static [&'static str],
    /// What goes wrong besides.
    besides: &'static str,
}

const SCENARIOS: [Scenario; 9] = [
    Scenario { name: "a_first_run", prepare: calm, arguments: &["run"], besides: "" },
    Scenario { name: "a_forced_run", prepare: whole, arguments: FORCED, besides: "" },
    Scenario {
        name: "a_forced_run_where_nothing_can_be_exchanged",
        prepare: whole,
        arguments: FORCED,
        besides: "entry-exchange:*:refuse,",
    },
    Scenario { name: "a_restoring_run", prepare: tampered, arguments: &["run"], besides: "" },
    Scenario { name: "a_run_with_a_damaged_cache", prepare: damaged, arguments: &["run"], besides: "" },
    Scenario { name: "a_failing_run", prepare: failed, arguments: &["run"], besides: "" },
    Scenario { name: "a_run_after_a_failure", prepare: mended, arguments: &["run"], besides: "" },
    Scenario { name: "a_run_after_a_killed_one", prepare: killed, arguments: &["run"], besides: "" },
    Scenario { name: "taking_the_cache_away", prepare: whole, arguments: CLEAN, besides: "" },
];

const FORCED: &[&str] = &["run", "--force", "one", "--force", "many", "--force", "probe", "--force", "last"];

const CLEAN: &[&str] = &["clean", "--cache", "--yes"];

/// With a cache of the hub that has its source.
fn with_sources() -> Project {
    let (project, commit) = (Project::new(PIPELINE), "0123456789".repeat(4));
    let repository = "home/hub/models--owner--name";
    project.write(&format!("{repository}/refs/main"), &commit);
    project.write(&format!("{repository}/snapshots/{commit}/part"), "far\n");
    project
}

/// The last stage will succeed.
fn calm(project: &Project) {
    project.write("calm", "");
}

fn whole(project: &Project) {
    calm(project);
    project.ok(&["run"]);
}

/// An output is missing, one is edited, and in the place of one lies an older result.
fn tampered(project: &Project) {
    calm(project);
    project.write("data/in.txt", "older\n");
    project.ok(&["run"]);
    let older = project.read("out/one.txt");
    project.write("data/in.txt", "b\na\nc\n");
    project.ok(&["run"]);
    project.write("out/one.txt", &older);
    project.write("out/many/a", "edited");
    project.remove("out/last.txt");
}

/// An output in the cache and a record are damaged, and the artifacts are gone.
fn damaged(project: &Project) {
    whole(project);
    project.remove("out");
    for entry in project.entries() {
        let record = fs::read_to_string(entry.join("entry.json")).expect("is there");
        if record.contains(r#""stage": "many""#) {
            fs::write(entry.join("out/out/many/b"), "damage").expect("writes");
        } else if record.contains(r#""stage": "probe""#) {
            fs::write(entry.join("entry.json"), record.replace("\"threads\": ", "\"threads\": 1"))
                .expect("writes");
        }
    }
}

fn failed(project: &Project) {
    assert_eq!(project.run(&[]).0, 1);
}

fn mended(project: &Project) {
    failed(project);
    calm(project);
}

fn killed(project: &Project) {
    calm(project);
    run(project, &["run"], "checkpoint-remove:1:kill");
}

fn main() -> ExitCode {
    if env::var_os(fake::UNDER_TEST).is_some() {
        listen(reached);
        return ner_pipe::cli::main(&fake::registry());
    }
    let whatever_stops = SCENARIOS.iter().map(|scenario| {
        Trial::test(format!("{}_may_be_stopped_anywhere", scenario.name), move || {
            scenario.is_stopped_everywhere();
            Ok(())
        })
    });
    let all = Trial::test("every_point_is_reached_in_some_scenario", || {
        every_point_is_reached_in_some_scenario();
        Ok(())
    });
    let lock = Trial::test("the_lock_is_written_less_often_than_stages_end", || {
        the_lock_is_written_less_often_than_stages_end();
        Ok(())
    });
    let trials = whatever_stops.chain([all, lock]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// In the program under test: writes down where it is, and does there what the test wants.
fn reached(point: Point) -> io::Result<()> {
    let Some(log) = env::var_os(REACHED) else { return Ok(()) };
    writeln!(OpenOptions::new().append(true).create(true).open(&log)?, "{}", point.name())?;
    let times = fs::read_to_string(&log)?.lines().filter(|line| *line == point.name()).count().to_string();
    let wanted = env::var(FAIL).unwrap_or_default();
    for wish in wanted.split(',') {
        match wish.split(':').collect::<Vec<_>>()[..] {
            [name, time, action] if name == point.name() && (time == "*" || time == times) => match action {
                "kill" => kill_process(getpid(), Signal::KILL)?,
                _ => return Err(io::ErrorKind::StorageFull.into()),
            },
            _ => {}
        }
    }
    Ok(())
}

/// Runs with a listener at the points; which of them were reached lies in `reached` beside the project.
fn run(project: &Project, arguments: &[&str], fail: &str) -> Output {
    drop(fs::remove_file(reached_file(project)));
    program()
        .args(arguments)
        .current_dir(project.path(""))
        .env(REACHED, reached_file(project))
        .env(FAIL, fail)
        .env("HF_HOME", project.path("home"))
        .env("HF_HUB_OFFLINE", "1")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("starts")
}

fn reached_file(project: &Project) -> PathBuf {
    project.path("data/reached")
}

/// How often each point was reached.
fn counts(project: &Project) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(reached_file(project)).unwrap_or_default().lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

fn every_point_is_reached_in_some_scenario() {
    let mut missing: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
    for scenario in &SCENARIOS {
        let project = with_sources();
        (scenario.prepare)(&project);
        run(&project, scenario.arguments, scenario.besides);
        missing.retain(|name| !counts(&project).contains_key(*name));
    }
    assert!(missing.is_empty(), "no scenario reaches {missing:?}");
}

/// Its size grows with their number, and so would what each costs.
fn the_lock_is_written_less_often_than_stages_end() {
    const STAGES: usize = 200;
    let items = (0..STAGES).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let project = Project::new(&format!(
        "stage.s = {{ use = 'command', foreach = [{items}], outputs.o = 'out/{{key}}', params.run = 'echo > {{o}}' }}"
    ));
    project.ok(&["run"]);
    project.remove("out");
    project.remove("pipeline.lock");
    run(&project, &["run"], "");
    let lock = Lock::read(&project.path("pipeline.lock")).expect("is readable");
    assert_eq!(lock.stages().count(), STAGES);
    // Nothing else is written whole: where what lies is known already.
    let written = counts(&project)["replacement-whole"];
    assert!(written < STAGES * 3 / 4, "{written} times");
}

impl Scenario {
    fn is_stopped_everywhere(&self) {
        /// How often the same place is tried: what is special about a place shows at the first time or
        /// when there is something before it.
        const TIMES: usize = 2;
        let start = with_sources();
        (self.prepare)(&start);
        let undisturbed = copy(&start);
        run(&undisturbed, self.arguments, self.besides);
        let counts = counts(&undisturbed);
        assert!(!counts.is_empty());
        calm(&undisturbed);
        undisturbed.ok(&["run"]);
        let good = Good::of(&undisturbed);
        for (point, count) in counts {
            for (time, action) in [(1, "kill"), (2, "kill"), (1, "refuse")] {
                if time > count.min(TIMES) {
                    continue;
                }
                let case = format!("{}: {point}:{time}:{action}", self.name);
                let project = copy(&start);
                let output =
                    run(&project, self.arguments, &format!("{}{point}:{time}:{action}", self.besides));
                if action == "refuse" {
                    let said = String::from_utf8_lossy(&output.stderr);
                    assert!(matches!(output.status.code(), Some(0 | 1)), "{case}\n{said}");
                }
                good.is_reached_from(&project, &case);
            }
        }
    }
}

/// What an undisturbed run gives.
struct Good {
    published: BTreeMap<String, Vec<u8>>,
    lock: Lock,
}

impl Good {
    fn of(project: &Project) -> Self {
        let lock = Lock::read(&project.path("pipeline.lock")).expect("is readable");
        Self { published: published(project), lock }
    }

    /// The next run gives it too, and executes only what is not whole in the cache.
    fn is_reached_from(&self, project: &Project, case: &str) {
        let store = Store::at(&project.path("")).unwrap_or_else(|error| panic!("{case}: {error}"));
        let is_whole = |stage: &str| {
            let key = self.lock.get(stage).expect("is in the lock").key;
            store.peek(&key).is_some_and(|entry| entry.damage().is_none())
        };
        let wanted = ["one", "many", "probe", "last"].map(|stage| (stage, is_whole(stage)));
        calm(project);
        let said = project.ner_pipe(&["status"]);
        assert_eq!(said.code, Some(0), "{case}\n{}", said.err);
        let (code, outcomes) = project.run(&[]);
        assert_eq!(code, 0, "{case}: {outcomes:?}");
        for (stage, whole) in wanted {
            assert_eq!(outcomes[stage] != "executed", whole, "{case}: {stage} of {outcomes:?}");
        }
        assert_eq!(published(project), self.published, "{case}");
        let left: Vec<_> = walkdir::WalkDir::new(project.path(""))
            .into_iter()
            .map(|entry| entry.expect("is readable").into_path())
            .filter(|path| {
                let below = path.strip_prefix(project.path("cache")).unwrap_or(path);
                let folder = below.parent().unwrap_or(below);
                path.to_string_lossy().contains(".ner-pipe-")
                    || ["tmp", "checkpoints", "failed", "staged"].iter().any(|name| folder == *name)
                    || (folder == "locks" && !["publish", "use"].iter().any(|name| below.ends_with(name)))
            })
            .collect();
        assert!(left.is_empty(), "{case}: {left:?}");
        // Every byte in the cache is right, too.
        project.remove("out");
        project.remove("artifacts");
        let (code, outcomes) = project.run(&[]);
        assert!(code == 0 && outcomes.values().all(|outcome| outcome == "restored"), "{case}: {outcomes:?}");
        assert_eq!(published(project), self.published, "{case}");
    }
}

/// All that users see, by path.
fn published(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in ["out", "artifacts", "pipeline.lock"] {
        for entry in walkdir::WalkDir::new(project.path(folder)) {
            let path = entry.expect("is readable").into_path();
            if path.is_file() {
                let name = path.strip_prefix(project.path("")).expect("is below").display().to_string();
                found.insert(name, fs::read(path).expect("is readable"));
            }
        }
    }
    found
}

fn copy(project: &Project) -> Project {
    let other = with_sources();
    let copied = Command::new("cp").arg("-a").arg(project.path(".")).arg(other.path("")).status();
    assert!(copied.expect("starts").success());
    other
}
