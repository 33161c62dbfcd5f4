//! Files and folders: made private, copied, removed, written through.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
};

use stage_contract::StageError;

use crate::failpoint::{Point, reach};

/// Makes a folder that only its owner may enter, with those above it.
///
/// # Errors
/// When the disk refuses.
pub fn private_folder(path: &Path) -> Result<(), StageError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.map_err(|e| StageError::io("create", path, e))
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

/// [`write_atomic`] for a file that everyone may read.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_shared(path: &Path, content: &[u8]) -> Result<(), StageError> {
    replace(path, content, 0o644, true)
}

/// [`write_atomic`] without waiting for the disk: after a power failure the file may be empty.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_unsynced(path: &Path, content: &[u8]) -> Result<(), StageError> {
    replace(path, content, 0o600, false)
}

fn replace(path: &Path, content: &[u8], mode: u32, through: bool) -> Result<(), StageError> {
    let new = staging_path(path);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        reach(Point::ReplacementBegun)?;
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        if through {
            file.sync_all()?;
        }
        reach(Point::ReplacementWhole)?;
        fs::rename(&new, path)
    };
    write().map_err(|error| {
        // What does not go stays until the next write of this file.
        drop(remove(&new));
        StageError::io("write", path, error)
    })
}

/// Where the replacement of a path is staged, so that one rename puts it there. Always the same name:
/// what a killed run left is found again and replaced.
#[must_use]
pub fn staging_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".ner-pipe");
    path.with_file_name(name)
}

/// Removes a file, link or folder, if it is there.
///
/// # Errors
/// When the disk refuses.
pub fn remove(path: &Path) -> Result<(), StageError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
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
/// When a link leads in a circle, or the disk refuses.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), StageError> {
    copy(from, to, &mut Vec::new())
}

/// `above` are the folders that are being copied, and those that are being made of them: a link may lead
/// into either.
fn copy(from: &Path, to: &Path, above: &mut Vec<(u64, u64)>) -> Result<(), StageError> {
    let failed = |e| StageError::io("copy", from, e);
    let meta = fs::metadata(from).map_err(failed)?;
    if meta.is_dir() {
        let here = (meta.dev(), meta.ino());
        if above.contains(&here) {
            return Err(leads_back(from));
        }
        private_folder(to)?;
        let made = fs::metadata(to).map_err(failed)?;
        above.extend([here, (made.dev(), made.ino())]);
        for entry in fs::read_dir(from).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            copy(&from.join(&name), &to.join(&name), above)?;
        }
        above.truncate(above.len() - 2);
        return Ok(());
    }
    reach(Point::CopyFile).map_err(failed)?;
    reflink_copy::reflink_or_copy(from, to).map_err(failed)?;
    reach(Point::CopyMode).map_err(failed)?;
    // The mode decides between 0600 and 0700 in `make_private`; a reflink does not carry it.
    fs::set_permissions(to, private(&meta.permissions())).map_err(failed)
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
/// When a link leads nowhere or in a circle, or the disk refuses.
pub fn make_private(path: &Path) -> Result<(), StageError> {
    let failed = |e| StageError::io("read", path, e);
    reach(Point::MakePrivate).map_err(failed)?;
    let mut meta = fs::symlink_metadata(path).map_err(failed)?;
    if meta.is_symlink() {
        let target = fs::canonicalize(path).map_err(failed)?;
        if path.starts_with(&target) {
            return Err(leads_back(path));
        }
        remove(path)?;
        copy_tree(&target, path)?;
        meta = fs::symlink_metadata(path).map_err(failed)?;
    }
    if meta.is_dir() {
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)?;
        for entry in fs::read_dir(path).map_err(failed)? {
            make_private(&entry.map_err(failed)?.path())?;
        }
        return Ok(());
    }
    if meta.nlink() > 1 {
        // The same bytes have another name, which is not ours to change, nor ours to be changed by.
        let copy = staging_path(path);
        copy_tree(path, &copy)?;
        fs::rename(&copy, path).map_err(failed)?;
    }
    fs::set_permissions(path, private(&meta.permissions())).map_err(failed)
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
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    thread::scope(|scope| {
        let syncs: Vec<_> = paths.iter().map(|entry| scope.spawn(move || sync(entry.path()))).collect();
        syncs
            .into_iter()
            .try_for_each(|sync| sync.join().unwrap_or_else(|_| Err(io::Error::other("a thread died"))))
    })
    .map_err(failed)
}

/// The entries of a folder, sorted; none when it is not there.
pub(super) fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
