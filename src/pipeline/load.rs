//! Builds a [`Pipeline`] from its file, and collects every mistake.

use std::{
    mem,
    path::{Path, PathBuf},
};

use stage_contract::Registry;

use super::{
    Pipeline, collisions,
    file::{DEFAULT_FILE, artifacts, lock_file},
    graph::Graph,
    keys::{TOP_KEYS, Table},
    links::Links,
    locations::ParameterLocations,
    node::{Node, Origin, Place, Source, Wire, Work},
    overrides::Override,
    paths, scheduling,
    sources::{self, DraftSource},
    stages::{self, Draft, ParseContext},
    wires,
};
use crate::{
    manifest::{self, Manifest},
    problem::{Code, Location, Problem, Problems},
};

/// The seed of a pipeline that sets none.
const SEED: u64 = 42;

impl Pipeline {
    /// Reads and checks a pipeline file; `file` is relative to `root`, or absolute and inside it.
    ///
    /// # Errors
    /// Every mistake in it, in the files it names, and in `overrides`, in the order of the file.
    pub fn load(
        root: &Path,
        file: &Path,
        registry: &Registry,
        overrides: &[Override],
    ) -> Result<Self, Problems> {
        let file = locate(root, file)?;
        let name = file.to_string_lossy().into_owned();
        let text =
            manifest::read(&root.join(&file), &name).map_err(|problem| missing(root, &file, problem))?;
        let manifest = Manifest::parse(&text)?;
        let mut problems = Problems::new();
        let loaded = build(root, file, &manifest, registry, overrides, &mut problems);
        problems.sort(&name);
        match loaded {
            Some(pipeline) if problems.is_empty() => Ok(pipeline),
            _ => Err(problems),
        }
    }
}

fn locate(root: &Path, file: &Path) -> Result<PathBuf, Problem> {
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
    let inner = file.strip_prefix(absolute).unwrap_or(file);
    paths::inside(inner).filter(|clean| !clean.as_os_str().is_empty()).ok_or_else(|| {
        Problem::new(Code::OutsideProject, format!("`{}` is not a file of this project", file.display()))
            .help("name a file below the working folder, or change it with `-C DIR`")
    })
}

fn missing(root: &Path, file: &Path, problem: Problem) -> Problem {
    if root.join(file).exists() || root.join(file).is_symlink() {
        return problem;
    }
    let problem = Problem::new(Code::MissingPipeline, format!("there is no `{}` here", file.display()));
    let help = if file == Path::new(DEFAULT_FILE) {
        "start a project with `ner-pipe init`, or name another folder with `-C DIR`"
    } else {
        "correct `--file`, which counts from the project's folder, or start a project with `ner-pipe init`"
    };
    problem.help(help)
}

fn build(
    root: &Path,
    file: PathBuf,
    manifest: &Manifest<'_>,
    registry: &Registry,
    overrides: &[Override],
    problems: &mut Problems,
) -> Option<Pipeline> {
    let top = Table { text: manifest.text, entries: &manifest.table };
    top.expect_keys("a pipeline file", &TOP_KEYS, problems);
    let seed = top.seed(SEED, problems).unwrap_or(SEED);
    let artifacts = artifacts(&file, &top, problems);
    let lock = lock_file(&file);
    let mut sources = sources::read(&top, registry, problems);
    let context = ParseContext { root, registry, artifacts: &artifacts, overrides };
    let mut drafts = stages::read(&context, &top, problems);
    let mut links = Links::of(root);
    for (out, _) in drafts.iter_mut().flat_map(|draft| draft.outputs.iter_mut().flatten()) {
        out.resolved = links.resolve(&out.published);
    }
    if drafts.is_empty() && top.get("stage").is_none_or(|(_, value)| value.get_ref().is_table()) {
        problems.push(
            Problem::new(Code::EmptyPipeline, format!("`{}` has no stage", file.display()))
                .help("add one, like `[stage.count]`; `ner-pipe stages` lists what it may use"),
        );
    }
    let totals = scheduling::amounts(&top, problems);
    let asked = drafts.iter().map(|draft| (&draft.scheduling, &draft.locations.resources));
    scheduling::expect_enough(&totals, asked, problems);
    let wires = wires::connect(root, &sources, &drafts, problems);
    let own = [
        (file.as_path(), "the pipeline file"),
        (lock.as_path(), "the lock file"),
        (Path::new("cache"), "the cache"),
        (Path::new(".git"), "the repository"),
    ];
    let protected = collisions::protected(root, &own, &sources, &drafts, &mut links);
    collisions::expect_disjoint(&artifacts, &drafts, &protected, &mut links, problems);
    let produced: Vec<_> = drafts
        .iter()
        .flat_map(|d| d.outputs.iter().flatten())
        .map(|(out, _)| out.published.as_path())
        .collect();
    sources::expect_present(root, &sources, &produced, problems);
    let graph = Graph::new(drafts.len(), edges(&wires));
    problems.extend(graph.cycles().iter().map(|cycle| cyclic(cycle, &drafts, &wires)));
    problems.join(Code::AbsentStage);
    if !problems.is_empty() {
        let expanded = drafts.iter().filter(|draft| draft.id != draft.family);
        problems.merge(&expanded.map(|draft| (draft.id.as_str(), draft.family.as_str())).collect::<Vec<_>>());
        return None;
    }
    let options: Vec<_> = sources.iter_mut().map(|source| mem::take(&mut source.locations)).collect();
    let sources = sources.into_iter().map(source).collect::<Option<_>>()?;
    let mut pipeline = Pipeline {
        root: root.to_path_buf(),
        file,
        seed,
        lock,
        artifacts_resolved: links.end(&artifacts),
        artifacts,
        totals: totals.into_iter().map(|(name, (total, _))| (name, total)).collect(),
        sources,
        nodes: Vec::new(),
        locations: Vec::new(),
    };
    pipeline.fill(drafts, wires, &options, &graph.order())?;
    problems.extend(pipeline.empty_inputs());
    problems.extend(pipeline.expect_unclaimed().err());
    Some(pipeline)
}

