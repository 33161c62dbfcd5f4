//! Sources that lie on a hub, and sources with options: of a kind made for that.

mod options;
mod world;

use std::fs;

use hub::testing::Fault;
use serde_json::{Value, json};

pub use self::world::with;
use self::world::{REPO, World, wheel};
use super::project::text;

/// Each with the name it is asked for by.
pub const TESTS: [(&str, fn()); 17] = [
    ("a_full_disk_is_told_before_the_download", a_full_disk_is_told_before_the_download),
    ("a_source_of_the_hub_is_pinned_and_asked_for_once", a_source_of_the_hub_is_pinned_and_asked_for_once),
    ("a_new_commit_is_taken_when_that_is_asked_for", a_new_commit_is_taken_when_that_is_asked_for),
    ("a_dry_run_says_what_it_would_download", a_dry_run_says_what_it_would_download),
    (
        "offline_a_clone_takes_what_the_cache_of_the_hub_has",
        offline_a_clone_takes_what_the_cache_of_the_hub_has,
    ),
    ("what_the_hub_refuses_stops_a_run_before_it_begins", what_the_hub_refuses_stops_a_run_before_it_begins),
    (
        "a_source_that_no_stage_could_use_is_refused_before_its_large_files_come",
        a_source_that_no_stage_could_use_is_refused_before_its_large_files_come,
    ),
    (
        "a_file_that_changes_under_the_pinned_commit_is_named_and_not_used",
        a_file_that_changes_under_the_pinned_commit_is_named_and_not_used,
    ),
    ("gc_takes_the_links_that_no_lock_refers_to", gc_takes_the_links_that_no_lock_refers_to),
    ("two_runs_at_once_download_once", two_runs_at_once_download_once),
    ("a_source_of_the_hub_is_verified_compared_and_kept", a_source_of_the_hub_is_verified_compared_and_kept),
    ("a_lock_in_conflict_keeps_the_commit_that_fits", a_lock_in_conflict_keeps_the_commit_that_fits),
    (
        "options_are_part_of_the_key_only_when_they_are_written",
        options::options_are_part_of_the_key_only_when_they_are_written,
    ),
    (
        "what_is_wrong_with_an_option_is_marked_where_it_is_written",
        options::what_is_wrong_with_an_option_is_marked_where_it_is_written,
    ),
    ("options_are_described_like_parameters", options::options_are_described_like_parameters),
    ("status_shows_what_a_run_would_refuse", options::status_shows_what_a_run_would_refuse),
    (
        "init_takes_a_repository_and_refuses_what_a_run_would",
        init_takes_a_repository_and_refuses_what_a_run_would,
    ),
];

fn a_source_of_the_hub_is_pinned_and_asked_for_once() {
    let world = World::new();
    let status = world.ok(&["status"]).out;
    assert!(status.contains("sources.box  owner/box@main, no commit yet; not here"), "{status}");
    assert!(world.hub.requests().is_empty(), "who only looks asks nobody");
    let ended = world.ok(&["run"]);
    assert!(ended.err.contains(&format!("owner/box@main is commit {}", world.commit)), "{}", ended.err);
    assert_eq!(world.toy()["files"], json!(["label.txt", "wheel.bin"]), "only what is needed");
    assert_eq!(world.hub.requests().len(), 4);
    let lock = world.project.read("pipeline.lock");
    for line in [
        "[source.box]",
        "hub = \"owner/box\"",
        "revision = \"main\"",
        &format!("commit = \"{}\"", world.commit),
    ] {
        assert!(lock.contains(line), "{line}: {lock}");
    }
    assert_eq!(world.outcome(&[]), "reused");
    assert!(world.hub.requests().is_empty(), "the second run makes no request");
    let status = world.ok(&["status"]).out;
    assert!(status.contains(&format!("sources.box  owner/box@main, commit {}\n", world.commit)), "{status}");
    assert!(status.contains("unpack  fresh"), "{status}");
    let status: Value =
        serde_json::from_str(&world.ok(&["status", "--format", "json"]).out).expect("is JSON");
    assert_eq!(
        status["sources"],
        json!([{ "id": "box", "hub": "owner/box@main", "commit": world.commit, "here": true }])
    );
}

