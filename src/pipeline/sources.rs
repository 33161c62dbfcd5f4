//! `[sources]`: files and folders that exist before any stage runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hub::Name;
use serde_json::Value;
use stage_contract::{Kind, Registry, Shape};
use toml::de::DeValue;

use super::{
    form::Filled,
    keys::{SOURCE_KEYS, Table, expect_name, offer, wrong_type},
    locations::ParameterLocations,
    params::Given,
    paths,
};
use crate::problem::{Code, Location, Problem, Problems};

const EXAMPLE: &str = "{ path = \"data/in.txt\", kind = \"file\" }";

/// The message about a stage or kind that another build may have.
pub(crate) const LACKING: &str = "this build has only the runner's own stages and kinds";

/// A source as parsed; an invalid field is `None`, and was reported.
pub(super) struct DraftSource {
    pub id: String,
    pub path: Option<(PathBuf, Location)>,
    pub hub: Option<(Name, Location)>,
    pub kind: Option<Kind>,
    /// See [`Source::options`](super::node::Source::options).
    pub options: Value,
    /// Where each of them is written.
    pub locations: ParameterLocations,
}

/// Reads all of `[sources]`.
pub(super) fn read(top: &Table<'_>, registry: &Registry, problems: &mut Problems) -> Vec<DraftSource> {
    let Some(table) = top.table("sources", "[sources]", problems) else { return Vec::new() };
    let mut sources = Vec::new();
    for (key, value) in table.entries {
        let id: &str = key.get_ref();
        let place = table.location(key.span());
        expect_name("source", id, &place, problems);
        let mut source = DraftSource {
            id: id.to_owned(),
            path: None,
            hub: None,
            kind: None,
            options: Value::Null,
            locations: ParameterLocations::default(),
        };
        if let DeValue::Table(entries) = value.get_ref() {
            let entry = Table { text: table.text, entries };
            source.kind = kind(&entry, id, registry, &place, problems);
            let mut given = Given::default();
            source.options = options(&entry, id, source.kind, registry, &place, &mut given, problems);
            source.locations = given.locations;
            if entry.get("hub").is_some() || entry.get("revision").is_some() {
                source.hub = hub(&entry, id, source.kind, &place, problems);
            } else {
                source.path = path(&entry, id, &place, problems);
            }
        } else {
            let at = table.location(value.span());
            let problem = wrong_type(id, "a table", value.get_ref(), &at);
            problems.push(problem.help(format!("write `{id} = {EXAMPLE}`")));
        }
        sources.push(source);
    }
    sources
}

fn path(
    entry: &Table<'_>,
    id: &str,
    place: &Location,
    problems: &mut Problems,
) -> Option<(PathBuf, Location)> {
    if entry.get("path").is_none() {
        problems.push(
            missing(id, "path", place).help(format!("add `path = \"data/{id}\"`, or `hub = \"owner/name\"`")),
        );
    }
    let (path, at) = entry.string("path", problems)?;
    Some((paths::expect_linked(path, &at, problems)?, at))
}

