//! The page of `ner-pipe report`: one file of HTML with inline SVG and CSS, no script, nothing from outside. It is
//! made of what is there alone, so that equal results give equal bytes.
//!
//! Nothing here knows a stage: what is shown of an output is said by the registry ([`Registry::show`]), in the words of
//! [`stage_contract::report`]; each file here draws one of them.
//!
//! [`Registry::show`]: stage_contract::Registry::show

mod chart;
mod figures;
mod gates;
mod graph;
mod heat_map;
mod intervals;
mod layout;
mod passages;
mod results;
mod scale;
mod scatter;
mod section;
mod table;
mod wide;

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use stage_contract::report::Topic;

use crate::{
    runner::{Plan, Project, State, told},
    watch::tell,
};

use self::{results::StageResult, wide::wide};

/// By this a page of ours is known, and may be replaced.
pub const GENERATOR: &str =
    "<!DOCTYPE html><html lang=\"en\"><head><meta name=\"generator\" content=\"ner-pipe\">";

/// The whole page. `text`: sentences of the corpus may be in it.
#[must_use]
pub fn page(project: &Project<'_>, plan: &Plan, text: bool) -> String {
    let results = results::all(project, plan);
    let title = format!("ner-pipe: {}", project.pipeline.file.display());
    let mut topics = BTreeSet::from([Topic::GATES, Topic::PIPELINE]);
    topics.extend(results.iter().flat_map(|result| &result.sections).map(|section| section.topic));
    let parts = topics.into_iter().filter_map(|topic| {
        let said = section::topic(topic, &results, text);
        let content = match topic {
            Topic::GATES => {
                said.unwrap_or_else(|| html! { p.nothing { "no gates defined, or none evaluated yet" } })
            }
            Topic::PIPELINE => html! { (pipeline(project, &results)) @if let Some(said) = said { (said) } },
            _ => said?,
        };
        Some((anchor(topic.heading), topic.heading, content))
    });
    let parts: Vec<(String, &str, Markup)> = parts.collect();
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
                        ul { @for (id, name, _) in &parts { li { a href={ "#" (id) } { (name) } } } }
                    }
                }
                main {
                    @for (id, name, content) in &parts {
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

/// A heading as the name of its place on the page.
fn anchor(heading: &str) -> String {
    let words = heading.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
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
