//! Output paths must not overlap each other, nor files of the runner or the user.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{file::locked_by, links::Links, node::Out, paths, sources::DraftSource, stages::Draft};
use crate::{
    disk::STAGED,
    problem::{Code, Location, Problem, Problems},
};

/// A path that no output may overlap, and why.
pub(super) struct Protected {
    pub path: PathBuf,
    /// Absolute, with symlinks resolved: of its parent folders only, and of all of it.
    places: [PathBuf; 2],
    pub what: String,
    pub place: Option<Location>,
}

/// The runner's own files, the locks of other pipeline files, and everything that stages read.
pub(super) fn protected(
    root: &Path,
    own: &[(&Path, &str)],
    sources: &[DraftSource],
    drafts: &[Draft],
    links: &mut Links,
) -> Vec<Protected> {
    let own = own.iter().map(|(path, what)| (path.to_path_buf(), (*what).to_owned(), None));
    let sources = sources.iter().filter_map(|source| {
        let (path, place) = source.path.clone()?;
        Some((path, format!("the source `sources.{}`", source.id), Some(place)))
    });
    let configs = drafts.iter().filter_map(|draft| {
        let (path, place) = draft.config.clone()?;
        Some((path, format!("the config of stage `{}`", draft.id), Some(place)))
    });
    let outputs = drafts.iter().flat_map(|draft| draft.outputs.iter().flatten());
    let locks = outputs.filter_map(|(out, _)| {
        let file = locked_by(root, &out.resolved)?;
        Some((out.resolved.clone(), format!("the lock file of `{}`", file.display()), None))
    });
    let found = own.chain(sources).chain(configs).chain(locks);
    let protected = found.map(|(path, what, place)| {
        let places = [links.resolve(&path), links.end(&path)].map(|place| links.absolute(&place));
        Protected { path, places, what, place }
    });
    protected.collect()
}

/// Reports outputs that overlap each other or a protected path, by name or through symlinks.
pub(super) fn expect_disjoint(
    artifacts: &Path,
    drafts: &[Draft],
    protected: &[Protected],
    links: &mut Links,
    problems: &mut Problems,
) {
    let folder = [links.resolve(artifacts), links.end(artifacts)].map(|place| links.absolute(&place));
    let outputs = drafts.iter().flat_map(|draft| draft.outputs.iter().flatten().map(move |it| (draft, it)));
    let mut checked = CheckedOutputs::default();
    for (draft, (out, place)) in outputs {
        let name = format!("{}.{}", draft.id, out.name);
        let path = out.published.as_path();
        let lies = links.absolute(&out.resolved);
        if out.published.iter().any(|part| part.as_encoded_bytes().starts_with(STAGED.as_bytes())) {
            let message =
                format!("output `{name}` has a name that ner-pipe stages files under, `{}`", path.display());
            problems.push(
                Problem::new(Code::ProtectedPath, message)
                    .at(place, "this output")
                    .help(format!("give it a name that does not begin with `{STAGED}`")),
            );
            continue;
        }
        let meets = |other: &&Protected| other.places.iter().any(|other| paths::overlap(&lies, other));
        if let Some(clash) = protected.iter().find(meets) {
            problems.push(on_protected(&name, out, place, clash, links));
            continue;
        }
        if folder.iter().any(|folder| folder.starts_with(&lies)) {
            let message = format!("output `{name}` would replace `{}`", paths::shown(path));
            let free = artifacts.join(&draft.id).join(&out.name);
            problems.push(
                Problem::new(Code::ProtectedPath, message)
                    .at(place, "all published results lie there")
                    .help(format!("publish it in a place of its own: `{}`", free.display())),
            );
            continue;
        }
        for met in checked.overlapping(&lies) {
            if met.draft.family == draft.family && met.draft.id != draft.id && draft.id != draft.family {
                if !draft.broken {
                    problems.push(shared(draft, out, place));
                }
                continue;
            }
            problems.push(overlap(&name, out, met, links).at(place, "this").at(met.place, "and this"));
        }
        checked.add(lies, CheckedOutput { draft, name, out, place });
    }
}

/// An output that was checked already.
struct CheckedOutput<'d> {
    draft: &'d Draft,
    name: String,
    out: &'d Out,
    place: &'d Location,
}

/// The outputs that were checked already, by resolved path.
#[derive(Default)]
struct CheckedOutputs<'d> {
    outputs: Vec<CheckedOutput<'d>>,
    places: BTreeMap<PathBuf, Vec<usize>>,
}