fn a_new_commit_is_taken_when_that_is_asked_for() {
    let world = World::new();
    world.ok(&["run"]);
    let second = world.hub.commit(REPO, &[("label.txt", b"square"), ("wheel.bin", &wheel())]);
    world.hub.requests();
    assert_eq!(world.outcome(&[]), "reused");
    assert!(world.hub.requests().is_empty());
    let said = world.ok(&["lock", "update"]).out;
    assert!(said.contains(&format!("commit {} -> {second}", world.commit)), "{said}");
    let why = world.ok(&["why", "unpack"]).out;
    assert!(
        why.contains("sources.box may change (owner/box@main is not here: `ner-pipe run` downloads it)"),
        "{why}"
    );
    assert_eq!(world.outcome(&[]), "executed");
    let asked = world.hub.requests();
    assert!(asked.iter().all(|request| !request.second), "the wheel is the same: {asked:?}");
    assert!(world.ok(&["lock", "update", "sources.box"]).out.contains("is still commit"));
    let ended = world.with(&[], &["lock", "update", "bx"]);
    assert!(ended.code == Some(2) && ended.err.contains("write `box`"), "{}", ended.err);
    let ended = world.with(&[("HF_HUB_OFFLINE", "1")], &["lock", "update"]);
    assert!(ended.code == Some(1) && ended.err.contains("unset HF_HUB_OFFLINE"), "{}", ended.err);
    // Another revision in the file is another commit.
    world.hub.tag(REPO, "v1", &world.commit);
    world.project.replace("pipeline.toml", "hub = \"owner/box\"", "hub = \"owner/box\", revision = \"v1\"");
    let status = world.ok(&["status"]).out;
    let said =
        format!("owner/box@v1, no commit yet: the lock has owner/box@main as kind `box`, commit {second}");
    assert!(status.contains(&said) && status.contains("`ner-pipe run` asks the hub anew"), "{status}");
    let sources = world.ok(&["status", "--format", "json"]).events()[0]["sources"].clone();
    assert_eq!(sources[0]["commit"], Value::Null, "of what the file asks for there is none");
    assert_eq!(world.outcome(&[]), "reused", "its content gives what is there");
    assert!(world.project.read("pipeline.lock").contains(&format!("commit = \"{}\"", world.commit)));
}

fn a_dry_run_says_what_it_would_download() {
    let world = World::new();
    let said = world.ok(&["run", "--dry-run"]).out;
    let wanted = format!("sources.box  owner/box@main, commit {}: download 2 files, ", world.commit);
    assert!(said.contains(&wanted) && said.contains("unpack  execute"), "{said}");
    assert!(!world.project.exists("home") && !world.project.exists("cache"), "and does nothing");
    assert!(!world.project.exists("pipeline.lock"));
    let events = world.ok(&["run", "--dry-run", "--format", "json"]).events();
    assert_eq!(events[0]["event"], "download");
    assert_eq!(events[0]["bytes"], 300_005);
    world.ok(&["run"]);
    assert!(!world.ok(&["run", "--dry-run"]).out.contains("download"));
    world.project.remove("cache");
    let said = world.ok(&["run", "--dry-run"]).out;
    assert!(said.contains("take it from the hub's cache"), "{said}");
}

