//! `ner-pipe init`: a new project.

mod edit;

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{self, Path, PathBuf},
};

use stage_contract::{Kind, Registry, Shape};

use self::edit::{with_path, without_source};
use crate::{
    pipeline::DEFAULT_FILE,
    problem::{Code, Problem, Problems},
};

/// Write pipeline.toml, its configs and .gitignore for a new project.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// A model to distill, in Hugging Face layout; without it the project makes a small teacher of its own.
    #[arg(long, value_name = "DIR", requires = "corpus")]
    pub teacher: Option<PathBuf>,
    /// Raw text, one sentence a line: a file, or a folder of files.
    #[arg(long, value_name = "PATH", requires = "teacher")]
    pub corpus: Option<PathBuf>,
    /// Gold tags to measure on: a file, or a folder of files.
    #[arg(long, value_name = "PATH", requires = "teacher")]
    pub gold: Option<PathBuf>,
}

/// A file of this repository, and the name it gets in the project.
type Embedded = (&'static str, &'static str);

macro_rules! embedded {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("../../", $name)))),*] };
}

const DEFAULT: &[Embedded] =
    &embedded!["pipeline.toml", "configs/distill.toml", "configs/finetune.toml", "configs/gates.toml"];
const CAMEMBERT: &str = include_str!("../../configs/camembert/pipeline.toml");
const CAMEMBERT_CONFIGS: &[Embedded] =
    &embedded!["configs/camembert/distill.toml", "configs/camembert/finetune.toml"];

const IGNORED: [&str; 3] = ["/cache/", "/artifacts/", "/data/"];

