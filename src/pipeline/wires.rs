//! Wires: resolves the origin of each input, and checks its kind.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;
use stage_contract::{Kind, Port, Shape, Spec};

use super::{
    keys::{choose, nearest, offer},
    node::{Origin, Wire},
    sources::DraftSource,
    stages::{Draft, DraftWire, Uses},
};
use crate::problem::{Code, Problem, Problems};

/// Resolves every origin; one list of wires per draft, in which [`Origin::Output`] is an index into the
/// drafts.
pub(super) fn connect(
    root: &Path,
    sources: &[DraftSource],
    drafts: &[Draft],
    problems: &mut Problems,
) -> Vec<Vec<Wire>> {
    let resolver = Resolver { root, sources, drafts };
    drafts.iter().map(|draft| resolver.connect(draft, problems)).collect()
}

struct Resolver<'a> {
    root: &'a Path,
    sources: &'a [DraftSource],
    drafts: &'a [Draft],
}

impl Resolver<'_> {
    fn connect(&self, draft: &Draft, problems: &mut Problems) -> Vec<Wire> {
        let spec = match &draft.uses {
            Uses::Stage(kind) => Some(&kind.spec),
            Uses::Command | Uses::Unknown(_) => None,
        };
        let ports = spec.map(|spec| spec.inputs);
        let mut wires = Vec::new();
        for wire in &draft.wires {
            let port = spec.and_then(|spec| spec.port(&wire.port));
            if let (Some(ports), None) = (ports, port) {
                problems.push(unknown_port(draft, ports, wire));
            }
            let Some((from, name)) = &wire.from else { continue };
            if let Some(family) = from.strip_suffix("@*") {
                match self.collect(draft, family, name, wire, port) {
                    Err(problem) => problems.push(problem),
                    Ok(collected) => wires.extend(collected),
                }
                continue;
            }
            let found = if from == "sources" {
                self.source(name, wire, port).map(|(index, kind)| (Origin::Source(index), kind))
            } else {
                self.output(from, name, wire)
                    .map(|(node, kind)| (Origin::Output { node, output: name.clone() }, kind))
            };
            match found {
                Err(problem) => problems.push(problem),
                Ok((origin, kind)) => {
                    if let (Some(port), Some(kind)) = (port, kind)
                        && !self.fits(port.kind, kind, &origin)
                    {
                        problems.push(self.wrong_kind(draft, port, kind, wire));
                    }
                    wires.push(Wire { port: wire.port.clone(), from: origin, options: Value::Null });
                }
            }
        }
        for port in ports.into_iter().flatten().filter(|port| port.required && !wired(draft, port)) {
            let slip = |wire: &&DraftWire| nearest(&wire.port, [port.name].into_iter()).is_some();
            let other = |wire: &&DraftWire| {
                spec.and_then(|spec| spec.port(&wire.port)).is_none_or(|port| port.further)
            };
            match (draft.wires.iter().filter(other).find(slip), spec.and_then(Spec::further)) {
                // Reported as an unknown input already.
                (Some(_), None) => {}
                (Some(slip), Some(_)) => problems.push(misspelt(draft, port, slip)),
                (None, _) => problems.push(self.missing(draft, port)),
            }
        }
        wires
    }

    fn source(
        &self,
        name: &str,
        wire: &DraftWire,
        port: Option<&Port>,
    ) -> Result<(usize, Option<Kind>), Problem> {
        let found = self.sources.iter().position(|source| source.id == name);
        found.map(|index| (index, self.sources[index].kind)).ok_or_else(|| {
            let known = self.sources.iter().map(|source| source.id.as_str());
            let help = if self.sources.is_empty() {
                let kind = port.map_or("file", |port| port.kind.name);
                format!("add `[sources]` with `{name} = {{ path = \"data/{name}\", kind = \"{kind}\" }}`")
            } else {
                in_full("sources.", name, known)
            };
            Problem::new(Code::UnknownSource, format!("there is no source `{name}`"))
                .at(&wire.value, "unknown")
                .help(help)
        })
    }

    /// `x = "stage@*.output"`: one wire for each instance, on a port of its own (`x@<key>`).
    fn collect(
        &self,
        draft: &Draft,
        family: &str,
        name: &str,
        wire: &DraftWire,
        port: Option<&Port>,
    ) -> Result<Vec<Wire>, Problem> {
        let instances: Vec<_> = self.instances(family).collect();
        let Some(first) = instances.first() else {
            return match self.output(family, name, wire) {
                // Its expansion failed, which was reported.
                Ok((_, None)) => Ok(Vec::new()),
                Err(problem) => Err(problem),
                Ok(_) => Err(Problem::new(Code::UnknownOrigin, format!("stage `{family}` is not expanded"))
                    .at(&wire.value, "all of what?")
                    .help(format!("write `{} = \"{family}.{name}\"`", wire.port))),
            };
        };
        let further = port.filter(|port| port.further);
        if !matches!(draft.uses, Uses::Command) && further.is_none() {
            let message = format!("input `{}` is one thing, and these are {}", wire.port, instances.len());
            return Err(Problem::new(Code::BadReference, message)
                .at(&wire.value, "only a `command` takes all")
                .help(sibling(&wire.port, first, name)));
        }
        let wires = instances.iter().map(|instance| {
            let (node, kind) = self.output(&instance.id, name, wire)?;
            let from = Origin::Output { node, output: name.to_owned() };
            if let (Some(port), Some(kind)) = (further, kind)
                && !self.fits(port.kind, kind, &from)
            {
                return Err(self.wrong_kind(draft, port, kind, wire));
            }
            let key = instance.id.split_once('@').map_or("", |(_, key)| key);
            Ok(Wire { port: format!("{}@{key}", wire.port), from, options: Value::Null })
        });
        wires.collect()
    }

    fn instances(&self, family: &str) -> impl Iterator<Item = &Draft> {
        self.drafts.iter().filter(move |draft| draft.family == family && draft.id != family)
    }

    fn output(&self, stage: &str, name: &str, wire: &DraftWire) -> Result<(usize, Option<Kind>), Problem> {
        let family = stage.split('@').next().unwrap_or_default();
        // A table that could not be expanded is assumed to have any instance and any output.
        let found = |draft: &Draft| draft.id == stage || (draft.id == family && draft.outputs.is_none());
        let Some(node) = self.drafts.iter().position(found) else {
            if let (true, Some(first)) = (family == stage, self.instances(stage).next()) {
                let count = self.instances(stage).count();
                let message = format!("stage `{stage}` is expanded {count} times");
                return Err(Problem::new(Code::UnknownOrigin, message)
                    .at(&wire.value, "which of them?")
                    .help(sibling(&wire.port, first, name)));
            }
            let known: Vec<_> =
                self.drafts.iter().map(|draft| draft.id.as_str()).chain(["sources"]).collect();
            let help = match nearest(stage, known.iter().copied()) {
                Some(near) => format!("write `{} = \"{near}.{name}\"`", wire.port),
                None => format!("add `[stage.{stage}]`, or {}", offer(stage, known.into_iter())),
            };
            let problem =
                Problem::new(Code::UnknownOrigin, format!("there is no stage `{stage}` in this pipeline"));
            return Err(problem.at(&wire.value, "unknown").help(help));
        };
        let Some(outputs) = &self.drafts[node].outputs else { return Ok((node, None)) };
        match outputs.iter().find(|(out, _)| out.name == name) {
            Some((out, _)) => Ok((node, Some(out.kind))),
            None => Err(Problem::new(Code::UnknownOutput, format!("stage `{stage}` has no output `{name}`"))
                .at(&wire.value, "unknown")
                .help(in_full(&format!("{stage}."), name, outputs.iter().map(|(out, _)| out.name.as_str())))),
        }
    }

    /// Kinds with equal names match; an input of kind `file` or `folder` accepts any file or folder.
    fn fits(&self, wanted: Kind, found: Kind, origin: &Origin) -> bool {
        let shape = match (found.shape, origin) {
            (Shape::FileOrFolder, Origin::Source(index)) => match &self.sources[*index].path {
                _ if self.sources[*index].hub.is_some() => Shape::Folder,
                Some((path, _)) if self.root.join(path).is_dir() => Shape::Folder,
                Some(_) => Shape::File,
                None => return true,
            },
            (shape, _) => shape,
        };
        wanted.name == found.name
            || wanted.name == Kind::FILE.name && shape == Shape::File
            || wanted.name == Kind::FOLDER.name && shape == Shape::Folder
    }

    fn wrong_kind(&self, draft: &Draft, port: &Port, found: Kind, wire: &DraftWire) -> Problem {
        if port.further {
            return further_kind(draft, port, found, wire);
        }
        Problem::new(
            Code::WrongKind,
            format!(
                "input `{}` of stage `{}` reads `{}`, and not `{}`",
                port.name,
                draft.uses.name(),
                port.kind.name,
                found.name
            ),
        )
        .at(&wire.value, format!("this is `{}`", found.name))
        .help(self.candidates(draft, port))
    }

    fn missing(&self, draft: &Draft, port: &Port) -> Problem {
        Problem::new(
            Code::MissingInput,
            format!("stage `{}` needs the input `{}`", draft.uses.name(), port.name),
        )
        .at(&draft.locations.header, format!("`{}` is missing: {}", port.name, port.doc))
        .help(self.candidates(draft, port))
    }

    /// Whether a node is this one, or depends on it, directly or transitively.
    fn depends_on(&self, draft: &Draft, id: &str) -> bool {
        let mut open = vec![draft];
        let mut seen = BTreeSet::new();
        while let Some(draft) = open.pop() {
            if draft.id == id {
                return true;
            }
            if seen.insert(&draft.id) {
                let read = draft.wires.iter().filter_map(|wire| wire.from.as_ref());
                open.extend(
                    read.filter_map(|(stage, _)| self.drafts.iter().find(|other| other.id == *stage)),
                );
            }
        }
        false
    }

    /// What in this file could be wired to the port.
    fn candidates(&self, draft: &Draft, port: &Port) -> String {
        let sources = self.sources.iter().enumerate().filter_map(|(index, source)| {
            let fits = self.fits(port.kind, source.kind?, &Origin::Source(index));
            fits.then(|| format!("sources.{}", source.id))
        });
        let outputs =
            self.drafts.iter().filter(|other| !self.depends_on(other, &draft.id)).flat_map(|other| {
                let outputs = other.outputs.iter().flatten().filter(|(out, _)| {
                    let origin = Origin::Output { node: 0, output: String::new() };
                    self.fits(port.kind, out.kind, &origin)
                });
                outputs.map(|(out, _)| format!("{}.{}", other.id, out.name))
            });
        let all: Vec<_> = sources.chain(outputs).collect();
        match all.as_slice() {
            [] => format!(
                "add a source of kind `{}` or a stage that writes one, and `{} = \"sources.x\"` in `inputs`",
                port.kind.name, port.name
            ),
            [one] => format!("write `{} = \"{one}\"` in `inputs`", port.name),
            [first, ..] => {
                let names: Vec<_> = all.iter().map(|name| format!("`{name}`")).collect();
                format!(
                    "write `{} = \"{first}\"` in `inputs`; of kind `{}` there is {}",
                    port.name,
                    port.kind.name,
                    names.join(", ")
                )
            }
        }
    }
}