fn offline_a_clone_takes_what_the_cache_of_the_hub_has() {
    let world = World::new();
    let offline = [("HF_HUB_OFFLINE", "1")];
    let ended = world.with(&offline, &["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("HF_HUB_OFFLINE is set") && ended.err.contains("`path`"), "{}", ended.err);
    world.ok(&["run"]);
    let key = text(&world.ok(&["status", "--format", "json"]).events()[0]["stages"][0]["key"]);
    // What Python downloaded beside it does not count.
    let snapshot = world.home().join("hub/models--owner--box/snapshots").join(&world.commit);
    fs::write(snapshot.join("tf_wheel.h5"), "x").expect("writes");
    world.project.remove("cache");
    world.project.remove("artifacts");
    world.hub.requests();
    let ended = world.with(&offline, &["run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(world.hub.requests().is_empty());
    assert_eq!(text(&world.ok(&["status", "--format", "json"]).events()[0]["stages"][0]["key"]), key);
    // Without a lock too, and without a network.
    world.project.remove("pipeline.lock");
    let nowhere = [("HF_ENDPOINT", "http://127.0.0.1:1")];
    let ended = world.with(&nowhere, &["run"]);
    assert!(ended.code == Some(0) && ended.err.contains("is taken at commit"), "{}", ended.err);
    // A file that the hub's cache lost comes again, and one that is another is an error.
    let label = snapshot.join("label.txt");
    fs::remove_file(fs::canonicalize(&label).expect("leads there")).expect("removes");
    assert_eq!(world.outcome(&[]), "reused");
    fs::remove_file(&label).expect("removes");
    let other = world.home().join("hub/models--owner--box/blobs").join("0".repeat(40));
    fs::write(&other, "other").expect("writes");
    std::os::unix::fs::symlink(&other, &label).expect("links");
    let ended = world.with(&[], &["run"]);
    assert!(ended.code == Some(1) && ended.err.contains("no longer what it was"), "{}", ended.err);
}

fn what_the_hub_refuses_stops_a_run_before_it_begins() {
    let world = World::new();
    world.hub.gate(REPO);
    let ended = world.with(&[("HF_TOKEN", "hf_of_somebody")], &["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("sources.box") && ended.err.contains("is gated"), "{}", ended.err);
    assert!(ended.err.contains("accept the conditions at http://"), "{}", ended.err);
    assert!(!(ended.err + &ended.out).contains("hf_of_somebody"));
    world.ok(&["status"]);
    let ended = world.with(&[("HF_TOKEN", hub::testing::TOKEN)], &["run", "-vv"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!(ended.err + &ended.out).contains(hub::testing::TOKEN), "no log has the token");
    world.hub.commit(REPO, &[("label.txt", b"round")]);
    let ended = world.with(&[("HF_TOKEN", hub::testing::TOKEN)], &["lock", "update"]);
    assert!(ended.code == Some(1) && ended.err.contains("the box has no wheel.bin"), "{}", ended.err);
    assert!(world.project.read("pipeline.lock").contains(&world.commit), "and stays where it was");
    let missing = World::new();
    missing.project.replace("pipeline.toml", "owner/box", "owner/bx");
    let ended = missing.with(&[], &["run"]);
    assert!(ended.code == Some(1) && ended.err.contains("no repository `owner/bx`"), "{}", ended.err);
    missing.project.replace("pipeline.toml", "hub = \"owner/bx\"", "hub = \"owner/box\", revision = \"v7\"");
    let ended = missing.with(&[], &["run"]);
    assert!(
        ended.err.contains("no revision `v7`") && ended.err.contains("write one of `main`"),
        "{}",
        ended.err
    );
}

fn a_source_that_no_stage_could_use_is_refused_before_its_large_files_come() {
    let world = World::new();
    world.ok(&["run"]);
    let large = |world: &World| world.hub.requests().iter().any(|asked| asked.path.contains("wheel.bin"));
    assert!(large(&world));
    world.hub.commit(REPO, &[("label.txt", b"burnt"), ("wheel.bin", b"small, and still not asked for")]);
    let ended = world.with(&[], &["lock", "update"]);
    assert!(ended.code == Some(1) && ended.err.contains("sources.box cannot be used"), "{}", ended.err);
    assert!(world.project.read("pipeline.lock").contains(&world.commit), "the lock stays where it was");
    world.project.remove("pipeline.lock");
    world.project.replace("pipeline.toml", "kind", "broken = 2, kind");
    for arguments in [&["run", "--dry-run"][..], &["run"]] {
        let ended = world.with(&[], arguments);
        let said = "the label is burnt, and 2 things may be broken";
        assert!(ended.code == Some(1) && ended.err.contains(said), "{}", ended.err);
        assert!(ended.err.contains("take another box"), "{}", ended.err);
        assert!(!world.project.exists("pipeline.lock"), "what is refused is not kept");
    }
    fs::create_dir(world.project.path("new")).expect("creates");
    let ended = world.with(&[], &["-C", "new", "init", "--box", REPO]);
    assert!(ended.code == Some(2) && ended.err.contains("`--box`: the label is burnt"), "{}", ended.err);
    assert!(!large(&world));
}

fn a_file_that_changes_under_the_pinned_commit_is_named_and_not_used() {
    let world = World::new();
    world.ok(&["run"]);
    let snapshot = world.home().join("hub/models--owner--box/snapshots").join(&world.commit);
    let blob = fs::canonicalize(snapshot.join("wheel.bin")).expect("leads there");
    // The same bytes at another time are the same file.
    fs::write(&blob, wheel()).expect("writes");
    assert_eq!(world.outcome(&[]), "reused");
    fs::write(&blob, vec![b'x'; wheel().len()]).expect("writes");
    for arguments in [&["run"][..], &["run", "--dry-run"], &["status"], &["why", "unpack"]] {
        let ended = world.with(&[], arguments);
        assert!(matches!(ended.code, Some(1 | 2)), "{arguments:?} {}", ended.out);
        assert!(ended.err.contains("wheel.bin of owner/box@"), "{arguments:?} {}", ended.err);
        assert!(ended.err.contains(&format!("`rm '{}'`", blob.display())), "{arguments:?} {}", ended.err);
    }
    // A clone, whose cache knows nothing of it, sees it too.
    world.project.remove("cache");
    let ended = world.with(&[], &["run"]);
    assert!(ended.code == Some(1) && ended.err.contains("no longer what it was"), "{}", ended.err);
    fs::remove_file(&blob).expect("removes");
    assert_eq!(world.outcome(&[]), "executed");
}

fn gc_takes_the_links_that_no_lock_refers_to() {
    let world = World::new();
    world.ok(&["run"]);
    let links = || -> Vec<String> {
        let entries = fs::read_dir(world.project.path("cache/hub")).expect("is there").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let first = links();
    assert_eq!(first.len(), 2, "links, and their digest: {first:?}");
    world.ok(&["gc"]);
    assert_eq!(links().len(), 2, "the lock names their commit");
    world.hub.commit(REPO, &[("label.txt", b"square"), ("wheel.bin", &wheel())]);
    world.ok(&["lock", "update"]);
    world.ok(&["run"]);
    world.project.write("cache/hub/killed@0123456789ab-0123456789ab.new/label.txt", "of a killed run");
    world.project.write("cache/hub/gone@0123456789ab-0123456789ab.digest", "of nothing");
    assert!(world.ok(&["gc", "--dry-run"]).out.contains("links of owner--box@"));
    assert_eq!(links().len(), 6, "a dry run takes nothing");
    let said = world.ok(&["gc"]).out;
    assert!(said.contains("took 3 things away"), "{said}");
    assert!(links().len() == 2 && links().iter().all(|name| !first.contains(name)), "{:?}", links());
    world.hub.requests();
    assert_eq!(world.outcome(&[]), "reused");
    assert!(world.hub.requests().is_empty() && world.home().join("hub").is_dir(), "what is the hub's stays");
    // While another process uses the cache, which may read them, they stay.
    world.project.remove("pipeline.lock");
    let used = fs::File::open(world.project.path("cache/locks/use"))
        .or_else(|_| fs::File::create(world.project.path("cache/locks/use")));
    let used = used.expect("opens");
    rustix::fs::flock(&used, rustix::fs::FlockOperation::LockShared).expect("locks");
    world.ok(&["gc"]);
    assert_eq!(links().len(), 2);
    drop(used);
    world.ok(&["gc"]);
    assert!(links().is_empty(), "{:?}", links());
    world.ok(&["run"]);
    world.ok(&["clean", "--cache", "--yes"]);
    assert!(!world.project.exists("cache/hub"));
}

fn a_full_disk_is_told_before_the_download() {
    let world = World::new();
    let script = format!(
        "mkdir home && mount -t tmpfs -o size=128k none home && \
         HF_ENDPOINT={} NER_PIPE_UNDER_TEST=1 HF_HUB_OFFLINE=0 HF_HOME=home NO_PROXY=127.0.0.1 \"$NER_PIPE\" run 2>&1 || true",
        world.hub.endpoint()
    );
    let Some(said) = world.project.privately(&script) else { return };
    assert!(said.contains("wheel.bin needs 1 MB more, and 0 MB are free"), "{said}");
    assert!(said.contains("set HF_HUB_CACHE to a folder on another disk"), "{said}");
    assert!(world.hub.requests().iter().all(|request| request.second || !request.path.contains("/blobs/")));
}

fn two_runs_at_once_download_once() {
    let world = World::new();
    world.hub.fail("/blobs/", Fault::Slow(std::time::Duration::from_millis(500)));
    let ends: Vec<i32> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..2).map(|_| scope.spawn(|| world.with(&[], &["run"]).code.expect("ends"))).collect();
        runs.into_iter().map(|run| run.join().expect("ends")).collect()
    });
    assert_eq!(ends, [0, 0]);
    assert_eq!(world.hub.requests().iter().filter(|request| request.second).count(), 1);
    assert_eq!(world.outcome(&[]), "reused");
}

fn a_source_of_the_hub_is_verified_compared_and_kept() {
    let world = World::new();
    world.ok(&["run"]);
    let key =
        |world: &World| text(&world.ok(&["status", "--format", "json"]).events()[0]["stages"][0]["key"]);
    let before = key(&world);
    world.ok(&["verify"]);
    assert!(world.ok(&["verify", "--rerun", "unpack"]).out.contains("is the same, byte for byte"));
    world.hub.commit(REPO, &[("label.txt", b"square"), ("wheel.bin", &wheel())]);
    world.ok(&["lock", "update"]);
    world.ok(&["run"]);
    let said = world.ok(&["diff", &before, &key(&world)]).out;
    assert!(said.contains("inputs.packed"), "{said}");
    world.ok(&["gc"]);
    world.hub.requests();
    assert_eq!(world.outcome(&[]), "reused");
    world.ok(&["clean", "--cache", "--yes"]);
    assert!(world.home().join("hub/models--owner--box/blobs").is_dir(), "what is the hub's stays");
    assert_eq!(world.outcome(&[]), "executed");
    assert!(world.hub.requests().is_empty());
}

fn a_lock_in_conflict_keeps_the_commit_that_fits() {
    let world = World::new();
    world.ok(&["run"]);
    let ours = world.project.read("pipeline.lock");
    world.hub.commit(REPO, &[("label.txt", b"square"), ("wheel.bin", &wheel())]);
    world.ok(&["lock", "update"]);
    world.ok(&["run"]);
    let theirs = world.project.read("pipeline.lock");
    // Base and our side are the same: only theirs moved.
    let conflict = format!("<<<<<<< a\n{ours}||||||| base\n{ours}=======\n{theirs}>>>>>>> b\n");
    world.project.write("pipeline.lock", &conflict);
    world.ok(&["lock", "resolve"]);
    assert_eq!(world.project.read("pipeline.lock"), theirs);
    world.project.write("pipeline.lock", &format!("<<<<<<< a\n{ours}=======\n{theirs}>>>>>>> b\n"));
    world.ok(&["lock", "resolve"]);
    assert_eq!(world.project.read("pipeline.lock"), ours, "both moved: this branch's");
    assert_eq!(world.outcome(&[]), "reused");
}

fn init_takes_a_repository_and_refuses_what_a_run_would() {
    let world = World::new();
    let fresh = |name: &str| {
        fs::create_dir(world.project.path(name)).expect("creates");
        name.to_owned()
    };
    let one = fresh("one");
    world.ok(&["-C", &one, "init", "--box", "owner/box@main"]);
    let written = world.project.read("one/pipeline.toml");
    assert!(written.contains("box = { hub = \"owner/box\", kind = \"box\" }"), "{written}");
    let asked: Vec<_> = world.hub.requests().into_iter().map(|asked| asked.path).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].starts_with("/api/") && asked[1].ends_with("label.txt"), "{asked:?}");
    world.ok(&["-C", &one, "run"]);
    let two = fresh("two");
    for (given, said) in [
        ("owner/bx", "no repository `owner/bx`"),
        ("hub:a/b/c", "is no repository of the hub"),
        ("no/such/folder", "there is no folder `no/such/folder`"),
    ] {
        let ended = world.with(&[], &["-C", &two, "init", "--box", given]);
        assert!(ended.code == Some(2) && ended.err.contains(said), "{}", ended.err);
    }
    world.project.write("data/burnt/burnt", "");
    let ended = world.with(&[], &["-C", &two, "init", "--box", "../data/burnt"]);
    assert!(ended.code == Some(2) && ended.err.contains("the box is burnt"), "{}", ended.err);
    assert_eq!(fs::read_dir(world.project.path("two")).expect("is there").count(), 0, "nothing is written");
}
