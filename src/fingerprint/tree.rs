//! The digest of a file or folder, and whether it has changed since.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use stage_contract::Shape;

use super::{
    Digest,
    found::{Found, Unreadable},
    stat::{Moment, Stat},
};

/// A file or folder as it was at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Of a file its content's hash; of a folder a Merkle hash over sorted names.
    pub digest: Digest,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Whether it is a file or a folder.
    pub shape: Shape,
    found: Arc<Found>,
    /// Just before it was read.
    moment: Moment,
    /// Files whose times are older have their digests proven by them from now on.
    proven: Moment,
}

/// Hashes the content of a file or folder, every byte of it. Symlinks are followed; one in a folder that leads to
/// nothing counts as nothing.
///
/// # Errors
/// When it is missing, unreadable, loops, or is neither file nor folder.
pub fn observe(path: &Path) -> Result<Observed, Unreadable> {
    observe_with(path, false, &|_, _| None)
}

/// As [`observe`], but does not read a file whose digest is `known` from its stat.
///
/// A write through a memory map gives the file a new time only if it is the first one to its page since the
/// kernel wrote that back to the disk. `flush` forces write-back before reading, so that later writes show.
pub(super) fn observe_with(
    path: &Path,
    flush: bool,
    known: &(impl Fn(&Stat, Moment) -> Option<Digest> + Sync),
) -> Result<Observed, Unreadable> {
    let moment = Moment::now();
    let mut found = Found::walk(path)?;
    if flush {
        let young = |stat: &Stat| !stat.is_settled(moment.long_before());
        found.flush(path, &|stat| young(stat) && known(stat, moment).is_none());
    }
    let proven = if flush { moment } else { moment.long_before() };
    let digest = found.read(path, &|stat| known(stat, proven))?;
    let shape = if found.first().is_folder() { Shape::Folder } else { Shape::File };
    Ok(Observed { digest, bytes: found.bytes(), shape, found: Arc::new(found), moment, proven })
}

impl Observed {
    /// What has changed since, if anything: a path inside it, or itself.
    #[must_use]
    pub fn moved(&self, path: &Path) -> Option<PathBuf> {
        let Ok(now) = Found::walk(path) else { return Some(path.to_owned()) };
        self.found.difference(&now, path).or_else(|| self.found.altered(path, self.moment))
    }

    /// As [`Observed::moved`], but compares contents where only times and modes differ, as `touch`, `chmod`
    /// and `ln` leave them: for when it is known that nothing was written ([`super::Writes`]).
    #[must_use]
    pub fn edited(&self, path: &Path) -> Option<PathBuf> {
        let Ok(now) = Found::walk(path) else { return Some(path.to_owned()) };
        self.found.edit(&now, path, self.moment)
    }

    /// The paths to watch for writes to any of it: all its folders, or itself.
    pub(super) fn watch_paths(&self, path: &Path) -> Vec<PathBuf> {
        self.found.watched(path)
    }

    /// The stat and digest of every file in it, and the moment before which its times prove the digest.
    pub(super) fn files(&self) -> Vec<(Stat, Digest, Moment)> {
        let files = self.found.files();
        files.filter_map(|file| file.digest.map(|digest| (file.stat, digest, self.proven))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use tempfile::tempdir;

    use super::*;

    fn digest(path: &Path) -> Digest {
        observe(path).expect("is readable").digest
    }

    #[test]
    fn a_folder_is_its_names_contents_and_execute_bits() {
        let dir = tempdir().expect("a folder");
        let root = dir.path().join("données de test");
        fs::create_dir_all(root.join("b")).expect("creates");
        fs::write(root.join("a"), "1").expect("writes");
        fs::write(root.join("b/c"), "2").expect("writes");
        let first = digest(&root);
        fs::write(root.join("a"), "1").expect("writes");
        assert_eq!(digest(&root), first, "writing the same bytes changes nothing");
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o755)).expect("chmod");
        let executable = digest(&root);
        assert_ne!(executable, first);
        fs::rename(root.join("a"), root.join("d")).expect("renames");
        assert_ne!(digest(&root), executable);
        fs::create_dir(root.join("empty")).expect("creates");
        assert_ne!(digest(&root), executable);
    }