impl Pipeline {
    /// Turns the drafts into nodes, in topological order.
    fn fill(
        &mut self,
        drafts: Vec<Draft>,
        wires: Vec<Vec<Wire>>,
        options: &[ParameterLocations],
        order: &[usize],
    ) -> Option<()> {
        let mut rank = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            rank[old] = new;
        }
        let mut nodes: Vec<_> = drafts.into_iter().zip(wires).enumerate().collect();
        nodes.sort_by_key(|(old, _)| rank[*old]);
        for (_, (mut draft, mut inputs)) in nodes {
            let outputs = draft.outputs?;
            draft.locations.outputs =
                outputs.iter().map(|(out, place)| (out.name.clone(), place.clone())).collect();
            for wire in &mut inputs {
                match &mut wire.from {
                    Origin::Output { node, .. } => *node = rank[*node],
                    Origin::Source(source) => {
                        wire.options = self.sources[*source].options.clone();
                        draft.locations.options.insert(wire.port.clone(), options[*source].clone());
                    }
                }
            }
            self.nodes.push(Node {
                uses: draft.uses.name().to_owned(),
                id: draft.id,
                family: draft.family,
                work: draft.work?,
                scheduling: draft.scheduling,
                seed: draft.seed.unwrap_or(self.seed),
                inputs,
                outputs: outputs.into_iter().map(|(out, _)| out).collect(),
            });
            self.locations.push(draft.locations);
        }
        Some(())
    }
}

impl Pipeline {
    /// Inputs that must hold something, and are wired to what parameters leave empty.
    fn empty_inputs(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (reader, places) in self.nodes.iter().zip(&self.locations) {
            let Work::Stage { kind, .. } = &reader.work else { continue };
            for Wire { port, from, .. } in &reader.inputs {
                let Origin::Output { node, output } = from else { continue };
                let Work::Stage { stage, .. } = &self.nodes[*node].work else { continue };
                let filled = kind.spec.port(port).is_some_and(|port| port.filled);
                let empty = stage.empty().into_iter().find(|(name, _)| name == output).filter(|_| filled);
                let Some((_, parameter)) = empty else { continue };
                let (maker, its_places) = (&self.nodes[*node].id, &self.locations[*node]);
                let message =
                    format!("`{}` needs something in `{port}`, and `{maker}.{output}` is empty", reader.id);
                let named = port.split('@').next().unwrap_or_default();
                let here = places.inputs.get(named).unwrap_or(&places.header);
                let there = its_places.parameters.value(&[parameter]).unwrap_or(&its_places.header);
                problems.push(
                    Problem::new(Code::InvalidParameter, message)
                        .at(here, "read here")
                        .at(there, format!("`{parameter}` leaves it empty"))
                        .help(format!("raise `{parameter}` of `{maker}`, or wire another input")),
                );
            }
        }
        problems
    }
}

fn source(draft: DraftSource) -> Option<Source> {
    let at = match draft.hub {
        Some((name, _)) => Place::Hub(name),
        None => Place::Path(draft.path?.0),
    };
    Some(Source { id: draft.id, at, kind: draft.kind?, options: draft.options })
}

fn edges(wires: &[Vec<Wire>]) -> impl Iterator<Item = (usize, usize)> {
    wires.iter().enumerate().flat_map(|(reader, wires)| {
        wires.iter().filter_map(move |wire| match wire.from {
            Origin::Output { node, .. } => Some((node, reader)),
            Origin::Source(_) => None,
        })
    })
}

