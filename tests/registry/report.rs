//! `ner-pipe report`: a page of what a made-up stage and a `command` of the same kind came to, of which the runner knows
//! nothing.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use super::project::Project;

/// Each with the name it is asked for by.
pub const TESTS: [(&str, fn()); 8] = [
    ("a_page_shows_what_an_unknown_stage_contributes", a_page_shows_what_an_unknown_stage_contributes),
    (
        "a_command_that_writes_the_same_kind_is_shown_the_same",
        a_command_that_writes_the_same_kind_is_shown_the_same,
    ),
    (
        "text_is_shown_only_to_who_asks_for_it_and_is_escaped",
        text_is_shown_only_to_who_asks_for_it_and_is_escaped,
    ),
    ("names_reach_the_page_as_text", names_reach_the_page_as_text),
    ("a_page_needs_nothing_but_itself", a_page_needs_nothing_but_itself),
    ("equal_results_give_equal_pages", equal_results_give_equal_pages),
    ("artifacts_without_a_cache_are_enough", artifacts_without_a_cache_are_enough),
    ("an_output_that_cannot_be_read_is_named", an_output_that_cannot_be_read_is_named),
];

const TOY: &str = r#"{"name": "top", "values": [0.25, 0.75], "text": "Mme <i>Durand</i>"}"#;

/// A toy as a source, halved, and copied by a command.
fn toys(toy: &str) -> Project {
    let project = Project::new(
        r#"
[sources]
toy = { path = "data/toy.json", kind = "toy" }
[stage.halve]
inputs = { toy = "sources.toy" }
[stage.copy]
use = "command"
inputs = { toy = "halve.half" }
outputs = { copy = { path = "out/toy.json", kind = "toy" } }
params = { run = "cp {toy} {copy}" }
"#,
    );
    project.write("data/toy.json", toy);
    project
}

/// A project whose stages have run, and its page.
fn shown(toy: &str, arguments: &[&str]) -> (Project, String) {
    let project = toys(toy);
    project.ok(&["run"]);
    let page = project.ok(&[&["report", "-o", "-"], arguments].concat());
    (project, page)
}

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

fn a_page_shows_what_an_unknown_stage_contributes() {
    let (_, page) = shown(TOY, &[]);
    let said = text(&page);
    let places: Vec<_> = ["id=\"gates\"", "id=\"pipeline\"", "id=\"all-about-toys\"", "id=\"what-toys-say\""]
        .iter()
        .map(|id| page.find(id).unwrap_or_else(|| panic!("no {id}")))
        .collect();
    assert!(places.is_sorted(), "topics stand in their order: {places:?}");
    // The gates of both stages in one table; what an output tells of a gate takes the place of its bare outcome.
    assert_eq!(page.matches("Beside its bound").count(), 1);
    holds(
        &said,
        &["top ? inconclusive top 0.125 0.125 to 0.375 \u{2265} 0.125 halve", "\u{2265} 0.125 copy"],
    );
    // The table, with its unit, its interval and the direction that is better.
    holds(&said, &["Toy top \u{2191} weight \u{2193} size", "top 12.5 6.2 to 12.5 1,234 kg \u{2013}"]);
    holds(&page, &["title=\"higher is better\""]);
    // The charts, side by side.
    holds(&page, &["<title>top: 37.5 at 2</title>", "top: 7 parts, top 37.5, noise 60 dB"]);
    holds(&page, &["<title>top, top: 12.5 (6.2 to 37.5)</title>"]);
    assert_eq!(page.matches("<div class=\"charts\">").count(), 2, "one for each stage");
    // The heat map: a cross for the lower value, and a bar.
    assert_eq!(page.matches("class=\"cross\"").count(), 2);
    holds(&page, &["fill-opacity=\"0.58\"", "fill-opacity=\"1.00\"", ">3/4</text>"]);
}

fn a_command_that_writes_the_same_kind_is_shown_the_same() {
    let (project, page) = shown(TOY, &[]);
    let part = |from: &str, to: &str| {
        let start = page.find(from).unwrap_or_else(|| panic!("no {from}")) + from.len();
        let length = page[start..].find(to).unwrap_or_else(|| panic!("no {to}"));
        page[start..start + length].to_owned()
    };
    assert_eq!(part("<h3>halve</h3>", "<h3>"), part("<h3>copy</h3>", "</section>"));
    let said = project.ok(&["stages"]);
    assert!(said.contains("  toy     a toy, as JSON\n"), "{said}");
}

