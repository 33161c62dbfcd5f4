//! `foreach` and `matrix`: one table, several stages.

use crate::project::{Project, text};

/// `distill` at two temperatures, `prune` for each of these, and a table of all.
const SWEEP: &str = r#"
[sources]
in = { path = "data/in.txt", kind = "file" }

[stage.distill]
foreach = { t2 = 2.0, t3 = 3.0 }
use = "command"
inputs = { data = "sources.in" }
outputs = { model = "out/distill-{key}.txt" }
params = { run = "echo distill {item} >> trace; (cat {data}; echo {item}) > {model}" }

[stage.prune]
foreach = ["t2", "t3"]
use = "command"
inputs = { whole = "distill@{item}.model" }
outputs = { model = "out/prune-{item}.txt" }
params = { run = "echo prune {key} >> trace; (cat {whole}; echo pruned) > {model}" }

[stage.table]
use = "command"
inputs = { models = "prune@*.model" }
outputs = { table = "out/table.txt" }
params = { run = "echo table >> trace; tail -qn 2 {models} > {table}; echo \"$NER_PIPE_IN_MODELS\" | wc -l >> {table}" }
"#;

fn sweep() -> Project {
    Project::new(SWEEP)
}

#[test]
fn every_value_is_a_stage_with_its_own_id_and_what_follows_reads_from_its_sibling() {
    let project = sweep();
    project.expect(
        &["--jobs", "1"],
        &[
            ("distill@t2", "executed"),
            ("distill@t3", "executed"),
            ("prune@t2", "executed"),
            ("prune@t3", "executed"),
            ("table", "executed"),
        ],
    );
    assert_eq!(project.trace(), ["distill 2.0", "distill 3.0", "prune t2", "prune t3", "table"]);
    assert_eq!(project.read("out/table.txt"), "2.0\npruned\n3.0\npruned\n2\n");
    assert!(project.states().values().all(|state| state == "fresh"));
    assert!(project.read("pipeline.lock").contains("[stage.\"distill@t2\"]"));
}

#[test]
fn a_value_more_executes_one_instance_and_what_collects_them() {
    let project = sweep();
    project.ok(&["run"]);
    project.replace("pipeline.toml", "{ t2 = 2.0, t3 = 3.0 }", "{ t4 = 4.0, t2 = 2.0, t3 = 3.0 }");
    project.replace("pipeline.toml", "[\"t2\", \"t3\"]", "[\"t2\", \"t3\", \"t4\"]");
    let before = project.trace().len();
    let (_, outcomes) = project.run(&["--jobs", "1"]);
    assert_eq!(project.trace()[before..], ["distill 4.0", "prune t4", "table"]);
    assert_eq!(outcomes["distill@t2"], "reused");
    assert_eq!(project.read("out/table.txt"), "2.0\npruned\n3.0\npruned\n4.0\npruned\n3\n");
}

