//! The real stages, in a copy that is really edited.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    code::{Parts, code},
    tree::{changed, set},
};

struct Copy {
    dir: TempDir,
    before: BTreeMap<String, Parts>,
}

impl Copy {
    fn new() -> Self {
        let mut copy = Self { dir: tempfile::tempdir().expect("a folder"), before: BTreeMap::new() };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let entries =
            walkdir::WalkDir::new(root.join("stages")).into_iter().map(|entry| entry.expect("readable"));
        let configs =
            walkdir::WalkDir::new(root.join("configs")).into_iter().map(|entry| entry.expect("readable"));
        let files = entries.chain(configs).filter(|entry| entry.file_type().is_file());
        let files = files.map(walkdir::DirEntry::into_path);
        for file in files.chain(["Cargo.toml", "Cargo.lock", "pipeline.toml"].map(|name| root.join(name))) {
            let to = copy.path(&file.strip_prefix(root).expect("is below").display().to_string());
            fs::create_dir_all(to.parent().expect("has one")).expect("creates");
            fs::copy(&file, to).expect("copies");
        }
        copy.before = copy.code();
        copy
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn code(&self) -> BTreeMap<String, Parts> {
        let variable = |_: &str| Some("fixed".to_owned());
        code(&self.path("stages"), self.dir.path(), &variable).expect("is readable").stages
    }

    /// Stages that a change makes stale.
    fn edit(&self, path: &str, edit: impl Fn(&str) -> String) -> BTreeSet<String> {
        let old = fs::read_to_string(self.path(path)).expect("is there");
        let new = edit(&old);
        assert_ne!(old, new, "{path} is edited");
        fs::write(self.path(path), new).expect("writes");
        let found = changed(&self.before, &self.code());
        fs::write(self.path(path), old).expect("writes");
        found
    }

    /// Stages that have this part.
    fn users(&self, part: &str) -> BTreeSet<String> {
        let users = self.before.iter();
        let users = users.filter(|(stage, parts)| !stage.is_empty() && parts.contains_key(part));
        users.map(|(stage, _)| stage.clone()).collect()
    }
}

const ALL: [&str; 12] = [
    "annotate", "augment", "distill", "evaluate", "export", "finetune", "generate", "mix", "profile",
    "prune", "split", "teach",
];
const WITH_A_MODEL: [&str; 8] =
    ["annotate", "distill", "evaluate", "export", "finetune", "profile", "prune", "teach"];
/// Those that train, prune between its cuts.
const TRAINING: [&str; 4] = ["distill", "finetune", "prune", "teach"];
/// Those that score or time.
const MEASURING: [&str; 7] = ["distill", "evaluate", "export", "finetune", "profile", "prune", "teach"];

#[test]
fn every_stage_of_the_registry_has_its_code() {
    let copy = Copy::new();
    let lib = fs::read_to_string(copy.path("stages/lib.rs")).expect("is there");
    let lines = lib.lines().filter_map(|line| line.trim().strip_prefix(".stage::<")?.split("::").next());
    let registered: BTreeSet<String> = lines.map(str::to_owned).collect();
    assert_eq!(registered, set(&ALL));
    let named: BTreeSet<String> = copy.before.keys().filter(|stage| !stage.is_empty()).cloned().collect();
    assert_eq!(named, registered);
}

#[test]
fn a_stage_reaches_what_it_uses_and_nothing_else() {
    let code = Copy::new().before;
    let has = |stage: &str, part: &str| code[stage].contains_key(part);
    for stage in ["split", "generate", "augment", "mix"] {
        for part in ["crate burn", "ml/encoder/model.rs", "ml/distillation/losses.rs", "kernels/adamw.rs"] {
            assert!(!has(stage, part), "{stage} needs no {part}");
        }
        assert!(has(stage, "ml/text/words.rs"), "{stage} needs words");
    }
    for part in ["ml/train/trainer.rs", "ml/distillation/losses.rs", "prune/surgery.rs"] {
        assert!(!has("annotate", part), "annotate needs no {part}");
        assert!(!has("evaluate", part), "evaluate needs no {part}");
    }
    for part in
        ["evaluate/report.rs", "ml/measure/scores.rs", "ml/encoder/model.rs", "kernels/int8.rs", "crate burn"]
    {
        assert!(has("evaluate", part), "evaluate needs {part}");
    }
    for part in
        ["generate/tables/women.txt", "generate/frames/clinical.txt", "generate/french.rs", "crate fake"]
    {
        assert!(has("generate", part), "generate needs {part}");
    }
    for stage in ALL {
        assert!(has(stage, "contract/context.rs"), "what it agreed on");
        let own = |part: &str| part.split(['/', '.']).next().unwrap_or_default().to_owned();
        let others =
            code[stage].keys().filter(|part| ALL.contains(&own(part).as_str()) && own(part) != stage);
        assert_eq!(others.count(), 0, "no stage has another's code");
        let tests = code[stage].keys().filter(|part| part.contains("test"));
        assert_eq!(tests.collect::<Vec<_>>(), Vec::<&String>::new(), "no test is code");
    }
}

#[test]
fn a_comment_or_a_test_leaves_every_stage_fresh() {
    let copy = Copy::new();
    for path in
        ["stages/evaluate.rs", "stages/ml/encoder/crf.rs", "stages/contract/context.rs", "stages/lib.rs"]
    {
        let comments = |old: &str| old.replace("\n\n", "\n\n// A comment.\n\n").replace("//! ", "//! More: ");
        assert_eq!(copy.edit(path, comments), set(&[]), "{path}");
    }
    let tests =
        |old: &str| format!("{old}\n#[cfg(test)]\nmod more {{\n    #[test]\n    fn it_is() {{}}\n}}\n");
    assert_eq!(copy.edit("stages/ml/encoder/crf.rs", tests), set(&[]));
}

/// What an edit of each file makes stale.
#[test]
fn a_change_makes_exactly_its_users_stale() {
    const EDITS: [(&str, &[&str]); 32] = [
        // A stage's own files.
        ("evaluate.rs", &["evaluate"]),
        ("evaluate/table.rs", &["evaluate"]),
        ("split/cluster.rs", &["split"]),
        ("prune/surgery.rs", &["prune"]),
        ("teach/vocabulary.rs", &["teach"]),
        ("generate/french.rs", &["generate"]),
        // Packages, from the top down.
        ("ml/distillation/losses/relation.rs", &TRAINING),
        ("ml/distillation/student.rs", &TRAINING),
        ("ml/train/optimizer.rs", &TRAINING),
        ("ml/export/onnx/graph.rs", &["export"]),
        ("ml/measure/bootstrap.rs", &MEASURING),
        ("ml/encoder/crf.rs", &WITH_A_MODEL),
        ("ml/encoder/arch/bert.rs", &WITH_A_MODEL),
        ("kernels/adamw.rs", &WITH_A_MODEL),
        ("kernels/int8.rs", &WITH_A_MODEL),
        ("ml/text/labels.rs", &ALL),
        ("contract/context.rs", &ALL),
        // What decides no result: tools, devices, the registry, the page, tests.
        ("predict.rs", &[]),
        ("export/tool.rs", &[]),
        ("lib.rs", &[]),
        ("ml/encoder/backend/device.rs", &[]),
        ("contract/device.rs", &[]),
        ("contract/registry.rs", &[]),
        ("contract/report.rs", &[]),
        ("evaluate/sections.rs", &[]),
        ("evaluate/sections/models.rs", &[]),
        ("ml/train/curves.rs", &[]),
        ("split/tests.rs", &[]),
        ("ml/encoder/crf/tests.rs", &[]),
        ("ml/encoder/testing.rs", &[]),
        ("ml/text/entities/html.rs", &[]),
        ("benches/encoder.rs", &[]),
    ];
    let copy = Copy::new();
    let add = |old: &str| format!("{old}\nconst ADDED: u8 = 1;\n");
    for (path, stale) in EDITS {
        assert_eq!(copy.edit(&format!("stages/{path}"), add), set(stale), "{path}");
    }
    let women = copy.edit("stages/generate/tables/women.txt", |old| format!("{old}Zoé\n"));
    assert_eq!(women, set(&["generate"]));
}

#[test]
fn a_new_stage_and_a_new_kind_of_source_leave_every_stage_fresh() {
    let copy = Copy::new();
    let stage = fs::read_to_string(copy.path("stages/split.rs")).expect("is there");
    fs::write(copy.path("stages/sift.rs"), stage).expect("writes");
    let line = ".stage::<split::Split>()";
    let both = |old: &str| {
        old.replace("pub mod split;", "pub mod sift;\npub mod split;")
            .replace(line, &format!("{line}\n        .stage::<sift::Split>()\n        .source(KIND, look)"))
    };
    let lib = fs::read_to_string(copy.path("stages/lib.rs")).expect("is there");
    fs::write(copy.path("stages/lib.rs"), both(&lib)).expect("writes");
    let mut after = copy.code();
    assert!(after.remove("sift").is_some());
    assert_eq!(changed(&copy.before, &after), set(&[]));
}

#[test]
fn a_locked_version_makes_exactly_its_users_stale() {
    let copy = Copy::new();
    let bump = |package: &str| {
        let head = format!("name = \"{package}\"\nversion = \"");
        copy.edit("Cargo.lock", |lock| lock.replacen(&head, &format!("{head}9"), 1))
    };
    assert_eq!(bump("tokenizers"), copy.users("crate tokenizers"));
    assert_eq!(bump("tokenizers"), set(&ALL), "of the package `text`");
    assert_eq!(bump("fake"), set(&["generate"]));
    assert_eq!(bump("burn-flex"), set(&WITH_A_MODEL), "deep below burn");
    assert_eq!(bump("insta"), set(&[]), "of the runner's tests");
    let features = |old: &str| old.replace("\"simd\", ", "");
    assert_eq!(copy.edit("Cargo.toml", features), set(&WITH_A_MODEL));
    let vendored = |old: &str| format!("{old}\nconst ADDED: u8 = 1;\n");
    assert_eq!(copy.edit("stages/vendor/cubecl-llvm/src/lib.rs", vendored), set(&WITH_A_MODEL));
}

#[test]
fn cargo_is_told_of_all_that_counts() {
    let copy = Copy::new();
    let read = code(&copy.path("stages"), copy.dir.path(), &|_| None).expect("is readable").read;
    for path in [
        "Cargo.lock",
        "Cargo.toml",
        "stages/Cargo.toml",
        "stages/contract/Cargo.toml",
        "stages/contract/context.rs",
        "stages/generate/tables/women.txt",
        "stages/ml/distillation/losses/crf.rs",
        "stages/vendor/cubecl-llvm",
    ] {
        assert!(read.contains(&copy.path(path)), "{path} in {read:#?}");
    }
    assert!(read.iter().all(|path| path.exists()), "Cargo would ask again and again for what is not there");
}