/// Sets up a project in `root` and says on `out` what it wrote.
///
/// # Errors
/// When something would be overwritten, or the teacher, corpus or gold is not what it must be: then
/// nothing is written. When the disk refuses.
pub fn run(args: &Args, registry: &Registry, root: &Path, out: &mut dyn Write) -> Result<(), Problems> {
    let project = plan(args, registry, root)?;
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

fn plan(args: &Args, registry: &Registry, root: &Path) -> Result<Project, Problems> {
    let (Some(teacher), Some(corpus)) = (&args.teacher, &args.corpus) else {
        return Ok(Project { files: owned(DEFAULT), links: Vec::new() });
    };
    let mut problems = Problems::new();
    for (what, kind, path) in [
        ("teacher", Kind::MODEL, Some(teacher)),
        ("corpus", Kind::TEXT, Some(corpus)),
        ("gold", Kind::GOLD, args.gold.as_ref()),
    ] {
        problems.extend(path.and_then(|path| expect(registry, what, kind, path)));
    }
    problems.into_result()?;
    let mut pipeline = CAMEMBERT.to_owned();
    let mut links = Vec::new();
    for (source, given) in
        [("teacher", Some(teacher)), ("corpus", Some(corpus)), ("gold", args.gold.as_ref())]
    {
        let Some(given) = given else {
            pipeline = without_source(&pipeline, source);
            continue;
        };
        let (inside, target) = place(root, source, given).map_err(|error| {
            Problem::new(Code::CannotInit, format!("cannot follow `{}`: {error}", given.display()))
                .help(format!("correct `--{source}`"))
        })?;
        pipeline = with_path(&pipeline, source, &inside);
        links.extend(target.map(|target| (inside, target)));
    }
    let mut files = owned(CAMEMBERT_CONFIGS);
    files.insert(0, (PathBuf::from(DEFAULT_FILE), pipeline));
    Ok(Project { files, links })
}

fn owned(embedded: &[Embedded]) -> Vec<(PathBuf, String)> {
    embedded.iter().map(|(name, content)| (PathBuf::from(name), (*content).to_owned())).collect()
}

/// What a run would refuse is refused before anything is written.
fn expect(registry: &Registry, what: &str, kind: Kind, path: &Path) -> Option<Problem> {
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
mod tests {
    use std::collections::BTreeSet;

    use stage_contract::Invalid;
    use tempfile::TempDir;

    use super::{edit::entries, *};
    use crate::{manifest::Manifest, problem::Text};

    /// The config files that a pipeline names.
    fn configs(content: &str) -> BTreeSet<String> {
        let text = Text::new("p", content);
        let manifest = Manifest::parse(&text).expect("valid TOML");
        let stages = manifest.table.get("stage").expect("stages").get_ref();
        let named =
            entries(stages).filter_map(|(_, _, stage)| stage.get_ref().get("config")?.get_ref().as_str());
        named.map(str::to_owned).collect()
    }

    #[test]
    fn students_are_pruned_as_stock_transformers_can_load_them() {
        for content in [DEFAULT[0].1, CAMEMBERT] {
            let cuts: Vec<&str> = content
                .lines()
                .filter(|line| line.starts_with("params") && line.contains("allocation"))
                .collect();
            assert_eq!(cuts.len(), content.matches("[stage.prune").count(), "every `prune` says so");
            assert!(cuts.iter().all(|cut| cut.contains("allocation = \"uniform\"")), "{cuts:?}");
        }
    }

    fn folders() -> (TempDir, TempDir) {
        let (project, elsewhere) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            fs::create_dir_all(elsewhere.path().join("teacher")).expect("created");
            fs::write(elsewhere.path().join("teacher").join(name), "{}").expect("written");
        }
        fs::create_dir(project.path().join("texts")).expect("created");
        (project, elsewhere)
    }

    /// Like the real one it refuses a model without tokenizer.
    fn registry() -> Registry {
        crate::without_ml().source(Kind::MODEL, |folder| {
            if folder.join("tokenizer.json").is_file() {
                return Ok(());
            }
            Err(Invalid::new("it has no tokenizer.json").help("download it"))
        })
    }

    fn init(project: &TempDir, args: &Args) -> Result<String, Problems> {
        let mut out = Vec::new();
        run(args, &registry(), project.path(), &mut out).map(|()| String::from_utf8(out).expect("text"))
    }

    #[test]
    fn every_config_that_an_embedded_pipeline_names_is_embedded_with_it() {
        let names =
            |files: &[Embedded]| files.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(configs(DEFAULT[0].1), names(&DEFAULT[1..]));
        assert_eq!(configs(CAMEMBERT), names(CAMEMBERT_CONFIGS));
    }

    #[test]
    fn a_project_without_arguments_is_the_embedded_default() {
        let (project, _) = folders();
        init(&project, &Args::default()).expect("an empty folder");
        for (name, content) in DEFAULT {
            assert_eq!(fs::read_to_string(project.path().join(name)).expect("written"), *content);
        }
        let ignored = fs::read_to_string(project.path().join(".gitignore")).expect("written");
        assert!(ignored.contains("/cache/\n/artifacts/\n/data/\n") && !ignored.contains("\npipeline.lock"));
    }

    #[test]
    fn what_lies_in_the_project_is_named_and_what_lies_elsewhere_is_linked() {
        let (project, elsewhere) = folders();
        let args = Args {
            teacher: Some(elsewhere.path().join("teacher")),
            corpus: Some(project.path().join("texts")),
            gold: None,
        };
        let said = init(&project, &args).expect("all there");
        assert!(said.contains("linked data/teacher -> "), "{said}");
        let pipeline = fs::read_to_string(project.path().join("pipeline.toml")).expect("written");
        assert!(
            pipeline.contains("path = \"texts\"") && pipeline.contains("path = \"data/teacher\""),
            "{pipeline}"
        );
        assert!(project.path().join("data/teacher/config.json").is_file());
        assert!(!pipeline.contains("sources.gold") && !pipeline.contains("data/gold"), "{pipeline}");
        assert!(Manifest::parse(&Text::new("p", &pipeline)).is_ok(), "{pipeline}");
        for name in configs(&pipeline) {
            assert!(project.path().join(name).is_file());
        }
    }

    #[test]
    fn gold_that_is_given_stays_in_the_pipeline() {
        let (project, elsewhere) = folders();
        let gold = elsewhere.path().join("gold.bio");
        fs::write(&gold, "Paris\tB-LOC\n").expect("written");
        let args = Args {
            teacher: Some(elsewhere.path().join("teacher")),
            corpus: Some(project.path().join("texts")),
            gold: Some(gold),
        };
        init(&project, &args).expect("all there");
        let pipeline = fs::read_to_string(project.path().join("pipeline.toml")).expect("written");
        assert!(pipeline.contains("sources.gold"));
        assert_eq!(fs::read_to_string(project.path().join("data/gold")).expect("linked"), "Paris\tB-LOC\n");
    }

    #[test]
    fn nothing_is_overwritten_and_then_nothing_is_written() {
        let (project, _) = folders();
        fs::create_dir(project.path().join("configs")).expect("created");
        fs::write(project.path().join("configs/distill.toml"), "mine = 1\n").expect("written");
        let problems = init(&project, &Args::default()).expect_err("a file is there");
        assert!(problems.to_string().contains("`configs/distill.toml` is there already"), "{problems}");
        assert!(!project.path().join("pipeline.toml").exists());
    }

    #[test]
    fn a_gitignore_that_is_there_is_kept_and_what_it_lacks_is_said() {
        let (project, _) = folders();
        fs::write(project.path().join(".gitignore"), "cache\n/target\n").expect("written");
        let said = init(&project, &Args::default()).expect("nothing in the way");
        assert!(said.contains("add these lines to it: /artifacts/ /data/"), "{said}");
        assert_eq!(fs::read_to_string(project.path().join(".gitignore")).expect("kept"), "cache\n/target\n");
    }

    #[test]
    fn a_teacher_that_is_not_whole_and_a_corpus_that_is_not_there_are_both_said() {
        let (project, elsewhere) = folders();
        fs::remove_file(elsewhere.path().join("teacher/tokenizer.json")).expect("removed");
        let args = Args {
            teacher: Some(elsewhere.path().join("teacher")),
            corpus: Some(PathBuf::from("no/such/corpus")),
            gold: None,
        };
        let problems = init(&project, &args).expect_err("two mistakes");
        assert_eq!(problems.len(), 2, "{problems}");
        assert!(problems.to_string().contains("`--teacher`: it has no tokenizer.json"), "{problems}");
    }
}