/// A help line: how to read from an instance.
fn sibling(port: &str, instance: &Draft, output: &str) -> String {
    let (id, family) = (&instance.id, &instance.family);
    format!(
        "write `{port} = \"{id}.{output}\"`, or expand this stage over the same values and write \
         `{port} = \"{family}@{{key}}.{output}\"`"
    )
}

fn unknown_port(draft: &Draft, ports: &[Port], wire: &DraftWire) -> Problem {
    let free = ports.iter().filter(|port| !wired(draft, port));
    let help = if ports.is_empty() {
        "remove it: this stage reads nothing".to_owned()
    } else {
        // A port that is wired already is not the intended one.
        match nearest(&wire.port, free.map(|port| port.name)) {
            Some(near) => format!("write `{near}`; see `ner-pipe stages {}`", draft.uses.name()),
            None => offer(&wire.port, ports.iter().map(|port| port.name)),
        }
    };
    Problem::new(Code::UnknownInput, format!("stage `{}` has no input `{}`", draft.uses.name(), wire.port))
        .at(&wire.key, "unknown")
        .help(help)
}

/// A further input accepts one kind only; another port may have been intended.
fn further_kind(draft: &Draft, port: &Port, found: Kind, wire: &DraftWire) -> Problem {
    let stage = draft.uses.name();
    let ports = match &draft.uses {
        Uses::Stage(kind) => kind.spec.inputs,
        Uses::Command | Uses::Unknown(_) => &[],
    };
    let free = ports.iter().filter(|other| !other.further && !wired(draft, other));
    let fitting = free.filter(|other| other.kind.name == found.name).map(|other| other.name);
    let help = choose(nearest(&wire.port, fitting.clone()), fitting);
    let (wanted, found_kind) = (port.kind.name, found.name);
    let message = format!("a further input of stage `{stage}` reads `{wanted}`, and not `{found_kind}`");
    Problem::new(Code::WrongKind, message)
        .at(&wire.value, format!("this is `{}`", found.name))
        .help(help.unwrap_or_else(|| format!("remove it; see `ner-pipe stages {stage}`")))
}

/// If the stage accepts further inputs, a misspelt port is not unknown, but leaves the intended one unwired.
fn misspelt(draft: &Draft, port: &Port, wire: &DraftWire) -> Problem {
    Problem::new(Code::MissingInput, format!("stage `{}` needs the input `{}`", draft.uses.name(), port.name))
        .at(&wire.key, "this is another")
        .help(format!("write `{}` in place of `{}`", port.name, wire.port))
}

fn wired(draft: &Draft, port: &Port) -> bool {
    draft.wires.iter().any(|wire| wire.port == port.name)
}

/// A help line with the known references, the one with the closest last part first.
fn in_full<'k>(prefix: &str, name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let near = nearest(name, known.clone()).map(|near| format!("{prefix}{near}"));
    let known: Vec<_> = known.map(|name| format!("{prefix}{name}")).collect();
    choose(near.as_deref(), known.iter().map(String::as_str))
        .unwrap_or_else(|| format!("remove `{prefix}{name}`"))
}
