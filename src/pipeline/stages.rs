//! `[stage.<id>]`: parses each node, before its inputs are resolved.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::Value as Json;
use stage_contract::{Registry, StageKind};
use toml::de::DeValue;

use super::{
    command::{Piece, Template},
    env,
    fill::within,
    instances::{self, Instance, is_id},
    keys::{STAGE_KEYS, Table, expect_name, is_name, nearest, offer, wrong_type},
    locations::NodeLocations,
    node::{Out, Work},
    outputs,
    overrides::{Override, offer_at},
    params::{self, Given},
    scheduling::{self, Scheduling},
    schema,
    sources::elsewhere,
};
use crate::problem::{Code, Location, Problem, Problems, Text};

/// A node as parsed.
pub(super) struct Draft {
    pub id: String,
    /// The table's name: the id, without the key of an instance.
    pub family: String,
    pub locations: NodeLocations,
    pub uses: Uses,
    pub wires: Vec<DraftWire>,
    /// `None` for an unknown stage, which may have any.
    pub outputs: Option<Vec<(Out, Location)>>,
    /// `None` when it is invalid, which was reported.
    pub work: Option<Work>,
    pub scheduling: Scheduling,
    /// Overrides the pipeline's.
    pub seed: Option<u64>,
    /// A placeholder in its table could not be substituted.
    pub broken: bool,
    pub config: Option<(PathBuf, Location)>,
}

impl Draft {
    /// A table that could not be expanded: nothing more is reported about it.
    fn unknown(id: &str, header: Location) -> Self {
        let (inputs, outputs, resources, parameters) = Default::default();
        Self {
            id: id.to_owned(),
            family: id.to_owned(),
            locations: NodeLocations {
                header,
                inputs,
                outputs,
                resources,
                parameters,
                options: BTreeMap::new(),
            },
            uses: Uses::Unknown(id.to_owned()),
            wires: Vec::new(),
            outputs: None,
            work: None,
            scheduling: Scheduling::default(),
            seed: None,
            broken: true,
            config: None,
        }
    }
}

/// The stage that a node uses.
#[derive(Clone)]
pub(super) enum Uses {
    Stage(StageKind),
    Command,
    /// Not found, which was reported.
    Unknown(String),
}

impl Uses {
    pub fn name(&self) -> &str {
        match self {
            Self::Stage(kind) => kind.spec.name,
            Self::Command => "command",
            Self::Unknown(name) => name,
        }
    }
}

/// An input whose origin is not resolved yet.
pub(super) struct DraftWire {
    pub port: String,
    pub key: Location,
    pub value: Location,
    /// The reference, split at its last dot; `None` when it is malformed.
    pub from: Option<(String, String)>,
}

/// What all stages of a file are parsed with.
pub(super) struct ParseContext<'a> {
    pub root: &'a Path,
    pub registry: &'a Registry,
    pub artifacts: &'a Path,
    pub overrides: &'a [Override],
}

/// Reads all of `[stage]`, in file order.
pub(super) fn read(context: &ParseContext<'_>, top: &Table<'_>, problems: &mut Problems) -> Vec<Draft> {
    let Some(table) = top.table("stage", "[stage.split]", problems) else { return Vec::new() };
    let (mut expanded, mut drafts) = (Vec::new(), Vec::new());
    for (key, value) in table.entries {
        let id: &str = key.get_ref();
        let header = table.location(key.span());
        if id == "sources" {
            problems.push(
                Problem::new(Code::BadName, "`sources` cannot be the name of a stage")
                    .at(&header, "this name")
                    .help("choose another name: inputs call the sources of the file `sources.<name>`"),
            );
        }
        expect_name("stage", id, &header, problems);
        if let DeValue::Table(entries) = value.get_ref() {
            let inner = Table { text: table.text, entries };
            match instances::expand(id, &header, &inner, problems) {
                Some(instances) => {
                    expanded.extend(instances.into_iter().map(|instance| (id, header.clone(), instance)));
                }
                None => drafts.push(Draft::unknown(id, header)),
            }
        } else {
            let problem = wrong_type(id, "a table", value.get_ref(), &table.location(value.span()));
            problems.push(problem.help(format!("write `[stage.{id}]`")));
        }
    }
    let unknown: Vec<_> = drafts.iter().map(|draft: &Draft| draft.id.clone()).collect();
    let stages = expanded.iter().flat_map(|(family, _, instance)| [*family, instance.id.as_str()]);
    let ids = stages.chain(unknown.iter().map(String::as_str)).collect();
    let changes = resolve_overrides(context.overrides, &ids, problems);
    for (family, header, instance) in &expanded {
        drafts.push(read_one(context, family, header, table.text, instance, &changes, problems));
    }
    drafts
}

