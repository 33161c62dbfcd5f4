//! `ner-pipe init`: a new project.

mod edit;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::symlink,
    path::{self, Path, PathBuf},
};

use clap::{Arg, ArgMatches, value_parser};
use hub::{Hub, Name};
use serde_json::Value;
use stage_contract::{Embedded, Given, Invalid, Registry, Shape, Template};

use self::edit::{with_hub, with_parameter, with_path, without_source};
use crate::{
    disk,
    pipeline::DEFAULT_FILE,
    problem::{Code, Problem, Problems},
    runner::{MachineOptions, Project as OpenProject, Stop, Unheard, inspect},
};

/// Write pipeline.toml, its configs and .gitignore for a new project.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// What the user gave, by the source's name.
pub type Sources = BTreeMap<&'static str, PathBuf>;

/// The subcommand with an option for each source of the registry's template.
#[must_use]
pub fn options(command: clap::Command, registry: &Registry) -> clap::Command {
    let sources = registry.new_project().map_or(&[][..], |template| template.sources);
    let option = |given: &Given| {
        let others = sources.iter().filter(|other| other.required && other.name != given.name);
        Arg::new(given.name)
            .long(given.name)
            .value_name(if given.kind.shape == Shape::Folder { "DIR" } else { "PATH" })
            .value_parser(value_parser!(PathBuf))
            .help(help(given))
            .requires_all(others.map(|other| other.name))
    };
    command.args(sources.iter().map(option))
}

/// What was given.
#[must_use]
pub fn sources(matches: &ArgMatches, registry: &Registry) -> Sources {
    let sources = registry.new_project().map_or(&[][..], |template| template.sources);
    let given = |given: &Given| Some((given.name, matches.get_one::<PathBuf>(given.name)?.clone()));
    sources.iter().filter_map(given).collect()
}

const IGNORED: [&str; 3] = ["/cache/", "/artifacts/", "/data/"];

/// Sets up a project in `root` and says on `out` what it wrote.
///
/// # Errors
/// When something would be overwritten, or a source is not what it must be: then nothing is written. When this build has
/// no project to start from, or the disk refuses.
pub fn run(sources: &Sources, registry: &Registry, root: &Path, out: &mut dyn Write) -> Result<(), Problems> {
    let Some(template) = registry.new_project() else {
        let problem = Problem::new(Code::CannotInit, "this build has no project to start from");
        return Err(problem.help(registry.more_elsewhere().unwrap_or("write a pipeline.toml")).into());
    };
    let project = plan(sources, template, registry, root)?;
    project.expect_new(root)?;
    project.try_out(registry, root)?;
    let mut said = project.write(root).map_err(|error| {
        Problem::new(Code::CannotInit, format!("cannot write to {}: {error}", root.display()))
            .help("check the folder's permissions and the space left on the disk")
    })?;
    said.push_str("\nrun it with `ner-pipe run`; `ner-pipe stages` documents every parameter\n");
    // Nobody reading is no mistake.
    let _ = out.write_all(said.as_bytes());
    Ok(())
}

/// What is to be written, all of it decided before the first byte is.
struct Project {
    files: Vec<(PathBuf, String)>,
    /// Link and target.
    links: Vec<(PathBuf, PathBuf)>,
    /// Sources that lie in the project already.
    inside: Vec<PathBuf>,
}

fn plan(
    sources: &Sources,
    template: &Template,
    registry: &Registry,
    root: &Path,
) -> Result<Project, Problems> {
    if sources.is_empty() {
        return Ok(Project { files: owned(template.alone), links: Vec::new(), inside: Vec::new() });
    }
    let mut problems = Problems::new();
    let mut looked = BTreeMap::new();
    for given in template.sources {
        match sources.get(given.name).map(|path| expect(registry, given, path)) {
            Some(Ok(folder)) => drop(looked.insert(given.name, folder)),
            Some(Err(problem)) => problems.push(problem),
            None => {}
        }
    }
    problems.into_result()?;
    let mut files = owned(template.given);
    let (mut links, mut present) = (Vec::new(), Vec::new());
    for source in template.sources.iter().map(|given| given.name) {
        let pipeline = files.iter_mut().find(|(path, _)| path == Path::new(DEFAULT_FILE));
        let Some((_, pipeline)) = pipeline else { continue };
        let Some(given) = sources.get(source) else {
            *pipeline = without_source(pipeline, source);
            continue;
        };
        if let Some(path) = looked.get(source) {
            for setting in (template.fit)(source, path).map_err(|wrong| refused(source, &wrong))? {
                *pipeline = with_parameter(pipeline, &setting);
            }
        }
        if let Some(Ok(name)) = repository(given) {
            *pipeline = with_hub(pipeline, source, &name);
            continue;
        }
        let (inside, target) = place(root, source, given).map_err(|error| {
            Problem::new(Code::CannotInit, format!("cannot follow `{}`: {error}", given.display()))
                .help(format!("correct `--{source}`"))
        })?;
        *pipeline = with_path(pipeline, source, &inside);
        match target {
            Some(target) => links.push((inside, target)),
            None => present.push(inside),
        }
    }
    Ok(Project { files, links, inside: present })
}