fn text_is_shown_only_to_who_asks_for_it_and_is_escaped() {
    let (project, page) = shown(TOY, &[]);
    assert!(!page.contains("Durand"));
    holds(&page, &["ner-pipe report --show-text"]);
    let mode =
        || fs::metadata(project.path("artifacts/report.html")).expect("there").permissions().mode() & 0o777;
    project.ok(&["report"]);
    assert_eq!(mode(), 0o644);
    project.ok(&["report", "--show-text"]);
    assert_eq!(mode(), 0o600, "what has text in it is its owner's alone");
    let page = project.read("artifacts/report.html");
    holds(
        &page,
        &["<mark class=\"other\">Mme &lt;i&gt;Durand&lt;/i&gt;<span class=\"type\">top \u{2260}</span>"],
    );
    holds(&page, &["</mark> and <mark class=\"\">more<span class=\"type\">top</span></mark>"]);
}

/// Those that the page is made of.
const TAGS: &str = "!DOCTYPE a body br circle dd details div dl dt figcaption figure g h1 h2 h3 h4 head header html li \
    line main mark meta nav ol p path rect section small span style summary svg table tbody td text th \
    thead title tr ul";

fn names_reach_the_page_as_text() {
    let evil =
        r#"{"name": "</title><script>\"'&amp;", "values": [0.25, 0.75], "text": "</p><b onload='x'>"}"#;
    let (_, page) = shown(evil, &["--show-text"]);
    // Each `<` begins a tag that the page itself writes, and nothing ends one before its time.
    let tags = page.split('<').skip(1).map(|tag| tag.split([' ', '>']).next().unwrap_or_default());
    let tags: BTreeSet<_> = tags.map(|tag| tag.trim_start_matches('/')).collect();
    assert!(tags.is_subset(&TAGS.split(' ').collect()), "{tags:?}");
    assert!(!page.contains("\"'"), "no attribute ends early");
    holds(&page, &["&lt;/title&gt;&lt;script&gt;&quot;'&amp;amp;", "&lt;/p&gt;&lt;b onload='x'&gt;"]);
}

fn a_page_needs_nothing_but_itself() {
    let (project, page) = shown(TOY, &["--show-text"]);
    for outside in ["<script", "src=", "http:", "https:", "@import", "url(", "<link", "<img"] {
        assert!(!page.contains(outside), "{outside}");
    }
    holds(&page, &["<!DOCTYPE html>", "lang=\"en\"", "prefers-color-scheme: dark"]);
    let root = project.path("").display().to_string();
    assert!(!page.contains(root.trim_end_matches('/')), "no absolute path");
}

fn equal_results_give_equal_pages() {
    let (project, page) = shown(TOY, &[]);
    project.ok(&["run"]);
    assert_eq!(project.ok(&["report", "-o", "-"]), page, "also after a run with nothing to do");
}

fn artifacts_without_a_cache_are_enough() {
    let (project, _) = shown(TOY, &[]);
    project.remove("cache");
    let page = project.ok(&["report", "-o", "-"]);
    holds(&text(&page), &["The last result; its stage is not fresh", "12.5 6.2 to 12.5"]);
}

fn an_output_that_cannot_be_read_is_named() {
    let project = toys(TOY);
    project.ok(&["run", "halve"]);
    project.replace("pipeline.toml", "cp {toy} {copy}", "echo Durand > {copy}");
    project.ok(&["run"]);
    let page = project.ok(&["report", "-o", "-"]);
    holds(&text(&page), &["Outputs that cannot be shown copy `copy` cannot be read as `toy`", "12.5"]);
    assert!(!page.contains("Durand"), "what was read is not quoted");
    project.remove("cache");
    project.remove("out/toy.json");
    assert!(std::process::Command::new("mkfifo").arg(project.path("out/toy.json")).status().is_ok());
    assert!(!project.ok(&["report", "-o", "-"]).contains("cannot be read"), "nobody waits for a pipe");
}
