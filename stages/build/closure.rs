//! Which sources a stage's result depends on. Where that cannot be told, more is taken: never less.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
};

use super::{
    modules::{Impl, Modules},
    references::Way,
};

/// A crate that another may name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Crate {
    /// Sources of ours: the root module.
    Ours(usize),
    /// The dependency of this name, of the package with this number.
    Locked(usize, String),
}

/// All crates whose sources are ours.
#[derive(Default)]
pub struct World {
    /// Their modules.
    pub modules: Modules,
    /// For each root module: the crates that it may name.
    pub crates: BTreeMap<usize, BTreeMap<String, Crate>>,
}

/// What a result depends on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Files that count whole, by number.
    pub files: BTreeSet<usize>,
    /// Re-exports that count alone, by the file they stand in: `name = crate::a::name`.
    pub exports: BTreeMap<usize, BTreeSet<String>>,
    /// Dependencies: the package that names it, and its name there.
    pub locked: BTreeSet<(usize, String)>,
    /// Files that sources include.
    pub data: BTreeSet<PathBuf>,
    /// Variables that sources are compiled with.
    pub variables: BTreeSet<String>,
}

/// Where a path leads.
#[derive(Default)]
struct Landing {
    files: BTreeSet<usize>,
    exports: BTreeSet<(usize, String)>,
    locked: BTreeSet<(usize, String)>,
    /// It ends at a module.
    modules: BTreeSet<usize>,
    /// Imports whose paths are being followed.
    expanding: BTreeSet<(usize, String)>,
    /// Globs are left alone: they are what is looked for.
    plain: bool,
    /// Steps taken: a re-export may go in a circle.
    seen: BTreeSet<(usize, Vec<String>)>,
}

impl World {
    /// Of some modules: with their files, and all that these refer to.
    pub fn closure(&self, modules: &[usize]) -> Closure {
        let mut closure = Closure::default();
        let mut open: VecDeque<usize> =
            modules.iter().map(|&module| self.modules.modules[module].file).collect();
        loop {
            while let Some(file) = open.pop_front() {
                if closure.files.insert(file) {
                    self.follow(file, &mut closure, &mut open);
                }
            }
            let more = self.implementations(&closure);
            if more.is_empty() {
                closure.exports.retain(|file, _| !closure.files.contains(file));
                return closure;
            }
            open.extend(more);
        }
    }

    /// All that a file refers to.
    fn follow(&self, file: usize, closure: &mut Closure, open: &mut VecDeque<usize>) {
        let source = &self.modules.files[file];
        closure.variables.extend(source.variables.iter().cloned());
        for data in &source.data {
            // What it includes cannot be told: all that lies there.
            let folder = || source.path.parent().map(PathBuf::from).unwrap_or_default();
            closure.data.insert(data.clone().unwrap_or_else(folder));
        }
        // A macro is known by its name alone to what stands below it.
        let makers = self.modules.files.iter().enumerate();
        open.extend(makers.filter(|(_, other)| !other.macros.is_disjoint(&source.words)).map(|(at, _)| at));
        for &module in &source.modules {
            for reference in &self.modules.modules[module].references {
                let mut landing = Landing::default();
                self.land(module, &reference.path, &mut landing);
                open.extend(landing.files);
                closure.locked.extend(landing.locked);
                for (file, export) in landing.exports {
                    closure.exports.entry(file).or_default().insert(export);
                }
                let ends: Vec<usize> = match reference.way {
                    // What is reached through its name is a reference of its own.
                    Way::Import(_) => continue,
                    Way::Glob => {
                        let plain = self.modules_at(module, &reference.path);
                        let unclear = landing.modules.iter().flat_map(|&end| self.modules.within(end));
                        if plain.is_empty() { unclear.collect() } else { plain.into_iter().collect() }
                    }
                    Way::Plain => landing.modules.iter().flat_map(|&end| self.modules.within(end)).collect(),
                };
                open.extend(ends.into_iter().map(|module| self.modules.modules[module].file));
            }
        }
    }

