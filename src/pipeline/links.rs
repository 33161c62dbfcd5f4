//! Resolves symlinks: two paths of a project may be the same file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::paths::shown;

/// Resolves the symlinks of a project, and caches what it resolved.
///
/// A resolved path is relative to the project's root when it is inside it, and so survives moving the
/// project; else it is absolute.
pub struct Links {
    /// Canonical.
    root: PathBuf,
    /// Canonical paths, by absolute path.
    known: BTreeMap<PathBuf, PathBuf>,
}

impl Links {
    /// Those of the project in this folder.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        Self { root, known: BTreeMap::new() }
    }

    /// Resolves the symlinks of a path's parent folders, but not the path itself, which need not exist.
    pub fn resolve(&mut self, path: &Path) -> PathBuf {
        let path = self.root.join(path);
        let lies = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => self.follow(folder).join(name),
            _ => path,
        };
        self.seen_from_root(&lies)
    }

    /// Resolves all symlinks of a path, as far as it exists.
    pub fn end(&mut self, path: &Path) -> PathBuf {
        let lies = self.follow(&self.root.join(path));
        self.seen_from_root(&lies)
    }

    /// A resolved path as an absolute one.
    #[must_use]
    pub fn absolute(&self, resolved: &Path) -> PathBuf {
        self.root.join(resolved)
    }

    /// A resolved path for messages.
    #[must_use]
    pub fn shown(&self, resolved: &Path) -> String {
        shown(&self.seen_from_root(resolved))
    }

    /// The outermost symlink among a path and its parents.
    #[must_use]
    pub fn first(&self, path: &Path) -> Option<PathBuf> {
        let mut above: Vec<_> = path.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        above.into_iter().find(|path| self.root.join(path).is_symlink()).map(Path::to_owned)
    }

    fn follow(&mut self, path: &Path) -> PathBuf {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let lies = fs::canonicalize(path).unwrap_or_else(|_| match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => self.follow(folder).join(name),
            _ => path.to_owned(),
        });
        self.known.insert(path.to_owned(), lies.clone());
        lies
    }

    fn seen_from_root(&self, resolved: &Path) -> PathBuf {
        resolved.strip_prefix(&self.root).unwrap_or(resolved).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_as_far_as_there_is_something() {
        let (project, disk) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let disk = fs::canonicalize(disk.path()).expect("is there");
        fs::create_dir(project.path().join("data")).expect("creates");
        symlink("data", project.path().join("near")).expect("links");
        symlink(&disk, project.path().join("far")).expect("links");
        symlink("nowhere", project.path().join("data/gone")).expect("links");
        let mut links = Links::of(project.path());
        let mut resolved = |path: &str| (links.resolve(Path::new(path)), links.end(Path::new(path)));
        assert_eq!(resolved("near/a/b"), ("data/a/b".into(), "data/a/b".into()));
        assert_eq!(resolved("near"), ("near".into(), "data".into()));
        assert_eq!(resolved("far/new/x"), (disk.join("new/x"), disk.join("new/x")));
        assert_eq!(resolved("near/gone/x"), ("data/gone/x".into(), "data/gone/x".into()));
        assert_eq!(resolved("none/x"), ("none/x".into(), "none/x".into()));
        assert_eq!(links.first(Path::new("near/a/b")), Some("near".into()));
        assert_eq!(links.first(Path::new("none/x")), None);
    }
}
