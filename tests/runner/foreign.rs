//! What nobody but its owner made is there at the end, byte for byte, whatever is done with the project: files, folders,
//! links and pipes, in the project and around it, in places and under names that ner-pipe uses itself.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::project::{Project, TWO, cached};

/// Numbers that are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % end as u64).expect("is below")
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Where strangers lie: beside outputs, among what ner-pipe writes, and where it looks for leftovers.
const FOLDERS: [&str; 19] = [
    "",
    "out",
    "out/deep",
    "data",
    "artifacts",
    "artifacts/sort",
    "around",
    "cache",
    "cache/tmp",
    "cache/entries",
    "cache/locks",
    "cache/checkpoints",
    "cache/damaged",
    "cache/failed",
    "cache/hub",
    "cache/published",
    "cache/locked",
    "cache/displaced",
    "cache/staged",
];

/// Their names: some that an earlier ner-pipe staged under, some like those of what is in the cache.
const NAMES: [&str; 15] = [
    ".pipeline",
    ".sorted.txt.ner-pipe",
    ".count.txt.ner-pipe",
    ".pipeline.lock.ner-pipe",
    "..pipeline.ner-pipe",
    ".version.ner-pipe",
    ".ner-pipe-mine",
    ".ner-pipe-0123456789abcdef",
    "stats.",
    "removed.mine",
    "notes.txt",
    "publish.old",
    "0123456789ab.txt",
    "été \u{1b}[31m",
    "mine.lock",
];

const COMMANDS: [&[&str]; 13] = [
    &["run"],
    &["run", "--force", "sort"],
    &["status"],
    &["gc"],
    &["gc", "--keep-age", "0s", "--keep-size", "1B"],
    &["gc", "--displaced"],
    &["clean"],
    &["clean", "--cache", "--yes"],
    &["verify", "--set-aside"],
    &["report"],
    &["log", "sort"],
    &["lock", "resolve"],
    &["accept", "--all"],
];

/// What a stranger's is: bytes of a file, or where a link leads.
#[derive(Debug, PartialEq, Eq)]
enum Thing {
    File(Vec<u8>),
    Link(PathBuf),
    Other,
}

fn thing(path: &Path) -> Option<Thing> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some(match meta.file_type() {
        kind if kind.is_symlink() => Thing::Link(fs::read_link(path).expect("is a link")),
        kind if kind.is_file() => Thing::File(fs::read(path).expect("is readable")),
        _ => Thing::Other,
    })
}

/// Puts some there, and says what.
fn strangers(project: &Project, dice: &mut Dice) -> BTreeMap<PathBuf, Thing> {
    let mut put = BTreeMap::new();
    for n in 0..12 {
        let folder = project.path(dice.of(&FOLDERS));
        // A link in the place of a folder of ours is somebody else's too, and not gone through.
        if fs::symlink_metadata(&folder).is_ok_and(|meta| !meta.is_dir()) {
            continue;
        }
        fs::create_dir_all(&folder).expect("creates");
        let name = dice.of(&NAMES);
        let path = folder.join(name);
        // In the cache that is the name of a file of ours.
        let ours = name == ".ner-pipe-0123456789abcdef" && folder.starts_with(project.path("cache"));
        if ours || fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        match dice.below(5) {
            0 => symlink(project.path("around"), &path).expect("links"),
            1 => symlink("nowhere", &path).expect("links"),
            2 => {
                fs::create_dir(&path).expect("creates");
                fs::write(path.join("within"), format!("within {n}")).expect("writes");
                put.insert(path.join("within"), thing(&path.join("within")).expect("is there"));
            }
            _ => fs::write(&path, format!("mine {n}")).expect("writes"),
        }
        put.insert(path.clone(), thing(&path).expect("is there"));
    }
    put
}

