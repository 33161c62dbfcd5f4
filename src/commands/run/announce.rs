//! `ner-pipe run --dry-run`: what would be done, and what it took earlier.

use std::collections::BTreeMap;

use serde_json::json;

use stage_contract::terminal::{stderr, stdout};

use super::super::{
    exit::Exit,
    output::{emit, wrapped},
};
use crate::{
    runner::{
        Download, Next, PlannedNode, Project, RunOptions, Stop, Unheard, downloads, plan, preflight, told,
    },
    store::{Entry, Record},
    watch::{Format, duration, size, tell},
};

/// What a stage takes, from its last result.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    seconds: Option<f64>,
    /// The most bytes of memory that one of its processes held.
    memory: Option<u64>,
    /// Bytes in the cache and where its outputs are published.
    disk: Option<u64>,
}

impl Cost {
    fn of(planned: &PlannedNode, last: Option<&Record>) -> Self {
        let bytes = last.map(|record| record.outputs.values().map(|stored| stored.bytes).sum::<u64>());
        match planned.next {
            Next::Reuse => Self { seconds: Some(0.0), memory: Some(0), disk: Some(0) },
            // A copy takes next to no time.
            Next::Restore => Self { seconds: Some(0.0), memory: Some(0), disk: bytes },
            Next::Execute | Next::Unknown => Self {
                seconds: last.map(|record| record.seconds),
                memory: last.and_then(|record| record.memory),
                disk: bytes.map(|bytes| bytes * 2),
            },
        }
    }