fn cyclic(cycle: &[usize], drafts: &[Draft], wires: &[Vec<Wire>]) -> Problem {
    let round: Vec<_> =
        cycle.iter().chain(cycle.first()).map(|&node| format!("`{}`", drafts[node].id)).collect();
    let message = match cycle {
        [_] => format!("stage {} depends on itself", round[0]),
        _ => format!("these stages depend on each other: {}", round.join(" -> ")),
    };
    let mut problem = Problem::new(Code::Cycle, message);
    for (index, &reader) in cycle.iter().enumerate() {
        let node = cycle[(index + cycle.len() - 1) % cycle.len()];
        for wire in &wires[reader] {
            let Some(place) = edge(wire, node, &drafts[reader]) else { continue };
            problem = problem.at(place, format!("`{}` reads `{}`", drafts[reader].id, drafts[node].id));
        }
    }
    problem.help("let one of these inputs come from a source, or from a stage outside of the cycle")
}

fn edge<'d>(wire: &Wire, node: usize, reader: &'d Draft) -> Option<&'d Location> {
    let here = matches!(wire.from, Origin::Output { node: read, .. } if read == node);
    // An input that collects instances (`stage@*`) has one wire for each.
    let port = wire.port.split('@').next().unwrap_or_default();
    if here { reader.locations.inputs.get(port) } else { None }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use stage_contract::{Build, Device};
    use tempfile::TempDir;

    use super::*;

    const CHAIN: &str = r#"
        [stage.last]
        use = "command"
        inputs = { a = "second.out", b = "first.out" }
        outputs = { out = "out/last" }
        params = { run = "cat {a} {b} > {out}" }
        [stage.second]
        use = "command"
        inputs = { a = "first.out" }
        outputs = { out = "out/second/" }
        params = { run = "cp {a} {out}" }
        [stage.alone]
        use = "command"
        outputs = { out = { path = "out/alone", kind = "folder" } }
        params = { run = "date > {out}" }
        [stage.first]
        use = "command"
        outputs = { out = "out/first" }
        params = { run = "date > {out}" }
    "#;

    fn load(project: &TempDir, file: &str, content: &str, set: &[&str]) -> Result<Pipeline, Problems> {
        let path = project.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, content).expect("written");
        let registry =
            Registry::new(Build { code: &[], compiler: "", device: |_| Ok((Device::CPU.into(), None)) });
        let overrides: Vec<_> = set.iter().map(|text| text.parse().expect("well formed")).collect();
        Pipeline::load(project.path(), Path::new(file), &registry, &overrides)
    }

    fn project() -> TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn nodes_stand_in_the_order_of_work_and_ties_in_that_of_the_file() {
        let pipeline = load(&project(), "pipeline.toml", CHAIN, &[]).expect("no mistake");
        let ids: Vec<_> = pipeline.nodes.iter().map(|node| node.id.as_str()).collect();
        assert_eq!(ids, ["alone", "first", "second", "last"]);
        let last = pipeline.find("last").expect("there");
        assert_eq!(pipeline.upstream(last), [1, 2]);
        assert_eq!(pipeline.closure(&[last]), BTreeSet::from([1, 2, 3]));
        assert_eq!(pipeline.nodes[2].outputs[0].kind, stage_contract::Kind::FOLDER);
        assert_eq!(pipeline.nodes[0].outputs[0].kind, stage_contract::Kind::FOLDER);
    }

    #[test]
    fn a_file_decides_where_lock_and_artifacts_lie() {
        let project = project();
        let places = |file: &str, head: &str| {
            let pipeline = load(&project, file, &format!("{head}\n{CHAIN}"), &[]).expect("no mistake");
            (pipeline.lock.display().to_string(), pipeline.artifacts.display().to_string())
        };
        let pair = |lock: &str, artifacts: &str| (lock.to_owned(), artifacts.to_owned());
        assert_eq!(places("pipeline.toml", ""), pair("pipeline.lock", "artifacts"));
        assert_eq!(
            places("configs/camembert/pipeline.toml", ""),
            pair("configs/camembert/pipeline.lock", "artifacts/camembert")
        );
        assert_eq!(
            places("configs/p60.toml", "pipeline.name = \"p60\""),
            pair("configs/p60.lock", "artifacts/p60")
        );
        assert_eq!(places("other.toml", ""), pair("other.lock", "artifacts/other"));
    }

    #[test]
    fn set_changes_a_command_for_one_run() {
        let pipeline =
            load(&project(), "pipeline.toml", CHAIN, &["first.run=echo 1 > {out}"]).expect("no mistake");
        assert_eq!(pipeline.nodes[1].parameters()["run"], "echo 1 > {out}");
    }

    #[test]
    fn a_name_is_taken_only_while_its_file_is_there() {
        let project = project();
        let first = load(&project, "a/pipeline.toml", CHAIN, &[]).expect("no mistake");
        let (marker, content) = first.marker();
        fs::create_dir_all(project.path().join(&first.artifacts)).expect("created");
        fs::write(project.path().join(marker), content).expect("written");
        assert!(load(&project, "a/pipeline.toml", CHAIN, &[]).is_ok());
        assert!(load(&project, "b/a/pipeline.toml", CHAIN, &[]).is_err());
        fs::remove_file(project.path().join("a/pipeline.toml")).expect("removed");
        assert!(load(&project, "b/a/pipeline.toml", CHAIN, &[]).is_ok());
    }
}
