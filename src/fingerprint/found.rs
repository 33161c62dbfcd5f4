use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    iter::successors,
    ops::Range,
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
use crate::disk;

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

/// A file or folder found on disk: symlinks followed, those to nothing in a folder passed over. All that is in it lies
/// in one list, level by level, so that nothing here calls itself however deep a folder is.
#[derive(Debug)]
pub(super) struct Found {
    /// Itself first; what a folder contains stands together, sorted by the bytes of the names, and after the folder.
    items: Vec<Item>,
}

/// One file or folder of a [`Found`].
#[derive(Debug)]
pub(super) struct Item {
    /// Without a name: the path that was asked for.
    name: OsString,
    /// Where the folder stands that contains it; for the first, itself.
    parent: usize,
    pub stat: Stat,
    /// Of a file its content's hash, of a folder a Merkle hash over sorted names; none before it is read.
    pub digest: Option<Digest>,
    /// Where that stands which a folder contains; none for a file.
    children: Option<Range<usize>>,
}

/// A folder whose names were read, and are to be looked at.
struct Listed {
    at: usize,
    path: PathBuf,
    open: Dir,
    names: Vec<OsString>,
}

/// What is in a folder, with the folder's place among the items.
struct Contents {
    at: usize,
    path: PathBuf,
    items: Vec<Item>,
}

impl Found {
    /// Stats all files, on all cores; reads no content.
    pub fn walk(path: &Path) -> Result<Self, Unreadable> {
        let (empty, name) = (Path::new(""), path.as_os_str());
        let item = Item { name: OsString::new(), ..stat_in(CWD, empty, name, 0)? };
        let mut level = if item.is_folder() { vec![(0, path.to_owned())] } else { Vec::new() };
        let mut found = Self { items: vec![item] };
        while !level.is_empty() {
            // A folder with many files is left to all cores together, one after the other.
            let listed: Vec<Result<Result<Contents, Listed>, Unreadable>> =
                level.into_par_iter().map(|(at, path)| found.list(at, path)).collect();
            level = Vec::new();
            for listed in listed {
                let Contents { at, path, items } = match listed? {
                    Ok(few) => few,
                    Err(many) => many.look_on_all_cores()?,
                };
                let begin = found.items.len();
                let folders = items.iter().enumerate().filter(|(_, item)| item.is_folder());
                level.extend(folders.map(|(n, item)| (begin + n, path.join(&item.name))));
                found.items.extend(items);
                found.items[at].children = Some(begin..found.items.len());
            }
        }
        Ok(found)
    }

