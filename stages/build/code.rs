//! The code of each stage: all that its result depends on beside parameters and inputs, part by part.
//!
//! A stage's code is its own files (`<stage>.rs` and the folder `<stage>/`), every package of the workspace that these
//! name, and what Cargo says that those depend on: sources by their tokens, other files by their bytes, other crates by
//! what is locked of them. Comments, layout, tests and modules that a package's Cargo.toml sets aside do not count.
//!
//! The compiler does not count either: an upgrade changes results so seldom that making everything anew for it is the
//! greater evil; it is recorded beside the result, as the device and the processor are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{
    crates::{Lock, Package},
    tokens,
};

/// Hashes by what they are of: `ml/encoder/crf.rs`, `crate tokenizers`.
pub type Parts = BTreeMap<String, String>;

/// What is known of a package of stages.
pub struct Code {
    /// By the name of the stage's module; under the empty name, of everything.
    pub stages: BTreeMap<String, Parts>,
    /// What was read: when one of these changes, all of it is to be done again.
    pub read: BTreeSet<PathBuf>,
}

/// The package that runner and stages agree on, which runs for every stage.
const CONTRACT: &str = "stage-contract";

/// Folders of a package that hold no code of its library.
const BESIDE: [&str; 5] = ["benches", "build", "testdata", "target", "vendor"];

/// Modules that are compiled for tests alone.
const TESTS: [&str; 2] = ["tests", "testing"];

/// Reads the package in `folder`, with the lock and manifest of its workspace.
pub fn code(
    folder: &Path,
    workspace: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Code, String> {
    let (lock, manifest) = (workspace.join("Cargo.lock"), workspace.join("Cargo.toml"));
    let reader = Reader::open(folder, &manifest, Lock::read(&lock, &manifest)?, variable)?;
    let files = &reader.packages[folder].files;
    let mut modules: BTreeMap<String, Vec<&File>> = BTreeMap::new();
    for file in files {
        modules.entry(file.module()).or_default().push(file);
    }
    let mut stages = BTreeMap::from([(String::new(), reader.parts(&files.iter().collect::<Vec<_>>())?)]);
    for (name, own) in &modules {
        if own.iter().any(|file| file.is_stage) {
            if let Some(other) = own.iter().flat_map(|file| &file.siblings).find(|other| *other != name) {
                return Err(format!("stage {name} names crate::{other}: what stages share is a package"));
            }
            stages.insert(name.clone(), reader.parts(own)?);
        }
    }
    let packages = reader.packages.values();
    let mut read: BTreeSet<PathBuf> = packages.flat_map(|package| package.read.iter().cloned()).collect();
    read.extend(reader.lock.patches().cloned());
    read.extend([lock, manifest]);
    Ok(Code { stages, read })
}

/// A file of a package.
struct File {
    /// From the package's folder.
    path: PathBuf,
    /// As people know it: from the folder of the stages.
    shown: String,
    digest: String,
    /// Crates that it names.
    crates: BTreeSet<String>,
    /// Modules of the root that it names: `crate::name`.
    siblings: BTreeSet<String>,
    /// Variables that it is compiled with.
    variables: Vec<String>,
    /// Whether it has an `impl Stage for`.
    is_stage: bool,
}

impl File {
    /// The module below the root that it belongs to.
    fn module(&self) -> String {
        let first = self.path.components().next();
        let first = first.map(|first| first.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
        first.trim_end_matches(".rs").to_owned()
    }
}

struct Sources {
    package: Package,
    files: Vec<File>,
    read: Vec<PathBuf>,
}

struct Reader<'v> {
    /// Packages whose sources are ours, by folder.
    packages: BTreeMap<PathBuf, Sources>,
    folder: PathBuf,
    lock: Lock,
    variable: &'v dyn Fn(&str) -> Option<String>,
}

impl<'v> Reader<'v> {
    fn open(
        folder: &Path,
        workspace: &Path,
        lock: Lock,
        variable: &'v dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let home = workspace.parent().unwrap_or(Path::new("")).to_owned();
        let mut reader = Self { packages: BTreeMap::new(), folder: folder.to_owned(), lock, variable };
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            if !reader.packages.contains_key(&folder) {
                let package = Package::read(&folder, workspace)?;
                let ours = package.dependencies.values().filter_map(|dependency| dependency.folder.clone());
                open.extend(ours);
                let sources = reader.sources(package, &home)?;
                reader.packages.insert(folder, sources);
            }
        }
        Ok(reader)
    }

    /// The files of a package, without those of tests, of other packages, and of modules that are set aside.
    fn sources(&self, package: Package, home: &PathBuf) -> Result<Sources, String> {
        let root = package.root()?;
        let folder = root.parent().unwrap_or(&package.folder).to_owned();
        let own = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().to_string_lossy();
            let package = entry.depth() > 0 && entry.path().join("Cargo.toml").is_file();
            !package && !BESIDE.contains(&&*name) && !TESTS.contains(&name.trim_end_matches(".rs"))
        };
        let (mut files, mut read) = (Vec::new(), vec![package.folder.join("Cargo.toml")]);
        let mut unseen: BTreeSet<&str> = package.aside.iter().map(String::as_str).collect();
        for entry in walkdir::WalkDir::new(&folder).sort_by_file_name().into_iter().filter_entry(own) {
            let entry = entry.map_err(|e| e.to_string())?;
            if !entry.file_type().is_file() || entry.file_name() == "Cargo.toml" {
                continue;
            }
            read.push(entry.path().to_owned());
            let path = entry.path().strip_prefix(&folder).unwrap_or(entry.path()).to_owned();
            let is_of =
                |module: &&&str| path == Path::new(&format!("{module}.rs")) || path.starts_with(module);
            let aside = package.aside.iter().map(String::as_str).collect::<Vec<_>>();
            if let Some(module) = aside.iter().find(is_of) {
                unseen.remove(module);
                continue;
            }
            // The same on every machine, wherever the checkout lies.
            let from = [&self.folder, home].into_iter().find_map(|from| entry.path().strip_prefix(from).ok());
            let shown = from.map_or_else(|| Path::new(&package.name).join(&path), Path::to_owned);
            let shown = shown.display().to_string();
            files.push(file(entry.path(), path, shown)?);
        }
        if let Some(gone) = unseen.first() {
            return Err(format!("{} sets {gone} aside, which is not there", package.name));
        }
        Ok(Sources { package, files, read })
    }

    /// All that some files of the stages depend on.
    fn parts(&self, own: &[&File]) -> Result<Parts, String> {
        let mut parts = Parts::new();
        let stages = &self.packages[&self.folder];
        self.count(own.iter().copied(), &mut parts);
        let is_named = |name: &&String| own.iter().any(|file| file.crates.contains(*name));
        let is_contract = |name: &&String| stages.package.dependencies[*name].package == CONTRACT;
        let wanted = stages.package.dependencies.keys().filter(|name| is_named(name) || is_contract(name));
        let mut open = Vec::new();
        for name in wanted {
            self.depend(&stages.package, name, &mut parts, &mut open)?;
        }
        let mut seen = BTreeSet::new();
        while let Some(folder) = open.pop() {
            if seen.insert(folder.clone()) {
                let sources = &self.packages[&folder];
                self.count(sources.files.iter(), &mut parts);
                for name in sources.package.dependencies.keys() {
                    self.depend(&sources.package, name, &mut parts, &mut open)?;
                }
            }
        }
        Ok(parts)
    }

    fn count<'f>(&self, files: impl Iterator<Item = &'f File>, parts: &mut Parts) {
        // A folder's place is no part of what lies in it.
        const PLACES: [&str; 2] = ["OUT_DIR", "CARGO_MANIFEST_DIR"];
        for file in files {
            parts.insert(file.shown.clone(), file.digest.clone());
            for name in file.variables.iter().filter(|name| !PLACES.contains(&name.as_str())) {
                let value = (self.variable)(name).unwrap_or_default();
                parts.insert(format!("variable {name}"), hash(value.as_bytes()));
            }
        }
    }

    /// One dependency of a package: its folder, where its sources are ours, else what is locked of it.
    fn depend(
        &self,
        package: &Package,
        name: &str,
        parts: &mut Parts,
        open: &mut Vec<PathBuf>,
    ) -> Result<(), String> {
        if let Some(folder) = &package.dependencies[name].folder {
            open.push(folder.clone());
            return Ok(());
        }
        // Two packages of ours may ask different things of one.
        let mark = package.mark(name, &self.lock)?;
        let key = format!("crate {name}");
        let both = match parts.get(&key) {
            Some(other) if !other.split(", ").any(|other| other == mark) => format!("{other}, {mark}"),
            Some(other) => other.clone(),
            None => mark,
        };
        parts.insert(key, both);
        Ok(())
    }
}

