//! `ner-pipe status`.

use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use stage_contract::{
    Registry,
    terminal::{stderr, stdout},
};

use super::{
    exit::Exit,
    options::{Machine, PipelineFile, open},
    output::{emit, wrapped},
};
use crate::{
    pipeline::{Origin, Pipeline},
    runner::{
        Next, PlannedNode, Project, State, Stop, expect_free_destinations, inspect, pinned, plan,
        remote_sources, told,
    },
};

/// Show every stage: whether its result is up to date, and if not, why
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: Shape,
    /// End with exit code 3 unless every stage is fresh
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    machine: Machine,
}

/// What is wrong, and the way out.
type Message = (String, Option<String>);

/// How to show a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// For Graphviz: `ner-pipe status --format dot | dot -Tsvg`.
    Dot,
    /// For Markdown: a `mermaid` block.
    Mermaid,
}

/// Does it.
///
/// # Errors
/// When the pipeline file is wrong, or a source cannot be read.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = open(registry, &args.pipeline.file, &[], args.machine.options())?;
    let all: BTreeSet<usize> = (0..project.pipeline.nodes.len()).collect();
    let plan = plan(&mut project, &all, &BTreeSet::new())?;
    let refused = expect_free_destinations(&mut project, &plan).map_err(Stop::from).err();
    let mut refused = refused.map(|stop| stop.messages()).unwrap_or_default();
    let executing = plan.nodes.values().filter(|planned| planned.next == Next::Execute);
    let executing: Vec<usize> = executing.map(|planned| planned.node).collect();
    let looked = inspect(&mut project, &executing, &plan.results);
    refused.extend(looked.err().map(|stop| stop.messages()).unwrap_or_default());
    let plan: Vec<&PlannedNode> = plan.nodes.values().collect();
    let lines = match args.format {
        Shape::Text => {
            wrapped([sources(&project), text(&project, &plan), refusals(&project, &refused)].concat())
        }
        Shape::Json => vec![as_json(&project, &plan, &refused).to_string()],
        Shape::Dot => dot(&project, &plan),
        Shape::Mermaid => mermaid(&project, &plan),
    };
    emit(&mut stdout(), lines)?;
    let fresh = plan.iter().all(|planned| planned.state == State::Fresh);
    emit(&mut stderr(), project.notes.drain(..).map(|note| format!("note: {note}")))?;
    Ok(if args.check && !fresh { Exit::Stale } else { Exit::Ok })
}

