//! `ner-pipe init`: a new project.

mod edit;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{self, Path, PathBuf},
};

use clap::{Arg, ArgMatches, value_parser};
use stage_contract::{Embedded, Given, Registry, Shape, Template};

use self::edit::{with_path, without_source};
use crate::{
    pipeline::DEFAULT_FILE,
    problem::{Code, Problem, Problems},
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
            .help(given.doc)
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
}

fn plan(
    sources: &Sources,
    template: &Template,
    registry: &Registry,
    root: &Path,
) -> Result<Project, Problems> {
    if sources.is_empty() {
        return Ok(Project { files: owned(template.alone), links: Vec::new() });
    }
    let mut problems = Problems::new();
    for given in template.sources {
        problems.extend(sources.get(given.name).and_then(|path| expect(registry, given, path)));
    }
    problems.into_result()?;
    let mut files = owned(template.given);
    let mut links = Vec::new();
    for source in template.sources.iter().map(|given| given.name) {
        let pipeline = files.iter_mut().find(|(path, _)| path == Path::new(DEFAULT_FILE));
        let Some((_, pipeline)) = pipeline else { continue };
        let Some(given) = sources.get(source) else {
            *pipeline = without_source(pipeline, source);
            continue;
        };
        let (inside, target) = place(root, source, given).map_err(|error| {
            Problem::new(Code::CannotInit, format!("cannot follow `{}`: {error}", given.display()))
                .help(format!("correct `--{source}`"))
        })?;
        *pipeline = with_path(pipeline, source, &inside);
        links.extend(target.map(|target| (inside, target)));
    }
    Ok(Project { files, links })
}

fn owned(embedded: &[Embedded]) -> Vec<(PathBuf, String)> {
    embedded.iter().map(|(name, content)| (PathBuf::from(name), (*content).to_owned())).collect()
}

/// What a run would refuse is refused before anything is written.
fn expect(registry: &Registry, given: &Given, path: &Path) -> Option<Problem> {
    let Given { name: what, kind, .. } = *given;
    let folder = kind.shape == Shape::Folder;
    if if folder { !path.is_dir() } else { !path.exists() } {
        let sort = if folder { "folder" } else { "file or folder" };
        let message = format!("there is no {sort} `{}`", path.display());
        return Some(Problem::new(Code::CannotInit, message).help(format!("correct `--{what}`")));
    }
    let wrong = registry.look(kind, path).err()?;
    let problem = Problem::new(Code::CannotInit, format!("`--{what}`: {}", wrong.message));
    Some(match wrong.help {
        Some(help) => problem.help(help),
        None => problem,
    })
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

    /// Writes everything; says what.
    fn write(&self, root: &Path) -> io::Result<String> {
        let mut said = String::new();
        for (path, content) in &self.files {
            create(&root.join(path))?.write_all(content.as_bytes())?;
            let _ = writeln!(said, "wrote {}", path.display());
        }
        for (link, target) in &self.links {
            parent(&root.join(link))?;
            std::os::unix::fs::symlink(target, root.join(link))?;
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
    let content = fs::read_to_string(&path)?;
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
