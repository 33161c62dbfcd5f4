use std::{
    ffi::OsStr,
    fs::{self, File, FileTimes, OpenOptions},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, PermissionsExt},
    },
    thread,
    time::Duration,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::{TempDir, tempdir};

use super::*;
use crate::fingerprint::{
    Digest, observe,
    stat::{Moment, Stat},
};

/// Long enough for every stat to settle.
fn settle() {
    thread::sleep(Duration::from_millis(30));
}

/// A folder of files with all sorts of names, and an empty cache.
struct Scene {
    dir: TempDir,
    files: Vec<PathBuf>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("cache/tmp")).expect("creates");
        let root = dir.path().join("data");
        fs::create_dir_all(root.join("sous dossier")).expect("creates");
        let names: [&[u8]; 6] = [
            b"a",
            b"with space",
            "sous dossier/\u{e9}t\u{e9}".as_bytes(),
            b"new\nline",
            b"not \xff utf-8",
            b"b",
        ];
        let files: Vec<_> = names.iter().map(|name| root.join(OsStr::from_bytes(name))).collect();
        for (n, file) in (0_u8..).zip(&files) {
            fs::write(file, [n; 8]).expect("writes");
        }
        settle();
        Self { dir, files }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// As a process does that begins now.
    fn digest(&self) -> Digest {
        let mut memo = Memo::open(&self.cache());
        memo.observe_all(vec![self.root()]);
        let digest = memo.observe(&self.root()).expect("is readable").digest;
        memo.save();
        digest
    }

    /// Puts its times back to what they were.
    fn disguise(path: &Path, before: &fs::Metadata) {
        let times = FileTimes::new()
            .set_modified(before.modified().expect("has one"))
            .set_accessed(before.accessed().expect("has one"));
        File::open(path).and_then(|file| file.set_times(times)).expect("sets times");
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("is small") % sides
    }
}

/// Changes a file so that its size and time of modification stay what they were.
fn mutate(scene: &Scene, dice: &mut Dice, n: u8) -> &'static str {
    let path = &scene.files[dice.roll(scene.files.len())];
    let other = &scene.files[dice.roll(scene.files.len())];
    let before = fs::metadata(path).expect("is there");
    let beside = scene.dir.path().join("beside");
    let (what, times) = match dice.roll(8) {
        0 => ("written anew", fs::write(path, [n; 8])),
        1 => {
            let file = OpenOptions::new().write(true).open(path).expect("opens");
            ("one byte in place", file.write_all_at(&[n], 3))
        }
        2 => {
            fs::write(&beside, [n; 8]).expect("writes");
            Scene::disguise(&beside, &before);
            ("renamed over", fs::rename(&beside, path))
        }
        3 if path != other => {
            fs::remove_file(path).expect("removes");
            ("replaced by a hard link", fs::hard_link(other, path))
        }
        4 => (
            "names exchanged",
            renameat_with(CWD, path, CWD, other, RenameFlags::EXCHANGE).map_err(Into::into),
        ),
        5 => {
            fs::remove_file(path).expect("removes");
            ("removed and made anew", fs::write(path, [n; 8]))
        }
        6 => (
            "made executable",
            fs::set_permissions(path, fs::Permissions::from_mode(0o644 ^ (before.mode() & 0o111 ^ 0o111))),
        ),
        _ => {
            fs::write(path, [n; 9]).expect("writes");
            let file = OpenOptions::new().write(true).open(path).expect("opens");
            file.write_all_at(&[n], 0).expect("writes");
            ("longer and short again", file.set_len(8))
        }
    };
    times.expect("can be changed");
    Scene::disguise(path, &before);
    what
}

#[test]
fn no_way_of_changing_a_file_leaves_its_old_digest() {
    let scene = Scene::new();
    let mut dice = Dice(7);
    for n in 0..150 {
        let what = mutate(&scene, &mut dice, n);
        let truth = observe(&scene.root()).expect("is readable").digest;
        assert_eq!(scene.digest(), truth, "{n}: {what}");
        // Mostly old enough to be trusted next time; now and then changed again at once.
        if dice.roll(4) > 0 {
            settle();
            assert_eq!(scene.digest(), truth, "{n}: {what}, a moment later");
        }
    }
}

#[test]
fn a_file_that_looks_as_before_is_not_read() {
    let scene = Scene::new();
    let truth = scene.digest();
    // A wrong record shows that it is believed.
    let mut memo = Memo::open(&scene.cache());
    memo.observe_all(vec![scene.root()]);
    let seen = memo.observe(&scene.root()).expect("is readable").files();
    let lies = seen.iter().map(|(stat, _, moment)| (*stat, Digest::of(b"a lie"), *moment));
    memo.known.digest(&Stat { inode: 0, ..seen[0].0 }, Moment::now());
    memo.known.save(lies);
    let believed = scene.digest();
    assert_ne!(believed, truth);
    assert_eq!(observe(&scene.root()).expect("is readable").digest, truth, "verification reads every byte");
    // One file changed: that one is read, the others are not.
    fs::write(&scene.files[0], "another").expect("writes");
    let files = Memo::open(&scene.cache()).observe(&scene.root()).expect("is readable").files();
    let read = files.iter().filter(|(_, digest, _)| *digest != Digest::of(b"a lie"));
    assert_eq!(read.map(|(_, digest, _)| *digest).collect::<Vec<_>>(), [Digest::of(b"another")]);
}

#[test]
fn many_processes_at_once_are_never_wrong() {
    let scene = Scene::new();
    let truth = observe(&scene.root()).expect("is readable").digest;
    thread::scope(|scope| {
        for worker in 0..8 {
            let scene = &scene;
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut memo = Memo::open(&scene.cache());
                    memo.observe_all(vec![scene.root()]);
                    assert_eq!(
                        memo.observe(&scene.files[worker % 6]).expect("is readable").shape,
                        stage_contract::Shape::File
                    );
                    assert_eq!(memo.observe(&scene.root()).expect("is readable").digest, truth);
                    memo.save();
                    if worker == 0 {
                        // As damage would have it.
                        fs::write(scene.cache().join("stats"), "half").expect("writes");
                    }
                }
            });
        }
    });
    assert_eq!(scene.digest(), truth);
}

#[test]
fn a_memo_hashes_again_only_what_moved() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("a");
    fs::write(&path, "1").expect("writes");
    let mut memo = Memo::default();
    let first = memo.observe(&path).expect("is readable").digest;
    fs::write(&path, "2").expect("writes");
    assert_eq!(memo.observe(&path).expect("is remembered").digest, first);
    memo.recheck(&path);
    assert_ne!(memo.observe(&path).expect("is readable").digest, first);
}