impl<'d> CheckedOutputs<'d> {
    fn add(&mut self, lies: PathBuf, output: CheckedOutput<'d>) {
        self.places.entry(lies).or_default().push(self.outputs.len());
        self.outputs.push(output);
    }

    /// Those at this path, above it and below it, in file order.
    fn overlapping(&self, lies: &Path) -> impl Iterator<Item = &CheckedOutput<'d>> {
        let above = lies.ancestors().skip(1).filter_map(|path| self.places.get(path));
        let below = self.places.range(lies.to_owned()..).take_while(|(path, _)| path.starts_with(lies));
        let met: BTreeSet<_> = above.chain(below.map(|(_, outputs)| outputs)).flatten().copied().collect();
        met.into_iter().map(|index| &self.outputs[index])
    }
}

/// Two overlapping outputs.
fn overlap(name: &str, out: &Out, met: &CheckedOutput<'_>, links: &Links) -> Problem {
    let (earlier, path, other) = (&met.name, out.published.display(), met.out.published.display());
    let by_name = paths::overlap(&out.published, &met.out.published);
    let message = if out.published == met.out.published {
        format!("outputs `{earlier}` and `{name}` are published at one place, `{path}`")
    } else if by_name {
        format!("one output lies inside the other: `{earlier}` at `{other}`, `{name}` at `{path}`")
    } else if out.resolved == met.out.resolved {
        let lies = out.resolved.display();
        format!(
            "outputs `{earlier}` at `{other}` and `{name}` at `{path}` are one place: links lead to `{lies}`"
        )
    } else {
        format!("one output lies inside the other, by links: `{earlier}` at `{other}`, `{name}` at `{path}`")
    };
    let link = links.first(&out.published).or_else(|| links.first(&met.out.published));
    let help = "publish one of them elsewhere".to_owned();
    Problem::new(Code::DuplicateOutput, message).help(match link.filter(|_| !by_name) {
        Some(link) => format!("{help}, or let the link `{}` lead elsewhere", link.display()),
        None => help,
    })
}

/// Instances of one table publish to the same path.
fn shared(draft: &Draft, out: &Out, place: &Location) -> Problem {
    let message = format!(
        "output `{}` of all that is expanded from `{}` would lie in one place",
        out.name, draft.family
    );
    Problem::new(Code::DuplicateOutput, message)
        .at(place, "the same for all")
        .help(format!("write `{{key}}` in its path: `{} = \"out/{}-{{key}}\"`", out.name, draft.family))
}

fn on_protected(name: &str, out: &Out, place: &Location, clash: &Protected, links: &Links) -> Problem {
    let (what, shown) = (&clash.what, paths::shown(&out.published));
    let lies = links.absolute(&out.resolved);
    let by_name = paths::overlap(&out.published, &clash.path);
    let mut message = if clash.places.contains(&lies) {
        format!("output `{name}` would replace {what}, `{shown}`")
    } else if clash.places.iter().any(|other| other.starts_with(&lies)) {
        format!("output `{name}` would replace `{shown}`, where {what} lies")
    } else {
        format!("output `{name}` would lie inside {what}, at `{shown}`")
    };
    if !by_name {
        let met = clash.places.iter().find(|other| paths::overlap(&lies, other)).unwrap_or(&clash.places[1]);
        let names = [(&out.published, &lies), (&clash.path, met)];
        let linked = names.into_iter().filter(|(path, place)| links.absolute(path) != **place);
        let linked = linked.map(|(path, place)| format!("`{}` is `{}`", path.display(), links.shown(place)));
        message = format!("{message}: by links, {}", linked.collect::<Vec<_>>().join(" and "));
    }
    let problem = Problem::new(Code::ProtectedPath, message).at(place, "this output");
    let elsewhere = match links.first(&out.published).or_else(|| links.first(&clash.path)) {
        Some(link) if !by_name => {
            format!("publish the output elsewhere, or let the link `{}` lead elsewhere", link.display())
        }
        _ => "publish the output elsewhere".to_owned(),
    };
    match &clash.place {
        Some(other) if other.text.name() == place.text.name() => problem
            .at(other, "read from here")
            .help(format!("{elsewhere}; to read an output, write `stage.output` and no source")),
        _ => problem.help(elsewhere),
    }
}
