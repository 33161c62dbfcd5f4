//! The files of an input: the file itself, or those of a folder and its subfolders, in name order.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use stage_contract::StageError;
use walkdir::WalkDir;

use super::names::Names;

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Name and path. A name is the path below the folder without its ending, with `-` between folders; with its ending
    /// where two files would have one name.
    pub files: Vec<(String, PathBuf)>,
    /// What is not read, and why.
    pub notes: Vec<String>,
}

/// What is not read, that an error lists.
const LISTED: usize = 20;

/// Beginnings of names of files that speak of data and are none.
const ABOUT: [&str; 7] = ["readme", "license", "licence", "notice", "changelog", "citation", "copying"];
/// Files that describe a data set or its annotation.
const DESCRIBING: [&str; 12] = [
    "config.json",
    "label_map.json",
    "dataset_info.json",
    "dataset_infos.json",
    "state.json",
    "dataset_dict.json",
    "label2id.json",
    "id2label.json",
    "labels.json",
    "label.json",
    "annotation.conf",
    "visual.conf",
];
/// Endings of what is no data: programs, settings, pages, pictures.
const OTHER: [&str; 25] = [
    "md", "rst", "py", "ipynb", "sh", "r", "js", "css", "html", "htm", "toml", "yaml", "yml", "ini", "cfg",
    "conf", "log", "lock", "png", "jpg", "jpeg", "gif", "svg", "sha256", "md5",
];

/// Finds the files. Hidden ones are passed over; what else is not read is noted.
///
/// # Errors
/// The folder is unreadable, or has no file.
pub(super) fn walk(path: &Path) -> Result<Walk, StageError> {
    let meta = fs::metadata(path).map_err(|e| StageError::io("read", path, e))?;
    if !meta.is_dir() {
        return Ok(Walk { files: vec![(stem(path)?, path.to_owned())], notes: Vec::new() });
    }
    let mut walk = Walk::default();
    let mut found = Vec::new();
    let entries = WalkDir::new(path).follow_links(true).into_iter();
    let visible = |name: &std::ffi::OsStr| {
        let name = name.as_encoded_bytes();
        !name.starts_with(b".") && !name.starts_with(b"__")
    };
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || visible(entry.file_name())) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => found.push(entry.into_path()),
            Ok(_) => {}
            Err(e) => {
                let at = e.path().unwrap_or(path).to_owned();
                let link = fs::symlink_metadata(&at).is_ok_and(|meta| meta.is_symlink());
                if e.loop_ancestor().is_some() {
                    walk.notes
                        .push(format!("{}: not followed, for it leads back to a folder above", at.display()));
                } else if link && at.file_name().is_some_and(visible) {
                    walk.notes.push(format!("{}: left out, a link to nothing", at.display()));
                } else if !link {
                    return Err(StageError::io("read", &at, e.into()));
                }
            }
        }
    }
    found.sort();
    let (about, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|file| is_about(file));
    let unread = about.iter().filter(|file| Names::explained_by(file).is_none());
    walk.notes.extend(unread.map(|file| format!("{}: not read, by its name no data", file.display())));
    if found.is_empty() {
        let unread: String = walk.notes.iter().take(LISTED).flat_map(|note| ["\n  ", note]).collect();
        return Err(StageError::new(format!("no file to read in {}{unread}", path.display()))
            .help("put files of text or annotations into the folder, such as .txt, .jsonl, .csv, .conll or .parquet"));
    }
    walk.files = named(path, found)?;
    Ok(walk)
}

fn is_about(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ending = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ABOUT.iter().any(|about| name.starts_with(about))
        || DESCRIBING.contains(&name.as_str())
        || OTHER.contains(&ending.as_str())
}