    fn say(&self) -> String {
        let said = [
            self.seconds.map(duration),
            self.memory.map(|bytes| format!("{} memory", size(bytes))),
            self.disk.map(|bytes| format!("{} disk", size(bytes))),
        ];
        said.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Looks at everything as a run does, and says what it would do.
///
/// # Errors
/// What would keep the run from beginning.
pub(super) fn announce(
    project: &mut Project<'_>,
    options: &RunOptions,
    format: Format,
) -> Result<Exit, Stop> {
    let downloads = downloads(project, &options.wanted, &Unheard)?;
    let plan = plan(project, &options.wanted, &options.forced)?;
    preflight(project, &plan)?;
    emit(&mut stderr(), project.notes.drain(..).map(|note| format!("note: {note}")))?;
    let plan: Vec<&PlannedNode> = plan.nodes.values().collect();
    let works = |next| matches!(next, Next::Execute | Next::Unknown | Next::Restore);
    let last = if plan.iter().any(|planned| works(planned.next)) { last(project) } else { BTreeMap::new() };
    let costs: Vec<Cost> = plan
        .iter()
        .map(|planned| {
            let key = planned.key.as_ref().and_then(|key| project.store.peek(key));
            let record = key.as_ref().map(|entry| &entry.record);
            Cost::of(planned, record.or_else(|| last.get(&project.pipeline.nodes[planned.node].id)))
        })
        .collect();
    let lines = match format {
        Format::Json => {
            [downloads.iter().map(download_json).collect(), as_json(project, &plan, &costs)].concat()
        }
        Format::Text => {
            wrapped([downloads.iter().map(said).collect(), text(project, &plan, &costs)].concat())
        }
    };
    emit(&mut stdout(), lines)?;
    Ok(Exit::Ok)
}

/// What a run would get of a source of the hub.
fn said(download: &Download) -> String {
    let Download { source, name, commit, files, bytes } = download;
    let what = match (files.len(), bytes) {
        (0, _) => "take it from the hub's cache".to_owned(),
        (count, None) => format!("download {count} files"),
        (count, Some(bytes)) => format!("download {count} files, {}", size(*bytes)),
    };
    format!("sources.{source}  {name}, commit {commit}: {what}")
}

fn download_json(download: &Download) -> String {
    let Download { source, name, commit, files, bytes } = download;
    let (hub, revision) = (&name.repo, &name.revision);
    json!({
        "event": "download", "source": source, "hub": hub, "revision": revision, "commit": commit,
        "files": files, "bytes": bytes,
    })
    .to_string()
}

/// Stages of which nothing is known that are named; of more their number is said.
const NAMED: usize = 5;

/// The last result of each node, by its id.
fn last(project: &Project<'_>) -> BTreeMap<String, Record> {
    let mut last: BTreeMap<String, Record> = BTreeMap::new();
    for Entry { record, manifest, .. } in project.store.entries() {
        let node = project.pipeline.find(&record.stage).map(|node| &project.pipeline.nodes[node]);
        let same = node.is_some_and(|node| node.uses == manifest.stage);
        let newer = last.get(&record.stage).is_none_or(|known| known.finished < record.finished);
        if same && newer {
            last.insert(record.stage.clone(), record);
        }
    }
    last
}

/// The sum of what is known, and the stages of which it is not.
struct Total<'a> {
    seconds: f64,
    /// Of the largest stage: how many fit beside each other, the machine decides.
    memory: u64,
    disk: u64,
    unknown: Vec<&'a str>,
}

impl<'a> Total<'a> {
    fn of(project: &'a Project<'_>, plan: &[&PlannedNode], costs: &[Cost]) -> Self {
        let unknown = plan.iter().zip(costs).filter(|(_, cost)| cost.seconds.is_none());
        Self {
            seconds: costs.iter().filter_map(|cost| cost.seconds).sum(),
            memory: costs.iter().filter_map(|cost| cost.memory).max().unwrap_or(0),
            disk: costs.iter().filter_map(|cost| cost.disk).sum(),
            unknown: unknown.map(|(planned, _)| project.pipeline.nodes[planned.node].id.as_str()).collect(),
        }
    }
}

fn text(project: &Project<'_>, plan: &[&PlannedNode], costs: &[Cost]) -> Vec<String> {
    let id = |planned: &PlannedNode| project.pipeline.nodes[planned.node].id.as_str();
    let width = plan.iter().map(|planned| id(planned).len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (planned, cost) in plan.iter().zip(costs) {
        let why = tell(&told(&planned.reasons));
        let why = if why.is_empty() { why } else { format!("  ({why})") };
        let line = format!("{:width$}  {:8}{why}", id(planned), planned.next.name());
        lines.push(line.trim_end().to_owned());
        if !matches!(planned.next, Next::Reuse | Next::Restore) && cost.seconds.is_some() {
            lines.push(format!("{:width$}    last time: {}", "", cost.say()));
        }
    }
    let total = Total::of(project, plan, costs);
    let known = Cost { seconds: Some(total.seconds), memory: Some(total.memory), disk: Some(total.disk) };
    let unknown = match total.unknown.as_slice() {
        [] => String::new(),
        stages if stages.len() > NAMED => {
            format!("; unknown for {} of {} stages", stages.len(), costs.len())
        }
        stages => format!("; unknown for {}", stages.join(", ")),
    };
    let nothing = costs.iter().all(|cost| cost.seconds == Some(0.0));
    lines.push(match (nothing, total.unknown.len() == costs.len()) {
        (true, _) => "nothing to execute".to_owned(),
        (_, true) => "the costs are unknown: no stage has run here yet".to_owned(),
        _ => format!("expected: {}{unknown}", known.say()),
    });
    lines
}

fn as_json(project: &Project<'_>, plan: &[&PlannedNode], costs: &[Cost]) -> Vec<String> {
    let events = plan.iter().zip(costs).map(|(planned, cost)| {
        json!({
            "event": "plan",
            "stage": project.pipeline.nodes[planned.node].id,
            "next": planned.next.name(),
            "key": planned.key,
            "reasons": told(&planned.reasons),
            "expected": { "seconds": cost.seconds, "memory_bytes": cost.memory, "disk_bytes": cost.disk },
        })
        .to_string()
    });
    let total = Total::of(project, plan, costs);
    let last = json!({
        "event": "expected",
        "seconds": total.seconds,
        "memory_bytes": total.memory,
        "disk_bytes": total.disk,
        "unknown": total.unknown,
    });
    events.chain([last.to_string()]).collect()
}
