//! `ner-pipe why STAGE`.

use std::collections::BTreeSet;

use serde_json::json;
use stage_contract::{Registry, terminal::stdout};

use super::{
    exit::Exit,
    options::Setting,
    output::{emit, wrapped},
    targets::find,
};
use crate::{
    revision::lock_at,
    runner::{Next, PlannedNode, Project, State, Stop, plan, told},
    watch::Format,
};

/// Say exactly why a stage is not up to date
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stage; of one that is expanded, all instances
    stage: String,
    /// Compare with the lock file of a git revision, and not with the last run
    #[arg(long, value_name = "REV")]
    against: Option<String>,
    #[command(flatten)]
    setting: Setting,
}

/// Does it.
///
/// # Errors
/// When the pipeline file is wrong, a source cannot be read, or git does not have what is asked for.
pub fn run(args: &Args, registry: &Registry) -> Result<Exit, Stop> {
    let mut project = args.setting.open(registry)?;
    let nodes = find(&project.pipeline, &args.stage)?;
    let mut commit = None;
    if let Some(revision) = &args.against {
        let found = lock_at(&project.pipeline.root.join(&project.pipeline.lock), revision);
        let (lock, hash) = found.map_err(|e| Stop::wrong(e.to_string(), e.help()))?;
        project.lock = lock;
        commit = Some(hash);
    }
    let wanted = project.pipeline.closure(&nodes);
    let plan = plan(&mut project, &wanted, &BTreeSet::new())?;
    let since = args.against.as_deref().zip(commit.as_deref());
    let lines = nodes.iter().map(|node| &plan.nodes[node]).flat_map(|planned| match args.setting.format {
        Format::Text => wrapped(text(&project, planned, since)),
        Format::Json => vec![as_json(&project, planned, since).to_string()],
    });
    emit(&mut stdout(), lines)?;
    Ok(Exit::Ok)
}

fn text(project: &Project<'_>, planned: &PlannedNode, since: Option<(&str, &str)>) -> Vec<String> {
    let id = &project.pipeline.nodes[planned.node].id;
    let known = project.lock.get(id);
    let same = known.is_some_and(|locked| planned.key == Some(locked.key));
    let mut lines = Vec::new();
    lines.push(match (since, planned.state) {
        (Some((revision, commit)), _) => {
            let said = match known {
                None => "did not have it",
                Some(_) if same => "had the same: its parameters, inputs and code are those of now",
                Some(_) => "was different:",
            };
            format!("{id}: {} at {revision} ({}) {said}", project.pipeline.lock.display(), short(commit))
        }
        (None, State::Fresh) => {
            format!("{id} is fresh: its parameters, inputs and code are those of its result")
        }
        (None, State::Stale) => format!("{id} is stale:"),
        (None, State::Maybe) => format!("{id} may be stale:"),
        (None, State::NeverRun) => format!("{id} has no recorded result:"),
    });
    if since.is_none() || known.is_some() {
        lines.extend(told(&planned.reasons).into_iter().map(|reason| format!("  {reason}")));
    }
    if let Some(key) = &planned.accepted_from {
        lines.push(format!("its result was accepted from {}, not made by this code", key.short()));
    }
    if let Some(key) = &planned.key {
        let presence = if project.store.peek(key).is_some() { "in the cache" } else { "not in the cache" };
        lines.push(format!("key {key} ({presence})"));
    }
    if since.is_some() {
        return lines;
    }
    let what = match planned.next {
        Next::Reuse => "leave it as it is",
        Next::Restore => "place its outputs from the cache",
        Next::Execute => "execute it",
        Next::Unknown => "execute it if its inputs change",
    };
    lines.push(format!("{} would {what}", project.pipeline.typed("run")));
    if let Some((failure, _)) = project.store.failure(&project.pipeline.file, id) {
        lines.push(format!("its last attempt failed: {}", failure.why.join(": ")));
    }
    lines
}

fn as_json(project: &Project<'_>, planned: &PlannedNode, since: Option<(&str, &str)>) -> serde_json::Value {
    let node = &project.pipeline.nodes[planned.node];
    let some = |certain: bool| {
        let some = planned.reasons.iter().filter(|reason| reason.certain == certain);
        some.map(ToString::to_string).collect::<Vec<_>>()
    };
    json!({
        "id": node.id,
        "state": planned.state.name(),
        "next": planned.next.name(),
        "key": planned.key,
        "before": project.lock.get(&node.id).map(|locked| locked.key),
        "against": since.map(|(revision, commit)| json!({"revision": revision, "commit": commit})),
        "reasons": told(&planned.reasons),
        "certain": some(true),
        "maybe": some(false),
        "root": planned.reasons.first().map(|reason| reason.root_for_others(&node.id)),
        "accepted_from": planned.accepted_from,
        "code": project.code_parts(planned.node),
    })
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
