//! Two machines' caches and a remote store between them.

use super::*;

/// A remote store that is a folder of entries.
#[derive(Debug)]
struct Folder(PathBuf);

impl Remote for Folder {
    fn existing(&self, keys: &[Key]) -> Result<BTreeSet<Key>, StageError> {
        Ok(keys.iter().filter(|key| self.0.join(key.to_string()).is_dir()).copied().collect())
    }

    fn fetch(&self, key: &Key, folder: &Path) -> Result<bool, StageError> {
        let entry = self.0.join(key.to_string());
        if !entry.is_dir() {
            return Ok(false);
        }
        remove(folder)?;
        copy_tree(&entry, folder).map(|()| true)
    }

    fn push(&self, key: &Key, folder: &Path) -> Result<(), StageError> {
        copy_tree(folder, &self.0.join(key.to_string()))
    }
}

/// One that cannot be reached.
#[derive(Debug)]
struct Unreachable;

impl Remote for Unreachable {
    fn existing(&self, _keys: &[Key]) -> Result<BTreeSet<Key>, StageError> {
        Err(StageError::new("no network"))
    }

    fn fetch(&self, _key: &Key, folder: &Path) -> Result<bool, StageError> {
        fs::write(folder.join("entry.json"), "{").expect("writes");
        Err(StageError::new("no network"))
    }

    fn push(&self, _key: &Key, _folder: &Path) -> Result<(), StageError> {
        Err(StageError::new("no network"))
    }
}

fn machine(remote: impl Remote + 'static) -> (TempDir, Store) {
    let (dir, store) = store();
    (dir, store.with_remote(Arc::new(remote)))
}

fn is_clean(store: &Store) -> bool {
    fs::read_dir(store.root().join("tmp")).expect("is there").next().is_none()
}

#[test]
fn what_one_machine_commits_another_one_takes() {
    let shared = tempdir().expect("a folder");
    let key = manifest().key();
    let (_here, here) = machine(Folder(shared.path().to_owned()));
    let made = commit(miss(&here, &key), "ok");
    let (_there, there) = machine(Folder(shared.path().to_owned()));
    assert!(there.peek(&key).is_none());
    let Lookup::Hit(taken) = lookup(&there, &key).expect("is free") else { panic!("a miss") };
    assert_eq!(taken.record, made.record);
    assert_eq!(taken.damage(), None);
    assert!(there.peek(&key).is_some() && is_clean(&there), "it is an entry like any other");
    assert!(!there.is_held(&key));
}

#[test]
fn what_is_not_what_was_recorded_is_not_taken() {
    let shared = tempdir().expect("a folder");
    let key = manifest().key();
    let (_here, here) = machine(Folder(shared.path().to_owned()));
    drop(commit(miss(&here, &key), "ok"));
    let entry = shared.path().join(key.to_string());
    let (_there, there) = machine(Folder(shared.path().to_owned()));
    for file in ["out/out/été.txt", "log.txt", "entry.json", "manifest.json"] {
        let before = fs::read(entry.join(file)).expect("reads");
        fs::write(entry.join(file), "no").expect("writes");
        drop(miss(&there, &key));
        assert!(there.peek(&key).is_none() && is_clean(&there), "{file}");
        fs::write(entry.join(file), before).expect("writes");
    }
    let other = Key::from_str_of("another");
    fs::rename(&entry, shared.path().join(other.to_string())).expect("renames");
    drop(miss(&there, &other));
    assert!(there.peek(&other).is_none(), "it belongs to another key");
}

#[test]
fn a_remote_store_out_of_reach_stops_nothing() {
    let key = manifest().key();
    let (_dir, store) = machine(Unreachable);
    let slot = miss(&store, &key);
    assert_eq!(fs::read_dir(slot.scratch("")).expect("is there").count(), 1, "only `out` is in the slot");
    drop(commit(slot, "ok"));
    assert!(matches!(lookup(&store, &key), Ok(Lookup::Hit(_))));
}
