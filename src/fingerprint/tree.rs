//! The content of a file or folder, and whether it moved since.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rayon::prelude::*;
use stage_contract::Shape;
use thiserror::Error;

use super::Digest;

/// A file or folder whose content cannot be told.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Nothing lies there.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A symbolic link leads back to a folder that contains it.
    #[error("{} leads back to a folder above it", .0.display())]
    Loop(PathBuf),
    /// Neither file nor folder.
    #[error("{} is neither a file nor a folder", .0.display())]
    Special(PathBuf),
    /// The system says no.
    #[error("cannot read {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

impl Unreadable {
    fn io(path: &Path, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Missing(path.to_owned())
        } else {
            Self::Io(path.to_owned(), error)
        }
    }
}

/// A file or folder as it was at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Of a file its content's hash; of a folder a Merkle hash over sorted names.
    pub digest: Digest,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Whether it is a file or a folder.
    pub shape: Shape,
    stamp: Stamp,
    /// Whether the stamp is too fresh to prove by itself that nothing moved since.
    young: bool,
}

/// What the file system says: every regular file and folder with size, times
/// and inode, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(Vec<(PathBuf, Stat)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    device: u64,
    inode: u64,
    mode: u32,
}

impl Stat {
    fn of(meta: &Metadata) -> Self {
        Self {
            size: if meta.is_dir() { 0 } else { meta.size() },
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            device: meta.dev(),
            inode: meta.ino(),
            mode: meta.mode(),
        }
    }
}

impl Stamp {
    /// The first path that differs.
    fn difference(&self, later: &Self) -> Option<PathBuf> {
        let by_path = |stamp: &Self| stamp.0.iter().cloned().collect::<BTreeMap<PathBuf, Stat>>();
        let (before, now) = (by_path(self), by_path(later));
        // A file says more than the folder whose times it changed.
        let moved = now.iter().filter(|(path, stat)| before.get(*path) != Some(stat)).map(|(path, _)| path);
        let gone = before.keys().filter(|path| !now.contains_key(*path));
        moved.chain(gone).max_by_key(|path| path.components().count()).cloned()
    }

    fn youngest(&self) -> Option<SystemTime> {
        let newest = self.0.iter().map(|(_, stat)| stat.changed).max()?;
        let seconds = u64::try_from(newest.0).ok()?;
        let nanos = u32::try_from(newest.1).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
    }
}

/// A file or folder found on disk: links followed, children sorted by the bytes of their names.
struct Found {
    path: PathBuf,
    stat: Stat,
    /// None for a file.
    children: Option<Vec<(OsString, Self)>>,
}

impl Found {
    fn walk(path: &Path, above: &[(u64, u64)]) -> Result<Self, Unreadable> {
        let meta = fs::metadata(path).map_err(|error| {
            // A link to itself is the system's own loop error.
            if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
                Unreadable::Loop(path.to_owned())
            } else {
                Unreadable::io(path, error)
            }
        })?;
        let found = |children| Self { path: path.to_owned(), stat: Stat::of(&meta), children };
        if meta.is_file() {
            return Ok(found(None));
        }
        if !meta.is_dir() {
            return Err(Unreadable::Special(path.to_owned()));
        }
        let here = (meta.dev(), meta.ino());
        if above.contains(&here) {
            return Err(Unreadable::Loop(path.to_owned()));
        }
        let above = [above, &[here]].concat();
        let mut names = fs::read_dir(path)
            .and_then(|entries| {
                entries.map(|entry| entry.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>()
            })
            .map_err(|error| Unreadable::io(path, error))?;
        names.sort_unstable();
        let children = names
            .into_par_iter()
            .map(|name| Self::walk(&path.join(&name), &above).map(|found| (name, found)))
            .collect::<Result<_, _>>()?;
        Ok(found(Some(children)))
    }

    fn stamp(&self) -> Stamp {
        let mut stats = Vec::new();
        self.collect(&mut stats);
        Stamp(stats)
    }

