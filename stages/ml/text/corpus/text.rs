//! Raw text: a file or a folder of .txt files.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use stage_contract::{Artifact, Kind, Shape, StageError};

use super::files::{read, write};

/// One raw line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file's stem.
    pub source: String,
    /// 1-based line number in that file.
    pub number: usize,
    /// The line without its end.
    pub text: String,
}

/// Raw text: a file, or a folder of .txt files read in name order. Blank lines are lines too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// All lines, file after file.
    pub lines: Vec<Line>,
}

impl Artifact for Text {
    const KIND: Kind = Kind {
        name: "text",
        shape: Shape::FileOrFolder,
        extension: "",
        doc: "raw UTF-8 text, one sentence a line: a file, or a folder whose file stems name the sources",
    };

    /// Other files than .txt in a folder, hidden ones and subfolders are not read.
    fn load(path: &Path) -> Result<Self, StageError> {
        let mut lines = Vec::new();
        for (source, file) in files(path, &["txt"])? {
            let text = read(&file)?;
            lines.extend(text.lines().enumerate().map(|(index, line)| Line {
                source: source.clone(),
                number: index + 1,
                text: line.to_owned(),
            }));
        }
        if lines.iter().all(|line| line.text.trim().is_empty()) {
            return Err(StageError::new(format!("no text in {}", path.display()))
                .help("put one sentence a line, as UTF-8, into the file, or into .txt files of the folder"));
        }
        Ok(Self { lines })
    }

    /// Always a folder, so that the names of the sources survive.
    fn save(&self, path: &Path) -> Result<(), StageError> {
        let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in &self.lines {
            if line.text.contains('\n') {
                return Err(StageError::new(format!(
                    "line {} of `{}` has a break inside",
                    line.number, line.source
                )));
            }
            sources.entry(&line.source).or_default().push(&line.text);
        }
        fs::create_dir(path).map_err(|e| StageError::io("create", path, e))?;
        for (source, lines) in sources {
            write(&path.join(format!("{}.txt", checked_stem(source)?)), |out| {
                lines.iter().try_for_each(|line| writeln!(out, "{line}"))
            })?;
        }
        Ok(())
    }
}

/// A stem that can be a file's name and comes back as it was.
pub(super) fn checked_stem(stem: &str) -> Result<&str, StageError> {
    if stem.is_empty() || stem.starts_with('.') || stem.contains(['/', '\\', '\0']) {
        return Err(StageError::new(format!("`{stem}` cannot be a file's name")));
    }
    Ok(stem)
}

/// The files of an input with their stems: the file itself, or those of the folder with one of `extensions`, in name order.
pub(super) fn files(path: &Path, extensions: &[&str]) -> Result<Vec<(String, PathBuf)>, StageError> {
    let meta = fs::metadata(path).map_err(|e| StageError::io("read", path, e))?;
    let mut found: Vec<PathBuf> = if meta.is_dir() {
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        entries
            .map_err(|e| StageError::io("read", path, e))?
            .into_iter()
            .map(|entry| entry.path())
            .filter(|file| {
                let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                let known =
                    file.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e));
                !hidden && known && file.is_file()
            })
            .collect()
    } else {
        vec![path.to_owned()]
    };
    if found.is_empty() {
        return Err(StageError::new(format!("no .{} file in {}", extensions.join(", ."), path.display()))
            .help(format!("put at least one .{} file into the folder", extensions[0])));
    }
    found.sort();
    let mut stems: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut named = Vec::new();
    for file in found {
        let stem = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .ok_or_else(|| StageError::new(format!("the name of {} is not UTF-8", file.display())))?
            .to_owned();
        if let Some(other) = stems.insert(stem.clone(), file.clone()) {
            return Err(StageError::new(format!("{} and {} have one stem", other.display(), file.display()))
                .help("rename one of them: the stem names what is in it"));
        }
        named.push((stem, file));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).expect("written");
        }
        folder
    }

    #[test]
    fn a_folder_is_read_in_name_order_with_stems_as_sources() {
        let folder = folder(&[
            ("b.txt", b"un\r\n\r\ndeux"),
            ("a.txt", "\u{feff}é\n".as_bytes()),
            ("x.md", b"no"),
            (".h.txt", b"no"),
        ]);
        let text = Text::load(folder.path()).expect("loaded");
        let lines: Vec<_> =
            text.lines.iter().map(|l| (l.source.as_str(), l.number, l.text.as_str())).collect();
        assert_eq!(lines, [("a", 1, "é"), ("b", 1, "un"), ("b", 2, ""), ("b", 3, "deux")]);
        let one = Text::load(&folder.path().join("b.txt")).expect("one file");
        assert_eq!(one.lines, text.lines[1..]);
    }

    #[test]
    fn text_survives_the_disk() {
        let home = folder(&[]);
        let line =
            |source: &str, number, text: &str| Line { source: source.into(), number, text: text.into() };
        let text = Text { lines: vec![line("a", 1, "x"), line("a", 2, ""), line("b", 1, "é")] };
        text.save(&home.path().join("text")).expect("saved");
        assert_eq!(Text::load(&home.path().join("text")).expect("loaded"), text);
        let slash = Text { lines: vec![line("../a", 1, "x")] };
        assert!(slash.save(&home.path().join("other")).is_err());
    }

    #[test]
    fn unreadable_text_is_refused_by_file_and_line() {
        let folder =
            folder(&[("a.txt", b"un\ndeux \xe9t\xe9\n"), ("b.txt", b"\xff\xfea\0"), ("c.txt", b" \n\n")]);
        let error = |name: &str| Text::load(&folder.path().join(name)).expect_err(name).to_string();
        assert!(error("a.txt").ends_with("a.txt:2: not UTF-8"), "{}", error("a.txt"));
        assert!(error("b.txt").ends_with("b.txt: not UTF-8"), "{}", error("b.txt"));
        let help = |name: &str| {
            let error = Text::load(&folder.path().join(name)).expect_err(name);
            error.advice().expect("a way out").to_owned()
        };
        assert!(help("a.txt").contains("iconv -f WINDOWS-1252"), "{}", help("a.txt"));
        assert!(help("b.txt").contains("iconv -f UTF-16"), "{}", help("b.txt"));
        assert!(error("c.txt").contains("no text in"));
        fs::write(folder.path().join("p.txt"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
            .expect("written");
        assert!(
            error("p.txt").ends_with("is a Git LFS pointer and not the file itself"),
            "{}",
            error("p.txt")
        );
        fs::write(
            folder.path().join("w.txt"),
            "en UTF-16".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        )
        .expect("written");
        assert!(
            error("w.txt").ends_with("not UTF-8") && help("w.txt").contains("UTF-16LE"),
            "{}",
            help("w.txt")
        );
        assert!(error("absent.txt").contains("cannot read"));
        let empty = tempfile::tempdir().expect("a folder");
        assert!(Text::load(empty.path()).expect_err("empty").to_string().contains("no .txt file"));
    }
}
