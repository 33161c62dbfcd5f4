//! Files as they are met on a disk that others write to as well: opened without waiting for anybody, removed
//! however deep they lie.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::FileTypeExt},
    path::Path,
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, statvfs, unlinkat},
    io::Errno,
};
use stage_contract::StageError;

/// How the names of folders begin in which we stage what is to be placed beside them.
pub const STAGED: &str = ".ner-pipe-";

/// How many letters and digits follow, at random: nobody else will have chosen them.
pub const STAGED_RANDOM: usize = 16;

/// Whether this is what follows.
#[must_use]
pub fn is_random(end: &str) -> bool {
    end.len() == STAGED_RANDOM && end.bytes().all(|it| it.is_ascii_alphanumeric())
}

/// What lies in the place of a file of ours is in the way.
pub const MOVE_AWAY: &str = "move it away: ner-pipe keeps a file of its own there";

/// [`StageError::io`] about a file of ours.
#[must_use]
pub fn failed(action: &str, path: &Path, error: io::Error) -> StageError {
    let in_the_way = matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory);
    let error = StageError::io(action, path, error);
    if in_the_way { error.help(MOVE_AWAY) } else { error }
}

/// Opens a file to read it. A pipe, socket or device is refused: a pipe is waited for until somebody writes to it, and
/// opening a device may do something.
///
/// # Errors
/// When it is not there, no file, or not readable.
pub fn open(path: &Path) -> io::Result<File> {
    expect_file(&fs::metadata(path)?)?;
    open_as(path, OFlags::RDONLY)
}

/// As [`open`], but of a file of ner-pipe's own, which is no link: whoever put one there does not decide what is read.
///
/// # Errors
/// As [`open`], and for a link.
pub fn open_own(path: &Path) -> io::Result<File> {
    expect_file(&fs::symlink_metadata(path)?)?;
    open_as(path, OFlags::RDONLY | OFlags::NOFOLLOW)
}

/// Opens a file of ner-pipe's own to write to it, and makes it, its owner's alone, unless it is there.
///
/// # Errors
/// When what is there is no file, or the disk refuses.
pub fn open_or_create(path: &Path, flags: OFlags) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(meta) => expect_file(&meta)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    open_as(path, OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | flags)
}

fn open_as(path: &Path, flags: OFlags) -> io::Result<File> {
    // It may have become something else meanwhile.
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)?);
    expect_file(&file.metadata()?)?;
    Ok(file)
}

fn expect_file(meta: &fs::Metadata) -> io::Result<()> {
    let kind = meta.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => return Err(Errno::ISDIR.into()),
        () if kind.is_symlink() => "it is a link, which is not followed there",
        () if kind.is_fifo() => "it is a pipe, and no file",
        () if kind.is_socket() => "it is a socket, and no file",
        () => "it is a device, and no file",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// All bytes of a file: see [`open`].
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    all_of(open(path)?)
}

/// All bytes of a file of ner-pipe's own: see [`open_own`].
///
/// # Errors
/// As [`open_own`].
pub fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    all_of(open_own(path)?)
}

/// All text of a file: see [`open`].
///
/// # Errors
/// As [`open`], and when it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn all_of(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes a file, a link, or a folder with all that is in it. No link is followed. However deep it is, this takes two
/// open folders and no path longer than the given one: a folder in a folder is first moved up.
///
/// # Errors
/// When the disk refuses; then a part of it is gone.
pub fn remove(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    let root = open_folder(CWD, path.as_os_str())?;
    let mut folders = remove_files(&root)?;
    let taken: BTreeSet<_> = folders.iter().cloned().collect();
    let mut free = (0_u64..).map(|n| OsString::from(n.to_string())).filter(|name| !taken.contains(name));
    while let Some(name) = folders.pop() {
        let folder = open_folder(root.as_fd(), &name)?;
        for inner in remove_files(&folder)? {
            if unlinkat(&folder, &inner, AtFlags::REMOVEDIR).is_ok() {
                continue;
            }
            let Some(up) = free.next() else { continue };
            match renameat(&folder, &inner, &root, &up) {
                Ok(()) => folders.push(up),
                // In some layered file systems a folder of a lower layer cannot be moved.
                Err(Errno::XDEV) => fs::remove_dir_all(path.join(&name).join(&inner))?,
                Err(error) => return Err(error.into()),
            }
        }
        unlinkat(&root, &name, AtFlags::REMOVEDIR)?;
    }
    fs::remove_dir(path)
}

fn open_folder(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// Removes what is in a folder, but for the folders in it, which it gives.
fn remove_files(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            entries.push((name.to_owned(), entry.file_type()));
        }
    }
    let mut folders = Vec::new();
    for (name, kind) in entries {
        if kind == FileType::Directory {
            folders.push(name);
            continue;
        }
        match unlinkat(folder, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            // Not every file system says at once what it lists.
            Err(Errno::ISDIR | Errno::PERM) if kind == FileType::Unknown => folders.push(name),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(folders)
}

/// The end of a file: its last bytes, at most so many, and whether that is all of it.
///
/// # Errors
/// As [`open_own`].
pub fn end_of(path: &Path, bytes: u64) -> io::Result<(Vec<u8>, bool)> {
    use std::os::unix::fs::FileExt;
    let file = open_own(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(bytes);
    let mut end = vec![0; usize::try_from(length - from).unwrap_or(0)];
    let mut read = 0;
    // It may have become shorter meanwhile.
    while read < end.len() {
        match file.read_at(&mut end[read..], from + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    end.truncate(read);
    Ok((end, from == 0))
}

/// A path as one word for the shell, whatever it contains.
#[must_use]
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Why the disk does not take a path, or a name in it, which need not be there.
#[must_use]
pub fn too_long(path: &Path) -> Option<String> {
    /// What Linux takes for a path, with the zero byte behind it (`PATH_MAX`).
    const LONGEST_PATH: u64 = 4096;
    // Each disk has its own limit; what is not there yet will be made on the disk of what is.
    let there = path.ancestors().find(|path| path.exists())?;
    let longest = statvfs(there).map_or(255, |stat| stat.f_namemax);
    let length = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    if let Some(name) = path.iter().map(|name| length(name.len())).find(|name| *name > longest) {
        return Some(format!("a name of {name} bytes, where {longest} are the most"));
    }
    let whole = length(path.as_os_str().len());
    (whole >= LONGEST_PATH).then(|| format!("{whole} bytes, where {} are the most", LONGEST_PATH - 1))
}

#[cfg(test)]
mod tests;