    /// Files that nobody names, and that implement something for what counts already.
    fn implementations(&self, closure: &Closure) -> Vec<usize> {
        let made: BTreeSet<&String> = self.modules.files.iter().flat_map(|file| &file.macros).collect();
        let words: BTreeSet<&String> =
            closure.files.iter().flat_map(|&file| &self.modules.files[file].words).collect();
        let mut found = Vec::new();
        for (number, module) in self.modules.modules.iter().enumerate() {
            let home = module.file;
            if closure.files.contains(&home) {
                continue;
            }
            let lands = |names: &[Vec<String>]| {
                let mut landing = Landing::default();
                for name in names {
                    self.land(number, name, &mut landing);
                }
                landing.files
            };
            let counts = |head: &Impl| {
                if head.maker.as_ref().is_some_and(|maker| made.contains(maker)) {
                    return true;
                }
                if head.names.as_ref().is_some_and(|names| names.iter().all(|name| !words.contains(name))) {
                    return false;
                }
                let target = lands(&head.target);
                let mut all = lands(&head.of);
                let own = target.contains(&home) && target.len() == 1;
                all.extend(target);
                all.remove(&home);
                let reached = |file: &usize| closure.files.contains(file);
                // Of a macro any name may be the one it is for.
                let needed =
                    if head.maker.is_some() { all.iter().any(reached) } else { all.iter().all(reached) };
                !all.is_empty() && !own && needed
            };
            if module.impls.iter().any(counts) {
                found.push(home);
            }
        }
        found
    }

    /// Where a path leads, read in a module.
    fn land(&self, module: usize, path: &[String], landing: &mut Landing) {
        let Some((head, rest)) = path.split_first() else { return };
        if !landing.seen.insert((module, path.to_vec())) {
            return;
        }
        let this = &self.modules.modules[module];
        match head.as_str() {
            "crate" => self.enter(self.root(module), rest, landing),
            "self" => self.enter(module, rest, landing),
            "super" => {
                // In there `super` may follow once more.
                let parent = this.parent.unwrap_or(module);
                let again = rest.first().is_some_and(|next| next == "super");
                if again { self.land(parent, rest, landing) } else { self.enter(parent, rest, landing) }
            }
            "" => self.dependency(module, rest, landing),
            _ if self.find(module, path, landing) => {}
            _ => {
                self.dependency(module, path, landing);
                self.through_globs(module, path, landing);
            }
        }
    }

    /// A path that begins with a dependency's name.
    fn dependency(&self, module: usize, path: &[String], landing: &mut Landing) {
        let Some((head, rest)) = path.split_first() else { return };
        match self.crates.get(&self.root(module)).and_then(|crates| crates.get(head)) {
            Some(Crate::Ours(root)) => self.enter(*root, rest, landing),
            Some(Crate::Locked(package, name)) => drop(landing.locked.insert((*package, name.clone()))),
            None => {}
        }
    }

    /// Goes on inside a module, whose names are all that there is.
    fn enter(&self, module: usize, path: &[String], landing: &mut Landing) {
        if path.is_empty() {
            landing.modules.insert(module);
            return;
        }
        if self.find(module, path, landing) {
            return;
        }
        if !self.through_globs(module, path, landing) && !landing.plain {
            // A macro may have made it.
            landing.files.insert(self.modules.modules[module].file);
        }
    }

    /// Whether a path begins with a name that some glob brings into a module.
    fn through_globs(&self, module: usize, path: &[String], landing: &mut Landing) -> bool {
        let this = &self.modules.modules[module];
        let mut found = false;
        let globs = if landing.plain { &[] } else { this.globs.as_slice() };
        for glob in globs {
            for target in self.modules_at(module, glob) {
                let again = !landing.seen.insert((target, [&["*".to_owned()], path].concat()));
                if !again && (self.find(target, path, landing) || self.through_globs(target, path, landing)) {
                    landing.exports.insert((this.file, format!("* = {}", glob.join("::"))));
                    found = true;
                }
            }
        }
        found
    }

    /// Whether a module says itself what the path begins with.
    fn find(&self, module: usize, path: &[String], landing: &mut Landing) -> bool {
        let Some((head, rest)) = path.split_first() else { return false };
        let this = &self.modules.modules[module];
        let mut found = false;
        for &child in this.children.get(head).into_iter().flatten() {
            found = true;
            self.enter(child, rest, landing);
        }
        if this.items.contains(head) {
            found = true;
            landing.files.insert(this.file);
        }
        // In `use a::a` the first is not the second.
        let expanding = (module, head.clone());
        if !landing.expanding.insert(expanding.clone()) {
            return found;
        }
        for import in this.imports.get(head).into_iter().flatten() {
            found = true;
            landing.exports.insert((this.file, format!("{head} = {}", import.join("::"))));
            self.land(module, &[import, rest].concat(), landing);
        }
        landing.expanding.remove(&expanding);
        found
    }

    /// The modules that a path is the name of, without the help of globs.
    fn modules_at(&self, module: usize, path: &[String]) -> BTreeSet<usize> {
        let mut landing = Landing { plain: true, ..Landing::default() };
        self.land(module, path, &mut landing);
        landing.modules
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules.modules[module].parent {
            module = parent;
        }
        module
    }
}
