//! Outputs: where each is published, and that no two places meet.

use std::path::{Path, PathBuf};

use stage_contract::{Kind, StageKind};
use toml::de::DeValue;

use super::{
    Out,
    claim::locked_by,
    keys::{OUTPUT_KEYS, Table, expect_name, wrong_type},
    paths,
    sources::{DraftSource, expect_kind},
    stages::Draft,
};
use crate::problem::{Code, Place, Problem, Problems};

const EXAMPLE: &str = "outputs = { out = \"out/result.txt\" }";

/// `<artifacts>/<stage>/<port>[.ext]`, each placed at the stage's header.
pub(super) fn of_stage(
    kind: &StageKind,
    id: &str,
    artifacts: &Path,
    table: &Table<'_>,
    header: &Place,
    problems: &mut Problems,
) -> Vec<(Out, Place)> {
    if let Some((key, _)) = table.get("outputs") {
        let folder = artifacts.join(id);
        problems.push(
            Problem::new(Code::DeclaredOutput, format!("stage `{}` has outputs of its own", kind.spec.name))
                .at(&table.place(key.span()), "only a `command` declares outputs")
                .help(format!("remove `outputs`; find the results in `{}/`", folder.display())),
        );
    }
    let publish = |port: &stage_contract::Port| {
        let mut path = artifacts.join(id).join(port.name);
        path.set_extension(port.kind.extension);
        (Out { name: port.name.to_owned(), kind: port.kind, published: path }, header.clone())
    };
    kind.spec.outputs.iter().map(publish).collect()
}

/// What a command declares, each placed at its key.
pub(super) fn of_command(
    id: &str,
    table: &Table<'_>,
    header: &Place,
    problems: &mut Problems,
) -> Vec<(Out, Place)> {
    let before = problems.len();
    let outputs = table.table("outputs", EXAMPLE, problems);
    let mut found = Vec::new();
    for (key, value) in outputs.iter().flat_map(|outputs| outputs.entries) {
        let at = table.place(key.span());
        expect_name("command's output", key.get_ref(), &at, problems);
        if let Some((published, kind)) = declared(key.get_ref(), table, value, &at, problems) {
            found.push((Out { name: key.get_ref().to_string(), kind, published }, at));
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
    table: &Table<'_>,
    value: &super::keys::Value<'_>,
    key: &Place,
    problems: &mut Problems,
) -> Option<(PathBuf, Kind)> {
    let at = table.place(value.span());
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
            let kind = entry.string("kind", problems).map(|(name, at)| expect_kind(name, &at, problems));
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

/// A path that no output may touch, and why.
pub(super) struct Protected {
    pub path: PathBuf,
    pub what: String,
    pub place: Option<Place>,
}

/// The runner's own files, the locks of other pipeline files, and everything that stages read.
pub(super) fn protected(
    root: &Path,
    own: &[(&Path, &str)],
    sources: &[DraftSource],
    drafts: &[Draft],
) -> Vec<Protected> {
    let own = own.iter().map(|(path, what)| Protected {
        path: path.to_path_buf(),
        what: (*what).to_owned(),
        place: None,
    });
    let sources = sources.iter().filter_map(|source| {
        let (path, place) = source.path.clone()?;
        Some(Protected { path, what: format!("the source `sources.{}`", source.id), place: Some(place) })
    });
    let configs = drafts.iter().filter_map(|draft| {
        let (path, place) = draft.config.clone()?;
        Some(Protected { path, what: format!("the config of stage `{}`", draft.id), place: Some(place) })
    });
    let outputs = drafts.iter().flat_map(|draft| draft.outputs.iter().flatten());
    let locks = outputs.filter_map(|(out, _)| {
        let file = locked_by(root, &out.published)?;
        let what = format!("the lock file of `{}`", file.display());
        Some(Protected { path: out.published.clone(), what, place: None })
    });
    own.chain(sources).chain(configs).chain(locks).collect()
}

/// Reports outputs that meet each other or something protected.
pub(super) fn expect_apart(
    artifacts: &Path,
    drafts: &[Draft],
    protected: &[Protected],
    problems: &mut Problems,
) {
    let outputs: Vec<_> = drafts
        .iter()
        .flat_map(|draft| draft.outputs.iter().flatten().map(move |(out, place)| (draft, out, place)))
        .collect();
    let mut apart: Vec<(&Draft, String, &Path, &Place)> = Vec::new();
    for (draft, out, place) in outputs {
        let name = format!("{}.{}", draft.id, out.name);
        let path = out.published.as_path();
        if let Some(clash) = protected.iter().find(|other| paths::overlap(path, &other.path)) {
            problems.push(on_protected(&name, path, place, clash));
            continue;
        }
        if artifacts.starts_with(path) {
            let message = format!("output `{name}` would replace `{}`", paths::shown(path));
            let free = artifacts.join(&draft.id).join(&out.name);
            problems.push(
                Problem::new(Code::ProtectedPath, message)
                    .at(place, "all published results lie there")
                    .help(format!("publish it in a place of its own: `{}`", free.display())),
            );
            continue;
        }
        for (sibling, earlier, other, first) in
            apart.iter().filter(|(_, _, other, _)| paths::overlap(path, other))
        {
            if sibling.family == draft.family && sibling.id != draft.id && draft.id != draft.family {
                if !draft.broken {
                    problems.push(shared(draft, out, place));
                }
                continue;
            }
            let message = if path == *other {
                format!("outputs `{earlier}` and `{name}` are published at one place, `{}`", path.display())
            } else {
                let (path, other) = (path.display(), other.display());
                format!("one output lies inside the other: `{earlier}` at `{other}`, `{name}` at `{path}`")
            };
            problems.push(
                Problem::new(Code::DuplicateOutput, message)
                    .at(place, "this")
                    .at(first, "and this")
                    .help("publish one of them elsewhere"),
            );
        }
        apart.push((draft, name, path, place));
    }
}

/// Instances of one table publish in one place.
fn shared(draft: &Draft, out: &Out, place: &Place) -> Problem {
    let message = format!(
        "output `{}` of all that is stamped out from `{}` would lie in one place",
        out.name, draft.family
    );
    Problem::new(Code::DuplicateOutput, message)
        .at(place, "the same for all")
        .help(format!("write `{{key}}` in its path: `{} = \"out/{}-{{key}}\"`", out.name, draft.family))
}

fn on_protected(name: &str, path: &Path, place: &Place, clash: &Protected) -> Problem {
    let (what, shown) = (&clash.what, paths::shown(path));
    let message = if path == clash.path {
        format!("output `{name}` would replace {what}, `{shown}`")
    } else if clash.path.starts_with(path) {
        format!("output `{name}` would replace `{shown}`, where {what} lies")
    } else {
        format!("output `{name}` would lie inside {what}, at `{shown}`")
    };
    let problem = Problem::new(Code::ProtectedPath, message).at(place, "this output");
    match &clash.place {
        Some(other) if other.text.name() == place.text.name() => problem
            .at(other, "read from here")
            .help("publish the output elsewhere; to read an output, write `stage.output` and no source"),
        _ => problem.help("publish the output elsewhere"),
    }
}