/// Resolves the stage of each `--set`: an instance, or a table with all its instances.
fn resolve_overrides(overrides: &[Override], ids: &BTreeSet<&str>, problems: &mut Problems) -> Vec<Override> {
    let mut changes = Vec::new();
    for change in overrides {
        match change.resolve(ids) {
            Some(change) => changes.push(change),
            None => problems.push(
                Problem::new(
                    Code::BadOverride,
                    format!("there is no stage `{}` in this pipeline", change.stage()),
                )
                .at(&change.stage_place(), "unknown")
                .help(offer_at(&change.stage_place(), change.stage(), ids.iter().copied())),
            ),
        }
    }
    changes
}

fn read_one(
    context: &ParseContext<'_>,
    family: &str,
    header: &Location,
    text: &Text,
    instance: &Instance<'_>,
    changes: &[Override],
    problems: &mut Problems,
) -> Draft {
    let (id, header) = (instance.id.as_str(), header.clone());
    let table = &Table { text, entries: &instance.table };
    table.expect_keys(&format!("stage `{family}`"), &STAGE_KEYS, problems);
    let uses = uses(context.registry, family, &header, table, problems);
    let wires = wires(&uses, table, instance.broken, problems);
    let outputs = match &uses {
        Uses::Stage(kind) => Some(outputs::of_stage(kind, id, context.artifacts, table, &header, problems)),
        Uses::Command => Some(outputs::of_command(id, context.registry, table, &header, problems)),
        Uses::Unknown(_) => None,
    };
    let mut given = Given::read(context.root, table, problems);
    let defaults = match &uses {
        Uses::Stage(kind) => schema::defaults(&kind.form),
        Uses::Command | Uses::Unknown(_) => Json::Null,
    };
    for change in changes.iter().filter(|change| change.stage() == id || change.stage() == family) {
        given.apply(change, &defaults, problems);
    }
    let inputs = wires.iter().map(|wire| (wire.port.clone(), wire.value.clone())).collect();
    let (scheduling, resources) = scheduling::read(table, problems);
    let seed = seed(&uses, table, problems);
    let parameters = std::mem::take(&mut given.locations);
    let (none, options) = (BTreeMap::new(), BTreeMap::new());
    let locations = NodeLocations { header, inputs, outputs: none, resources, parameters, options };
    let env = env::read(matches!(uses, Uses::Stage(_)), table, problems);
    let work = match &uses {
        Uses::Stage(kind) => {
            given.parse(kind, &locations, problems).map(|stage| Work::Stage { kind: *kind, stage })
        }
        Uses::Command => params::command(&given, &locations, problems).and_then(|run| {
            let mut names = placeholders(table);
            // Placeholders of the expansion that are left come from `--set`, which is applied after
            // substitution.
            if let Some(names) = &mut names {
                names.extend(instance.names.iter().map(String::as_str));
            }
            let known = expect_placeholders(&run, names.as_deref(), &locations, problems);
            known.then_some(Work::Command { run, env: env.clone() })
        }),
        Uses::Unknown(_) => None,
    };
    if matches!(uses, Uses::Command) {
        expect_distinct(&wires, outputs.as_deref().unwrap_or_default(), problems);
    }
    let family = family.to_owned();
    Draft {
        id: id.to_owned(),
        family,
        locations,
        uses,
        wires,
        outputs,
        work,
        scheduling,
        seed,
        broken: instance.broken,
        config: given.config,
    }
}

fn uses(
    registry: &Registry,
    id: &str,
    header: &Location,
    table: &Table<'_>,
    problems: &mut Problems,
) -> Uses {
    let written = table.string("use", problems);
    if written.is_none() && table.get("use").is_some() {
        return Uses::Unknown(id.to_owned());
    }
    let (name, at) = written.as_ref().map_or((id, header), |(name, at)| (*name, at));
    if name == "command" {
        return Uses::Command;
    }
    if let Some(kind) = registry.find(name) {
        return Uses::Stage(*kind);
    }
    let known = registry.stages().iter().map(|kind| kind.spec.name).chain(["command"]);
    let problem = || Problem::new(Code::UnknownStage, format!("there is no stage `{name}`"));
    problems.push(elsewhere(registry, &format!("stage `{name}`"), at).unwrap_or_else(|| {
        match (&written, nearest(name, known.clone())) {
            (Some(_), _) => problem().at(at, "unknown").help(offer(name, known)),
            (None, near) => {
                let all = known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let help = match near {
                    Some(near) => {
                        format!("write `[stage.{near}]`, or add `use = \"{near}\"` (there is {all})")
                    }
                    None => format!("add `use = \"..\"` with one of {all}"),
                };
                problem().at(at, "the table's name is the stage, unless `use` says another").help(help)
            }
        }
    }));
    Uses::Unknown(name.to_owned())
}

fn seed(uses: &Uses, table: &Table<'_>, problems: &mut Problems) -> Option<u64> {
    if let (Uses::Command, Some((key, _))) = (uses, table.get("seed")) {
        problems.push(
            Problem::new(Code::UnknownKey, "a command is given no seed")
                .at(&table.location(key.span()), "for stages of the registry only")
                .help("remove it, and write the number into `run`"),
        );
        return None;
    }
    table.seed(1, problems)
}