fn named(root: &Path, files: Vec<PathBuf>) -> Result<Vec<(String, PathBuf)>, StageError> {
    let below = |file: &Path| file.strip_prefix(root).map_or_else(|_| file.to_owned(), Path::to_owned);
    let flat = |path: &Path| {
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("-")
    };
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut short = Vec::new();
    for file in &files {
        let name = flat(&below(file).with_file_name(stem(file)?));
        *taken.entry(name.clone()).or_default() += 1;
        short.push(name);
    }
    let mut seen = BTreeMap::new();
    let mut named = Vec::new();
    for (file, short) in files.into_iter().zip(short) {
        let name = if taken[&short] == 1 { short } else { flat(&below(&file)) };
        if let Some(other) = seen.insert(name.clone(), file.clone()) {
            return Err(StageError::new(format!("{} and {} have one name", other.display(), file.display()))
                .help("rename one of them: the name says in records what is from where"));
        }
        named.push((name, file));
    }
    Ok(named)
}

/// A file's name without its ending, and without that of a compressed file.
fn stem(path: &Path) -> Result<String, StageError> {
    let name = path.file_name().unwrap_or_default();
    let name = name.to_str().ok_or_else(|| {
        StageError::new(format!("the name of {} is not UTF-8", path.display())).help("rename it")
    })?;
    let ending = |name: &str| Path::new(name).extension().map(|end| end.to_string_lossy().to_lowercase());
    let short = |name: &str| {
        Path::new(name).file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    };
    let packed = ending(name).is_some_and(|end| end == "gz" || end == "zst");
    let name = if packed { short(name) } else { name.to_owned() };
    Ok(short(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "x").expect("written");
        }
        folder
    }

    fn names(walk: &Walk) -> Vec<&str> {
        walk.files.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn subfolders_and_every_case_of_ending_are_found_in_name_order() {
        let folder =
            folder(&["b.TXT", "a.conll.gz", "sub/deep/c.txt", ".hidden/x.txt", "__MACOSX/y.txt", "sans fin"]);
        assert_eq!(names(&walk(folder.path()).expect("walked")), ["a", "b", "sans fin", "sub-deep-c"]);
    }

    #[test]
    fn files_of_one_stem_keep_their_endings() {
        let folder = folder(&["a.txt", "a.jsonl", "b.txt"]);
        assert_eq!(names(&walk(folder.path()).expect("walked")), ["a.jsonl", "a.txt", "b"]);
    }

    #[test]
    fn what_is_no_data_is_noted() {
        let folder = folder(&["a.txt", "README.md", "dataset_info.json", "plot.PNG"]);
        let walk = walk(folder.path()).expect("walked");
        assert_eq!((names(&walk), walk.notes.len()), (vec!["a"], 3), "{:?}", walk.notes);
    }

    #[test]
    fn a_file_that_names_tags_is_read() {
        let folder = folder(&["a.jsonl"]);
        fs::write(folder.path().join("label2id.json"), r#"{"O": 0, "B-PER": 1}"#).expect("written");
        let walk = walk(folder.path()).expect("walked");
        assert_eq!((names(&walk), walk.notes.len()), (vec!["a"], 0), "{:?}", walk.notes);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_nothing_and_in_circles_are_noted() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["a.txt"]);
        symlink("nowhere", folder.path().join("z.txt")).expect("linked");
        symlink(folder.path(), folder.path().join("again")).expect("linked");
        let walk = walk(folder.path()).expect("walked");
        assert_eq!(names(&walk), ["a"]);
        assert!(walk.notes.iter().any(|note| note.contains("z.txt: left out")), "{:?}", walk.notes);
        assert!(walk.notes.iter().any(|note| note.contains("again: not followed")), "{:?}", walk.notes);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_without_files_is_refused_with_what_is_not_read() {
        let folder = folder(&["README"]);
        std::os::unix::fs::symlink("nowhere", folder.path().join("a.txt")).expect("linked");
        let error = walk(folder.path()).expect_err("nothing");
        assert!(error.to_string().contains("no file to read") && error.advice().is_some(), "{error}");
        for unread in ["a.txt: left out, a link to nothing", "README: not read"] {
            assert!(error.to_string().contains(unread), "{error}");
        }
    }
}