    #[test]
    fn large_and_small_files_hash_alike() {
        let dir = tempdir().expect("a folder");
        let path = dir.path().join("large");
        let content = vec![7_u8; 1 << 20];
        fs::write(&path, &content).expect("writes");
        assert_eq!(digest(&path), Digest::of(&content));
        for length in [128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 256 * 1024 + 1, 700_001, 3 << 18] {
            let content: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[1]).collect();
            fs::write(&path, &content).expect("writes");
            assert_eq!(digest(&path), Digest::of(&content), "{length}");
        }
        fs::write(&path, b"").expect("writes");
        assert_eq!(digest(&path), Digest::of(b""));
    }

    #[test]
    fn a_link_counts_as_what_it_leads_to_and_a_loop_is_named() {
        let dir = tempdir().expect("a folder");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("creates");
        fs::write(dir.path().join("elsewhere"), "x").expect("writes");
        symlink(dir.path().join("elsewhere"), root.join("link")).expect("links");
        let linked = digest(&root);
        fs::remove_file(root.join("link")).expect("removes");
        fs::write(root.join("link"), "x").expect("writes");
        assert_eq!(digest(&root), linked);
        symlink(&root, root.join("again")).expect("links");
        assert!(matches!(observe(&root), Err(Unreadable::Loop(_))));
        fs::remove_file(root.join("again")).expect("removes");
    }

    #[test]
    fn a_link_to_nothing_counts_as_nothing_until_its_target_is_there() {
        let dir = tempdir().expect("a folder");
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("sub")).expect("creates");
        fs::write(root.join("a"), "x").expect("writes");
        let without = digest(&root);
        symlink("../nowhere", root.join("sub/broken")).expect("links");
        let seen = observe(&root).expect("is readable");
        assert_eq!(seen.digest, without);
        fs::write(root.join("nowhere"), "y").expect("writes");
        assert!(seen.moved(&root).is_some());
        assert_ne!(digest(&root), without);
        symlink("nowhere", dir.path().join("itself")).expect("links");
        assert!(matches!(observe(&dir.path().join("itself")), Err(Unreadable::Missing(_))), "no folder's");
    }

    #[test]
    fn a_write_of_the_same_size_is_noticed_at_once_and_the_file_named() {
        let dir = tempdir().expect("a folder");
        fs::write(dir.path().join("a"), "1").expect("writes");
        fs::write(dir.path().join("b"), "1").expect("writes");
        let before = observe(dir.path()).expect("is readable");
        assert_eq!(before.moved(dir.path()), None);
        fs::write(dir.path().join("b"), "2").expect("writes");
        assert!(before.moved(dir.path()).is_some());
        fs::remove_file(dir.path().join("a")).expect("removes");
        assert!(before.moved(dir.path()).is_some());
    }

    #[test]
    fn new_times_and_modes_are_no_edit_but_what_a_key_counts_is() {
        let dir = tempdir().expect("a folder");
        let path = dir.path().join("a");
        fs::write(&path, "1").expect("writes");
        let (file, folder) =
            (observe(&path).expect("is readable"), observe(dir.path()).expect("is readable"));
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        mode(0o640);
        assert!(file.moved(&path).is_some());
        assert_eq!((file.edited(&path), folder.edited(dir.path())), (None, None));
        mode(0o740);
        assert_eq!((file.edited(&path), folder.edited(dir.path())), (None, Some(path.clone())));
        mode(0o640);
        fs::write(&path, "2").expect("writes");
        assert_eq!((file.edited(&path), folder.edited(dir.path())), (Some(path.clone()), Some(path.clone())));
        fs::write(dir.path().join("b"), "1").expect("writes");
        fs::rename(dir.path().join("b"), &path).expect("renames");
        assert_eq!(folder.edited(dir.path()), Some(path.clone()), "another file of the same bytes");
    }
}