    /// Looks into a folder, or only reads the names of what is in it where those are many.
    fn list(&self, at: usize, path: PathBuf) -> Result<Result<Contents, Listed>, Unreadable> {
        /// Handing on fewer files than this costs more than looking at them.
        const MANY: usize = 256;
        let here = self.identity(at);
        if self.above(at).any(|above| self.identity(above) == here) {
            return Err(Unreadable::Loop(path));
        }
        let failed = |error: Errno| Unreadable::io(&path, error.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut open = openat(CWD, &path, flags, Mode::empty()).and_then(Dir::new).map_err(failed)?;
        let names = names(&mut open).map_err(failed)?;
        let listed = Listed { at, path, open, names };
        if listed.names.len() < MANY { listed.look().map(Ok) } else { Ok(Err(listed)) }
    }

    fn identity(&self, at: usize) -> (u64, u64) {
        let stat = &self.items[at].stat;
        (stat.device, stat.inode)
    }

    /// The folders above an item, the nearest first.
    fn above(&self, at: usize) -> impl Iterator<Item = usize> {
        successors(self.parent(at), |at| self.parent(*at))
    }

    fn parent(&self, at: usize) -> Option<usize> {
        (at > 0).then(|| self.items[at].parent)
    }

    /// Where an item lies, when the first lies at `root`.
    fn path(&self, root: &Path, at: usize) -> PathBuf {
        let mut names: Vec<_> = self.above(at).map(|at| &self.items[at].name).collect();
        names.pop();
        names.reverse();
        let mut path = root.to_owned();
        path.extend(names);
        if at > 0 {
            path.push(&self.items[at].name);
        }
        path
    }

    /// Itself.
    pub fn first(&self) -> &Item {
        &self.items[0]
    }

    /// Syncs the `wanted` files to the disk, in parallel.
    pub fn flush(&self, path: &Path, wanted: &impl Fn(&Stat) -> bool) {
        /// Syncing more files than this takes longer than reading them: then only large ones are synced, as
        /// those are the ones that programs map.
        const MANY: usize = 64;
        const LARGE: u64 = 1 << 20;
        let files = self.places().filter(|(_, item)| !item.is_folder() && wanted(&item.stat));
        let files: Vec<_> = files.collect();
        let many = files.len() > MANY;
        files.into_par_iter().filter(|(_, item)| !many || item.stat.size >= LARGE).for_each(|(at, _)| {
            // A file that cannot be opened is reported when it is read.
            drop(disk::open(&self.path(path, at)).and_then(|file| file.sync_data()));
        });
    }

    fn places(&self) -> impl Iterator<Item = (usize, &Item)> {
        self.items.iter().enumerate()
    }

    /// Computes all digests, and returns its own. A file whose digest is `known` is not read.
    pub fn read(
        &mut self,
        path: &Path,
        known: &(impl Fn(&Stat) -> Option<Digest> + Sync),
    ) -> Result<Digest, Unreadable> {
        let digest = |(at, item): (usize, &Item)| match &item.children {
            Some(_) => Ok(None),
            None => match known(&item.stat) {
                Some(digest) => Ok(Some(digest)),
                None => read_file(&self.path(path, at), &item.stat).map(Some),
            },
        };
        let digests: Vec<_> =
            self.items.par_iter().enumerate().with_min_len(FEW).map(digest).collect::<Result<_, _>>()?;
        // What is in a folder stands behind it.
        for (at, digest) in digests.into_iter().enumerate().rev() {
            let children = self.items[at].children.clone();
            let folder = || children.map(|children| Digest::of(&folder_text(&self.items[children])));
            self.items[at].digest = digest.or_else(folder);
        }
        self.items[0].digest.ok_or_else(|| Unreadable::Missing(path.to_owned()))
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(|item| item.stat.size).sum()
    }

    /// Every file in it.
    pub fn files(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| !item.is_folder())
    }

    /// A path at which `later` has another file or folder, or another stat.
    pub fn difference(&self, later: &Self, path: &Path) -> Option<PathBuf> {
        if self.alike(later, |before, now| before.stat == now.stat) {
            return None;
        }
        let stats = |found: &Self| -> BTreeMap<PathBuf, Stat> {
            found.places().map(|(at, item)| (found.path(path, at), item.stat)).collect()
        };
        let (before, now) = (stats(self), stats(later));
        // A file is more specific than its folder, whose times changed with it.
        let moved = now.iter().filter(|(path, stat)| before.get(*path) != Some(stat)).map(|(path, _)| path);
        let gone = before.keys().filter(|path| !now.contains_key(*path));
        moved.chain(gone).max_by_key(|path| path.components().count()).cloned()
    }

    /// Whether both have the same names in the same folders, and `same` holds for each pair.
    fn alike(&self, other: &Self, same: impl Fn(&Item, &Item) -> bool) -> bool {
        let pair = |(a, b): (&Item, &Item)| (a.parent, &a.name) == (b.parent, &b.name) && same(a, b);
        self.items.len() == other.items.len() && self.items.iter().zip(&other.items).all(pair)
    }

    /// The first path at which `later` has another inode or other content. A replaced file counts as edited
    /// even if its content is the same: after a branch was checked out and back, it had other content in
    /// between.
    pub fn edit(&self, later: &Self, path: &Path, moment: Moment) -> Option<PathBuf> {
        // Whether a file that is no folder's may be executed counts nowhere.
        let same_shape = self.first().is_folder() == later.first().is_folder();
        let type_tag = |item: &Item| (item.parent != 0 || !item.name.is_empty()).then(|| item.type_tag());
        if !same_shape || !self.alike(later, |before, now| type_tag(before) == type_tag(now)) {
            return self.difference(later, path).or_else(|| Some(path.to_owned()));
        }
        let who = |item: &Item| (item.stat.device, item.stat.inode, item.stat.size);
        let edited = |at: usize| {
            let (before, now) = (&self.items[at], &later.items[at]);
            if who(before) != who(now) {
                true
            } else if before.stat == now.stat {
                self.is_altered(at, path, moment)
            } else {
                !before.is_folder() && self.is_other(at, path)
            }
        };
        self.find(edited, path)
    }