fn text(project: &Project<'_>, plan: &[&PlannedNode]) -> Vec<String> {
    let nodes = &project.pipeline.nodes;
    let width = plan.iter().map(|planned| nodes[planned.node].id.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for planned in plan {
        let node = &nodes[planned.node];
        let next = if planned.next == Next::Reuse { "" } else { planned.next.name() };
        let needs = node.inputs.iter().map(|wire| project.origin(wire)).collect::<Vec<_>>().join(", ");
        let arrow = if needs.is_empty() { "" } else { "<- " };
        let line = format!("{:width$}  {:9}  {next:7}  {arrow}{needs}", node.id, planned.state.name());
        lines.push(line.trim_end().to_owned());
        if let Some(key) = &planned.accepted_from {
            lines.push(format!(
                "{:width$}    its result was accepted from {}, not made by this code",
                "",
                key.short()
            ));
        }
        lines.extend(planned.reasons.iter().map(|reason| format!("{:width$}    {reason}", "")));
    }
    lines
}

/// The sources of the hub, and which commit they are.
fn sources(project: &Project<'_>) -> Vec<String> {
    let all = (0..project.pipeline.nodes.len()).collect();
    let lines = remote_sources(project, &all).into_iter().map(|source| {
        let item = &project.pipeline.sources[source];
        let run = project.pipeline.typed("run");
        let commit = match (pinned(&project.lock, item), project.lock.source(&item.id)) {
            (Some(pin), _) => format!("commit {}", pin.commit),
            // Another repository, revision or kind than the file has by now.
            (None, Some(old)) => format!(
                "no commit yet: the lock has {}@{} as kind `{}`, commit {}; {run} asks the hub anew",
                old.hub, old.revision, old.kind, old.commit
            ),
            (None, None) => "no commit yet".to_owned(),
        };
        let here =
            if project.is_here(source) { String::new() } else { format!("; not here, {run} downloads it") };
        format!("sources.{}  {}, {commit}{here}", item.id, item.at)
    });
    lines.collect()
}

/// What a run says instead of beginning.
fn refusals(project: &Project<'_>, refused: &[Message]) -> Vec<String> {
    let run = project.pipeline.typed("run");
    let lines = refused.iter().flat_map(|(message, help)| {
        let help = help.iter().map(|help| format!("  help: {help}"));
        std::iter::once(format!("{run} refuses: {message}")).chain(help)
    });
    lines.collect()
}

fn as_json(project: &Project<'_>, plan: &[&PlannedNode], refused: &[Message]) -> Value {
    let stages = plan.iter().map(|planned| {
        let node = &project.pipeline.nodes[planned.node];
        let inputs: Map<String, Value> =
            node.inputs.iter().map(|wire| (wire.port.clone(), project.origin(wire).into())).collect();
        let some = |certain: bool| {
            let some = planned.reasons.iter().filter(|reason| reason.certain == certain);
            some.map(ToString::to_string).collect::<Vec<_>>()
        };
        json!({
            "id": node.id,
            "use": node.uses,
            "state": planned.state.name(),
            "next": planned.next.name(),
            "key": planned.key,
            "reasons": told(&planned.reasons),
            "certain": some(true),
            "maybe": some(false),
            "root": planned.reasons.first().map(|reason| reason.root_for_others(&node.id)),
            "accepted_from": planned.accepted_from,
            "inputs": inputs,
        })
    });
    let refused = refused.iter().map(|(message, help)| json!({ "message": message, "help": help }));
    let all = (0..project.pipeline.nodes.len()).collect();
    let sources = remote_sources(project, &all).into_iter().map(|source| {
        let item = &project.pipeline.sources[source];
        let commit = pinned(&project.lock, item).map(|pin| pin.commit);
        json!({ "id": item.id, "hub": item.at.to_string(), "commit": commit, "here": project.is_here(source) })
    });
    json!({ "stages": stages.collect::<Vec<_>>(), "sources": sources.collect::<Vec<_>>(), "refused": refused.collect::<Vec<_>>() })
}

/// Sources and nodes with the names that both graph languages use for them, and the edges.
struct Graph {
    sources: Vec<(String, String)>,
    nodes: Vec<(String, String, State)>,
    edges: Vec<(String, String, String)>,
}

impl Graph {
    fn of(pipeline: &Pipeline, plan: &[&PlannedNode]) -> Self {
        let mut used = BTreeSet::new();
        let mut edges = Vec::new();
        for planned in plan {
            for wire in &pipeline.nodes[planned.node].inputs {
                let (from, label) = match &wire.from {
                    Origin::Source(source) => {
                        used.insert(*source);
                        (format!("s{source}"), wire.port.clone())
                    }
                    Origin::Output { node, output } => (format!("n{node}"), output.clone()),
                };
                edges.push((from, format!("n{}", planned.node), label));
            }
        }
        let sources =
            used.into_iter().map(|source| (format!("s{source}"), pipeline.sources[source].id.clone()));
        let nodes = plan.iter().map(|planned| {
            let id = pipeline.nodes[planned.node].id.clone();
            (format!("n{}", planned.node), id, planned.state)
        });
        Self { sources: sources.collect(), nodes: nodes.collect(), edges }
    }
}

fn dot(project: &Project<'_>, plan: &[&PlannedNode]) -> Vec<String> {
    let graph = Graph::of(&project.pipeline, plan);
    let mut lines = vec!["digraph pipeline {".to_owned(), "  rankdir=LR;".to_owned()];
    lines.extend(graph.sources.iter().map(|(name, id)| format!("  {name} [label=\"{id}\", shape=ellipse];")));
    for (name, id, state) in &graph.nodes {
        let (state, fill) = (state.name(), state.colour());
        lines.push(format!(
            "  {name} [label=\"{id}\\n{state}\", shape=box, style=filled, fillcolor=\"{fill}\"];"
        ));
    }
    lines
        .extend(graph.edges.iter().map(|(from, to, label)| format!("  {from} -> {to} [label=\"{label}\"];")));
    lines.push("}".to_owned());
    lines
}

fn mermaid(project: &Project<'_>, plan: &[&PlannedNode]) -> Vec<String> {
    let graph = Graph::of(&project.pipeline, plan);
    let mut lines = vec!["flowchart LR".to_owned()];
    lines.extend(graph.sources.iter().map(|(name, id)| format!("  {name}([\"{id}\"])")));
    for (name, id, state) in &graph.nodes {
        lines.push(format!("  {name}[\"{id}<br/>{}\"]:::{}", state.name(), state.name()));
    }
    lines.extend(graph.edges.iter().map(|(from, to, label)| format!("  {from} -->|{label}| {to}")));
    for state in [State::Fresh, State::Stale, State::Maybe, State::NeverRun] {
        lines.push(format!("  classDef {} fill:{},color:#000", state.name(), state.colour()));
    }
    lines
}