/// A repository of the hub, at a revision.
fn hub(
    entry: &Table<'_>,
    id: &str,
    kind: Option<Kind>,
    place: &Location,
    problems: &mut Problems,
) -> Option<(Name, Location)> {
    let Some((key, _)) = entry.get("hub") else {
        let at = entry.get("revision").map_or_else(|| place.clone(), |(key, _)| entry.location(key.span()));
        let problem = Problem::new(Code::MissingKey, format!("source `{id}` has a `revision` and no `hub`"));
        problems.push(problem.at(&at, "of what?").help("add `hub = \"owner/name\"`, or remove `revision`"));
        return None;
    };
    if let Some((other, _)) = entry.get("path") {
        let problem = Problem::new(Code::PathAndHub, format!("source `{id}` lies in two places"));
        problems.push(
            problem
                .at(&entry.location(other.span()), "here")
                .at(&entry.location(key.span()), "and there")
                .help("keep one of them: remove `path`, or remove `hub`"),
        );
    }
    let (repo, at) = entry.string("hub", problems)?;
    let revision = entry.string("revision", problems);
    if let Some(kind) = kind.filter(|kind| kind.shape == Shape::File) {
        let message = format!("a repository is a folder, and kind `{}` is a file", kind.name);
        let help = format!("write the `path` of a file: `{}` is {}", kind.name, kind.doc);
        problems.push(Problem::new(Code::WrongShape, message).at(&at, "a repository").help(help));
    }
    let bad = |message: String, at: &Location, help: String| {
        Problem::new(Code::BadHub, message).at(at, "this").help(help)
    };
    match Name::new(repo, Name::MAIN) {
        Err(invalid) => {
            let help = match Name::meant(repo) {
                Some(Name { repo, revision }) if revision == Name::MAIN => {
                    format!("write `hub = \"{repo}\"`")
                }
                Some(Name { repo, revision }) => {
                    format!("write `hub = \"{repo}\", revision = \"{revision}\"`")
                }
                None => invalid.help.unwrap_or_default(),
            };
            problems.push(bad(invalid.message, &at, help));
            None
        }
        Ok(name) => match revision {
            None => Some((name, at)),
            Some((revision, place)) => match Name::new(repo, revision) {
                Ok(name) => Some((name, at)),
                Err(invalid) => {
                    let help = "write a branch, a tag or a commit, or leave `revision` out for `main`";
                    problems.push(bad(invalid.message, &place, help.to_owned()));
                    None
                }
            },
        },
    }
}

/// All keys that are none of every source's, checked against the form of the kind.
fn options(
    entry: &Table<'_>,
    id: &str,
    kind: Option<Kind>,
    registry: &Registry,
    place: &Location,
    given: &mut Given,
    problems: &mut Problems,
) -> Value {
    let Some(kind) = kind else {
        return Value::Null; // Of which kind they would be, nobody knows: that was reported.
    };
    let Some(form) = registry.options_of(kind) else {
        entry.expect_keys(&format!("source `{id}`"), &SOURCE_KEYS, problems);
        return Value::Null;
    };
    given.take(entry, &SOURCE_KEYS, problems);
    let see = "see the kinds of `ner-pipe stages`".to_owned();
    let filled = Filled { form, locations: &given.locations, header: place, see };
    let unknown = |name: &str, known: &[&str]| {
        let at = given.locations.key(&[name.to_owned()]).unwrap_or(place);
        let all = SOURCE_KEYS.iter().chain(known).copied();
        let message = format!("source `{id}` of kind `{}` has no key `{name}`", kind.name);
        Problem::new(Code::UnknownKey, message).at(at, "unknown").help(offer(name, all))
    };
    let before = problems.len();
    let outside = filled.check(&given.values, &unknown, problems);
    problems.extend(outside.into_iter().map(|(_, problem)| problem));
    if given.values.is_empty() || problems.len() > before {
        return Value::Null;
    }
    let values = Value::Object(given.values.clone());
    problems.extend((form.fill)(values.clone()).err().map(|bad| filled.misfit(&bad)));
    values
}

fn kind(
    entry: &Table<'_>,
    id: &str,
    registry: &Registry,
    place: &Location,
    problems: &mut Problems,
) -> Option<Kind> {
    if entry.get("kind").is_none() {
        let known: Vec<_> = registry.kinds().iter().map(|kind| format!("`{}`", kind.name)).collect();
        problems.push(
            missing(id, "kind", place).help(format!("add `kind = \"..\"` with one of {}", known.join(", "))),
        );
    }
    let (name, at) = entry.string("kind", problems)?;
    expect_kind(name, registry, &at, problems)
}

fn missing(id: &str, key: &str, place: &Location) -> Problem {
    Problem::new(Code::MissingKey, format!("source `{id}` has no `{key}`"))
        .at(place, format!("`{key}` is missing"))
}