    /// The path of the first item for which that holds.
    fn find(&self, holds: impl Fn(usize) -> bool + Sync, path: &Path) -> Option<PathBuf> {
        let all = (0..self.items.len()).into_par_iter().with_min_len(FEW);
        all.find_first(|at| holds(*at)).map(|at| self.path(path, at))
    }

    /// Whether a file's content has changed.
    fn is_other(&self, at: usize, path: &Path) -> bool {
        let Item { stat, digest, .. } = &self.items[at];
        !read_file(&self.path(path, at), stat).is_ok_and(|now| Some(now) == *digest)
    }

    /// Whether the content of a file has changed although its stat need not show that: it had not settled at `moment`.
    fn is_altered(&self, at: usize, path: &Path, moment: Moment) -> bool {
        let item = &self.items[at];
        !item.is_folder() && !item.stat.is_settled(moment) && self.is_other(at, path)
    }

    /// All folders in it, and itself, be it a file.
    pub fn watched(&self, path: &Path) -> Vec<PathBuf> {
        let folders = self.places().filter(|(at, item)| *at == 0 || item.is_folder());
        folders.map(|(at, _)| self.path(path, at)).collect()
    }

    /// The first file whose content has changed although its stat need not show that: it had not settled at
    /// `moment`.
    pub fn altered(&self, path: &Path, moment: Moment) -> Option<PathBuf> {
        self.find(|at| self.is_altered(at, path, moment), path)
    }
}

impl Item {
    pub fn is_folder(&self) -> bool {
        self.children.is_some()
    }

    fn type_tag(&self) -> u8 {
        match self.children {
            Some(_) => b'd',
            None if self.stat.is_executable() => b'x',
            None => b'f',
        }
    }
}

impl Listed {
    fn look(self) -> Result<Contents, Unreadable> {
        let folder = self.open.fd().map_err(|error| Unreadable::io(&self.path, error.into()))?;
        let looked = self.names.iter().filter_map(|name| child(folder, &self.path, name, self.at));
        let items = looked.collect::<Result<_, _>>()?;
        Ok(Contents { at: self.at, path: self.path, items })
    }

    fn look_on_all_cores(self) -> Result<Contents, Unreadable> {
        let folder = self.open.fd().map_err(|error| Unreadable::io(&self.path, error.into()))?;
        let names = self.names.par_iter().with_min_len(FEW);
        let looked = names.filter_map(|name| child(folder, &self.path, name, self.at));
        let items = looked.collect::<Result<_, _>>()?;
        Ok(Contents { at: self.at, path: self.path, items })
    }
}

/// The least number of files per parallel task.
const FEW: usize = 8;

/// What a folder contains by a name; none where that is a link to nothing.
fn child(
    folder: BorrowedFd<'_>,
    path: &Path,
    name: &OsStr,
    parent: usize,
) -> Option<Result<Item, Unreadable>> {
    match stat_in(folder, path, name, parent) {
        // There is nothing to read; who reads the folder says so.
        Err(Unreadable::Missing(_)) if is_link(folder, name) => None,
        looked => Some(looked),
    }
}

/// Relative to an open folder, because the kernel then need not walk the whole path for each file.
fn stat_in(folder: BorrowedFd<'_>, path: &Path, name: &OsStr, parent: usize) -> Result<Item, Unreadable> {
    let failed = |error: Errno| match error {
        // For a symlink to itself, the kernel reports the loop.
        Errno::LOOP => Unreadable::Loop(path.join(name)),
        error => Unreadable::io(&path.join(name), error.into()),
    };
    let stat = Stat::of(&statat(folder, name, AtFlags::empty()).map_err(failed)?);
    if !stat.is_file() && !stat.is_folder() {
        return Err(Unreadable::Special(path.join(name)));
    }
    let children = stat.is_folder().then_some(0..0);
    Ok(Item { name: name.to_owned(), parent, stat, digest: None, children })
}

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

/// The bytes that a folder's digest is the hash of.
fn folder_text(children: &[Item]) -> Vec<u8> {
    let mut text = b"folder 1\n".to_vec();
    for child in children {
        let name = child.name.as_bytes();
        // The length first, so that no name can imitate the bytes that follow it.
        text.extend_from_slice(&(name.len() as u64).to_le_bytes());
        text.extend_from_slice(name);
        text.push(child.type_tag());
        text.extend(child.digest.iter().flat_map(Digest::bytes));
    }
    text
}
