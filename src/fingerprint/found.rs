use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use rustix::{
    fd::BorrowedFd,
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};
use thiserror::Error;

use super::{
    Digest,
    stat::{Moment, Stat},
};

/// A file or folder whose content cannot be read.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// It does not exist.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A symbolic link leads back to a folder that contains it.
    #[error("{} leads back to a folder above it", .0.display())]
    Loop(PathBuf),
    /// Neither file nor folder.
    #[error("{} is neither a file nor a folder", .0.display())]
    Special(PathBuf),
    /// Any other I/O error.
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

/// A file or folder found on disk: symlinks followed, those to nothing in a folder passed over, children sorted
/// by the bytes of their names.
#[derive(Debug)]
pub(super) struct Found {
    pub stat: Stat,
    /// Of a file its content's hash, of a folder a Merkle hash over sorted names; none before it is read.
    pub digest: Option<Digest>,
    /// None for a file.
    pub children: Option<Vec<(OsString, Self)>>,
}

impl Found {
    /// Stats all files, on all cores; reads no content.
    pub fn walk(path: &Path) -> Result<Self, Unreadable> {
        Self::walk_in(CWD, Path::new(""), path.as_os_str(), &[])
    }

    /// Relative to an open folder, because the kernel then need not walk the whole path for each file.
    fn walk_in(
        folder: BorrowedFd<'_>,
        parent: &Path,
        name: &OsStr,
        above: &[(u64, u64)],
    ) -> Result<Self, Unreadable> {
        let failed = |error: Errno| match error {
            // For a symlink to itself, the kernel reports the loop.
            Errno::LOOP => Unreadable::Loop(parent.join(name)),
            error => Unreadable::io(&parent.join(name), error.into()),
        };
        let stat = Stat::of(&statat(folder, name, AtFlags::empty()).map_err(failed)?);
        if stat.is_file() {
            return Ok(Self { stat, digest: None, children: None });
        }
        let path = parent.join(name);
        if !stat.is_folder() {
            return Err(Unreadable::Special(path));
        }
        let here = (stat.device, stat.inode);
        if above.contains(&here) {
            return Err(Unreadable::Loop(path));
        }
        let above = [above, &[here]].concat();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(folder, name, flags, Mode::empty()).and_then(Dir::new);
        let mut opened = opened.map_err(failed)?;
        let names = names(&mut opened).map_err(failed)?;
        let opened = opened.fd().map_err(failed)?;
        let child = |name: OsString| match Self::walk_in(opened, &path, &name, &above) {
            Ok(found) => Some(Ok((name, found))),
            // There is nothing to read; who reads the folder says so.
            Err(Unreadable::Missing(_)) if is_link(opened, &name) => None,
            Err(error) => Some(Err(error)),
        };
        let children = names.into_par_iter().with_min_len(FEW).filter_map(child).collect::<Result<_, _>>()?;
        Ok(Self { stat, digest: None, children: Some(children) })
    }

    /// Syncs the `wanted` files to the disk, in parallel.
    pub fn flush(&self, path: &Path, wanted: &impl Fn(&Stat) -> bool) {
        /// Syncing more files than this takes longer than reading them: then only large ones are synced, as
        /// those are the ones that programs map.
        const MANY: usize = 64;
        const LARGE: u64 = 1 << 20;
        let mut files = Vec::new();
        self.choose(path, wanted, &mut files);
        let many = files.len() > MANY;
        files.into_par_iter().filter(|(_, size)| !many || *size >= LARGE).for_each(|(path, _)| {
            // A file that cannot be opened is reported when it is read.
            drop(File::open(path).and_then(|file| file.sync_data()));
        });
    }

    fn choose(&self, path: &Path, wanted: &impl Fn(&Stat) -> bool, into: &mut Vec<(PathBuf, u64)>) {
        if self.children.is_none() && wanted(&self.stat) {
            into.push((path.to_owned(), self.stat.size));
        }
        for (name, child) in self.children.iter().flatten() {
            // Most files are not wanted, and need no path.
            if child.children.is_some() || wanted(&child.stat) {
                child.choose(&path.join(name), wanted, into);
            }
        }
    }

    /// Computes all digests, and returns its own. A file whose digest is `known` is not read.
    pub fn read(
        &mut self,
        path: &Path,
        known: &(impl Fn(&Stat) -> Option<Digest> + Sync),
    ) -> Result<Digest, Unreadable> {
        self.read_in(Path::new(""), path.as_os_str(), known)
    }

    fn read_in(
        &mut self,
        parent: &Path,
        name: &OsStr,
        known: &(impl Fn(&Stat) -> Option<Digest> + Sync),
    ) -> Result<Digest, Unreadable> {
        let digest = match &mut self.children {
            None => match known(&self.stat) {
                Some(digest) => digest,
                None => read_file(&parent.join(name), &self.stat)?,
            },
            Some(children) => {
                let path = parent.join(name);
                children
                    .par_iter_mut()
                    .with_min_len(FEW)
                    .try_for_each(|(name, child)| child.read_in(&path, name, known).map(drop))?;
                Digest::of(&folder_text(children))
            }
        };
        self.digest = Some(digest);
        Ok(digest)
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.children.iter().flatten().map(|(_, child)| child.bytes()).sum::<u64>() + self.stat.size
    }

