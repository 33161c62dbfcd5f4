use crate::project::{Project, TWO};

#[test]
fn a_named_stage_runs_with_what_it_needs_and_nothing_else() {
    let project = Project::new(TWO);
    project.expect(&["sort"], &[("sort", "executed")]);
    assert!(!project.exists("out/count.txt"));
    project.expect(&["count"], &[("sort", "reused"), ("count", "executed")]);
    let ended = project.ner_pipe(&["run", "sotr"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("no stage `sotr`") && ended.err.contains("did you mean `sort`?"),
        "{}",
        ended.err
    );
}

#[test]
fn a_forced_stage_executes_though_its_result_is_there() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.expect(&["--force", "sort"], &[("sort", "executed"), ("count", "reused")]);
    assert_eq!(project.trace(), ["sort", "count", "sort"]);
    let ended = project.ner_pipe(&["run", "sort", "--force", "count"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("do not need `count`"), "{}", ended.err);
}

#[test]
fn a_forced_stage_that_comes_out_different_is_published_and_followed() {
    let project = Project::new(&TWO.replace("sort {data} >", "date +%N%s; (cat {data}; date +%s%N) >"));
    project.ok(&["run"]);
    let before = project.read("out/sorted.txt");
    project.expect(&["--force", "sort"], &[("sort", "executed"), ("count", "executed")]);
    assert_ne!(project.read("out/sorted.txt"), before);
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let project = Project::new(TWO);
    let said = project.ok(&["run", "--dry-run"]);
    assert!(said.contains("sort   execute   (never run)"), "{said}");
    assert!(said.contains("count  execute   (never run)"), "{said}");
    assert!(!project.exists("cache") && !project.exists("out") && project.trace().is_empty());
    project.ok(&["run"]);
    project.remove("out/sorted.txt");
    project.replace("pipeline.toml", "wc -l", "wc -c");
    let said = project.ok(&["run", "--dry-run"]);
    assert!(said.contains("sort   restore   (out/sorted.txt is missing)"), "{said}");
    assert!(said.contains("count  execute   (params.run "), "{said}");
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    project.replace("pipeline.toml", "wc -c", "wc -l");
    let said = project.ok(&["run", "--dry-run", "--format", "json"]);
    let events: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
    let plans = events.iter().filter(|event| event["event"] == "plan");
    assert_eq!(plans.map(|plan| plan["next"].clone()).collect::<Vec<_>>(), ["execute", "unknown"]);
    assert_eq!(project.trace(), ["sort", "count"]);
}

#[test]
fn a_parameter_can_be_set_for_one_run() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let set = "count.run=echo count >> trace; wc -c < {data} > {n}";
    project.expect(&["--set", set], &[("sort", "reused"), ("count", "executed")]);
    assert_eq!(project.read("out/count.txt").trim(), "6");
    let stages = project.stages();
    assert_eq!(stages[1]["state"], "stale");
    let reason = crate::project::text(&stages[1]["reasons"][0]);
    assert!(
        reason.starts_with("params.run ") && reason.contains("wc -c") && reason.contains("wc -l"),
        "{reason}"
    );
    project.expect(&[], &[("sort", "reused"), ("count", "restored")]);
    project.expect(&["--set", set], &[("sort", "reused"), ("count", "restored")]);
}

#[test]
fn another_folder_can_be_named() {
    let project = Project::new(TWO);
    let elsewhere = Project::new("");
    let path = project.path("").display().to_string();
    elsewhere.expect(&["-C", &path], &[("sort", "executed"), ("count", "executed")]);
    assert!(project.exists("out/count.txt"));
    let ended = elsewhere.ner_pipe(&["-C", "nowhere", "run"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("cannot work in nowhere"), "{}", ended.err);
}
