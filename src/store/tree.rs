//! Files and folders: made private, copied, removed, written through.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    iter::successors,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    thread,
};

use stage_contract::StageError;

use crate::{
    disk::{self, STAGED, STAGED_RANDOM},
    failpoint::{Point, reach},
    threads,
};

/// Makes a folder that only its owner may enter, with those above it.
///
/// # Errors
/// When the disk refuses, or it is a link.
pub fn private_folder(path: &Path) -> Result<(), StageError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.map_err(|e| StageError::io("create", path, e))?;
    if path.is_symlink() {
        let message = format!("{} is a link, and inside of `cache/` none is followed", path.display());
        return Err(StageError::new(message).help(format!("remove the link: `rm {}`", disk::quoted(path))));
    }
    Ok(())
}

/// Writes a new file that only its owner may read.
///
/// # Errors
/// When it is there already, or the disk refuses.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), StageError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        reach(Point::FileBegun)?;
        file.write_all(content)
    };
    write().map_err(|e| StageError::io("write", path, e))
}

/// Replaces a file that only its owner may read, as a whole and through to the disk: a reader sees the old
/// or the new one. For one writer at a time.
///
/// # Errors
/// When the disk refuses; then the old one is there.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<(), StageError> {
    replace(path, content, 0o600, true)
}

/// [`write_atomic`] without waiting for the disk: after a power failure the file may be empty.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_unsynced(path: &Path, content: &[u8]) -> Result<(), StageError> {
    replace(path, content, 0o600, false)
}

fn replace(path: &Path, content: &[u8], mode: u32, through: bool) -> Result<(), StageError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut name = tempfile::Builder::new();
        name.prefix(STAGED).rand_bytes(STAGED_RANDOM);
        let new = name.make_in(folder, |new| write_whole(new, content, mode, through))?;
        new.into_temp_path().persist(path).map_err(|error| error.error)
    };
    write().map_err(|error| StageError::io("write", path, error))
}

/// Writes a new file that is whole, and on the disk if it is to be written `through`, before this ends.
///
/// # Errors
/// When it is there already, or the disk refuses.
pub(super) fn write_whole(new: &Path, content: &[u8], mode: u32, through: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    reach(Point::ReplacementBegun)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    if through {
        file.sync_all()?;
    }
    reach(Point::ReplacementWhole)
}

