//! A made-up package of stages in a temporary folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use tempfile::TempDir;

use crate::code::{Parts, code};

/// A workspace with a package of stages, and the stages `one` and `two` unless a test writes others.
pub struct Tree(TempDir);

impl Tree {
    /// With these files, by their paths below `stages/`.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        tree.write("../Cargo.toml", "[workspace]\nmembers = [\"stages\"]\n");
        tree.write("../Cargo.lock", LOCK);
        tree.write("Cargo.toml", MANIFEST);
        tree.write("lib.rs", "pub mod one;\npub mod two;\n");
        tree.write("one.rs", "struct One; impl Stage for One {}");
        tree.write("two.rs", "struct Two; impl Stage for Two {}");
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = match path.strip_prefix("../") {
            Some(path) => self.0.path().join(path),
            None => self.0.path().join("stages").join(path),
        };
        fs::create_dir_all(path.parent().expect("has one")).expect("creates");
        fs::write(path, text).expect("writes");
    }

    fn read(&self) -> Result<BTreeMap<String, Parts>, String> {
        let variable = |name: &str| (name == "CARGO_PKG_VERSION").then(|| "1.2.3".to_owned());
        code(&self.0.path().join("stages"), self.0.path(), &variable).map(|code| code.stages)
    }

    /// The code of a stage.
    pub fn parts(&self, stage: &str) -> Parts {
        self.read().expect("is readable").remove(stage).expect("is a stage")
    }

    /// Why there is none.
    pub fn refusal(&self) -> String {
        self.read().expect_err("is refused")
    }

    /// What the code of stage `one` consists of when its file says this.
    pub fn of(&self, source: &str) -> BTreeSet<String> {
        self.write("one.rs", &format!("{source}\nstruct One; impl Stage for One {{}}"));
        self.parts("one").into_keys().filter(|name| name != "one.rs").collect()
    }
}

/// What a stage consists of, in words.
pub fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Stages whose code is not the same.
pub fn changed(before: &BTreeMap<String, Parts>, after: &BTreeMap<String, Parts>) -> BTreeSet<String> {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let named = before.iter().filter(|(stage, parts)| !stage.is_empty() && after[*stage] != **parts);
    named.map(|(stage, _)| stage.clone()).collect()
}

pub const MANIFEST: &str = r#"
[package]
name = "stages"
version = "1.2.3"
[lib]
path = "lib.rs"
[dependencies]
burn = { version = "1", features = ["flex"] }
small-crate = "2"
renamed = { package = "original", version = "3" }
"#;

pub const LOCK: &str = r#"
version = 4
[[package]]
name = "stages"
version = "1.2.3"
dependencies = ["burn", "small-crate", "original"]
[[package]]
name = "burn"
version = "1.0.0"
source = "registry"
checksum = "b"
dependencies = ["deep 2.0.0"]
[[package]]
name = "deep"
version = "1.0.0"
source = "registry"
checksum = "d1"
[[package]]
name = "deep"
version = "2.0.0"
source = "registry"
checksum = "d2"
[[package]]
name = "small-crate"
version = "2.0.0"
source = "registry"
checksum = "s"
[[package]]
name = "original"
version = "3.0.0"
source = "registry"
checksum = "o"
"#;