    fn collect(&self, into: &mut Vec<(PathBuf, Stat)>) {
        into.push((self.path.clone(), self.stat));
        for (_, child) in self.children.iter().flatten() {
            child.collect(into);
        }
    }

    fn bytes(&self) -> u64 {
        self.children.iter().flatten().map(|(_, child)| child.bytes()).sum::<u64>() + self.stat.size
    }

    fn digest(&self) -> Result<Digest, Unreadable> {
        /// Execute permission of anyone: it decides whether a program in the folder runs.
        const EXECUTABLE: u32 = 0o111;
        let Some(children) = &self.children else {
            return Digest::of_file(&self.path, self.stat.size).map_err(|e| Unreadable::io(&self.path, e));
        };
        let digests =
            children.par_iter().map(|(_, child)| child.digest()).collect::<Result<Vec<_>, Unreadable>>()?;
        let mut text = b"folder 1\n".to_vec();
        for ((name, child), digest) in children.iter().zip(digests) {
            // The length first, so that no name can imitate the bytes that follow it.
            text.extend_from_slice(&(name.len() as u64).to_le_bytes());
            text.extend_from_slice(name.as_bytes());
            text.push(match child.children {
                Some(_) => b'd',
                None if child.stat.mode & EXECUTABLE != 0 => b'x',
                None => b'f',
            });
            text.extend_from_slice(digest.bytes());
        }
        Ok(Digest::of(&text))
    }
}

/// Looks at a file or folder and hashes its content. Symbolic links count as what they lead to.
///
/// # Errors
/// When it is missing, unreadable, loops, or is neither file nor folder.
pub fn observe(path: &Path) -> Result<Observed, Unreadable> {
    /// A file that is written twice within one tick of the kernel's clock (10 ms at the coarsest) has
    /// the same times twice, so the stamp of so young a file proves nothing.
    const TICK: Duration = Duration::from_millis(20);
    let found = Found::walk(path, &[])?;
    let stamp = found.stamp();
    let age = stamp.youngest().and_then(|time| time.elapsed().ok());
    Ok(Observed {
        digest: found.digest()?,
        bytes: found.bytes(),
        shape: if found.children.is_some() { Shape::Folder } else { Shape::File },
        young: age.is_none_or(|age| age < TICK),
        stamp,
    })
}

/// What the file system says about a file or folder now.
///
/// # Errors
/// As [`observe`].
fn stamp(path: &Path) -> Result<Stamp, Unreadable> {
    Ok(Found::walk(path, &[])?.stamp())
}

impl Observed {
    /// Whether it moved since, and if so, what: a path inside it, or itself.
    #[must_use]
    pub fn moved(&self, path: &Path) -> Option<PathBuf> {
        match stamp(path) {
            Ok(now) if now != self.stamp => {
                Some(self.stamp.difference(&now).unwrap_or_else(|| path.to_owned()))
            }
            Ok(_) if !self.young => None,
            Ok(_) => match observe(path) {
                Ok(now) if now.digest == self.digest => None,
                _ => Some(path.to_owned()),
            },
            Err(_) => Some(path.to_owned()),
        }
    }
}

/// What was observed during this process, so that nothing is hashed twice.
#[derive(Debug, Default)]
pub struct Memo(BTreeMap<PathBuf, Observed>);

impl Memo {
    /// Observes all paths at once on all cores. What cannot be read is left out: whoever needs it
    /// finds out in [`Memo::observe`].
    pub fn observe_all(&mut self, paths: Vec<PathBuf>) {
        let observed = paths
            .into_par_iter()
            .filter(|path| !self.0.contains_key(path))
            .filter_map(|path| observe(&path).ok().map(|observed| (path, observed)))
            .collect::<Vec<_>>();
        self.0.extend(observed);
    }