#[test]
fn whatever_is_done_all_that_strangers_made_stays_byte_for_byte() {
    for seed in 0..24 {
        let (project, mut dice) = (Project::new(TWO), Dice(seed));
        project.write("around/precious", "precious");
        let mut all = BTreeMap::from([(project.path("around/precious"), Thing::File(b"precious".into()))]);
        let mut said = vec![format!("seed {seed}")];
        // Before there is anything, and while there is.
        for turn in 0..8 {
            if turn % 3 == 0 {
                all.extend(strangers(&project, &mut dice));
            }
            if dice.below(4) == 0 {
                project.write("data/in.txt", &format!("{}\n", dice.below(3)));
            }
            let arguments = dice.of(&COMMANDS);
            let ended = project.ner_pipe(arguments);
            said.push(format!("{arguments:?}: {:?}\n{}", ended.code, ended.err));
            assert!(ended.code.is_some_and(|code| code < 100), "{}", said.join("\n"));
            for (path, thing_before) in &all {
                assert_eq!(
                    thing(path).as_ref(),
                    Some(thing_before),
                    "{}\n{}",
                    path.display(),
                    said.join("\n")
                );
            }
        }
    }
}

#[test]
fn a_link_in_the_place_of_a_folder_of_the_cache_is_refused_and_what_it_leads_to_stays() {
    for folder in [
        "tmp",
        "entries",
        "locks",
        "checkpoints",
        "failed",
        "damaged",
        "displaced",
        "published",
        "hub",
        "staged",
    ] {
        for before in [false, true] {
            let project = Project::new(TWO);
            if before {
                project.ok(&["run"]);
            }
            project.write("around/precious", "precious");
            fs::create_dir_all(project.path("cache")).expect("creates");
            let place = project.path("cache").join(folder);
            if place.exists() {
                fs::remove_dir_all(&place).expect("removes");
            }
            symlink(project.path("around"), &place).expect("links");
            for arguments in COMMANDS {
                let ended = project.ner_pipe(arguments);
                assert_eq!(project.read("around/precious"), "precious", "{folder} {arguments:?}");
                assert_eq!(
                    fs::read_dir(project.path("around")).expect("is there").count(),
                    1,
                    "{arguments:?}"
                );
                if arguments != ["lock", "resolve"] {
                    let what = format!("cache/{folder} is a link");
                    assert!(
                        ended.code == Some(1) && ended.err.contains(&what),
                        "{arguments:?}: {}",
                        ended.err
                    );
                }
            }
            // As the help says.
            fs::rename(&place, project.path("another-name")).expect("renames");
            project.ok(&["run"]);
        }
    }
}

#[test]
fn a_users_file_beside_an_output_or_the_lock_is_no_leftover() {
    let project = Project::new(TWO);
    for mine in ["out/.sorted.txt.ner-pipe", ".pipeline.lock.ner-pipe", "out/.ner-pipe-mine"] {
        project.write(mine, "mine");
    }
    for _ in 0..2 {
        project.ok(&["run"]);
        for mine in ["out/.sorted.txt.ner-pipe", ".pipeline.lock.ner-pipe", "out/.ner-pipe-mine"] {
            assert_eq!(project.read(mine), "mine");
        }
        project.write("out/sorted.txt", "edited");
        project.remove("pipeline.lock");
    }
}

#[test]
fn two_outputs_of_which_one_has_a_name_like_a_leftover_are_both_placed() {
    let project = Project::new(
        &TWO.replace("out/sorted.txt\"", "out/sorted.txt\", other = \"out/.sorted.txt.ner-pipe\"")
            .replace("> {out}", "> {out}; echo other > {other}"),
    );
    for outcome in ["executed", "reused"] {
        project.expect(&[], &[("sort", outcome), ("count", outcome)]);
        assert_eq!(project.read("out/sorted.txt"), "a\nb\nc\n");
        assert_eq!(project.read("out/.sorted.txt.ner-pipe"), "other\n");
    }
    for taken in ["out/.ner-pipe-0123456789abcdef", "out/.ner-pipe-x/y"] {
        let project = Project::new(&TWO.replace("out/sorted.txt", taken));
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains("has a name that ner-pipe stages files under"), "{}", ended.err);
    }
}

#[test]
fn a_users_file_where_a_folder_of_artifacts_is_marked_is_kept() {
    let project = Project::new(TWO);
    fs::rename(project.path("pipeline.toml"), project.path("other.toml")).expect("renames");
    project.write("artifacts/other/.pipeline", "mine");
    project.write("artifacts/other/notes", "mine");
    project.ok(&["report", "--file", "other.toml"]);
    project.ok(&["run", "--file", "other.toml"]);
    assert_eq!(project.read("artifacts/other/.pipeline"), "other.toml\n");
    let kept = walkdir::WalkDir::new(project.path("cache/displaced")).into_iter().filter_map(Result::ok);
    let kept: Vec<_> = kept.filter(|entry| entry.file_type().is_file()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(kept[0].path()).expect("is text"), "mine");
}

