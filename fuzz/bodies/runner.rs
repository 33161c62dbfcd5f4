//! What is done with the runner's own files: pipeline.toml, the lock, and what lies in the cache. They may come from others
//! (git, a shared cache) or be damaged. Anything may be refused, nothing may panic.

use std::{fs, path::Path};

use ner_pipe::{
    fingerprint::{Key, Manifest, Memo},
    lock::{Lock, named_in},
    pipeline::Pipeline,
    store::{Store, WaitPolicy},
    without_ml,
};

/// Does with a file all that is done with one of its kind.
type Loader = fn(&[u8]);

/// Each with the name of its seeds' folder.
pub const LOADERS: &[(&str, Loader)] = &[
    ("pipeline", pipeline),
    ("lock", lock),
    ("entry", entry),
    ("manifest", manifest),
    ("stats", stats),
    ("published", published),
];

/// The manifest of the entry whose record is read.
const MANIFEST: &[u8] = include_bytes!("../seeds/runner/manifest/command.json");

fn pipeline(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("pipeline.toml"), data).expect("written");
    if let Err(problems) = Pipeline::load(folder.path(), Path::new("pipeline.toml"), &without_ml(), &[]) {
        assert!(!problems.to_string().is_empty());
    }
}

fn lock(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipeline.lock");
    let _ = named_in(text);
    match Lock::parse(&path, text) {
        Ok(lock) => assert!(lock.stages().all(|(id, _)| lock.get(id).is_some())),
        Err(error) => assert!(!error.help().is_empty()),
    }
}

fn entry(data: &[u8]) {
    let manifest: Manifest = serde_json::from_slice(MANIFEST).expect("a manifest");
    look(&manifest.key().to_string(), MANIFEST, data);
}

/// Under its own key, so that it is not refused for that alone.
fn manifest(data: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(data) else { return };
    look(&manifest.key().to_string(), data, b"{}");
}

/// All that reads an entry.
fn look(key: &str, manifest: &[u8], record: &[u8]) {
    let root = tempfile::tempdir().expect("a folder");
    let home = root.path().join("cache/entries").join(key);
    fs::create_dir_all(&home).expect("made");
    fs::write(home.join("manifest.json"), manifest).expect("written");
    fs::write(home.join("entry.json"), record).expect("written");
    let store = Store::at(root.path()).expect("a cache");
    for entry in store.entries() {
        let _ = (entry.is_complete(), entry.log_matches(), entry.damage(), entry.bytes());
    }
    let _ = store.manifests().count();
    let _ = store.check(None);
    let key: Key = key.parse().expect("a key");
    let policy = WaitPolicy { wait: false, cancelled: &|| false, waiting: &mut || {} };
    let _ = store.lookup(&key, policy);
}

fn stats(data: &[u8]) {
    let root = tempfile::tempdir().expect("a folder");
    let (cache, file) = (root.path().join("cache"), root.path().join("a"));
    fs::create_dir(&cache).expect("made");
    fs::write(cache.join("stats"), data).expect("written");
    fs::write(&file, "a").expect("written");
    let mut memo = Memo::open(&cache);
    let digest = memo.observe(&file).expect("it is there").digest;
    assert_eq!(
        digest,
        Memo::default().observe(&file).expect("it is there").digest,
        "what is saved is not believed blindly"
    );
    memo.save();
}

fn published(data: &[u8]) {
    let root = tempfile::tempdir().expect("a folder");
    for folder in ["published", "locked"] {
        let folder = root.path().join("cache").join(folder);
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("a"), data).expect("written");
    }
    let store = Store::at(root.path()).expect("a cache");
    let _ = (store.publish_records().count(), store.gc_roots().count(), store.known_locks(root.path()));
}
