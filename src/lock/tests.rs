use serde_json::json;
use tempfile::tempdir;

use super::*;

/// Of a project without a cache.
fn store() -> Store {
    Store::at(Path::new("/no such project")).expect("is not there")
}

fn locked(temperature: f64) -> Locked {
    Locked {
        key: Digest::of(b"key").to_string().parse().expect("is a key"),
        uses: "distill".into(),
        version: 1,
        code: Some("c0de".into()),
        seed: Some(42),
        inputs: [("train".to_owned(), Digest::of(b"a"))].into(),
        outputs: [("model".to_owned(), Digest::of(b"b"))].into(),
        options: BTreeMap::new(),
        metrics: [("dev.f1".to_owned(), 0.5)].into(),
        params: params(&json!({"temperature": temperature, "weights": {"ce": 1.0}, "none": null})),
    }
}

#[test]
fn what_is_recorded_is_read_back() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("pipeline.lock");
    let mut lock = Lock::read(&path).expect("a missing one is empty");
    lock.record("zulu", locked(2.5));
    lock.record("été 2", locked(3.0));
    lock.save(&store(), &["zulu", "été 2"].into(), &BTreeSet::new()).expect("writes");
    let back = Lock::read(&path).expect("is readable");
    assert_eq!(back, lock);
    assert_eq!(back.get("été 2"), Some(&locked(3.0)));
    lock.record("zulu", locked(2.5));
    lock.save(&store(), &["zulu"].into(), &BTreeSet::new()).expect("writes");
    assert_eq!(Lock::read(&path).expect("is readable").get("été 2"), None);
}

#[test]
fn two_who_record_at_once_lose_nothing_of_each_other() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("pipeline.lock");
    let known = ["a", "b", "c"].into();
    let mut locks = [(); 2].map(|()| Lock::read(&path).expect("a missing one is empty"));
    locks[0].record("a", locked(1.0));
    locks[1].record("b", locked(2.0));
    locks[1].record("c", locked(3.0));
    for lock in &mut locks {
        lock.save(&store(), &known, &BTreeSet::new()).expect("writes");
    }
    let back = Lock::read(&path).expect("is readable");
    assert_eq!(back.stages().map(|(id, _)| id).collect::<Vec<_>>(), ["a", "b", "c"]);
    fs::write(&path, "not toml").expect("writes");
    locks[0].record("a", locked(4.0));
    locks[0].save(&store(), &known, &BTreeSet::new()).expect_err("cannot be merged");
    fs::remove_file(&path).expect("is there");
    locks[0].save(&store(), &known, &BTreeSet::new()).expect("is still to be written");
    assert_eq!(Lock::read(&path).expect("is readable").get("a"), Some(&locked(4.0)));
}

#[test]
fn a_parameter_that_looks_like_a_conflict_is_none() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("pipeline.lock");
    let mut lock = Lock::read(&path).expect("a missing one is empty");
    let mut odd = locked(2.5);
    odd.params = params(&json!({"run": "cat <<EOF\n<<<<<<< HEAD\n# 00\n=======\n>>>>>>> x\nEOF\n"}));
    lock.record("odd", odd.clone());
    lock.save(&store(), &["odd"].into(), &BTreeSet::new()).expect("writes");
    assert_eq!(Lock::read(&path).expect("is readable").get("odd"), Some(&odd));
}

#[test]
fn recording_the_same_again_writes_nothing() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("pipeline.lock");
    let mut lock = Lock::read(&path).expect("a missing one is empty");
    lock.record("a", locked(2.5));
    lock.save(&store(), &["a"].into(), &BTreeSet::new()).expect("writes");
    let before = crate::fingerprint::observe(&path).expect("is there");
    lock.record("a", locked(2.5));
    lock.save(&store(), &["a"].into(), &BTreeSet::new()).expect("writes nothing");
    assert_eq!(before.moved(&path), None);
}

#[test]
fn a_lock_that_is_not_ours_says_how_to_go_on() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("pipeline.lock");
    for (text, message) in [
        ("format = 1\n<<<<<<< HEAD\n", "merge conflict"),
        ("format = 1\n=======\n>>>>>>>>> other\n", "merge conflict"),
        ("format = 9\n", "format 9"),
        ("format = 1\n[stage.a]\nkey = 3\n", "is damaged"),
        ("not toml", "is damaged"),
        ("x = 1\n", "does not say"),
    ] {
        fs::write(&path, text).expect("writes");
        let error = Lock::read(&path).expect_err(text);
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(!error.help().is_empty());
    }
}
