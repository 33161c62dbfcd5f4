//! A pipeline file by its path: whether it is one, and where its lock and its artifacts lie.

use std::path::{Path, PathBuf};

use super::keys::{PIPELINE_KEYS, Table, expect_name};
use crate::{disk, problem::Problems};

/// The pipeline file unless `--file` names another.
pub const DEFAULT_FILE: &str = "pipeline.toml";

/// Whether a file looks like a pipeline file: TOML with a table `stage`; it is not validated.
#[must_use]
pub fn is_pipeline(path: &Path) -> bool {
    let is_toml = path.extension().is_some_and(|extension| extension == "toml") && path.is_file();
    let table = || disk::read_text(path).ok()?.parse::<toml::Table>().ok();
    is_toml && table().is_some_and(|table| table.get("stage").is_some_and(toml::Value::is_table))
}

/// The lock file of a pipeline file: beside it, with `.lock` in place of `.toml`.
#[must_use]
pub fn lock_file(file: &Path) -> PathBuf {
    if file.extension().is_some_and(|extension| extension == "toml") {
        file.with_extension("lock")
    } else {
        PathBuf::from(format!("{}.lock", file.display()))
    }
}

/// The pipeline file whose lock file has this path, whether or not the lock file exists yet.
pub(super) fn locked_by(root: &Path, path: &Path) -> Option<PathBuf> {
    let file = path.with_extension("toml");
    (lock_file(&file) == path && is_pipeline(&root.join(&file))).then_some(file)
}

/// `pipeline.toml` publishes to `artifacts/`, any other file to a folder in it: `[pipeline] name`, else
/// the folder that the file is in, else (in the root) the file's own name.
pub(super) fn artifacts(file: &Path, top: &Table<'_>, problems: &mut Problems) -> PathBuf {
    let mut name = None;
    if let Some(table) = top.table("pipeline", "[pipeline]", problems) {
        table.expect_keys("`[pipeline]`", &PIPELINE_KEYS, problems);
        if let Some((text, place)) = table.string("name", problems) {
            expect_name("pipeline", text, &place, problems);
            name = Some(text.to_owned());
        }
    }
    let root = PathBuf::from("artifacts");
    if file == Path::new(DEFAULT_FILE) {
        return root;
    }
    let folder = file.parent().and_then(Path::file_name).or_else(|| file.file_stem());
    match name {
        Some(name) => root.join(name),
        None => folder.map_or_else(|| root.clone(), |folder| root.join(folder)),
    }
}
