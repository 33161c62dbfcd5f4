//! What each stage of the pipeline came to, and what the registry says of how its outputs are shown.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use maud::{Markup, html};
use stage_contract::{
    Shape,
    report::{Block, Section, Topic, number},
};

use crate::{
    pipeline::{Node, Out},
    runner::{Plan, PlannedNode, Project},
    store::{Entry, Record},
    watch::{duration, size},
};

/// One stage.
pub(super) struct StageResult<'a> {
    pub node: &'a Node,
    pub outlook: &'a PlannedNode,
    /// Of the result of now, else of the last good one.
    pub record: Option<Record>,
    /// Whether the result is what a run would take.
    pub of_now: bool,
    /// Of all outputs, one after the other.
    pub sections: Vec<Section>,
}

/// Where the page says that an output cannot be shown.
const UNREADABLE: Topic = Topic::new(Topic::PIPELINE.order + 1, "Outputs that cannot be shown");

/// In the order of work.
pub(super) fn all<'a>(project: &'a Project<'_>, plan: &'a Plan) -> Vec<StageResult<'a>> {
    plan.nodes.values().map(|outlook| one(project, plan, outlook)).collect()
}

fn one<'a>(project: &'a Project<'_>, plan: &'a Plan, outlook: &'a PlannedNode) -> StageResult<'a> {
    let node = &project.pipeline.nodes[outlook.node];
    let now = plan.results[outlook.node].clone();
    let of_now = now.is_some();
    let last = || project.lock.get(&node.id).and_then(|locked| project.store.peek(&locked.key));
    let entry = now.or_else(last);
    let sections = node.outputs.iter().flat_map(|out| {
        let place = place(project, entry.as_ref(), out).filter(|path| has_shape(path, out.kind.shape));
        place.map(|path| sections(project, out, &path)).unwrap_or_default()
    });
    StageResult {
        node,
        outlook,
        of_now,
        sections: sections.collect(),
        record: entry.map(|entry| entry.record),
    }
}

/// Where an output lies: in the cache, else where it was published, as in a clone that has artifacts alone.
fn place(project: &Project<'_>, entry: Option<&Entry>, out: &Out) -> Option<PathBuf> {
    let cached = entry.and_then(|entry| Some(entry.path(&out.name, entry.record.outputs.get(&out.name)?)));
    let published = project.published(out);
    cached.filter(|path| path.exists()).or_else(|| published.exists().then_some(published))
}

/// A pipe, which a published output may have become, would wait for a writer for ever.
fn has_shape(path: &Path, shape: Shape) -> bool {
    fs::metadata(path).is_ok_and(|found| match shape {
        Shape::File => found.is_file(),
        Shape::Folder => found.is_dir(),
        Shape::FileOrFolder => found.is_file() || found.is_dir(),
    })
}

fn sections(project: &Project<'_>, out: &Out, path: &Path) -> Vec<Section> {
    // Causes may quote what was read, and that may be text.
    project.registry.sections(out.kind, path).unwrap_or_else(|_| {
        let said = format!("`{}` cannot be read as `{}`", out.name, out.kind.name);
        vec![Section::new(UNREADABLE, vec![Block::note(said)])]
    })
}

/// Every stage with what its result took and came to.
pub(super) fn table(results: &[StageResult<'_>]) -> Markup {
    let metrics = |values: &BTreeMap<String, f64>| {
        let said = values.iter().map(|(name, value)| format!("{name} {}", number(*value)));
        said.collect::<Vec<_>>().join(", ")
    };
    html! {
        table {
            thead {
                tr {
                    @for name in ["Stage", "Uses", "State"] { th scope="col" { (name) } }
                    @for name in ["Took", "Memory"] { th.number scope="col" { (name) } }
                    th scope="col" { "Metrics" }
                }
            }
            tbody {
                @for StageResult { node, outlook, record, .. } in results {
                    tr {
                        th scope="row" { (node.id) }
                        td { (node.uses) }
                        td { (outlook.state.name()) }
                        @if let Some(record) = record {
                            td.number { (duration(record.seconds)) }
                            td.number { @if let Some(memory) = record.memory { (size(memory)) } }
                            td {
                                (metrics(&record.metrics))
                                @if !record.measured.is_empty() { " measured: " (metrics(&record.measured)) }
                            }
                        } @else { td {} td {} td {} }
                    }
                }
            }
        }
    }
}
