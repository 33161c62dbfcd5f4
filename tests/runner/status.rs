use crate::project::{Project, TWO, text};

/// Three in a row.
fn three() -> String {
    format!(
        "{TWO}\n{}",
        r#"
[stage.last]
use = "command"
inputs = { n = "count.n" }
outputs = { out = "out/last.txt" }
params = { run = "echo last >> trace; cp {n} {out}" }
"#
    )
}

fn states(project: &Project) -> Vec<(String, String)> {
    project.stages().iter().map(|stage| (text(&stage["state"]), text(&stage["next"]))).collect()
}

fn expect(project: &Project, wanted: [(&str, &str); 3]) {
    let wanted = wanted.map(|(state, next)| (state.to_owned(), next.to_owned()));
    assert_eq!(states(project), wanted);
}

fn reasons(project: &Project, stage: usize) -> Vec<String> {
    project.stages()[stage]["reasons"].as_array().expect("is a list").iter().map(text).collect()
}

#[test]
fn status_follows_a_change_through_the_graph() {
    let project = Project::new(&three());
    expect(&project, [("never-run", "execute"), ("never-run", "execute"), ("never-run", "execute")]);
    assert!(!project.exists("cache"), "status writes nothing");
    project.ok(&["run"]);
    expect(&project, [("fresh", "reuse"), ("fresh", "reuse"), ("fresh", "reuse")]);
    assert_eq!(project.ner_pipe(&["status", "--check"]).code, Some(0));
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    expect(&project, [("stale", "execute"), ("maybe", "unknown"), ("maybe", "unknown")]);
    assert_eq!(project.ner_pipe(&["status", "--check"]).code, Some(3));
    assert!(project.stages()[1]["key"].is_null(), "not known yet");
    let root = "sort: params.run \"echo sort >> trace; sort {data} > {out}\" -> \"echo sort >> trace; sort -r {data} > {out}\"";
    assert_eq!(reasons(&project, 0), [root.strip_prefix("sort: ").expect("starts so")]);
    assert_eq!(reasons(&project, 1), [format!("input sort.out may change ({root})")]);
    assert_eq!(
        reasons(&project, 2),
        [format!("input count.n may change ({root})")],
        "the root cause, not its echo"
    );
}

#[test]
fn a_changed_source_is_named_with_both_digests() {
    let project = Project::new(&three());
    project.ok(&["run"]);
    project.write("data/in.txt", "new\n");
    let said = reasons(&project, 0).join("");
    assert!(said.starts_with("input sources.in "), "{said}");
    assert!(said.contains(" -> ") && said.ends_with("(data/in.txt changed)"), "{said}");
    project.ok(&["run", "sort"]);
    let said = reasons(&project, 1).join("");
    assert!(
        said.starts_with("input sort.out ") && said.contains("(sort re-ran: input sources.in "),
        "{said}"
    );
    assert!(said.ends_with(", data/in.txt changed)"), "{said}");
    expect(&project, [("fresh", "reuse"), ("stale", "execute"), ("maybe", "unknown")]);
}

#[test]
fn a_stage_of_its_own_change_below_a_stale_one_is_stale_for_certain() {
    let project = Project::new(&three());
    project.ok(&["run"]);
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    project.replace("pipeline.toml", "wc -l", "wc -c");
    expect(&project, [("stale", "execute"), ("stale", "execute"), ("maybe", "unknown")]);
    assert!(reasons(&project, 1)[0].starts_with("params.run "));
}

#[test]
fn a_missing_artifact_is_stale_and_restored() {
    let project = Project::new(&three());
    project.ok(&["run"]);
    project.remove("out/sorted.txt");
    project.write("out/count.txt", "edited");
    expect(&project, [("stale", "restore"), ("stale", "restore"), ("fresh", "reuse")]);
    assert_eq!(reasons(&project, 0), ["out/sorted.txt is missing"]);
    assert_eq!(reasons(&project, 1), ["out/count.txt was modified"]);
}

