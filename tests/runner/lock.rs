//! The lock under git: real merges of real repositories.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use ner_pipe::{
    fingerprint::Digest,
    lock::{Content, Lock, Locked},
    store::Store,
};
use serde_json::json;

use crate::project::{Project, TWO};

/// Runs git in a folder, whatever the machine's own settings are.
pub fn git(folder: &Path, arguments: &[&str]) -> Output {
    let settings = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"];
    let mut command = Command::new("git");
    command.args(settings).args(arguments).current_dir(folder);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command.output().expect("git is installed")
}

/// The same, which must succeed.
pub fn git_ok(folder: &Path, arguments: &[&str]) -> String {
    let output = git(folder, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Makes the project a repository, as its user would.
pub fn commit_all(project: &Project, message: &str) {
    let folder = project.path("");
    if !project.exists(".git") {
        git_ok(&folder, &["init", "-q", "-b", "main"]);
        project.write(".gitignore", "/cache/\n/out/\n/trace\n");
    }
    git_ok(&folder, &["add", "-A"]);
    git_ok(&folder, &["commit", "-q", "-m", message]);
}

/// Stages that need each other in no way, each with a source of its own.
fn apart(names: &[&str]) -> String {
    let source = |name: &&str| format!("{name} = {{ path = \"data/in.txt\", kind = \"file\" }}\n");
    let stage = |name: &&str| {
        format!(
            r#"
# {name}
[stage.{name}]
use = "command"
inputs = {{ data = "sources.{name}" }}
outputs = {{ out = "out/{name}.txt" }}
params = {{ run = "echo {name} >> trace; cat {{data}} > {{out}}" }}
"#
        )
    };
    let (sources, stages): (Vec<_>, Vec<_>) = names.iter().map(|name| (source(name), stage(name))).unzip();
    format!("[sources]\n{}{}", sources.concat(), stages.concat())
}

const NAMES: [&str; 12] = [
    "annotate",
    "split",
    "distill",
    "distill-t2",
    "distill-t3",
    "distill-t4",
    "prune",
    "prune-quarter",
    "finetune",
    "evaluate",
    "a",
    "b",
];

fn locked(name: &str, version: u32) -> Locked {
    let digest = |port: &str| Digest::of(format!("{name} {version} {port}").as_bytes());
    Locked {
        key: digest("key").to_string().parse().expect("is a key"),
        uses: "distill".into(),
        version,
        code: Some(digest("code").to_string()),
        seed: Some(42),
        inputs: [("train".to_owned(), digest("train")), ("dev".to_owned(), Digest::of(b"dev"))].into(),
        outputs: [("model".to_owned(), digest("model"))].into(),
        options: BTreeMap::new(),
        metrics: [("dev.f1".to_owned(), f64::from(version) / 8.0)].into(),
        params: ner_pipe::lock::params(&json!({"a": version, "layers": [1, 2], "z": version})),
    }
}

fn stages(of: &[(&str, u32)]) -> BTreeMap<String, Locked> {
    of.iter().map(|(name, version)| ((*name).to_owned(), locked(name, *version))).collect()
}

/// Merges three locks line by line, as git does, and gives what comes out; none for a conflict.
fn merge(folder: &Path, base: &[(&str, u32)], ours: &[(&str, u32)], theirs: &[(&str, u32)]) -> Option<Lock> {
    let store = Store::at(folder).expect("is readable");
    for (file, content) in [("base", base), ("ours", ours), ("theirs", theirs)] {
        let content = Content { stages: stages(content), ..Content::default() };
        Lock::write(&store, &folder.join(file), &content).expect("writes");
    }
    let merged = git(folder, &["merge-file", "-p", "ours", "base", "theirs"]);
    let text = String::from_utf8(merged.stdout).expect("is UTF-8");
    merged.status.success().then(|| Lock::parse(Path::new("merged"), &text).expect("is a lock"))
}

#[test]
fn any_two_stages_may_be_changed_added_and_removed_by_two_branches() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = NAMES.map(|name| (name, 1));
    let with = |changes: &[(&'static str, Option<u32>)]| {
        let mut lock: BTreeMap<&str, u32> = all.iter().copied().collect();
        for (name, version) in changes {
            match version {
                Some(version) => lock.insert(name, *version),
                None => lock.remove(name),
            };
        }
        lock.into_iter().collect::<Vec<_>>()
    };
    let expect = |what: &str,
                  base: &[(&str, u32)],
                  ours: &[(&str, u32)],
                  theirs: &[(&str, u32)],
                  wanted: &[(&str, u32)]| {
        let merged = merge(dir.path(), base, ours, theirs).unwrap_or_else(|| panic!("a conflict: {what}"));
        let merged: BTreeMap<_, _> =
            merged.stages().map(|(id, locked)| (id.to_owned(), locked.clone())).collect();
        assert_eq!(merged, stages(wanted), "{what}");
    };
    for (at, one) in NAMES.into_iter().enumerate() {
        for &other in &NAMES[at + 1..] {
            let what = format!("{one} and {other}");
            let (first, second) = (with(&[(one, Some(2))]), with(&[(other, Some(2))]));
            expect(&what, &all, &first, &second, &with(&[(one, Some(2)), (other, Some(2))]));
            let neither = with(&[(one, None), (other, None)]);
            let (first, second) = (with(&[(other, None)]), with(&[(one, None)]));
            expect(&format!("{what} added"), &neither, &first, &second, &all);
            expect(&format!("{what} removed"), &all, &first, &second, &neither);
            let changed = with(&[(one, Some(2))]);
            expect(
                &format!("{one} changed, {other} removed"),
                &all,
                &changed,
                &first,
                &with(&[(one, Some(2)), (other, None)]),
            );
            let both = with(&[(one, Some(2))]);
            expect(
                &format!("{one} changed, {other} added"),
                &first,
                &with(&[(one, Some(2)), (other, None)]),
                &all,
                &both,
            );
        }
    }
}

#[test]
fn two_stages_on_one_shelf_may_be_changed_and_if_both_are_new_the_conflict_is_resolved() {
    let dir = tempfile::tempdir().expect("a folder");
    let base = [("prune-half", 1), ("split", 1)];
    let (ours, theirs) = ([("prune-half", 2), ("split", 1)], [("prune-half", 1), ("split", 2)]);
    let merged = merge(dir.path(), &base, &ours, &theirs).expect("no conflict");
    let merged: Vec<_> = merged.stages().map(|(id, locked)| (id.to_owned(), locked.version)).collect();
    assert_eq!(merged, [("prune-half".to_owned(), 2), ("split".to_owned(), 2)]);
    assert!(merge(dir.path(), &[], &base[..1], &base[1..]).is_none(), "the one pair in 256");
    let project = Project::new(&apart(&["a"]));
    let folder = project.path("");
    project.ok(&["run"]);
    commit_all(&project, "base");
    git_ok(&folder, &["checkout", "-q", "-b", "other"]);
    project.write("pipeline.toml", &apart(&["a", "split"]));
    project.ok(&["run"]);
    commit_all(&project, "theirs");
    git_ok(&folder, &["checkout", "-q", "main"]);
    project.write("pipeline.toml", &apart(&["a", "prune-half"]));
    project.ok(&["run"]);
    commit_all(&project, "ours");
    assert!(!git(&folder, &["merge", "other"]).status.success());
    project.write("pipeline.toml", &apart(&["a", "prune-half", "split"]));
    project.ok(&["lock", "resolve"]);
    let (code, outcomes) = project.run(&[]);
    assert_eq!(code, 0);
    assert!(outcomes.values().all(|outcome| outcome != "executed"), "{outcomes:?}");
}

#[test]
fn branches_that_touch_different_stages_merge_and_nothing_executes_again() {
    let project = Project::new(&apart(&["left", "right", "kept", "gone"]));
    let folder = project.path("");
    project.ok(&["run"]);
    commit_all(&project, "base");
    git_ok(&folder, &["checkout", "-q", "-b", "one"]);
    project.replace("pipeline.toml", "echo left >> trace; cat", "echo left >> trace; sort");
    project.ok(&["run"]);
    commit_all(&project, "left");
    git_ok(&folder, &["checkout", "-q", "main"]);
    project.replace("pipeline.toml", "echo right >> trace; cat", "echo right >> trace; sort -r");
    let text = project.read("pipeline.toml");
    let gone = text.find("\n# gone").expect("is last");
    project.write("pipeline.toml", &text[..gone]);
    project.ok(&["run"]);
    commit_all(&project, "right, and without gone");
    let executed = project.trace().len();
    git_ok(&folder, &["merge", "-q", "--no-edit", "one"]);
    let states = project.states();
    assert!(states.values().all(|state| state != "never-run"), "{states:?}");
    let (code, outcomes) = project.run(&[]);
    assert_eq!(code, 0);
    assert!(outcomes.values().all(|outcome| outcome == "restored" || outcome == "reused"), "{outcomes:?}");
    assert_eq!(outcomes.len(), 3);
    assert_eq!(project.trace().len(), executed);
    assert_eq!(git_ok(&folder, &["status", "--short"]), "", "the merged lock is what a run writes");
}

/// `main` and `other` both changed `sort`; `main` is being merged with `other` in this style of markers.
fn conflicted(style: &str, ours: &str, theirs: &str) -> Project {
    let project = Project::new(TWO);
    let folder = project.path("");
    project.ok(&["run"]);
    commit_all(&project, "base");
    git_ok(&folder, &["checkout", "-q", "-b", "other"]);
    project.replace("pipeline.toml", "sort {data}", theirs);
    project.ok(&["run"]);
    commit_all(&project, "theirs");
    git_ok(&folder, &["checkout", "-q", "main"]);
    project.replace("pipeline.toml", "sort {data}", ours);
    project.ok(&["run"]);
    commit_all(&project, "ours");
    assert!(
        !git(&folder, &["-c", &format!("merge.conflictStyle={style}"), "merge", "other"]).status.success()
    );
    assert!(project.read("pipeline.lock").contains("<<<<<<<"));
    project
}

#[test]
fn a_lock_in_conflict_is_resolved_to_the_side_that_fits_the_working_tree() {
    for style in ["merge", "diff3", "zdiff3"] {
        for (side, kept) in
            [("ours", "sort -r {data}"), ("theirs", "sort -u {data}"), ("neither", "sort -f {data}")]
        {
            let project = conflicted(style, "sort -r {data}", "sort -u {data}");
            project.write("pipeline.toml", &TWO.replace("sort {data}", kept));
            for command in [&["run"] as &[&str], &["status"], &["metrics"]] {
                let ended = project.ner_pipe(command);
                assert_eq!(ended.code, Some(2), "{}", ended.err);
                assert!(ended.err.contains("has a merge conflict in it"), "{}", ended.err);
                assert!(ended.err.contains("help: type `ner-pipe lock resolve`"), "{}", ended.err);
            }
            let said = project.ok(&["lock", "resolve"]);
            assert!(said.contains(&format!("sort   {side}")), "{style}: {said}");
            assert!(
                said.ends_with("pipeline.lock has no conflict any more: `git add pipeline.lock`\n"),
                "{said}"
            );
            let expected = if side == "neither" { "executed" } else { "reused" };
            let (code, outcomes) = project.run(&[]);
            assert_eq!(code, 0);
            if side == "neither" {
                assert_eq!(outcomes["sort"], expected, "{style}");
            } else {
                assert_ne!(outcomes["sort"], "executed", "{style} {side}");
                assert_eq!(project.states()["sort"], "fresh");
            }
            assert!(project.ok(&["lock", "resolve"]).contains("has no conflict"));
        }
    }
}

#[test]
fn markers_alone_are_enough_to_resolve() {
    let project = conflicted("zdiff3", "sort -r {data}", "sort -u {data}");
    project.write("pipeline.toml", &TWO.replace("sort {data}", "sort -u {data}"));
    project.write("configs/deep.toml", "");
    // Added with the markers still in it: git has forgotten the sides.
    git_ok(&project.path(""), &["add", "-A"]);
    let said = project.ok(&["lock", "resolve"]);
    assert!(said.contains("sort   theirs"), "{said}");
    let lock = Lock::read(&project.path("pipeline.lock")).expect("is whole");
    let theirs = git_ok(&project.path(""), &["show", "other:pipeline.lock"]);
    let theirs = Lock::parse(Path::new("theirs"), &theirs).expect("is whole");
    assert_eq!(lock.get("sort"), theirs.get("sort"));
}

#[test]
fn a_lock_is_resolved_without_a_cache_and_for_another_pipeline_file() {
    let project = Project::new("");
    let folder = project.path("");
    project.write("autre/p.toml", TWO);
    let run = |project: &Project| project.ok(&["run", "--file", "autre/p.toml"]);
    run(&project);
    commit_all(&project, "base");
    git_ok(&folder, &["checkout", "-q", "-b", "other"]);
    project.replace("autre/p.toml", "sort {data}", "sort -u {data}");
    project.write("data/in.txt", "x\n");
    run(&project);
    commit_all(&project, "theirs");
    git_ok(&folder, &["checkout", "-q", "main"]);
    project.write("data/in.txt", "y\nz\n");
    run(&project);
    commit_all(&project, "ours");
    assert!(!git(&folder, &["merge", "other"]).status.success());
    git_ok(&folder, &["checkout", "-q", "--theirs", "data/in.txt"]);
    fs::remove_dir_all(project.path("cache")).expect("removes");
    let said = project.ok(&["lock", "resolve", "--file", "autre/p.toml"]);
    assert!(said.contains("sort   theirs\n") && said.contains("count  theirs\n"), "{said}");
    let lock = Lock::read(&project.path("autre/p.lock")).expect("is whole");
    let theirs = git_ok(&folder, &["show", "other:autre/p.lock"]);
    assert_eq!(lock, Lock::parse(&project.path("autre/p.lock"), &theirs).expect("is whole"));
}

#[test]
fn a_lock_with_half_a_conflict_says_so() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.replace("pipeline.lock", "[stage.sort]", "<<<<<<< HEAD\n[stage.sort]");
    let ended = project.ner_pipe(&["lock", "resolve"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("its conflict markers do not fit together"), "{}", ended.err);
    assert!(ended.err.contains("help: "), "{}", ended.err);
    assert_eq!(project.ner_pipe(&["lock"]).code, Some(2), "what to do with it?");
}

/// So many stages that need each other in no way.
fn many(count: usize) -> String {
    let items = (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    format!(
        r#"
[stage.s]
use = "command"
foreach = [{items}]
outputs = {{ out = "out/{{key}}.txt" }}
params = {{ run = "echo {{key}} >> trace; echo {{item}} > {{out}}" }}
"#
    )
}

#[test]
fn a_run_that_is_killed_leaves_a_lock_that_names_only_what_is_there() {
    for after in [1, 5, 20, 40] {
        let project = Project::new(&many(60));
        let running = project.start(&["run"]);
        crate::project::until("some stages", || project.trace().len() >= after);
        running.kill_group();
        drop(running.end());
        let lock = Lock::read(&project.path("pipeline.lock")).expect("is whole");
        let store = ner_pipe::store::Store::at(&project.path("")).expect("is known");
        for (id, locked) in lock.stages() {
            let entry = store.peek(&locked.key).unwrap_or_else(|| panic!("{id} was not committed"));
            assert_eq!(entry.damage(), None, "{id}");
        }
        let whole = project.entries_if_any().len();
        let (code, outcomes) = project.run(&[]);
        let executed = outcomes.values().filter(|outcome| *outcome == "executed").count();
        assert_eq!((code, executed), (0, 60 - whole), "what was committed is not executed again");
        assert_eq!(Lock::read(&project.path("pipeline.lock")).expect("is whole").stages().count(), 60);
    }
}

#[test]
fn two_runs_of_many_stages_at_once_record_all_of_them() {
    let project = Project::new(&many(60));
    let half = |from: usize| (from..from + 30).map(|n| format!("s@{n}")).collect::<Vec<_>>();
    let runs = [half(0), half(30)].map(|ids| {
        let ids = ids.iter().map(String::as_str);
        project.start(&["run"].into_iter().chain(ids).collect::<Vec<_>>())
    });
    for run in runs {
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    assert!(project.states().values().all(|state| state == "fresh"), "{:?}", project.states());
}

#[test]
fn a_lock_that_cannot_be_written_fails_the_stages_that_it_does_not_name() {
    let run = "echo key = > pipeline.lock; echo count >> trace;";
    let project = Project::new(&TWO.replace("echo count >> trace;", run));
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    for said in ["cannot record the result", "is damaged", "help: delete it"] {
        assert!(ended.err.contains(said), "{said}\n{}", ended.err);
    }
    assert!(ended.out.contains("count  failed"), "{}", ended.out);
    project.remove("pipeline.lock");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    assert!(project.states().values().all(|state| state == "fresh"));
}