    /// Looks at a path unless that was done before.
    ///
    /// # Errors
    /// As [`observe`].
    pub fn observe(&mut self, path: &Path) -> Result<&Observed, Unreadable> {
        if !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), observe(path)?);
        }
        self.0.get(path).ok_or_else(|| Unreadable::Missing(path.to_owned()))
    }

    /// How large a path was, if it was observed.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<u64> {
        self.0.get(path).map(|observed| observed.bytes)
    }

    /// Forgets a path: it was written.
    pub fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Forgets a path unless it looks as when it was observed: time went by since.
    pub fn recheck(&mut self, path: &Path) {
        if self.0.get(path).is_some_and(|before| before.moved(path).is_some()) {
            self.0.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::tempdir;

    use super::*;

    fn digest(path: &Path) -> Digest {
        observe(path).expect("is readable").digest
    }

    #[test]
    fn a_folder_is_its_names_contents_and_execute_bits() {
        let dir = tempdir().expect("a folder");
        let root = dir.path().join("données de test");
        fs::create_dir_all(root.join("b")).expect("creates");
        fs::write(root.join("a"), "1").expect("writes");
        fs::write(root.join("b/c"), "2").expect("writes");
        let first = digest(&root);
        fs::write(root.join("a"), "1").expect("writes");
        assert_eq!(digest(&root), first, "writing the same bytes changes nothing");
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o755)).expect("chmod");
        let executable = digest(&root);
        assert_ne!(executable, first);
        fs::rename(root.join("a"), root.join("d")).expect("renames");
        assert_ne!(digest(&root), executable);
        fs::create_dir(root.join("empty")).expect("creates");
        assert_ne!(digest(&root), executable);
    }

    #[test]
    fn large_and_small_files_hash_alike() {
        let dir = tempdir().expect("a folder");
        let path = dir.path().join("large");
        let content = vec![7_u8; 1 << 20];
        fs::write(&path, &content).expect("writes");
        assert_eq!(digest(&path), Digest::of(&content));
        fs::write(&path, b"").expect("writes");
        assert_eq!(digest(&path), Digest::of(b""));
    }

    #[test]
    fn a_link_counts_as_what_it_leads_to_and_a_loop_is_named() {
        let dir = tempdir().expect("a folder");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("creates");
        fs::write(dir.path().join("elsewhere"), "x").expect("writes");
        symlink(dir.path().join("elsewhere"), root.join("link")).expect("links");
        let linked = digest(&root);
        fs::remove_file(root.join("link")).expect("removes");
        fs::write(root.join("link"), "x").expect("writes");
        assert_eq!(digest(&root), linked);
        symlink(&root, root.join("again")).expect("links");
        assert!(matches!(observe(&root), Err(Unreadable::Loop(_))));
        fs::remove_file(root.join("again")).expect("removes");
        symlink("nowhere", root.join("broken")).expect("links");
        assert!(matches!(observe(&root), Err(Unreadable::Missing(path)) if path.ends_with("broken")));
    }

    #[test]
    fn a_write_of_the_same_size_is_noticed_at_once_and_the_file_named() {
        let dir = tempdir().expect("a folder");
        fs::write(dir.path().join("a"), "1").expect("writes");
        fs::write(dir.path().join("b"), "1").expect("writes");
        let before = observe(dir.path()).expect("is readable");
        assert_eq!(before.moved(dir.path()), None);
        fs::write(dir.path().join("b"), "2").expect("writes");
        assert!(before.moved(dir.path()).is_some());
        fs::remove_file(dir.path().join("a")).expect("removes");
        assert!(before.moved(dir.path()).is_some());
    }

    #[test]
    fn a_memo_hashes_again_only_what_moved() {
        let dir = tempdir().expect("a folder");
        let path = dir.path().join("a");
        fs::write(&path, "1").expect("writes");
        let mut memo = Memo::default();
        let first = memo.observe(&path).expect("is readable").digest;
        fs::write(&path, "2").expect("writes");
        assert_eq!(memo.observe(&path).expect("is remembered").digest, first);
        memo.recheck(&path);
        assert_ne!(memo.observe(&path).expect("is readable").digest, first);
    }
}
