//! What a package says of its dependencies, and what is locked of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use toml::{Table, Value};

/// A package whose sources are ours.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its dependencies, by the name that sources use.
    pub dependencies: BTreeMap<String, Dependency>,
    /// Modules that decide no result, by their paths from its folder: `[package.metadata.results] aside = [..]`.
    pub aside: Vec<String>,
    features: Table,
}

/// One line of `[dependencies]`.
pub struct Dependency {
    /// The package's name, which may be another than that in sources.
    pub package: String,
    /// Its folder, where its sources are ours.
    pub folder: Option<PathBuf>,
    /// All that is said of it.
    said: String,
}

/// `Cargo.lock`.
pub struct Lock {
    packages: Vec<Locked>,
    by_name: BTreeMap<String, Vec<usize>>,
    /// Folders of packages that stand in for others.
    patches: BTreeMap<String, PathBuf>,
}

struct Locked {
    name: String,
    version: String,
    /// None for a package whose sources are ours.
    source: Option<String>,
    checksum: String,
    dependencies: Vec<String>,
}

impl Package {
    /// Of a folder; `workspace` is the manifest that it inherits from.
    pub fn read(folder: &Path, workspace: &Path) -> Result<Self, String> {
        let manifest = table(&folder.join("Cargo.toml"))?;
        let name = text(&manifest, &["package", "name"]).unwrap_or_default();
        let whole = if workspace.is_file() { table(workspace)? } else { Table::new() };
        let inherited = inner(&whole, &["workspace", "dependencies"]);
        let home = workspace.parent().unwrap_or(Path::new(""));
        let empty = Table::new();
        let platforms = manifest.get("target").and_then(Value::as_table).unwrap_or(&empty);
        let tables = std::iter::once(&manifest).chain(platforms.values().filter_map(Value::as_table));
        let mut dependencies = BTreeMap::new();
        for (key, own) in tables.filter_map(|table| inner(table, &["dependencies"])).flatten() {
            let inherits = own.get("workspace").and_then(Value::as_bool) == Some(true);
            let base = inherited.and_then(|table| table.get(key)).filter(|_| inherits);
            let at = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
            let path = match base {
                Some(base) => at(base, "path").map(|path| beside(home, &path)),
                None => at(own, "path").map(|path| beside(folder, &path)),
            };
            let package = base.and_then(|base| at(base, "package")).or_else(|| at(own, "package"));
            let dependency = Dependency {
                package: package.unwrap_or_else(|| key.clone()),
                folder: path,
                said: format!("{} {}", said(own), base.map(said).unwrap_or_default()),
            };
            dependencies.insert(key.replace('-', "_"), dependency);
        }
        let features = inner(&manifest, &["features"]).cloned().unwrap_or_default();
        let results = inner(&manifest, &["package", "metadata", "results"]);
        let aside =
            results.and_then(|results| results.get("aside")).and_then(Value::as_array).into_iter().flatten();
        let aside = aside.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self { name, folder: folder.to_owned(), dependencies, aside, features })
    }

    /// Its root file.
    pub fn root(&self) -> Result<PathBuf, String> {
        let manifest = table(&self.folder.join("Cargo.toml"))?;
        Ok(self.folder.join(text(&manifest, &["lib", "path"]).unwrap_or_else(|| "src/lib.rs".to_owned())))
    }

    /// A dependency as it is locked: its version, and the hash of that with all that it needs and of
    /// what the manifest asks of it. Which features are switched on is not in it: they add devices.
    pub fn mark(&self, name: &str, lock: &Lock) -> Result<String, String> {
        let Some(dependency) = self.dependencies.get(name) else {
            return Err(format!("no dependency `{name}`"));
        };
        let package = lock.named_by(&self.name, &dependency.package)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(dependency.said.as_bytes());
        for (feature, asks) in &self.features {
            let asks = asks.as_array().into_iter().flatten().filter_map(Value::as_str);
            let about = |ask: &&str| {
                let crate_name = ask.strip_prefix("dep:").unwrap_or(ask).split(['/', '?']).next();
                crate_name.is_some_and(|crate_name| crate_name.replace('-', "_") == name)
            };
            for ask in asks.filter(about) {
                hasher.update(format!("\n{feature} = {ask}").as_bytes());
            }
        }
        for needed in lock.needs(package)? {
            let Locked { name, version, source, checksum, .. } = &lock.packages[needed];
            let source = source.as_deref().unwrap_or("ours");
            hasher.update(format!("\n{name} {version} {source} {checksum}").as_bytes());
            if source == "ours" {
                hasher.update(lock.sources(name)?.as_bytes());
            }
        }
        Ok(format!("{} {}", lock.packages[package].version, &hasher.finalize().to_hex()[..16]))
    }
}

