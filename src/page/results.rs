//! What each stage of the pipeline came to, and which of its outputs the page can show.
//!
//! An output is known by what it holds. Of kind `report`: an evaluation has `models`, each with `parameters`, `latency`
//! and `fidelity`; a pruning has `layers`, each with `heads` and `ffn`. A folder with `epochs.csv` and `steps.jsonl` is a
//! history (a `command` cannot name that kind). An output called `differences` is lines of sentences.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use stage_contract::Kind;

use super::{evaluation::Evaluation, figures::number, pruning::Pruning};
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
    pub reports: Vec<Report>,
    /// Folders with training curves.
    pub histories: Vec<PathBuf>,
    /// An output called so: sentences that two models tag differently.
    pub differences: Option<PathBuf>,
}

/// A report that is understood.
pub(super) enum Report {
    Evaluation(Box<Evaluation>),
    Pruning(Box<Pruning>),
}

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
    let lies = |out: &&Out| place(project, entry.as_ref(), out);
    let reports = node.outputs.iter().filter(|out| out.kind == Kind::REPORT);
    StageResult {
        node,
        outlook,
        of_now,
        reports: reports.filter_map(|out| report(&lies(&out)?)).collect(),
        histories: node.outputs.iter().filter_map(|out| lies(&out)).filter(|path| is_history(path)).collect(),
        differences: node.outputs.iter().find(|out| out.name == "differences").as_ref().and_then(lies),
        record: entry.map(|entry| entry.record),
    }
}

/// Where an output lies: in the cache, else where it was published, as in a clone that has artifacts alone.
fn place(project: &Project<'_>, entry: Option<&Entry>, out: &Out) -> Option<PathBuf> {
    let cached = entry.and_then(|entry| Some(entry.path(&out.name, entry.record.outputs.get(&out.name)?)));
    let published = project.published(out);
    cached.filter(|path| path.exists()).or_else(|| published.exists().then_some(published))
}

fn is_history(folder: &Path) -> bool {
    ["epochs.csv", "steps.jsonl"].iter().all(|name| folder.join(name).is_file())
}

fn report(path: &Path) -> Option<Report> {
    // A pipe would wait for a writer for ever.
    let bytes = fs::metadata(path).ok()?.is_file().then(|| fs::read(path))?.ok()?;
    let value: Value = serde_json::from_slice(&bytes).ok()?;
    if let Ok(found) = Evaluation::deserialize(&value) {
        return Some(Report::Evaluation(Box::new(found)));
    }
    Pruning::deserialize(&value).ok().map(|found| Report::Pruning(Box::new(found)))
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
