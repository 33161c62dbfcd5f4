use std::{
    os::unix::{fs::symlink, net::UnixListener},
    time::{Duration, Instant},
};

use rustix::fs::mkdirat;
use tempfile::tempdir;

use super::*;

fn fifo(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("makes");
}

#[test]
fn a_pipe_or_socket_is_refused_at_once_and_named() {
    let dir = tempdir().expect("a folder");
    let [pipe, socket] = ["pipe", "socket"].map(|name| dir.path().join(name));
    fifo(&pipe);
    let _listener = UnixListener::bind(&socket).expect("binds");
    let begun = Instant::now();
    for (path, what) in [(&*pipe, "a pipe"), (&*socket, "a socket"), (Path::new("/dev/null"), "a device")] {
        let ways: [fn(&Path) -> io::Result<File>; 3] =
            [open, open_own, |path| open_or_create(path, OFlags::APPEND)];
        for way in ways {
            let error = way(path).expect_err("is no file");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody writes to it");
}

#[test]
fn a_link_is_followed_to_a_users_file_and_never_to_one_of_ours() {
    let dir = tempdir().expect("a folder");
    let [file, link, gone] = ["file", "link", "gone"].map(|name| dir.path().join(name));
    fs::write(&file, "x").expect("writes");
    symlink("file", &link).expect("links");
    symlink("nowhere", &gone).expect("links");
    assert_eq!(read_text(&link).expect("reads"), "x");
    assert!(read_own(&link).expect_err("is a link").to_string().contains("is a link"));
    for path in [&link, &gone] {
        open_or_create(path, OFlags::empty()).expect_err("is a link");
    }
    assert!(!dir.path().join("nowhere").exists(), "nothing is made where a link leads");
}

#[test]
fn a_folder_is_removed_however_deep_and_no_link_in_it_is_followed() {
    /// More than there are file descriptors, and a path longer than the kernel takes.
    const DEPTH: usize = 4_000;
    let dir = tempdir().expect("a folder");
    let mine = dir.path().join("mine");
    fs::create_dir(&mine).expect("creates");
    fs::write(mine.join("file"), "x").expect("writes");
    let root = dir.path().join("deep");
    fs::create_dir_all(root.join("0/1/2")).expect("creates");
    fs::write(root.join("0/1/2/file"), "x").expect("writes");
    symlink(&mine, root.join("0/link")).expect("links");
    fifo(&root.join("0/1/pipe"));
    let mut at = open_folder(CWD, root.as_os_str()).expect("opens");
    for _ in 0..DEPTH {
        mkdirat(&at, "d", Mode::RWXU).expect("creates");
        at = open_folder(at.as_fd(), OsStr::new("d")).expect("opens");
    }
    symlink(&mine, root.join("d/link")).expect("links");
    remove(&root).expect("removes");
    assert!(!root.exists());
    assert_eq!(fs::read_to_string(mine.join("file")).expect("is there"), "x");
    assert_eq!(remove(&root).expect_err("is gone").kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_name_or_path_is_too_long_from_one_byte_more_than_the_disk_takes() {
    let dir = tempfile::tempdir().expect("a folder");
    let why_of = |path: &str| too_long(&dir.path().join(path));
    assert_eq!(why_of(&"é".repeat(127)), None);
    assert!(why_of(&"n".repeat(256)).is_some_and(|why| why.contains("256 bytes, where 255")));
    assert!(why_of(&format!("a/{}/b", "n".repeat(300))).is_some());
    let root = dir.path().as_os_str().len();
    let path = |bytes: usize| "a/".repeat((bytes - root) / 2) + &"b".repeat((bytes - root) % 2);
    assert_eq!(why_of(path(4096).get(..4095 - root - 1).unwrap_or_default()), None);
    assert!(
        why_of(path(4200).get(..4096 - root - 1).unwrap_or_default())
            .is_some_and(|why| why.contains("4096 bytes, where 4095"))
    );
}

#[test]
fn a_path_is_one_word_for_the_shell() {
    assert_eq!(quoted(Path::new("/a b/l'été $x")), r"'/a b/l'\''été $x'");
}