fn owned(embedded: &[Embedded]) -> Vec<(PathBuf, String)> {
    embedded.iter().map(|(name, content)| (PathBuf::from(name), (*content).to_owned())).collect()
}

/// Its own words, and what else it may be.
fn help(given: &Given) -> String {
    match given.kind.shape {
        Shape::File => given.doc.to_owned(),
        _ => format!("{}; or a repository of the Hugging Face Hub, owner/name[@REVISION]", given.doc),
    }
}

/// What was given, where that is a repository of the hub and no path.
fn repository(given: &Path) -> Option<Result<Name, Invalid>> {
    Name::given(given.to_str()?)
}

/// What a run would refuse is refused before anything is written. Gives where there is something to look at.
fn expect(registry: &Registry, given: &Given, path: &Path) -> Result<PathBuf, Problem> {
    let Given { name: what, kind, .. } = *given;
    if let Some(name) = repository(path) {
        return expect_repository(registry, given, name);
    }
    let folder = kind.shape == Shape::Folder;
    if if folder { !path.is_dir() } else { !path.exists() } {
        let sort = if folder { "folder" } else { "file or folder" };
        let message = format!("there is no {sort} `{}`", path.display());
        let hub = match kind.shape {
            Shape::File => String::new(),
            _ => format!(", or name a repository of the hub: `--{what} hub:owner/name`"),
        };
        return Err(Problem::new(Code::CannotInit, message).help(format!("correct `--{what}`{hub}")));
    }
    registry.look(kind, path, &Value::Null).map_err(|wrong| refused(what, &wrong))?;
    Ok(path.to_owned())
}

fn refused(what: &str, wrong: &Invalid) -> Problem {
    let problem = Problem::new(Code::CannotInit, format!("`--{what}`: {}", wrong.message));
    match &wrong.help {
        Some(help) => problem.help(help.clone()),
        None => problem,
    }
}

/// The hub has it, with all that its kind needs; only what is looked at first is downloaded.
fn expect_repository(
    registry: &Registry,
    given: &Given,
    name: Result<Name, Invalid>,
) -> Result<PathBuf, Problem> {
    let Given { name: what, kind, .. } = *given;
    let name = name.map_err(|invalid| refused(what, &invalid))?;
    if kind.shape == Shape::File {
        let wrong = Invalid::new(format!("a repository is a folder, and kind `{}` is a file", kind.name));
        return Err(refused(what, &wrong.help("give the path of a file")));
    }
    let looked = Hub::from_env().and_then(|hub| {
        let pin = hub.list(&name, &Unheard)?.pin(&name, &|files| registry.needed(kind, files))?;
        if let Some(preview) = registry.preview_of(kind) {
            hub.preview(&pin, preview, &Value::Null, &Unheard)?;
        }
        Ok(hub.cache().snapshot(&pin.repo, &pin.commit))
    });
    looked.map_err(|error| refused(what, &Invalid::of(&error)))
}

/// Where a source lies in the project; and what to link there when it lies elsewhere.
fn place(root: &Path, source: &str, given: &Path) -> io::Result<(PathBuf, Option<PathBuf>)> {
    let (absolute, root) = (path::absolute(given)?, path::absolute(root)?);
    // By letters first: a link in the project stays the path that its owner chose.
    let inside =
        absolute.strip_prefix(&root).ok().filter(|path| !path.components().any(|c| c.as_os_str() == ".."));
    if let Some(inside) = inside {
        return Ok((inside.to_owned(), None));
    }
    let (real, root) = (absolute.canonicalize()?, root.canonicalize()?);
    Ok(match real.strip_prefix(&root) {
        Ok(inside) => (inside.to_owned(), None),
        Err(_) => (Path::new("data").join(source), Some(real)),
    })
}

