//! The files that entities are written to: beside their places, and put there when they are whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use stage_contract::{Invalid, StageError};

use text::{entities::Format, folder::quoted};

/// The files of a format, by a path without an ending.
pub(super) fn with_endings(base: &Path, format: Format) -> Vec<PathBuf> {
    let file = |ending: &&str| {
        let mut name = base.as_os_str().to_owned();
        name.push(format!(".{ending}"));
        PathBuf::from(name)
    };
    format.endings().iter().map(file).collect()
}

/// The files of a format, by the path of the one that is named.
pub(super) fn named(path: &Path, format: Format) -> Vec<PathBuf> {
    match format.endings() {
        [_] => vec![path.to_owned()],
        endings => endings.iter().map(|ending| path.with_extension(ending)).collect(),
    }
}

/// That a file is there, and why it is not overwritten.
pub(super) fn taken(path: &Path, why: &str) -> Invalid {
    Invalid::new(format!("{} is there already{why}", path.display()))
        .help("name another --output, or say --force to overwrite it")
}

/// Files that are not whole yet; those that are never put in their places are removed.
pub(super) struct Pending {
    files: Vec<(PathBuf, PathBuf, BufWriter<File>)>,
}

impl Pending {
    /// Begins files, and makes their folders.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn create(paths: &[PathBuf]) -> Result<Self, StageError> {
        let mut pending = Self { files: Vec::new() };
        for path in paths {
            let folder = path.parent().unwrap_or(Path::new(""));
            if folder != Path::new("") {
                fs::create_dir_all(folder).map_err(|e| StageError::io("create", folder, e))?;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // One name for all runs, so that those that are stopped leave no more than one behind, which the next takes.
            let partial = path.with_file_name(format!(".{name}.partial"));
            let file = private().open(&partial).map_err(|e| StageError::io("create", &partial, e))?;
            pending.files.push((partial, path.clone(), BufWriter::new(file)));
        }
        Ok(pending)
    }

    /// Where to write.
    pub fn outs(&mut self) -> Vec<&mut dyn Write> {
        self.files.iter_mut().map(|(.., out)| out as &mut dyn Write).collect()
    }

    /// Puts them in their places.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn commit(mut self) -> Result<(), StageError> {
        for (partial, path, out) in &mut self.files {
            out.flush()
                .and_then(|()| out.get_ref().sync_all())
                .map_err(|e| StageError::io("write", partial, e))?;
            fs::rename(&*partial, &*path).map_err(|e| StageError::io("write", path, e))?;
        }
        self.files.clear();
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        for (partial, ..) in &self.files {
            // It is hidden, and nobody reads it.
            drop(fs::remove_file(partial));
        }
    }
}

/// A file that only its owner reads: texts may be confidential.
fn private() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// What to type for a folder.
pub(super) fn a_folder(input: &Path) -> String {
    format!("--input {} --output FOLDER", quoted(input))
}
