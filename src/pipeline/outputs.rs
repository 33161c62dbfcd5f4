//! Outputs: where each is published.

use std::path::{Path, PathBuf};

use stage_contract::{Kind, Port, Registry, StageKind};
use toml::de::DeValue;

use super::{
    keys::{OUTPUT_KEYS, Table, Value, expect_name, wrong_type},
    node::Out,
    paths,
    sources::expect_kind,
};
use crate::problem::{Code, Location, Problem, Problems};

const EXAMPLE: &str = "outputs = { out = \"out/result.txt\" }";

/// `<artifacts>/<stage>/<port>[.ext]`, each with the location of the stage's header.
pub(super) fn of_stage(
    kind: &StageKind,
    id: &str,
    artifacts: &Path,
    table: &Table<'_>,
    header: &Location,
    problems: &mut Problems,
) -> Vec<(Out, Location)> {
    if let Some((key, _)) = table.get("outputs") {
        let folder = artifacts.join(id);
        problems.push(
            Problem::new(Code::DeclaredOutput, format!("stage `{}` has outputs of its own", kind.spec.name))
                .at(&table.location(key.span()), "only a `command` declares outputs")
                .help(format!("remove `outputs`; find the results in `{}/`", folder.display())),
        );
    }
    let publish = |port: &Port| {
        let mut path = artifacts.join(id).join(port.name);
        path.set_extension(port.kind.extension);
        (
            Out { name: port.name.to_owned(), kind: port.kind, published: path, resolved: PathBuf::new() },
            header.clone(),
        )
    };
    kind.spec.outputs.iter().map(publish).collect()
}

/// The outputs that a command declares, each with the location of its key.
pub(super) fn of_command(
    id: &str,
    registry: &Registry,
    table: &Table<'_>,
    header: &Location,
    problems: &mut Problems,
) -> Vec<(Out, Location)> {
    let before = problems.len();
    let outputs = table.table("outputs", EXAMPLE, problems);
    let mut found = Vec::new();
    for (key, value) in outputs.iter().flat_map(|outputs| outputs.entries) {
        let at = table.location(key.span());
        expect_name("command's output", key.get_ref(), &at, problems);
        if let Some((published, kind)) = declared(key.get_ref(), registry, table, value, &at, problems) {
            let name = key.get_ref().to_string();
            found.push((Out { name, kind, published, resolved: PathBuf::new() }, at));
        }
    }
    if found.is_empty() && problems.len() == before {
        problems.push(
            Problem::new(Code::NoOutput, format!("command `{id}` has no output"))
                .at(header, "nothing would be kept of this stage")
                .help(format!("add `{EXAMPLE}`")),
        );
    }
    found
}

fn declared(
    name: &str,
    registry: &Registry,
    table: &Table<'_>,
    value: &Value<'_>,
    key: &Location,
    problems: &mut Problems,
) -> Option<(PathBuf, Kind)> {
    let at = table.location(value.span());
    match value.get_ref() {
        DeValue::String(path) => {
            let kind = if path.ends_with('/') { Kind::FOLDER } else { Kind::FILE };
            Some((paths::expect_inside(path, &at, problems)?, kind))
        }
        DeValue::Table(entries) => {
            let entry = Table { text: table.text, entries };
            entry.expect_keys(&format!("output `{name}`"), &OUTPUT_KEYS, problems);
            let path = entry.string("path", problems).and_then(|(path, at)| {
                Some((paths::expect_inside(path, &at, problems)?, path.ends_with('/')))
            });
            let kind = entry.string("kind", problems);
            let kind = kind.map(|(name, at)| expect_kind(name, registry, &at, problems));
            if entry.get("path").is_none() {
                problems.push(
                    Problem::new(Code::MissingKey, format!("output `{name}` has no `path`"))
                        .at(key, "`path` is missing")
                        .help(format!("write `{name} = {{ path = \"out/{name}\", kind = \"file\" }}`")),
                );
            }
            let (path, folder) = path?;
            Some((path, kind.unwrap_or(Some(if folder { Kind::FOLDER } else { Kind::FILE }))?))
        }
        other => {
            let problem = wrong_type(name, "a path", other, &at);
            problems.push(problem.help(format!("write `{name} = \"out/{name}.txt\"`")));
            None
        }
    }
}