impl Project {
    fn expect_new(&self, root: &Path) -> Result<(), Problems> {
        let paths = self.files.iter().map(|(path, _)| path).chain(self.links.iter().map(|(link, _)| link));
        let mut problems = Problems::new();
        // A link that leads nowhere would be overwritten too.
        problems.extend(paths.filter(|path| root.join(path).symlink_metadata().is_ok()).map(|path| {
            let shown = path.display();
            Problem::new(Code::CannotInit, format!("`{shown}` is there already")).help(format!(
                "move it away (`mv {shown} {shown}.old`), or start in another folder with `-C DIR`"
            ))
        }));
        problems.into_result()
    }

    /// The stages look at what was given, in a copy of the project elsewhere: what a run would refuse is refused before
    /// anything is written. A project that makes all it needs has nothing to look at.
    fn try_out(&self, registry: &Registry, root: &Path) -> Result<(), Problems> {
        if self.links.is_empty() && self.inside.is_empty() {
            return Ok(());
        }
        let cannot = |error: io::Error| {
            Problem::new(Code::CannotInit, format!("cannot try the project out: {error}"))
                .help("make the folder for temporary files writable (TMPDIR), with room on its disk")
        };
        let copy = tempfile::tempdir().map_err(cannot)?;
        let lay = || -> io::Result<()> {
            for (path, content) in &self.files {
                create(&copy.path().join(path))?.write_all(content.as_bytes())?;
            }
            let root = root.canonicalize()?;
            let inside = self.inside.iter().map(|path| (path, root.join(path)));
            for (link, target) in self.links.iter().map(|(link, target)| (link, target.clone())).chain(inside)
            {
                parent(&copy.path().join(link))?;
                symlink(target, copy.path().join(link))?;
            }
            Ok(())
        };
        lay().map_err(cannot)?;
        let file = Path::new(DEFAULT_FILE);
        let looked = OpenProject::open(registry, copy.path(), file, &[], MachineOptions::default()).and_then(
            |mut project| {
                let nodes: Vec<usize> = (0..project.pipeline.nodes.len()).collect();
                inspect(&mut project, &nodes, &vec![None; nodes.len()])
            },
        );
        looked.map_err(|stop| match stop {
            Stop::Problems(problems) => problems,
            stop => {
                let mut problems = Problems::new();
                problems.extend(stop.messages().into_iter().map(|(message, help)| {
                    Problem::new(Code::CannotInit, message).help(help.unwrap_or_default())
                }));
                problems
            }
        })
    }

    /// Writes everything; says what.
    fn write(&self, root: &Path) -> io::Result<String> {
        let mut said = String::new();
        for (path, content) in &self.files {
            create(&root.join(path))?.write_all(content.as_bytes())?;
            let _ = writeln!(said, "wrote {}", path.display());
        }
        for (link, target) in &self.links {
            parent(&root.join(link))?;
            symlink(target, root.join(link))?;
            let _ = writeln!(said, "linked {} -> {}", link.display(), target.display());
        }
        said.push_str(&ignore(root)?);
        Ok(said)
    }
}

fn create(path: &Path) -> io::Result<File> {
    parent(path)?;
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// A repository often has a .gitignore already. It is the user's: what it lacks is said, and not added.
fn ignore(root: &Path) -> io::Result<String> {
    let path = root.join(".gitignore");
    if path.symlink_metadata().is_err() {
        let lines = format!(
            "# Results and raw data stay out of git; pipeline.lock is committed.\n{}\n",
            IGNORED.join("\n")
        );
        create(&path)?.write_all(lines.as_bytes())?;
        return Ok("wrote .gitignore\n".to_owned());
    }
    let content = disk::read_text(&path)?;
    let known: Vec<_> = content.lines().map(|line| line.trim().trim_matches('/')).collect();
    let lacking: Vec<_> =
        IGNORED.into_iter().filter(|line| !known.contains(&line.trim_matches('/'))).collect();
    Ok(if lacking.is_empty() {
        "kept .gitignore\n".to_owned()
    } else {
        format!("kept .gitignore; add these lines to it: {}\n", lacking.join(" "))
    })
}

#[cfg(test)]
mod tests;
