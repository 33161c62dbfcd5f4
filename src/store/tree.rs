//! Files and folders: made private, copied, removed, written through.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    thread,
};

use stage_contract::StageError;

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
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(|e| StageError::io("write", path, e))
}

/// Replaces a file as a whole, through to the disk: a reader sees the old or the new one.
///
/// # Errors
/// When the disk refuses; then the old one lies there.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), StageError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        // tempfile creates with mode 0600.
        let mut file = tempfile::Builder::new().prefix(".ner-pipe-").tempfile_in(parent)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|e| StageError::io("write", path, e))
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

/// Copies a file or folder to a path that does not exist: as a reflink where the file system can.
/// Never as a hard link, because editing the one would then edit the other. Links are followed.
///
/// # Errors
/// When the disk refuses.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), StageError> {
    let failed = |e| StageError::io("copy", from, e);
    if fs::metadata(from).map_err(failed)?.is_dir() {
        private_folder(to)?;
        for entry in fs::read_dir(from).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            copy_tree(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    // The mode decides between 0600 and 0700 in `make_private`; a reflink does not carry it.
    let mode = fs::metadata(from).map_err(failed)?.permissions();
    reflink_copy::reflink_or_copy(from, to).map_err(failed)?;
    fs::set_permissions(to, private(&mode)).map_err(failed)
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
    let mut meta = fs::symlink_metadata(path).map_err(failed)?;
    if meta.is_symlink() {
        let target = fs::canonicalize(path).map_err(failed)?;
        if path.starts_with(&target) {
            return Err(StageError::new(format!("{} leads back to a folder above it", path.display())));
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
    fs::set_permissions(path, private(&meta.permissions())).map_err(failed)
}

/// Writes a folder through to the disk with all that is in it.
///
/// # Errors
/// When the disk refuses.
pub fn make_durable(folder: &Path) -> Result<(), StageError> {
    /// From here on one `syncfs` is cheaper than an `fsync` for each file.
    const MANY: usize = 64;
    let failed = |e: io::Error| StageError::io("write through", folder, e);
    let paths = walkdir::WalkDir::new(folder).into_iter().collect::<Result<Vec<_>, _>>();
    let paths = paths.map_err(|e| failed(e.into()))?;
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