/// The kind that a source or a command's output declares.
pub(super) fn expect_kind(
    name: &str,
    registry: &Registry,
    at: &Location,
    problems: &mut Problems,
) -> Option<Kind> {
    let kind = registry.kind(name);
    if kind.is_none() {
        problems.push(elsewhere(registry, &format!("kind `{name}`"), at).unwrap_or_else(|| {
            let kinds = registry.kinds();
            Problem::new(Code::UnknownKind, format!("there is no kind `{name}`"))
                .at(at, "unknown")
                .help(offer(name, kinds.iter().map(|kind| kind.name)))
        }));
    }
    kind
}

/// The problem of an unknown stage or kind, if other builds have more than this one.
pub(super) fn elsewhere(registry: &Registry, what: &str, at: &Location) -> Option<Problem> {
    let help = registry.more_elsewhere()?;
    Some(Problem::new(Code::AbsentStage, LACKING).at(at, format!("there is no {what} here")).help(help))
}

/// Checks that every source exists, and is a file or a folder as its kind requires. A source that overlaps an
/// output (`produced`) is reported as a collision instead.
pub(super) fn expect_present(
    root: &Path,
    sources: &[DraftSource],
    produced: &[&Path],
    problems: &mut Problems,
) {
    for source in sources {
        let Some((path, place)) = &source.path else { continue };
        if produced.iter().any(|output| paths::overlap(output, path)) {
            continue;
        }
        let shown = paths::shown(path);
        match fs::metadata(root.join(path)) {
            Ok(found) => problems.extend(
                source
                    .kind
                    .and_then(|kind| wrong_shape(kind, &found, &shown).map(|p| p.at(place, "this path"))),
            ),
            Err(error) => {
                let problem =
                    Problem::new(Code::MissingSource, absence(root, path, &error)).at(place, "not there");
                let doc =
                    source.kind.map_or(String::new(), |kind| format!("; `{}` is {}", kind.name, kind.doc));
                let hub = named(root, source.kind, path).unwrap_or_default();
                problems.push(problem.help(format!("put it there, or correct the path{hub}{doc}")));
            }
        }
    }
}

/// Where projects have their data: a path that begins so is no owner's name.
const DATA: &str = "data";

/// What to write for a path that may be a name of the hub, unless it begins with a folder of the project.
fn named(root: &Path, kind: Option<Kind>, path: &Path) -> Option<String> {
    let name = Name::given(path.to_str()?)?.ok()?;
    let begins = path.starts_with(DATA) || root.join(path.components().next()?).exists();
    let fits = !begins && kind.is_none_or(|kind| kind.shape != Shape::File);
    fits.then(|| {
        format!(", or write `hub = \"{}\"` in place of `path` for a repository of the hub", name.repo)
    })
}

fn absence(root: &Path, path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    match (error.kind(), fs::read_link(root.join(path))) {
        (io::ErrorKind::NotFound, Ok(target)) => {
            format!("`{shown}` is a link to `{}`, where nothing is", target.display())
        }
        (io::ErrorKind::NotFound, Err(_)) => format!("nothing is at `{shown}`"),
        _ => format!("cannot look at `{shown}`: {error}"),
    }
}

fn wrong_shape(kind: Kind, found: &fs::Metadata, shown: &str) -> Option<Problem> {
    let what = if found.is_dir() {
        "a folder"
    } else if found.is_file() {
        "a file"
    } else {
        "neither a file nor a folder"
    };
    let wanted = match kind.shape {
        Shape::File if !found.is_file() => "a file",
        Shape::Folder if !found.is_dir() => "a folder",
        Shape::FileOrFolder if !found.is_file() && !found.is_dir() => "a file or a folder",
        _ => return None,
    };
    let help = match kind.name {
        "file" if found.is_dir() => "write `kind = \"folder\"`, or the path of a file in it".to_owned(),
        "folder" if found.is_file() => "write `kind = \"file\"`, or the path of its folder".to_owned(),
        name => format!("write the path of {wanted}: `{name}` is {}", kind.doc),
    };
    let message = format!("`{shown}` is {what}, and kind `{}` is {wanted}", kind.name);
    Some(Problem::new(Code::WrongShape, message).help(help))
}
