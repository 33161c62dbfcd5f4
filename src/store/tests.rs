mod remote;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
};

use serde_json::json;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::fingerprint::{FORMAT as KEY_FORMAT, observe};

fn store() -> (TempDir, Store) {
    let dir = tempdir().expect("a folder");
    let store = Store::at(dir.path()).expect("is readable");
    drop(store.prepare().expect("is writable"));
    (dir, store)
}

fn manifest() -> Manifest {
    Manifest {
        format: KEY_FORMAT,
        stage: "command".into(),
        version: 1,
        code: None,
        params: json!({"run": "true"}),
        inputs: BTreeMap::new(),
        options: BTreeMap::new(),
        outputs: BTreeMap::new(),
        seed: None,
        machine: None,
    }
}

fn lookup(store: &Store, key: &Key) -> Result<Lookup, LookupError> {
    store.lookup(key, WaitPolicy { wait: false, cancelled: &|| false, waiting: &mut || {} })
}

fn quarantine(store: &Store, entry: &Entry) -> Result<Option<PathBuf>, LookupError> {
    store.quarantine(
        &entry.key(),
        Some(&entry.record),
        WaitPolicy { wait: false, cancelled: &|| false, waiting: &mut || {} },
    )
}

fn miss(store: &Store, key: &Key) -> Slot {
    match lookup(store, key).expect("is free") {
        Lookup::Miss(slot) => slot,
        Lookup::Hit(_) => panic!("a hit"),
    }
}

fn commit(slot: Slot, content: &str) -> Entry {
    let path = slot.output("out", "été.txt").expect("creates");
    std::fs::write(&path, content).expect("writes");
    make_private(&path).expect("is readable");
    let seen = observe(&path).expect("is readable");
    let part = |name: &str| PathPart::try_from(name.to_owned()).expect("is a name");
    let stored = Stored { file: part("été.txt"), digest: seen.digest, bytes: seen.bytes, folder: false };
    let record = Record {
        key: slot.key(),
        stage: "note".into(),
        outputs: [(part("out"), stored)].into(),
        metrics: BTreeMap::new(),
        measured: BTreeMap::new(),
        gates: BTreeMap::new(),
        seconds: 0.1,
        memory: None,
        device: "cpu".into(),
        threads: 1,
        finished: 0,
        made_by: "test".into(),
        code: BTreeMap::new(),
        origins: BTreeMap::new(),
        accepted_from: None,
    };
    slot.commit(&manifest(), &record, &[]).expect("commits")
}

#[test]
fn only_a_committed_slot_is_found() {
    let (_dir, store) = store();
    let key = manifest().key();
    drop(miss(&store, &key));
    assert!(store.peek(&key).is_none());
    let entry = commit(miss(&store, &key), "one");
    assert!(matches!(lookup(&store, &key), Ok(Lookup::Hit(hit)) if hit.record == entry.record));
    assert_eq!(std::fs::read_dir(store.root().join("tmp")).expect("reads").count(), 0);
    let locks = std::fs::read_dir(store.root().join("locks")).expect("reads");
    let locks = locks.map(|lock| lock.expect("is readable").file_name());
    let locks: BTreeSet<_> = locks.map(|lock| lock.into_string().expect("is text")).collect();
    assert_eq!(locks, BTreeSet::from(["publish", "use"].map(str::to_owned)), "which are no key's");
}

#[test]
fn a_key_has_one_slot_at_a_time() {
    let (_dir, store) = store();
    let key = manifest().key();
    let slot = miss(&store, &key);
    assert!(matches!(lookup(&store, &key), Err(LookupError::Busy)));
    commit(slot, "one");
    assert!(matches!(lookup(&store, &key), Ok(Lookup::Hit(_))));
}

#[test]
fn a_renewed_result_takes_the_place_of_the_old_one() {
    let (_dir, store) = store();
    let key = manifest().key();
    commit(miss(&store, &key), "one");
    let policy = WaitPolicy { wait: false, cancelled: &|| false, waiting: &mut || {} };
    let slot = store.reserve(&key, policy).expect("is free");
    let entry = commit(slot, "two");
    let stored = &entry.record.outputs["out"];
    assert_eq!(std::fs::read_to_string(entry.path("out", stored)).expect("reads"), "two");
    assert!(entry.damage().is_none());
    assert_eq!(std::fs::read_dir(store.root().join("tmp")).expect("reads").count(), 0);
}

#[test]
fn damage_is_found_and_set_aside() {
    let (_dir, store) = store();
    let key = manifest().key();
    let entry = commit(miss(&store, &key), "one");
    std::fs::write(entry.path("out", &entry.record.outputs["out"]), "two").expect("writes");
    assert!(entry.is_complete(), "the size is right");
    assert_eq!(entry.damage().as_deref(), Some("out"));
    let aside = quarantine(&store, &entry).expect("moves").expect("is there");
    assert!(aside.join("entry.json").exists());
    assert!(quarantine(&store, &entry).expect("is free").is_none(), "once");
    drop(miss(&store, &key));
}