#[test]
fn a_file_with_two_names_in_an_output_costs_no_other_file_of_it() {
    let project = Project::new(
        &TWO.replace("out/sorted.txt\"", "out/sorted/\"")
            .replace(
                "sort {data} > {out}",
                "mkdir {out}; cd {out}; echo 1 > f; ln f g; echo mine > .f.ner-pipe",
            )
            .replace("wc -l < {data}", "ls -A {data} | wc -l"),
    );
    project.ok(&["run"]);
    assert_eq!(project.read("out/sorted/.f.ner-pipe"), "mine\n");
    assert_eq!(project.read("out/count.txt").trim(), "3");
}

#[test]
fn a_file_that_turns_up_while_an_output_is_placed_is_kept() {
    // A stage's own last words: it puts a file where its output goes, as another program might at any time.
    let project = Project::new(TWO);
    project.ok(&["run"]);
    project.write("out/sorted.txt", "mine, at the last moment");
    project.write("data/in.txt", "new\n");
    project.ok(&["run"]);
    let kept = walkdir::WalkDir::new(project.path("cache/displaced")).into_iter().filter_map(Result::ok);
    let kept: Vec<_> = kept.filter(|entry| entry.file_type().is_file()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(kept[0].path()).expect("is text"), "mine, at the last moment");
}

#[test]
fn no_record_leads_out_of_its_entry() {
    for (from, to) in [
        (r#""file": "sorted.txt""#, r#""file": "../../../../../precious""#),
        (r#""file": "sorted.txt""#, r#""file": "..""#),
        (r#""file": "sorted.txt""#, r#""file": """#),
        (r#""file": "sorted.txt""#, r#""file": "/etc/hostname""#),
        (r#""out": {"#, r#""../../../..": {"#),
    ] {
        let project = Project::new(TWO);
        project.write("precious", "a\nb\nc\n");
        project.ok(&["run"]);
        let file = cached(&project, "a\nb\nc\n");
        let entry = file.ancestors().nth(3).expect("is an entry").join("entry.json");
        let text = fs::read_to_string(&entry).expect("is text");
        assert!(text.contains(from), "{text}");
        // As before there were seals: nothing but the paths is wrong with it.
        let mut fields: serde_json::Value = serde_json::from_str(&text.replace(from, to)).expect("is JSON");
        let fields = fields.as_object_mut().expect("is an object");
        fields.remove("seal");
        fields.remove("log");
        fs::write(&entry, serde_json::to_vec(fields).expect("is JSON")).expect("writes");
        let verified = project.ner_pipe(&["verify"]);
        assert_eq!(verified.code, Some(5), "{to}: {}{}", verified.out, verified.err);
        assert!(verified.out.contains("is no name of a file"), "{to}: {}", verified.out);
        project.remove("out");
        project.expect(&[], &[("sort", "executed"), ("count", "restored")]);
        assert_eq!(project.read("precious"), "a\nb\nc\n");
    }
}

#[test]
fn no_record_of_what_was_published_has_a_file_outside_of_the_project_removed() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let name = project.path("").file_name().expect("has one").to_owned();
    let outside = project.path("..").join(format!("{}.precious", name.display()));
    fs::write(&outside, "a\nb\nc\n").expect("writes");
    let climbing = format!("../{}", outside.file_name().expect("has one").display());
    for file in fs::read_dir(project.path("cache/published")).expect("is there") {
        let file = file.expect("is readable").path();
        let text = fs::read_to_string(&file).expect("is text");
        fs::write(&file, text.replace("out/sorted.txt", &climbing)).expect("writes");
    }
    project.replace("pipeline.toml", "out/sorted.txt", "elsewhere/sorted.txt");
    project.ok(&["clean"]);
    let there = fs::read(&outside);
    fs::remove_file(&outside).expect("is there");
    assert_eq!(there.expect("is there"), b"a\nb\nc\n");
}