#[test]
fn a_table_is_selected_with_all_its_instances_and_an_instance_alone() {
    let project = sweep();
    project.expect(&["distill@t3"], &[("distill@t3", "executed")]);
    project.expect(&["distill"], &[("distill@t2", "executed"), ("distill@t3", "reused")]);
    project.expect(&["prune@t2"], &[("distill@t2", "reused"), ("prune@t2", "executed")]);
    project.expect(
        &["distill", "--force", "distill@t2"],
        &[("distill@t2", "executed"), ("distill@t3", "reused")],
    );
    project.expect(
        &["distill", "--force", "distill"],
        &[("distill@t2", "executed"), ("distill@t3", "executed")],
    );
    let ended = project.ner_pipe(&["run", "distill@t9"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("no stage `distill@t9`") && ended.err.contains("did you mean"),
        "{}",
        ended.err
    );
}

#[test]
fn why_log_and_status_speak_of_instances() {
    let project = sweep();
    project.ok(&["run"]);
    assert!(project.ok(&["log", "distill@t3"]).contains("echo distill 3.0"));
    assert!(project.ok(&["why", "prune@t2"]).contains("prune@t2 is fresh"));
    project.replace("pipeline.toml", "t3 = 3.0", "t3 = 3.5");
    let said = project.ok(&["why", "distill@t3"]);
    assert!(said.contains("distill@t3 is stale") && said.contains("echo 3.5"), "{said}");
    assert_eq!(project.states()["distill@t2"], "fresh");
}

#[test]
fn an_expanded_table_is_asked_about_as_a_whole() {
    let project = sweep();
    assert_eq!(project.ner_pipe(&["log", "distill"]).code, Some(2), "no result yet");
    project.ok(&["run", "distill@t2"]);
    let said = project.ok(&["log", "distill"]);
    assert!(said.starts_with("== distill@t2\n$ echo distill 2.0"), "{said}");
    assert!(said.ends_with("== distill@t3 has no log: it has no result\n"), "{said}");
    project.ok(&["run"]);
    let said = project.ok(&["log", "distill"]);
    assert!(said.contains("== distill@t3\n$ echo distill 3.0"), "{said}");
    project.replace("pipeline.toml", "t3 = 3.0", "t3 = 3.5");
    let said = project.ok(&["why", "distill"]);
    assert!(said.contains("distill@t2 is fresh") && said.contains("distill@t3 is stale"), "{said}");
    assert_eq!(project.ok(&["why", "distill", "--format", "json"]).lines().count(), 2);
    let said = project.ok(&["verify", "prune"]);
    assert!(said.starts_with("2 intact, 0 damaged"), "{said}");
    project.replace("pipeline.toml", "t3 = 3.5", "t3 = 3.0");
    let said = project.ok(&["verify", "--rerun", "prune"]);
    assert!(said.contains("prune@t2.model is the same") && !said.contains("distill"), "{said}");
    let lock = project.read("pipeline.lock");
    let lock = lock.replace(
        "[stage.\"prune@t3\".params]",
        "[stage.\"prune@t3\".metrics]\nf1 = 0.5\n\n[stage.\"prune@t3\".params]",
    );
    project.write("pipeline.lock", &lock);
    assert_eq!(project.ok(&["metrics", "prune"]), "stage     metric  value\nprune@t3  f1        0.5\n");
    assert_eq!(project.ok(&["metrics", "distill"]), "no stage has a metric\n");
    for arguments in [["metrics", "prun"], ["verify", "prun"]] {
        assert_eq!(project.ner_pipe(&arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn an_instance_more_or_less_is_told_once_and_by_its_name() {
    let project = sweep();
    project.ok(&["run"]);
    let of = |id: &str| {
        let stages = project.stages();
        stages.into_iter().find(|stage| stage["id"] == id).expect("is one")["reasons"].clone()
    };
    project.replace("pipeline.toml", "[\"t2\", \"t3\"]", "[\"t2\", \"t3\", \"t4\"]");
    project.replace("pipeline.toml", "t3 = 3.0 }", "t3 = 3.0, t4 = 4.0 }");
    assert_eq!(of("table"), serde_json::json!(["input prune@t4.model is new (prune@t4: never run)"]));
    let plan = project.ok(&["run", "--dry-run"]);
    assert!(plan.contains("table       execute  "), "no earlier result read that: {plan}");
    project.replace("pipeline.toml", "[\"t2\", \"t3\", \"t4\"]", "[\"t2\"]");
    assert_eq!(of("table"), serde_json::json!(["input prune@t3.model is no longer wired"]));
    let lock = project.read("pipeline.lock");
    // The lock forgets an instance that the file has no longer.
    project.replace("pipeline.toml", "foreach = [\"t2\"]", "foreach = [\"t2\", \"t4\"]");
    project.ok(&["run", "prune"]);
    let said = ["input prune@t4.model is new", "input `models` of t3 is no longer wired"];
    assert_eq!(of("table").as_array().expect("is a list")[..2], said);
    project.replace("pipeline.toml", "foreach = [\"t2\", \"t4\"]", "foreach = [\"t2\"]");
    project.write("pipeline.lock", &lock);
    project.replace("pipeline.toml", "{ models = \"prune@*.model\" }", "{ other = \"prune@*.model\" }");
    project.replace(
        "pipeline.toml",
        "params = { run = \"echo table",
        "params = { run = \": {other}; echo table",
    );
    project.replace("pipeline.toml", "{models}", "{other}");
    let said = of("table").to_string();
    assert!(
        said.contains("input prune@t2.model is new") && said.contains("input `models` is no longer wired"),
        "{said}"
    );
}

#[test]
fn set_changes_one_instance_or_all() {
    let project = sweep();
    let other = "run=echo other >> trace; cp {data} {model}";
    project.expect(
        &["distill", "--set", &format!("distill@t2.{other}")],
        &[("distill@t2", "executed"), ("distill@t3", "executed")],
    );
    assert_eq!(project.read("out/distill-t2.txt"), "b\na\nc\n");
    assert_eq!(project.read("out/distill-t3.txt"), "b\na\nc\n3.0\n");
    // Both are the same command now, but for the name of the file.
    project.ok(&["run", "distill", "--set", &format!("distill.{other}")]);
    assert_eq!(project.read("out/distill-t3.txt"), "b\na\nc\n");
    let ended = project.ner_pipe(&["run", "--set", "distill@t9.run=true"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("there is no stage `distill@t9`"), "{}", ended.err);
}

/// Three temperatures and two ratios.
const MATRIX: &str = r#"
[sources]
in = { path = "data/in.txt", kind = "file" }

[stage.prune]
matrix = { temperature = [2.0, 2.5, 3], heads = [0.25, 0.5] }
use = "command"
inputs = { data = "sources.in" }
outputs = { out = "out/{key}/{matrix.heads}.txt" }
params = { run = "echo {matrix.temperature} {matrix.heads} >> trace; cp {data} {out}" }

[stage.evaluate]
matrix = { temperature = [2.0, 2.5, 3], heads = [0.25, 0.5] }
use = "command"
inputs = { data = "prune@{key}.out" }
outputs = { out = "out/evaluate-{key}.txt" }
params = { run = "echo evaluate >> trace; cp {data} {out}" }

[stage.one]
use = "command"
inputs = { data = "prune@temperature=2.5,heads=0.5.out" }
outputs = { out = "out/one.txt" }
params = { run = "cp {data} {out}" }
"#;

#[test]
fn a_matrix_is_every_combination() {
    let project = Project::new(MATRIX);
    project.ok(&["run", "--jobs", "1"]);
    let ids: Vec<_> = project.stages().iter().map(|stage| text(&stage["id"])).collect();
    assert_eq!(
        ids[..6],
        [
            "prune@temperature=2.0,heads=0.25",
            "prune@temperature=2.0,heads=0.5",
            "prune@temperature=2.5,heads=0.25",
            "prune@temperature=2.5,heads=0.5",
            "prune@temperature=3,heads=0.25",
            "prune@temperature=3,heads=0.5",
        ]
    );
    assert_eq!(project.trace()[..2], ["2.0 0.25", "2.0 0.5"]);
    assert_eq!(project.trace().len(), 12);
    project.replace("pipeline.toml", "[2.0, 2.5, 3]", "[3, 1.5, 2.0, 2.5]");
    project.ok(&["run", "--jobs", "1", "prune"]);
    assert_eq!(project.trace()[12..], ["1.5 0.25", "1.5 0.5"], "the others keep their ids and results");
    let set = "prune@temperature=2.5,heads=0.25.run=echo set >> trace; cp {data} {out}";
    project.ok(&["run", "prune@temperature=2.5,heads=0.25", "--set", set]);
    assert_eq!(project.trace()[14..], ["set"]);
}

#[test]
fn a_value_is_one_word_for_the_shell_whatever_is_in_it() {
    let project = Project::new(
        r#"
[stage.say]
foreach = { plain = "a b", odd = "l'été $HOME {data} {{x}}" }
use = "command"
outputs = { out = "out/{key}.txt" }
params = { run = "printf '%s|' {item} > {out}" }
"#,
    );
    project.ok(&["run"]);
    assert_eq!(project.read("out/plain.txt"), "a b|");
    assert_eq!(project.read("out/odd.txt"), "l'été $HOME {data} {{x}}|");
}

#[test]
fn expanding_a_stage_keeps_the_result_that_it_had() {
    let project = Project::new(
        r#"
[sources]
in = { path = "data/in.txt", kind = "file" }
[stage.copy]
use = "command"
inputs = { data = "sources.in" }
outputs = { out = "out/copy.txt" }
params = { run = "echo copy >> trace; head -n 2 {data} > {out}" }
"#,
    );
    project.ok(&["run"]);
    project.replace("pipeline.toml", "[stage.copy]\n", "[stage.copy]\nforeach = [2, 3]\n");
    project.replace("pipeline.toml", "out/copy.txt", "out/{item}/copy.txt");
    project.replace("pipeline.toml", "head -n 2", "head -n {item}");
    project.expect(&[], &[("copy@2", "restored"), ("copy@3", "executed")]);
    assert_eq!(project.trace(), ["copy", "copy"]);
}

#[test]
fn many_runs_with_many_jobs_execute_each_instance_once() {
    let project = sweep();
    let runs: Vec<_> = (0..3).map(|_| project.start(&["run", "--jobs", "4"])).collect();
    for run in runs {
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    }
    let mut trace = project.trace();
    trace.sort();
    assert_eq!(trace, ["distill 2.0", "distill 3.0", "prune t2", "prune t3", "table"]);
}

#[test]
fn an_instance_may_have_a_config_and_terms_of_its_own() {
    let project = Project::new(
        r#"
[stage.say]
foreach = { one = "1m", two = "1h" }
use = "command"
outputs = { out = "out/{key}.txt" }
config = "configs/{key}.toml"
timeout = "{item}"
mutex = "{key}"
"#,
    );
    project.write("configs/one.toml", "run = \"echo 1 > {out}\"\n");
    project.write("configs/two.toml", "run = \"echo 2 > {out}\"\n");
    project.ok(&["run"]);
    assert_eq!(
        (project.read("out/one.txt"), project.read("out/two.txt")),
        ("1\n".to_owned(), "2\n".to_owned())
    );
    project.replace("pipeline.toml", "1m", "soon");
    let ended = project.ner_pipe(&["run"]);
    assert!(ended.err.contains("`soon` is no duration"), "{}", ended.err);
}