#[test]
fn what_another_run_made_anew_is_not_set_aside() {
    let (_dir, store) = store();
    let key = manifest().key();
    let entry = commit(miss(&store, &key), "one");
    commit(
        store
            .reserve(&key, WaitPolicy { wait: false, cancelled: &|| false, waiting: &mut || {} })
            .expect("is free"),
        "two",
    );
    assert!(quarantine(&store, &entry).expect("is free").is_none());
    assert!(store.peek(&key).is_some());
}

#[test]
fn no_flipped_bit_changes_what_a_record_or_a_manifest_says() {
    let (_dir, store) = store();
    let key = manifest().key();
    let entry = commit(miss(&store, &key), "one");
    for name in ["entry.json", "manifest.json"] {
        let path = store.entry_folder(&key).join(name);
        let good = std::fs::read(&path).expect("reads");
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).expect("writes");
            assert!(store.peek(&key).is_none(), "bit {bit} of {name}");
        }
        std::fs::write(&path, &good).expect("writes");
        assert_eq!(store.peek(&key).map(|found| found.record), Some(entry.record.clone()));
    }
}

#[test]
fn a_record_with_a_flipped_digit_is_no_record() {
    let (_dir, store) = store();
    let key = manifest().key();
    commit(miss(&store, &key), "one");
    let path = store.entry_folder(&key).join("entry.json");
    let text = std::fs::read_to_string(&path).expect("reads");
    let unsealed = |text: &str| {
        let mut fields: serde_json::Value = serde_json::from_str(text).expect("is JSON");
        let fields = fields.as_object_mut().expect("is an object");
        fields.retain(|name, _| name != "seal" && name != "log");
        serde_json::to_string(fields).expect("is JSON")
    };
    for (found, content) in [
        (false, text.replace("\"seconds\": 0.1", "\"seconds\": 0.3")),
        (false, text.replace("\"seal\"", "\"sea1\"")),
        (true, unsealed(&text)),
        (false, unsealed(&text).replace("\"seconds\"", "\"sec0nds\"")),
    ] {
        std::fs::write(&path, content).expect("writes");
        assert_eq!(store.peek(&key).is_some(), found);
    }
}

#[test]
fn an_unreadable_entry_is_a_miss() {
    let (_dir, store) = store();
    let key = manifest().key();
    commit(miss(&store, &key), "one");
    std::fs::write(store.entry_folder(&key).join("entry.json"), "{").expect("writes");
    assert!(store.peek(&key).is_none());
    drop(miss(&store, &key));
    assert!(store.root().join("damaged").exists());
}

#[test]
fn what_a_dead_run_left_is_swept_and_what_a_living_one_makes_is_not() {
    let (_dir, store) = store();
    let key = manifest().key();
    let dead = store.root().join("tmp").join(format!("{}.dead", Key::from_str_of("dead")));
    std::fs::create_dir(&dead).expect("creates");
    let slot = miss(&store, &key);
    drop(store.prepare().expect("sweeps"));
    assert!(!dead.exists());
    assert!(slot.log().parent().expect("has one").exists());
}

#[test]
fn a_newer_layout_is_refused() {
    let (dir, store) = store();
    std::fs::write(store.root().join("version"), "9\n").expect("writes");
    let error = Store::at(dir.path()).expect_err("is newer");
    assert!(error.to_string().contains("format `9`"), "{error}");
}

#[test]
fn everything_in_the_cache_is_private() {
    let (_dir, store) = store();
    commit(miss(&store, &manifest().key()), "one");
    for entry in walkdir::WalkDir::new(store.root()) {
        let entry = entry.expect("is readable");
        let mode = entry.metadata().expect("is readable").permissions().mode() & 0o777;
        assert_eq!(
            mode,
            if entry.file_type().is_dir() { 0o700 } else { 0o600 },
            "{}",
            entry.path().display()
        );
    }
}

#[test]
fn links_in_a_result_become_what_they_lead_to() {
    let dir = tempdir().expect("a folder");
    let outside = dir.path().join("outside");
    std::fs::write(&outside, "x").expect("writes");
    let out = dir.path().join("out");
    std::fs::create_dir(&out).expect("creates");
    std::os::unix::fs::symlink(&outside, out.join("link")).expect("links");
    make_private(&out).expect("settles");
    std::fs::remove_file(&outside).expect("removes");
    assert_eq!(std::fs::read_to_string(out.join("link")).expect("reads"), "x");
    std::os::unix::fs::symlink(&out, out.join("circle")).expect("links");
    assert!(make_private(&out).is_err());
}

#[test]
fn links_that_lead_into_each_other_are_no_result() {
    let dir = tempdir().expect("a folder");
    let out = dir.path().join("out");
    for (folder, other) in [("a", "b"), ("b", "a")] {
        std::fs::create_dir_all(out.join(folder)).expect("creates");
        std::os::unix::fs::symlink(out.join(other), out.join(folder).join("other")).expect("links");
    }
    let error = make_private(&out).expect_err("has no end");
    assert!(error.to_string().contains("leads back to a folder above it"), "{error}");
}

impl Key {
    fn from_str_of(text: &str) -> Self {
        Digest::of(text.as_bytes()).to_string().parse().expect("is a digest")
    }
}