fn file(at: &Path, path: PathBuf, shown: String) -> Result<File, String> {
    let bytes = fs::read(at).map_err(|e| format!("{}: {e}", at.display()))?;
    let mut file = File {
        path,
        shown,
        digest: hash(&bytes),
        crates: BTreeSet::new(),
        siblings: BTreeSet::new(),
        variables: Vec::new(),
        is_stage: false,
    };
    if at.extension().is_none_or(|extension| extension != "rs") {
        return Ok(file);
    }
    let text = String::from_utf8(bytes).map_err(|e| format!("{}: {e}", at.display()))?;
    let wrong = |e: String| format!("{}: {e}", at.display());
    let trees = tokens::lex(&text).map_err(wrong)?;
    if let Some(module) = TESTS.iter().find(|name| tokens::declares(&trees, name)) {
        return Err(wrong(format!(
            "`mod {module}` must be for tests alone: that name is left out of results"
        )));
    }
    for (name, given) in
        tokens::calls(&trees, &["include_str", "include_bytes", "include", "env", "option_env"])
    {
        match (name.as_str(), given) {
            ("env" | "option_env", given) => file.variables.extend(given),
            (_, Some(data)) if data.starts_with('/') || data.split('/').any(|part| part == "..") => {
                return Err(wrong(format!("{data} lies outside of the folder, and so in no result")));
            }
            _ => {}
        }
    }
    file.digest = tokens::digest(&trees);
    let named = tokens::named(&trees);
    file.crates = named.crates;
    file.siblings = named.siblings;
    file.is_stage = tokens::implements(&trees, "Stage");
    Ok(file)
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}
