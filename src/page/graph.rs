//! The pipeline as a drawing: what is read stands left of what reads it.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    figures::{cut, fitting, float, px},
    layout::Layout,
    results::StageResult,
};
use crate::{
    pipeline::{Origin, Pipeline},
    runner::{Project, State, told},
    watch::duration,
};

const WIDTH: f64 = 150.0;
const HEIGHT: f64 = 44.0;
const GAP: f64 = 36.0;
const EDGE: f64 = 6.0;

/// Boxes, and the ports between any two.
struct Graph {
    layers: Vec<usize>,
    wires: BTreeMap<(usize, usize), Vec<String>>,
}

impl Graph {
    /// Nodes first, by their place, then the sources that are read.
    fn of(pipeline: &Pipeline, sources: &[usize]) -> Self {
        let nodes = pipeline.nodes.len();
        let mut layers: Vec<usize> = Vec::new();
        for node in 0..nodes {
            let reads_source =
                pipeline.nodes[node].inputs.iter().any(|wire| matches!(wire.from, Origin::Source(_)));
            let above = pipeline.upstream(node).into_iter().map(|other| layers[other] + 1).max();
            layers.push(above.unwrap_or(0).max(usize::from(reads_source)));
        }
        let mut wires: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
        for (index, node) in pipeline.nodes.iter().enumerate() {
            for wire in &node.inputs {
                let (from, name) = match &wire.from {
                    Origin::Output { node, output } => (*node, format!("{output} as {}", wire.port)),
                    Origin::Source(source) => {
                        let place = sources.iter().position(|known| known == source).unwrap_or_default();
                        (nodes + place, format!("as {}", wire.port))
                    }
                };
                wires.entry((from, index)).or_default().push(name);
            }
        }
        // A source stands right before the first that reads it.
        for place in 0..sources.len() {
            let readers = wires.keys().filter(|(from, _)| *from == nodes + place).map(|(_, to)| layers[*to]);
            layers.push(readers.min().unwrap_or(1).saturating_sub(1));
        }
        Self { layers, wires }
    }
}

/// The whole graph, with states and times.
pub(super) fn drawing(project: &Project<'_>, results: &[StageResult<'_>]) -> Markup {
    let pipeline = &project.pipeline;
    let read = |source: &usize| {
        let inputs = pipeline.nodes.iter().flat_map(|node| &node.inputs);
        inputs.into_iter().any(|wire| wire.from == Origin::Source(*source))
    };
    let sources: Vec<usize> = (0..pipeline.sources.len()).filter(read).collect();
    let graph = Graph::of(pipeline, &sources);
    let ends: Vec<(usize, usize)> = graph.wires.keys().copied().collect();
    let layout = Layout::of(&graph.layers, &ends);
    let across = |layer: usize| EDGE + float(layer) * (WIDTH + GAP);
    let width = float(layout.layers) * (WIDTH + GAP) - GAP + 2.0 * EDGE;
    let name = |index: usize| match index.checked_sub(pipeline.nodes.len()) {
        None => pipeline.nodes[index].id.clone(),
        Some(source) => format!("sources.{}", pipeline.sources[sources[source]].id),
    };
    html! {
        svg.fixed style=(fitting(width)) viewBox={ "0 0 " (px(width)) " " (px(layout.height)) } role="img" aria-label="Graph of the pipeline" {
            @for (((from, to), ports), stops) in graph.wires.iter().zip(&layout.wires) {
                path.wire d=(curve(stops, across)) {
                    title { (name(*from)) " \u{2192} " (name(*to)) ": " (ports.join(", ")) }
                }
            }
            @for (index, source) in sources.iter().enumerate() {
                @let (layer, middle) = layout.boxes[pipeline.nodes.len() + index];
                @let source = &pipeline.sources[*source];
                g.source {
                    title { "sources." (source.id) ": " (source.at) ", " (source.kind.name) }
                    rect x=(px(across(layer))) y=(px(middle - 17.0)) width=(px(WIDTH)) height="34" rx="17" {}
                    text x=(px(across(layer) + WIDTH / 2.0)) y=(px(middle + 4.0)) text-anchor="middle" { (cut(&source.id, 16)) }
                }
            }
            @for result in results {
                @let (layer, middle) = layout.boxes[result.outlook.node];
                @let (left, state) = (across(layer), result.outlook.state);
                g.stage {
                    title { (described(result)) }
                    rect x=(px(left)) y=(px(middle - HEIGHT / 2.0)) width=(px(WIDTH)) height=(px(HEIGHT)) rx="6" fill=(state.colour()) {}
                    text.name x=(px(left + 9.0)) y=(px(middle - 4.0)) { (cut(&result.node.id, 16)) }
                    text x=(px(left + 9.0)) y=(px(middle + 13.0)) {
                        (sign(state)) " " (state.name())
                        @if let Some(record) = &result.record { " \u{b7} " (duration(record.seconds)) }
                    }
                }
            }
        }
    }
}

fn described(result: &StageResult<'_>) -> String {
    let first = format!("{} ({}), {}", result.node.id, result.node.uses, result.outlook.state.name());
    let took = result.record.iter().map(|record| format!("took {}", duration(record.seconds)));
    let lines = std::iter::once(first).chain(took).chain(told(&result.outlook.reasons));
    lines.collect::<Vec<_>>().join("\n")
}

fn sign(state: State) -> &'static str {
    match state {
        State::Fresh => "\u{2713}",
        State::Stale => "\u{25c6}",
        State::Maybe => "?",
        State::NeverRun => "\u{25cb}",
    }
}

/// From the right of the first stop to the left of the last, straight past the boxes of the layers between.
fn curve(stops: &[(usize, f64)], across: impl Fn(usize) -> f64) -> String {
    let part = |(index, pair): (usize, &[(usize, f64)])| {
        let [(layer, from), (next, to)] = [pair[0], pair[1]];
        let (start, end) = (across(layer) + WIDTH, across(next));
        let (begin, middle) = (if index == 0 { "M" } else { "L" }, px(f64::midpoint(start, end)));
        let [start, end, from, to] = [start, end, from, to].map(px);
        format!("{begin}{start} {from}C{middle} {from} {middle} {to} {end} {to}")
    };
    stops.windows(2).enumerate().map(part).collect()
}