fn wires(uses: &Uses, table: &Table<'_>, broken: bool, problems: &mut Problems) -> Vec<DraftWire> {
    const EXAMPLE: &str = "inputs = { name = \"stage.output\" }";
    let Some(inputs) = table.table("inputs", EXAMPLE, problems) else { return Vec::new() };
    let mut wires = Vec::new();
    for (key, value) in inputs.entries {
        let (port, at) = (key.get_ref(), inputs.location(key.span()));
        match uses {
            Uses::Command => expect_name("command's input", port, &at, problems),
            Uses::Stage(kind) if kind.spec.port(port).is_some_and(|port| port.further) => {
                expect_name("further input", port, &at, problems);
            }
            Uses::Stage(_) | Uses::Unknown(_) => {}
        }
        let place = inputs.location(value.span());
        let text = value.get_ref().as_str();
        let from = text.and_then(|text| text.rsplit_once('.')).filter(|(a, b)| is_origin(a) && is_name(b));
        // A placeholder that could not be substituted was reported.
        if from.is_none() && !(broken && text.is_some_and(|text| text.contains('{'))) {
            problems.push(bad_reference(port, text, &place));
        }
        let from = from.map(|(a, b)| (a.to_owned(), b.to_owned()));
        wires.push(DraftWire { port: port.to_string(), key: at, value: place, from });
    }
    wires
}

/// A stage, an instance of one, or with `@*` all of them.
fn is_origin(text: &str) -> bool {
    is_id(text) || text.strip_suffix("@*").is_some_and(is_name)
}

fn bad_reference(port: &str, text: Option<&str>, place: &Location) -> Problem {
    let problem =
        Problem::new(Code::BadReference, format!("input `{port}` does not say where it comes from"))
            .at(place, "neither `sources.x` nor `stage.output`");
    problem.help(match text {
        Some(path) if path.contains('/') => format!(
            "add `{port} = {{ path = \"{path}\", kind = \"..\" }}` to `[sources]`, and write `{port} = \"sources.{port}\"`"
        ),
        _ => format!("write `{port} = \"sources.x\"` for a source, or `{port} = \"stage.output\"` for an output"),
    })
}

/// No two ports may share a placeholder `{name}` or an environment variable (`NER_PIPE_IN_<NAME>`, with `_`
/// for `-`).
fn expect_distinct(wires: &[DraftWire], outputs: &[(Out, Location)], problems: &mut Problems) {
    let inputs = wires.iter().map(|wire| (wire.port.as_str(), &wire.key));
    let mut seen: BTreeMap<String, &Location> = BTreeMap::new();
    for (name, place) in inputs.chain(outputs.iter().map(|(out, place)| (out.name.as_str(), place))) {
        if let Some(first) = seen.insert(name.replace('-', "_"), place) {
            problems.push(
                Problem::new(Code::DuplicateName, format!("`{{{name}}}` could be two things"))
                    .at(first, "this")
                    .at(place, "or this")
                    .help("rename one of them; `-` and `_` count as the same"),
            );
        }
    }
}

/// The names that `{..}` may refer to; `None` when inputs or outputs are not tables.
fn placeholders<'a>(table: &Table<'a>) -> Option<Vec<&'a str>> {
    let mut names = Vec::new();
    for key in ["inputs", "outputs"] {
        if let Some((_, value)) = table.get(key) {
            names.extend(value.get_ref().as_table()?.keys().map(|name| name.get_ref().as_ref()));
        }
    }
    Some(names)
}

fn expect_placeholders(
    run: &str,
    names: Option<&[&str]>,
    locations: &NodeLocations,
    problems: &mut Problems,
) -> bool {
    let before = problems.len();
    let Some(at) = locations.parameters.value(&["run"]) else { return true };
    let within = |span| within(at, run, span);
    match Template::parse(run) {
        Err(span) => problems.push(
            Problem::new(Code::BadPlaceholder, "a brace is alone")
                .at(&within(span), "this brace")
                .help("write `{{` or `}}` for a brace of the shell, `{name}` for an input or output"),
        ),
        Ok(template) => {
            for piece in template.pieces {
                let Piece::Name { name, span } = piece else { continue };
                if let Some(names) = names.filter(|names| !names.contains(&name.as_str())) {
                    problems.push(
                        Problem::new(
                            Code::BadPlaceholder,
                            format!("`{{{name}}}` is neither an input nor an output of this stage"),
                        )
                        .at(&within(span), "unknown")
                        .help(placeholder_help(&name, names)),
                    );
                }
            }
        }
    }
    problems.len() == before
}

fn placeholder_help(name: &str, names: &[&str]) -> String {
    let literal = format!("`{{{{{name}}}}}` to leave it to the shell");
    if is_name(name) {
        let braced: Vec<_> = names.iter().map(|name| format!("{{{name}}}")).collect();
        let offered = offer(&format!("{{{name}}}"), braced.iter().map(String::as_str));
        format!("{offered}; or {literal}")
    } else {
        format!("write {literal}")
    }
}
