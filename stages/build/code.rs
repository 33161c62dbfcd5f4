//! The code of each stage: all that its result depends on beside parameters and inputs, part by part.
//!
//! A stage's code is the tokens of the files that its module reaches, the contract without what registers and shows,
//! the files that these include, and the locked versions of the crates that they name, with all that those need.
//! Comments, layout and tests do not count. The compiler does not count either: an upgrade changes
//! results so seldom that making everything anew for it is the greater evil; it is recorded beside the
//! result, as the device and the processor are.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    closure::{Closure, Crate, World},
    crates::{Lock, Package, hash_folder},
};

/// Hashes by what they are of: `ml/losses.rs`, `crate tokenizers`.
pub type Parts = BTreeMap<String, String>;

/// What is known of a package of stages.
pub struct Code {
    /// By the name of the stage's module; under the empty name, of everything.
    pub stages: BTreeMap<String, Parts>,
    /// What was read: when one of these changes, all of it is to be done again.
    pub read: BTreeSet<PathBuf>,
}

/// The package that runner and stages agree on.
const CONTRACT: &str = "stage-contract";

/// Modules of it that nothing runs while a stage does: what is registered, what a page shows of finished outputs.
const ASIDE: [&str; 4] = ["registry", "report", "template", "tool"];

/// Reads the package in `folder`, with the lock and manifest of its workspace.
pub fn code(
    folder: &Path,
    workspace: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Code, String> {
    let (lock, manifest) = (workspace.join("Cargo.lock"), workspace.join("Cargo.toml"));
    let reader = Reader::open(folder, &manifest, Lock::read(&lock, &manifest)?, variable)?;
    let stages_root = reader.roots[0];
    let modules = &reader.world.modules;
    // What the runner and a stage agree on runs for every stage.
    let ours = reader.packages.iter().zip(&reader.roots);
    let contract = ours.filter(|(package, _)| package.name == CONTRACT);
    let children = contract.flat_map(|(_, &root)| &modules.modules[root].children);
    let children = children.filter(|(name, _)| !ASIDE.contains(&name.as_str())).flat_map(|(_, some)| some);
    let shared: Vec<usize> = children.flat_map(|&child| modules.within(child)).collect();
    let children = modules.modules[stages_root].children.values().flatten();
    let all = children.flat_map(|&child| modules.within(child)).collect();
    let mut stages = BTreeMap::from([(String::new(), all)]);
    for (name, children) in &modules.modules[stages_root].children {
        let is_stage = |&module: &usize| {
            let mut heads = modules.modules[module].impls.iter().flat_map(|head| &head.of);
            heads.any(|path| path.last().is_some_and(|last| last == "Stage"))
        };
        if children.iter().any(is_stage) {
            stages.insert(name.clone(), children.clone());
        }
    }
    let parts = stages.into_iter().map(|(name, modules)| {
        let closure = reader.world.closure(&[modules, shared.clone()].concat());
        Ok((name, reader.parts(&closure)?))
    });
    let stages = parts.collect::<Result<_, String>>()?;
    let mut read: BTreeSet<PathBuf> =
        reader.world.modules.files.iter().map(|file| file.path.clone()).collect();
    let data = reader.world.modules.files.iter();
    read.extend(
        data.flat_map(|file| file.data.iter().map(|data| data.clone().unwrap_or_else(|| file.path.clone()))),
    );
    read.extend(reader.packages.iter().map(|package| package.folder.join("Cargo.toml")));
    read.extend(reader.lock.patches().cloned());
    read.extend([lock, manifest]);
    Ok(Code { stages, read })
}

struct Reader<'v> {
    world: World,
    /// The packages whose sources are ours, and the root module of each: that of the stages first.
    packages: Vec<Package>,
    roots: Vec<usize>,
    folder: PathBuf,
    workspace: PathBuf,
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
        let (packages, roots, world) = (Vec::new(), Vec::new(), World::default());
        let mut reader =
            Self { world, packages, roots, folder: folder.to_owned(), workspace: home, lock, variable };
        let mut open = vec![folder.to_owned()];
        let mut homes: BTreeMap<PathBuf, usize> = BTreeMap::new();
        while let Some(folder) = open.pop() {
            if homes.contains_key(&folder) {
                continue;
            }
            let package = Package::read(&folder, workspace)?;
            let root = reader.world.modules.read(&package.root()?)?;
            homes.insert(folder, root);
            open.extend(package.dependencies.values().filter_map(|dependency| dependency.folder.clone()));
            reader.roots.push(root);
            reader.packages.push(package);
        }
        for (number, package) in reader.packages.iter().enumerate() {
            let crates = package.dependencies.iter().map(|(name, dependency)| {
                let ours = dependency.folder.as_ref().and_then(|folder| homes.get(folder));
                let locked = || Crate::Locked(number, name.clone());
                (name.clone(), ours.map_or_else(locked, |&root| Crate::Ours(root)))
            });
            reader.world.crates.insert(reader.roots[number], crates.collect());
        }
        Ok(reader)
    }

    fn parts(&self, closure: &Closure) -> Result<Parts, String> {
        let files = &self.world.modules.files;
        let mut parts = Parts::new();
        for &file in &closure.files {
            parts.insert(self.shown(&files[file].path), files[file].digest.clone());
        }
        for (&file, names) in &closure.exports {
            let names = names.iter().cloned().collect::<Vec<_>>().join("\n");
            let hash = blake3::hash(names.as_bytes()).to_hex()[..16].to_owned();
            parts.insert(format!("{} (re-exports)", self.shown(&files[file].path)), hash);
        }
        for data in &closure.data {
            parts.insert(self.shown(data), hash_folder(data)?);
        }
        // A folder's place is no part of what lies in it.
        let places = ["OUT_DIR", "CARGO_MANIFEST_DIR"];
        for name in closure.variables.iter().filter(|name| !places.contains(&name.as_str())) {
            let value = (self.variable)(name).unwrap_or_default();
            parts
                .insert(format!("variable {name}"), blake3::hash(value.as_bytes()).to_hex()[..16].to_owned());
        }
        for (package, name) in &closure.locked {
            let (package, lock) = (&self.packages[*package], &self.lock);
            // Two packages of ours may ask different things of one.
            let mark = package.mark(name, lock)?;
            let key = format!("crate {name}");
            let both = match parts.get(&key) {
                Some(other) if *other != mark => format!("{other}, {mark}"),
                _ => mark,
            };
            parts.insert(key, both);
        }
        Ok(parts)
    }

    /// A path as people know it: from the folder of the stages.
    fn shown(&self, path: &Path) -> String {
        if let Ok(inner) = path.strip_prefix(&self.folder) {
            return inner.display().to_string();
        }
        let home = self.packages.iter().find_map(|package| {
            let inner = path.strip_prefix(&package.folder).ok()?;
            Some(format!("{}/{}", package.name, inner.display()))
        });
        // The same on every machine, wherever the checkout lies.
        let beside = || path.strip_prefix(&self.workspace).unwrap_or(path).display().to_string();
        home.unwrap_or_else(beside)
    }
}
