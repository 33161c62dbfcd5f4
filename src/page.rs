//! The page of `ner-pipe report`: one file of HTML with inline SVG and CSS, no script, nothing from outside. It is
//! made of what is there alone, so that equal results give equal bytes.
//!
//! Nothing here knows a stage: [`results`] tells what an output is by its kind and by the shape of what it holds, so
//! that a `command` that writes the same is shown the same. What is not there is left out with a word.

mod chart;
mod curves;
mod evaluation;
mod figures;
mod graph;
mod layout;
mod models;
mod pruning;
mod results;
mod scores;
mod sentences;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    runner::{Plan, Project, State, told},
    watch::tell,
};

use self::results::{Report, StageResult};

/// By this a page of ours is known, and may be replaced.
pub const GENERATOR: &str =
    "<!DOCTYPE html><html lang=\"en\"><head><meta name=\"generator\" content=\"ner-pipe\">";

/// The whole page. `text`: sentences of the corpus may be in it.
#[must_use]
pub fn page(project: &Project<'_>, plan: &Plan, text: bool) -> String {
    let results = results::all(project, plan);
    let title = format!("ner-pipe: {}", project.pipeline.file.display());
    let sections = [
        ("gates", "Gates", gates(&results)),
        ("pipeline", "Pipeline", pipeline(project, &results)),
        ("results", "Size, speed and scores", evaluations(&results)),
        ("pruning", "What pruning kept", prunings(&results)),
        ("training", "Training", trainings(&results)),
        ("sentences", "Where teacher and student differ", sentences::section(&results, text)),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta name="generator" content="ner-pipe";
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("page/style.css"))) }
            }
            body {
                header {
                    h1 { (title) }
                    p { (summary(&results)) }
                    nav aria-label="Contents" {
                        ul { @for (id, name, _) in &sections { li { a href={ "#" (id) } { (name) } } } }
                    }
                }
                main {
                    @for (id, name, content) in &sections {
                        section id=(id) { h2 { (name) } (content) }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// How many stages are in which state.
fn summary(results: &[StageResult<'_>]) -> String {
    let counts =
        [State::Fresh, State::Stale, State::Maybe, State::NeverRun].into_iter().filter_map(|state| {
            let count = results.iter().filter(|result| result.outlook.state == state).count();
            (count > 0).then(|| format!("{count} {}", state.name()))
        });
    let stages = if results.len() == 1 { "stage" } else { "stages" };
    format!("{} {stages}: {}", results.len(), counts.collect::<Vec<_>>().join(", "))
}

/// A word in the place of what is not there.
fn nothing(word: &str) -> Markup {
    html! { p.nothing { (word) } }
}

/// What may be wider than the window.
fn wide(label: &str, content: &Markup) -> Markup {
    html! { div.wide role="region" tabindex="0" aria-label=(label) { (content) } }
}

/// A heading with the stage's name, and a word where its result is not of now.
fn heading(result: &StageResult<'_>) -> Markup {
    html! {
        h3 { (result.node.id) }
        @if !result.of_now {
            p.note { "The last result; its stage is not fresh: " (result.outlook.state.name()) "." }
        }
    }
}

fn gates(results: &[StageResult<'_>]) -> Markup {
    let rows: Vec<Markup> = results.iter().flat_map(evaluation::gate_rows).collect();
    if rows.is_empty() {
        return nothing("no gates defined, or none evaluated yet");
    }
    let table = html! {
        table {
            thead {
                tr {
                    @for name in ["Gate", "Says", "Of"] { th scope="col" { (name) } }
                    @for name in ["Measured", "Interval", "Bound"] { th.number scope="col" { (name) } }
                    @for name in ["Beside its bound", "Stage"] { th scope="col" { (name) } }
                }
            }
            tbody { @for row in &rows { (row) } }
        }
    };
    html! {
        p.note {
            "A gate passes when the whole interval of what was measured meets its bound, fails when none of it does, and is inconclusive otherwise."
        }
        (wide("Gates", &table))
    }
}

fn pipeline(project: &Project<'_>, results: &[StageResult<'_>]) -> Markup {
    html! {
        (wide("Graph of the pipeline", &graph::drawing(project, results)))
        (behind(project, results))
        details {
            summary { "Every stage: time, memory, metrics" }
            (wide("Stages", &results::table(results)))
        }
    }
}

/// A line for each stage that something of its own keeps from being fresh, and one for all that follow them.
fn behind(project: &Project<'_>, results: &[StageResult<'_>]) -> Markup {
    let is_behind = |result: &&StageResult<'_>| result.outlook.state != State::Fresh;
    let behind: Vec<usize> = results.iter().filter(is_behind).map(|result| result.outlook.node).collect();
    let follows = |result: &&StageResult<'_>| {
        let reason = result.outlook.reasons.first();
        let upstream = project.pipeline.upstream(result.outlook.node);
        reason.is_some_and(|reason| reason.root.is_some())
            && upstream.iter().any(|node| behind.contains(node))
    };
    let (after, own): (Vec<_>, Vec<_>) = results.iter().filter(is_behind).partition(follows);
    let names = after.iter().map(|result| result.node.id.as_str()).collect::<Vec<_>>().join(", ");
    html! {
        @if !behind.is_empty() {
            h3 { "Why not fresh" }
            ul.plain {
                @for result in own {
                    li {
                        b { (result.node.id) } " is " (result.outlook.state.name()) ": "
                        (tell(&told(&result.outlook.reasons)))
                    }
                }
                @if !names.is_empty() { li { "what follows: " (names) } }
            }
        }
    }
}

fn evaluations(results: &[StageResult<'_>]) -> Markup {
    let found: Vec<_> = results
        .iter()
        .flat_map(|result| {
            result.reports.iter().filter_map(move |report| match report {
                Report::Evaluation(evaluation) => Some((result, evaluation)),
                Report::Pruning(_) => None,
            })
        })
        .collect();
    if found.is_empty() {
        return nothing("no `evaluate` has a result yet");
    }
    html! { @for (result, evaluation) in found { (heading(result)) (evaluation::section(evaluation)) } }
}

fn prunings(results: &[StageResult<'_>]) -> Markup {
    let found: Vec<_> = results
        .iter()
        .flat_map(|result| {
            result.reports.iter().filter_map(move |report| match report {
                Report::Pruning(pruning) => Some((result, pruning)),
                Report::Evaluation(_) => None,
            })
        })
        .collect();
    if found.is_empty() {
        return nothing("no `prune` has a result yet");
    }
    html! { @for (result, pruning) in found { (heading(result)) (pruning::section(pruning)) } }
}

fn trainings(results: &[StageResult<'_>]) -> Markup {
    let found: Vec<_> =
        results.iter().flat_map(|result| result.histories.iter().map(move |path| (result, path))).collect();
    if found.is_empty() {
        return nothing("no training has a history yet");
    }
    html! { @for (result, path) in found { (heading(result)) (curves::section(path)) } }
}