    /// Every file in it.
    pub fn files<'f>(&'f self, each: &mut impl FnMut(&'f Self)) {
        match &self.children {
            None => each(self),
            Some(children) => children.iter().for_each(|(_, child)| child.files(each)),
        }
    }

    /// A path at which `later` has another file or folder, or another stat.
    pub fn difference(&self, later: &Self, path: &Path) -> Option<PathBuf> {
        if self.same_stats(later) {
            return None;
        }
        let stats = |found: &Self| {
            let mut stats = BTreeMap::new();
            found.collect(path, &mut stats);
            stats
        };
        let (before, now) = (stats(self), stats(later));
        // A file is more specific than its folder, whose times changed with it.
        let moved = now.iter().filter(|(path, stat)| before.get(*path) != Some(stat)).map(|(path, _)| path);
        let gone = before.keys().filter(|path| !now.contains_key(*path));
        moved.chain(gone).max_by_key(|path| path.components().count()).cloned()
    }

    fn same_stats(&self, other: &Self) -> bool {
        let (mine, others) = (self.children.as_deref(), other.children.as_deref());
        let alike = |(a, b): (&(OsString, Self), &(OsString, Self))| a.0 == b.0 && a.1.same_stats(&b.1);
        self.stat == other.stat
            && mine.map(<[_]>::len) == others.map(<[_]>::len)
            && mine.into_iter().flatten().zip(others.into_iter().flatten()).all(alike)
    }

    fn collect(&self, path: &Path, into: &mut BTreeMap<PathBuf, Stat>) {
        into.insert(path.to_owned(), self.stat);
        for (name, child) in self.children.iter().flatten() {
            child.collect(&path.join(name), into);
        }
    }

    /// The first path at which `later` has another inode or other content. A replaced file counts as edited
    /// even if its content is the same: after a branch was checked out and back, it had other content in
    /// between.
    pub fn edit(&self, later: &Self, path: &Path, moment: Moment) -> Option<PathBuf> {
        let who = |found: &Self| (found.stat.device, found.stat.inode, found.stat.size);
        match (&self.children, &later.children) {
            _ if who(self) != who(later) => Some(path.to_owned()),
            (None, None) if self.stat == later.stat => self.altered(path, moment),
            (None, None) => self.reread(path),
            (Some(before), Some(now)) if before.iter().map(key).eq(now.iter().map(key)) => before
                .par_iter()
                .zip(now)
                .with_min_len(FEW)
                .find_map_first(|((name, before), (_, now))| before.edit(now, &path.join(name), moment)),
            _ => self.difference(later, path).or_else(|| Some(path.to_owned())),
        }
    }

    fn type_tag(&self) -> u8 {
        match self.children {
            Some(_) => b'd',
            None if self.stat.is_executable() => b'x',
            None => b'f',
        }
    }

    /// Its path, if its content has changed.
    fn reread(&self, path: &Path) -> Option<PathBuf> {
        let same = read_file(path, &self.stat).is_ok_and(|digest| Some(digest) == self.digest);
        (!same).then(|| path.to_owned())
    }

    /// All folders in it.
    pub fn folders(&self, path: &Path, into: &mut Vec<PathBuf>) {
        for (name, child) in self.children.iter().flatten().filter(|(_, child)| child.children.is_some()) {
            into.push(path.join(name));
            child.folders(&path.join(name), into);
        }
    }

    /// The first file whose content has changed although its stat need not show that: it had not settled at
    /// `moment`.
    pub fn altered(&self, path: &Path, moment: Moment) -> Option<PathBuf> {
        match &self.children {
            None if self.stat.is_settled(moment) => None,
            None => self.reread(path),
            Some(children) => children
                .par_iter()
                .with_min_len(FEW)
                .find_map_first(|(name, child)| child.altered(&path.join(name), moment)),
        }
    }
}

/// The least number of files per parallel task.
const FEW: usize = 8;

fn names(folder: &mut Dir) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in folder {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn is_link(folder: BorrowedFd<'_>, name: &OsStr) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_symlink())
}

fn read_file(path: &Path, stat: &Stat) -> Result<Digest, Unreadable> {
    Digest::of_file(path, stat.size).map_err(|error: io::Error| Unreadable::io(path, error))
}

/// What a folder's digest covers of a child besides its content.
fn key((name, child): &(OsString, Found)) -> (&OsStr, u8) {
    (name, child.type_tag())
}

/// The bytes that a folder's digest is the hash of.
fn folder_text(children: &[(OsString, Found)]) -> Vec<u8> {
    let mut text = b"folder 1\n".to_vec();
    for (name, child) in children {
        // The length first, so that no name can imitate the bytes that follow it.
        text.extend_from_slice(&(name.len() as u64).to_le_bytes());
        text.extend_from_slice(name.as_bytes());
        text.push(child.type_tag());
        text.extend(child.digest.iter().flat_map(Digest::bytes));
    }
    text
}