/// Removes a file, link or folder, if it is there.
///
/// # Errors
/// When the disk refuses.
pub fn remove(path: &Path) -> Result<(), StageError> {
    match disk::remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StageError::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Whether a folder is there and holds nothing.
pub fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Copies a file or folder to a path that does not exist: as a reflink where the file system can.
/// Never as a hard link, because editing the one would then edit the other. Links are followed.
///
/// # Errors
/// When a link leads in a circle or to a pipe, socket or device, or the disk refuses.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), StageError> {
    /// A folder that is being copied, and the one that is being made of it: a link may lead into either.
    struct Above {
        folders: [(u64, u64); 2],
        above: Option<usize>,
    }
    let mut copied: Vec<Above> = Vec::new();
    let mut next = vec![(from.to_owned(), to.to_owned(), None)];
    while let Some((from, to, above)) = next.pop() {
        let failed = |e| StageError::io("copy", &from, e);
        let meta = fs::metadata(&from).map_err(failed)?;
        if !meta.is_dir() {
            copy_file(&from, &to, &meta).map_err(failed)?;
            continue;
        }
        let here = (meta.dev(), meta.ino());
        if successors(above, |&at: &usize| copied[at].above).any(|at| copied[at].folders.contains(&here)) {
            return Err(leads_back(&from));
        }
        private_folder(&to)?;
        let made = fs::metadata(&to).map_err(failed)?;
        let at = copied.len();
        copied.push(Above { folders: [here, (made.dev(), made.ino())], above });
        for entry in fs::read_dir(&from).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            next.push((from.join(&name), to.join(&name), Some(at)));
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    reach(Point::CopyFile)?;
    // Only of a file is copying what is meant; a pipe would be waited for.
    drop(disk::open(from)?);
    reflink_copy::reflink_or_copy(from, to)?;
    reach(Point::CopyMode)?;
    // The mode decides between 0600 and 0700 in `make_private`; a reflink does not carry it.
    fs::set_permissions(to, private(&meta.permissions()))
}

fn leads_back(path: &Path) -> StageError {
    StageError::new(format!("{} leads back to a folder above it", path.display()))
}

fn private(mode: &Permissions) -> Permissions {
    Permissions::from_mode(if mode.mode() & 0o111 == 0 { 0o600 } else { 0o700 })
}

/// Makes what a stage wrote its owner's alone, and puts what links lead to in the links' place: a
/// result must not change when something outside it does.
///
/// # Errors
/// When a link leads nowhere, in a circle or to a pipe, socket or device, or the disk refuses.
pub fn make_private(path: &Path) -> Result<(), StageError> {
    let mut next = vec![path.to_owned()];
    while let Some(path) = next.pop() {
        let failed = |e| StageError::io("read", &path, e);
        reach(Point::MakePrivate).map_err(failed)?;
        let mut meta = fs::symlink_metadata(&path).map_err(failed)?;
        if meta.is_symlink() {
            let target = fs::canonicalize(&path).map_err(failed)?;
            if path.starts_with(&target) {
                return Err(leads_back(&path));
            }
            remove(&path)?;
            copy_tree(&target, &path)?;
            meta = fs::symlink_metadata(&path).map_err(failed)?;
        }
        if meta.is_dir() {
            fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(failed)?;
            for entry in fs::read_dir(&path).map_err(failed)? {
                next.push(entry.map_err(failed)?.path());
            }
            continue;
        }
        if meta.nlink() > 1 {
            // The same bytes have another name, which is not ours to change, nor ours to be changed by.
            let folder = path.parent().unwrap_or(Path::new("."));
            let mut name = tempfile::Builder::new();
            name.prefix(STAGED).rand_bytes(STAGED_RANDOM);
            let copy = name.make_in(folder, |copy| copy_file(&path, copy, &meta)).map_err(failed)?;
            copy.into_temp_path().persist(&path).map_err(|e| failed(e.error))?;
        }
        fs::set_permissions(&path, private(&meta.permissions())).map_err(failed)?;
    }
    Ok(())
}

/// Removes a path's siblings, and says whether there were any.
///
/// # Errors
/// When the disk refuses.
pub fn remove_siblings(path: &Path) -> Result<bool, StageError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let failed = |e| StageError::io("read", folder, e);
    let mut found = false;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let other = entry.map_err(failed)?.path();
        if other != path {
            remove(&other)?;
            found = true;
        }
    }
    Ok(found)
}

/// Writes a folder through to the disk with all that is in it.
///
/// # Errors
/// When the disk refuses.
pub fn make_durable(folder: &Path) -> Result<(), StageError> {
    /// From here on one `syncfs` is cheaper than an `fsync` for each file.
    const MANY: usize = 64;
    let failed = |e: io::Error| StageError::io("write through", folder, e);
    reach(Point::WriteThrough).map_err(failed)?;
    let paths = walkdir::WalkDir::new(folder).into_iter().collect::<Result<Vec<_>, _>>();
    let mut paths = paths.map_err(|e| failed(e.into()))?;
    // Opening a pipe would wait for whoever writes into it.
    paths.retain(|entry| entry.file_type().is_file() || entry.file_type().is_dir());
    if paths.len() > MANY {
        let root = File::open(folder).map_err(failed)?;
        return rustix::fs::syncfs(&root).map_err(|e| failed(e.into()));
    }
    // All at once, because a journal then commits once for all of them and not once for each.
    // Opening a folder does not wait, and what became a pipe meanwhile is none of ours.
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    thread::scope(|scope| {
        let begun: Vec<_> = paths
            .iter()
            .map(|entry| (entry.path(), threads::spawn_in(scope, move || sync(entry.path()))))
            .collect();
        begun.into_iter().try_for_each(|(path, begun)| match begun {
            Some(begun) => begun.join().unwrap_or_else(|_| Err(io::Error::other("a thread died"))),
            // One after the other, then.
            None => sync(path),
        })
    })
    .map_err(failed)
}