impl Lock {
    /// Reads the lock; `workspace` is the manifest beside it.
    pub fn read(path: &Path, workspace: &Path) -> Result<Self, String> {
        let (lock, whole) = (table(path)?, table(workspace)?);
        let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
        let packages = packages.filter_map(Value::as_table).map(|package| {
            let field = |name: &str| text(package, &[name]);
            let needs = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
            Locked {
                name: field("name").unwrap_or_default(),
                version: field("version").unwrap_or_default(),
                source: field("source"),
                checksum: field("checksum").unwrap_or_default(),
                dependencies: needs.filter_map(Value::as_str).map(str::to_owned).collect(),
            }
        });
        let home = workspace.parent().unwrap_or(Path::new(""));
        let patches = inner(&whole, &["patch", "crates-io"]).into_iter().flatten();
        let patches =
            patches.filter_map(|(name, patch)| Some((name.clone(), home.join(patch.get("path")?.as_str()?))));
        let packages: Vec<Locked> = packages.collect();
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, package) in packages.iter().enumerate() {
            by_name.entry(package.name.clone()).or_default().push(number);
        }
        Ok(Self { packages, by_name, patches: patches.collect() })
    }

    /// The package that `by` means when it names a dependency.
    fn named_by(&self, by: &str, name: &str) -> Result<usize, String> {
        let by = self.packages.iter().find(|package| package.name == by && package.source.is_none());
        let entries = by.into_iter().flat_map(|package| &package.dependencies);
        let mut entries = entries.filter(|entry| entry.split(' ').next() == Some(name));
        let entry = entries.next().ok_or_else(|| format!("Cargo.lock has no `{name}`"))?;
        self.entry(entry)
    }

    /// `name`, `name version` or `name version (source)`: as much as it takes to tell it from others.
    fn entry(&self, entry: &str) -> Result<usize, String> {
        let mut words = entry.splitn(3, ' ');
        let (name, version, source) = (words.next().unwrap_or_default(), words.next(), words.next());
        let source = source.map(|source| source.trim_matches(['(', ')']));
        let fits = |number: &&usize| {
            let package = &self.packages[**number];
            version.is_none_or(|version| package.version == version)
                && source.is_none_or(|source| package.source.as_deref() == Some(source))
        };
        let found = self.by_name.get(name).and_then(|named| named.iter().find(fits));
        found.copied().ok_or_else(|| format!("Cargo.lock has no `{entry}`"))
    }

    /// A package and all that it needs, directly or not, sorted as the lock is.
    fn needs(&self, package: usize) -> Result<BTreeSet<usize>, String> {
        let mut found = BTreeSet::new();
        let mut open = vec![package];
        while let Some(package) = open.pop() {
            if found.insert(package) {
                for entry in &self.packages[package].dependencies {
                    open.push(self.entry(entry)?);
                }
            }
        }
        Ok(found)
    }

    /// The hash of a patched package's sources, whole: they are few, and nobody edits them.
    fn sources(&self, name: &str) -> Result<String, String> {
        let folder =
            self.patches.get(name).ok_or_else(|| format!("`{name}` is ours, and its folder is unknown"))?;
        hash_folder(folder)
    }

    /// Files that a lock's patches consist of.
    pub fn patches(&self) -> impl Iterator<Item = &PathBuf> {
        self.patches.values()
    }
}

/// A path from a folder, without `..`: a package has one folder, whoever names it.
fn beside(folder: &Path, path: &str) -> PathBuf {
    let mut found = folder.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(found.pop()),
            Component::CurDir => {}
            part => found.push(part),
        }
    }
    found
}

/// The hash of all files in a folder, or of one file.
pub fn hash_folder(folder: &Path) -> Result<String, String> {
    let mut hasher = blake3::Hasher::new();
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| entry.file_name() != "target") {
        let entry = entry.map_err(|e| e.to_string())?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(folder).unwrap_or(entry.path()).display().to_string();
            let bytes = fs::read(entry.path()).map_err(|e| format!("{}: {e}", entry.path().display()))?;
            hasher.update(format!("\n{} {name} {}\n", name.len(), bytes.len()).as_bytes());
            hasher.update(&bytes);
        }
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

fn table(path: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.parse().map_err(|e| format!("{}: {e}", path.display()))
}

fn inner<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Table> {
    path.iter().try_fold(table, |table, name| table.get(*name)?.as_table())
}

fn text(table: &Table, path: &[&str]) -> Option<String> {
    let (last, before) = path.split_last()?;
    inner(table, before)?.get(*last)?.as_str().map(str::to_owned)
}

/// A value however it is laid out.
fn said(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let sorted: BTreeMap<&String, String> =
                table.iter().map(|(name, value)| (name, said(value))).collect();
            format!("{sorted:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(said).collect::<Vec<_>>()),
        // A folder's place is no part of what lies in it.
        scalar => scalar.to_string(),
    }
}
