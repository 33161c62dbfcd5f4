//! `ner-pipe report`: a page of the graph and of what is fresh. What stages contribute is tested with stages of a registry
//! (`tests/registry/report.rs`).

use crate::project::{Project, TWO};

/// What stands between the tags.
fn text(page: &str) -> String {
    let inner = page.split('<').filter_map(|part| part.split_once('>').map(|(_, text)| text));
    inner.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn holds(page: &str, facts: &[&str]) {
    for fact in facts {
        assert!(page.contains(fact), "the page has no {fact}");
    }
}

#[test]
fn a_page_shows_the_graph_and_executes_nothing() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let trace = project.trace();
    assert_eq!(project.ok(&["report"]), "wrote artifacts/report.html\n");
    assert_eq!(project.trace(), trace, "a report only reads");
    let page = project.read("artifacts/report.html");
    holds(
        &page,
        &["sort (command), fresh", "sort \u{2192} count: out as data", "sources.in: data/in.txt, file"],
    );
    holds(&text(&page), &["2 stages: 2 fresh", "no gates defined, or none evaluated yet"]);
    assert_eq!(page.matches("<section").count(), 2, "no topic without something in it");
}

#[test]
fn a_page_of_what_never_ran_writes_nothing() {
    let project = Project::new(TWO);
    let page = text(&project.ok(&["report", "-o", "-"]));
    holds(&page, &["2 stages: 2 never-run", "sort is never-run: never run"]);
    assert!(!project.exists("cache") && !project.exists("artifacts"), "a reader writes nothing");
}

#[test]
fn a_stale_stage_is_shown_as_one_and_with_its_reason() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.replace("pipeline.toml", "echo sort >>", "echo sort again >>");
    let page = text(&project.ok(&["report", "-o", "-"]));
    holds(&page, &["2 stages: 1 stale, 1 maybe", "sort is stale: params.run", "what follows: count"]);
}

#[test]
fn equal_results_give_equal_bytes() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let first = project.ok(&["report", "--output", "-"]);
    project.ok(&["run"]);
    assert_eq!(project.ok(&["report", "--output", "-"]), first, "also after a run with nothing to do");
    project.ok(&["report", "-o", "elsewhere.html"]);
    assert_eq!(project.read("elsewhere.html"), first);
}

#[test]
fn a_page_takes_the_place_of_a_page_alone() {
    let project = Project::new(TWO);
    let before = project.read("pipeline.toml");
    let ended = project.ner_pipe(&["report", "--output", "pipeline.toml"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("pipeline.toml is there and is no page"), "{}", ended.err);
    assert!(ended.err.contains("help: name another file"), "{}", ended.err);
    assert_eq!(project.read("pipeline.toml"), before);
    project.ok(&["report", "--output", "page.html"]);
    project.ok(&["report", "--output", "page.html"]);
}