#[test]
fn the_lock_alone_gives_the_exact_reason() {
    let project = Project::new(&three());
    project.ok(&["run"]);
    project.remove("cache");
    project.replace("pipeline.toml", "wc -l", "wc -c");
    assert_eq!(reasons(&project, 0), ["result not in the cache"]);
    assert!(reasons(&project, 1)[0].starts_with("params.run "), "{:?}", reasons(&project, 1));
}

#[test]
fn a_rewired_or_renamed_stage_is_told_as_such() {
    let project = Project::new(&three());
    project.ok(&["run"]);
    project.replace(
        "pipeline.toml",
        "inputs = { n = \"count.n\" }",
        "inputs = { n = \"count.n\", more = \"sort.out\" }",
    );
    assert_eq!(reasons(&project, 2), ["input sort.out is new"]);
    project.replace(
        "pipeline.toml",
        "inputs = { n = \"count.n\", more = \"sort.out\" }",
        "inputs = { n = \"sort.out\" }",
    );
    assert_eq!(reasons(&project, 2), ["input `n` count.n -> sort.out"], "neither ran again");
    project.replace("pipeline.toml", "inputs = { n = \"sort.out\" }", "inputs = { n = \"sources.in\" }");
    assert_eq!(reasons(&project, 2), ["input `n` count.n -> sources.in"], "no source changed");
    project.replace("pipeline.toml", "inputs = { n = \"sources.in\" }", "inputs = { n = \"sort.out\" }");
    project.replace("pipeline.toml", "out/last.txt", "out/last.csv");
    assert_eq!(reasons(&project, 2)[0], "input `n` count.n -> sort.out");
    project.replace("pipeline.toml", "inputs = { n = \"sort.out\" }", "inputs = { n = \"count.n\" }");
    assert_eq!(reasons(&project, 2), ["output out file last.txt -> file last.csv"]);
}

#[test]
fn graphs_can_be_drawn() {
    let project = Project::new(&three());
    project.ok(&["run", "sort"]);
    let dot = project.ok(&["status", "--format", "dot"]);
    assert!(dot.starts_with("digraph pipeline {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains("s0 [label=\"in\", shape=ellipse];"), "{dot}");
    assert!(dot.contains("n0 [label=\"sort\\nfresh\"") && dot.contains("n0 -> n1 [label=\"out\"];"), "{dot}");
    let mermaid = project.ok(&["status", "--format", "mermaid"]);
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    assert!(mermaid.contains("n1[\"count<br/>never-run\"]:::never-run"), "{mermaid}");
    assert!(mermaid.contains("s0 -->|data| n0") && mermaid.contains("n0 -->|out| n1"), "{mermaid}");
    let text = project.ok(&["status"]);
    assert!(text.contains("sort   fresh               <- sources.in"), "{text}");
    assert!(text.contains("count  never-run  execute  <- sort.out\n         never run\n"), "{text}");
}

#[test]
fn why_explains_one_stage() {
    let project = Project::new(&three());
    assert!(project.ok(&["why", "count"]).contains("has no recorded result"));
    project.ok(&["run"]);
    let said = project.ok(&["why", "count"]);
    assert!(said.starts_with("count is fresh: "), "{said}");
    project.replace("pipeline.toml", "wc -l", "wc -c");
    let said = project.ok(&["why", "count"]);
    assert!(said.starts_with("count is stale:\n  params.run "), "{said}");
    assert!(said.contains("would execute it"), "{said}");
    let said = project.ok(&["why", "last"]);
    assert!(said.starts_with("last may be stale:\n  input count.n may change (count: params.run "), "{said}");
    assert_eq!(project.ner_pipe(&["why", "nobody"]).code, Some(2));
}

#[test]
fn a_stage_taken_out_leaves_the_lock() {
    let project = Project::new(&three());
    project.ok(&["run"]);
    let without = TWO.replace("wc -l", "wc -c");
    project.write("pipeline.toml", &without);
    project.ok(&["run"]);
    assert!(!project.read("pipeline.lock").contains("stage.last"));
    assert_eq!(project.states().len(), 2);
}
