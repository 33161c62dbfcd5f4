//! What a user has of a hub, good and bad days.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use hub::{
    Hub, Listener, Name, Patience, Settings,
    testing::{FakeHub, Fault, TOKEN},
};
use serde_json::Value;
use stage_contract::{Invalid, Preview, StageError};
use tempfile::TempDir;

const REPO: &str = "owner/name";

#[derive(Default)]
struct Heard {
    notes: Mutex<Vec<String>>,
    bytes: Mutex<Vec<(String, u64, u64)>>,
    cancelled: AtomicBool,
}

impl Heard {
    fn said(&self) -> String {
        self.notes.lock().expect("whole").join("\n")
    }
}

impl Listener for Heard {
    fn note(&self, text: &str) {
        self.notes.lock().expect("whole").push(text.to_owned());
    }
    fn bytes(&self, file: &str, done: u64, total: u64) {
        self.bytes.lock().expect("whole").push((file.to_owned(), done, total));
    }
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

struct World {
    fake: FakeHub,
    home: TempDir,
    heard: Heard,
}

/// Weights, large enough for the second server.
fn weights() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

impl World {
    fn new() -> Self {
        let fake = FakeHub::start();
        fake.commit(
            REPO,
            &[
                ("config.json", b"{}"),
                ("model.safetensors", &weights()),
                ("tf_model.h5", b"x"),
                ("onnx/a.json", b"[]"),
            ],
        );
        Self { fake, home: tempfile::tempdir().expect("a folder"), heard: Heard::default() }
    }

    fn hub(&self, more: &[(&str, &str)]) -> Hub {
        let patience =
            Patience { attempts: 3, first: Duration::from_millis(1), longest: Duration::from_secs(2) };
        let get = |name: &str| match name {
            "HF_HOME" => Some(self.home.path().to_string_lossy().into_owned()),
            "HF_ENDPOINT" => Some(self.fake.endpoint()),
            name => more.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        Hub::new(Settings::of(&get).expect("makes sense"), patience)
    }

    fn get(&self, name: &str, more: &[(&str, &str)]) -> Result<PathBuf, StageError> {
        let name: Name = name.parse().expect("a name");
        self.hub(more).get(&name, &needed, PREVIEW, &self.heard)
    }

    fn paths(&self) -> Vec<String> {
        self.fake.requests().into_iter().map(|request| request.path).collect()
    }

    /// Where the weights come to lie.
    fn blob(&self) -> PathBuf {
        let folder = self.home.path().join("hub/models--owner--name/blobs");
        let hash = hub_hash(&weights());
        folder.join(hash)
    }
}

fn hub_hash(content: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(content).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Weights and config, as a model has them.
fn needed(files: &[String]) -> Result<Vec<String>, Invalid> {
    let wanted = ["config.json", "model.safetensors"];
    match wanted.iter().find(|wanted| files.iter().all(|file| file != *wanted)) {
        Some(lacking) => Err(Invalid::new(format!("there is no {lacking}"))),
        None => Ok(wanted.map(str::to_owned).into()),
    }
}

/// Refuses a config that is a list.
const PREVIEW: Preview = Preview { reads: |file| file == "config.json", look };

fn look(folder: &Path, _options: &Value) -> Result<(), Invalid> {
    let config = fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    if config.starts_with('[') {
        Err(Invalid::new("the config is a list").help("take another"))
    } else {
        Ok(())
    }
}

fn text(error: &StageError) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}; {}", error.advice().unwrap_or("no help"))
}

fn files(folder: &Path) -> Vec<String> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}

#[test]
fn only_what_is_needed_comes_and_a_second_time_only_the_commit_is_asked_for() {
    let world = World::new();
    let folder = world.get(REPO, &[]).expect("comes");
    assert_eq!(files(&folder), ["config.json", "model.safetensors"]);
    assert_eq!(fs::read(folder.join("model.safetensors")).expect("is there"), weights());
    assert_eq!(world.paths().len(), 4, "the listing, two files, one of them by a second server");
    let told = world.heard.bytes.lock().expect("whole").clone();
    assert!(told.len() <= 101 && told.iter().all(|(file, ..)| file == "model.safetensors"), "{told:?}");
    let last = told.last().cloned();
    assert_eq!(last, Some(("model.safetensors".to_owned(), 1_200_000, 1_200_000)));
    assert_eq!(world.get(REPO, &[]).expect("is there"), folder);
    assert_eq!(world.paths().len(), 1);
}

#[test]
fn what_is_refused_by_its_small_files_is_refused_before_the_large_ones_come() {
    let world = World::new();
    world.fake.commit(REPO, &[("config.json", b"[]"), ("model.safetensors", &weights())]);
    let error = text(&world.get(REPO, &[]).expect_err("a list"));
    assert_eq!(error, "the config is a list; take another");
    let asked = world.fake.requests();
    assert!(
        asked.iter().all(|request| !request.second && !request.path.contains("safetensors")),
        "{asked:?}"
    );
    world
        .get(REPO, &[("HF_HUB_OFFLINE", "1")])
        .expect_err("what was refused is not taken for what `main` is");
}

#[test]
fn a_glimpse_leaves_nothing_and_takes_what_is_there() {
    let world = World::new();
    let (name, hub): (Name, _) = (REPO.parse().expect("a name"), world.hub(&[]));
    let pin = hub.list(&name, &world.heard).and_then(|all| all.pin(&name, &needed)).expect("is pinned");
    hub.glimpse(&pin, PREVIEW, &Value::Null, &world.heard).expect("is right");
    assert!(files(world.home.path()).is_empty());
    hub.download(&pin, &world.heard).expect("comes");
    world.fake.requests();
    hub.glimpse(&pin, PREVIEW, &Value::Null, &world.heard).expect("is right");
    assert!(world.paths().is_empty());
}

#[test]
fn the_layout_is_pythons() {
    let world = World::new();
    let folder = world.get(REPO, &[]).expect("comes");
    let repository = world.home.path().join("hub/models--owner--name");
    let commit = fs::read_to_string(repository.join("refs/main")).expect("a reference");
    assert_eq!(folder, repository.join("snapshots").join(commit));
    let link = fs::read_link(folder.join("model.safetensors")).expect("a link");
    assert_eq!(link, Path::new("../../blobs").join(world.blob().file_name().expect("a name")));
    assert_eq!(files(&repository.join("blobs")).len(), 2, "no part is left");
}

#[test]
fn a_file_in_a_folder_keeps_its_place() {
    let world = World::new();
    let name: Name = REPO.parse().expect("a name");
    let nested = |_: &[String]| Ok(vec!["onnx/a.json".to_owned()]);
    let folder = world.hub(&[]).get(&name, &nested, PREVIEW, &world.heard).expect("comes");
    assert_eq!(fs::read(folder.join("onnx/a.json")).expect("leads there"), b"[]");
}

#[test]
fn the_token_goes_to_the_hub_and_not_to_where_it_sends_us() {
    let world = World::new();
    world.fake.gate(REPO);
    world.get(REPO, &[("HF_TOKEN", TOKEN)]).expect("comes");
    let requests = world.fake.requests();
    let told = |second| {
        let asked = requests.iter().filter(move |request| request.second == second);
        asked.map(|request| request.headers.contains_key("authorization")).collect::<Vec<_>>()
    };
    assert_eq!((told(false), told(true)), (vec![true; 3], vec![false]));
}

#[test]
fn what_is_gated_says_where_the_conditions_are() {
    let world = World::new();
    world.fake.gate(REPO);
    let error = text(&world.get(REPO, &[]).expect_err("is gated"));
    assert!(error.contains("is gated") && error.contains("set HF_TOKEN"), "{error}");
    assert!(error.contains(&format!("{}/{REPO}", world.fake.endpoint())), "{error}");
    let error = text(&world.get(REPO, &[("HF_TOKEN", "hf_other")]).expect_err("is gated"));
    assert!(error.contains("the account of your token") && !error.contains("hf_other"), "{error}");
}

#[test]
fn what_is_not_there_is_told_apart_and_near_names_are_said() {
    let world = World::new();
    let error = |name: &str| text(&world.get(name, &[]).expect_err("is not there"));
    assert!(error("other/name").contains("has no repository `other/name`"), "{}", error("other/name"));
    assert!(error("other/name").contains("did you mean `owner/name`?"));
    world.fake.data_set("other/text");
    let said = error("other/text");
    assert!(
        said.contains("`other/text` is a data set")
            && said.contains("hf download other/text --repo-type dataset"),
        "{said}"
    );
    assert!(error("owner/name@v2").contains("no revision `v2`") && error("owner/name@v2").contains("`main`"));
    world.fake.commit(REPO, &[("config.json", b"{}")]);
    assert!(error(REPO).contains("there is no model.safetensors"), "{}", error(REPO));
}

#[test]
fn a_branch_with_a_slash_is_one_name() {
    let world = World::new();
    let commit = world.fake.commit(REPO, &[("config.json", b"{}"), ("model.safetensors", b"small")]);
    world.fake.tag(REPO, "refs/pr/1", &commit);
    let folder = world.get("owner/name@refs/pr/1", &[]).expect("comes");
    assert!(folder.ends_with(&commit));
    assert_eq!(fs::read(folder.join("model.safetensors")).expect("is there"), b"small");
}

#[test]
fn too_many_requests_are_waited_for_within_a_bound() {
    let world = World::new();
    world.fake.fail("/revision/", Fault::Status(429, Some(1)));
    world.get(REPO, &[]).expect("comes after a second");
    assert!(world.heard.said().contains("waiting 1 s"), "{}", world.heard.said());
    world.fake.fail("/revision/", Fault::Status(429, Some(3600)));
    let error = text(&world.get(REPO, &[]).expect_err("an hour is too long"));
    assert!(error.contains("answers 429") && error.contains("tried once, and 3600 s more"), "{error}");
    assert!(error.contains("set HF_TOKEN"), "{error}");
    (0..3).for_each(|_| world.fake.fail("/revision/", Fault::Status(429, Some(1))));
    let error = text(&world.get(REPO, &[("HF_TOKEN", "hf_other")]).expect_err("more than two seconds"));
    assert!(error.contains("tried 3 times, waited 2 s, and 1 s more are asked for"), "{error}");
    assert!(error.contains("wait so long") && !error.contains("HF_TOKEN"), "{error}");
}

#[test]
fn a_hub_that_stumbles_is_asked_again_and_one_that_lies_down_is_not() {
    let world = World::new();
    world.fake.fail("/revision/", Fault::Status(503, None));
    world.fake.fail("/resolve/", Fault::Status(500, None));
    world.get(REPO, &[]).expect("comes");
    for status in [500, 502, 524] {
        let other = World::new();
        (0..3).for_each(|_| other.fake.fail("/revision/", Fault::Status(status, None)));
        let error = text(&other.get(REPO, &[]).expect_err("never answers"));
        assert!(error.contains(&format!("cannot answer now: it answers {status}, tried 3 times")), "{error}");
        assert!(error.contains("wait some minutes") && error.contains("HF_HUB_OFFLINE"), "{error}");
        assert_eq!(other.paths().len(), 3);
    }
}

#[test]
fn a_broken_transfer_resumes_where_it_broke() {
    let world = World::new();
    world.fake.fail("/blobs/", Fault::Break(300_000));
    world.fake.fail("/blobs/", Fault::Break(0));
    let folder = world.get(REPO, &[]).expect("comes");
    assert_eq!(fs::read(folder.join("model.safetensors")).expect("is there"), weights());
    let ranges: Vec<_> =
        world.fake.requests().iter().filter(|r| r.second).map(|r| r.headers.get("range").cloned()).collect();
    assert_eq!(ranges, [None, Some("bytes=300000-".to_owned()), Some("bytes=300000-".to_owned())]);
    assert!(world.heard.said().contains("broke off at byte 300000"), "{}", world.heard.said());
}

#[test]
fn a_transfer_that_breaks_each_time_ends_and_what_came_stays_but_is_not_taken_for_whole() {
    let world = World::new();
    world.fake.fail("/blobs/", Fault::Break(1000));
    (0..3).for_each(|_| world.fake.fail("/blobs/", Fault::Break(0)));
    let error = text(&world.get(REPO, &[]).expect_err("breaks"));
    assert!(error.contains("breaks off at byte 1000"), "{error}");
    assert!(!world.blob().exists());
    let part = world.blob().with_extension("incomplete");
    assert_eq!(fs::metadata(part).expect("stays").len(), 1000);
    world.fake.requests();
    world.get(REPO, &[]).expect("comes");
    let resumed = world.fake.requests().into_iter().find(|r| r.second).expect("was asked");
    assert_eq!(resumed.headers.get("range").map(String::as_str), Some("bytes=1000-"));
}

#[test]
fn a_server_that_knows_no_range_sends_all_of_it() {
    let world = World::new();
    world.fake.fail("/blobs/", Fault::Break(1000));
    world.fake.fail("/blobs/", Fault::Whole);
    let folder = world.get(REPO, &[]).expect("comes");
    assert_eq!(fs::read(folder.join("model.safetensors")).expect("is there"), weights());
}

#[test]
fn a_part_that_is_another_files_or_too_long_or_whole_gives_the_right_file() {
    let longer = [weights(), vec![0; 9]].concat();
    for part in [vec![7; 5000], longer, weights(), vec![7; weights().len()]] {
        let world = World::new();
        fs::create_dir_all(world.blob().parent().expect("a folder")).expect("creates");
        fs::write(world.blob().with_extension("incomplete"), &part).expect("writes");
        let folder = world.get(REPO, &[]).expect("comes");
        assert_eq!(
            fs::read(folder.join("model.safetensors")).expect("is there"),
            weights(),
            "{}",
            part.len()
        );
    }
}

#[test]
fn other_bytes_than_the_hub_lists_are_refused() {
    for path in ["/blobs/", "/config.json"] {
        let world = World::new();
        world.fake.fail(path, Fault::Garbled);
        let error = text(&world.get(REPO, &[]).expect_err("is garbled"));
        assert!(error.contains("its hash differs"), "{error}");
        let blobs = world.home.path().join("hub/models--owner--name/blobs");
        assert!(files(&blobs).iter().all(|name| !name.ends_with("incomplete")));
        world.get(REPO, &[]).expect("comes");
    }
}

#[test]
fn a_file_that_changes_under_a_pinned_commit_is_an_error() {
    let world = World::new();
    let name: Name = REPO.parse().expect("a name");
    let hub = world.hub(&[]);
    let pin =
        hub.list(&name, &world.heard).and_then(|listing| listing.pin(&name, &needed)).expect("is pinned");
    world.fake.change(REPO, &pin.commit, "config.json", b"[]");
    let error = text(&hub.download(&pin, &world.heard).expect_err("changed"));
    assert!(
        error.contains("config.json of owner/name@") && error.contains("no longer what it was"),
        "{error}"
    );
    let other = World::new();
    let folder = other.get(REPO, &[]).expect("comes");
    fs::remove_file(folder.join("config.json")).expect("removes");
    std::os::unix::fs::symlink(format!("../../blobs/{}", "0".repeat(40)), folder.join("config.json"))
        .expect("links");
    fs::write(other.home.path().join(format!("hub/models--owner--name/blobs/{}", "0".repeat(40))), "[]")
        .expect("writes");
    assert!(text(&other.hub(&[]).missing(&pin).expect_err("is another")).contains("no longer what it was"));
}

#[test]
fn a_file_of_the_cache_that_another_program_changed_is_not_used() {
    for file in ["config.json", "model.safetensors"] {
        let world = World::new();
        let folder = world.get(REPO, &[]).expect("comes");
        let blob = fs::canonicalize(folder.join(file)).expect("leads there");
        let mut content = fs::read(&blob).expect("is there");
        content[0] ^= 1;
        fs::write(&blob, content).expect("writes");
        for offline in ["0", "1"] {
            let error = text(&world.get(REPO, &[("HF_HUB_OFFLINE", offline)]).expect_err("is damaged"));
            assert!(error.contains(&format!("{file} of owner/name@")), "{error}");
            assert!(error.contains(&format!("`rm '{}'`", blob.display())), "{error}");
        }
        // Who removes only the link finds the same blob behind it.
        fs::remove_file(folder.join(file)).expect("removes");
        world.get(REPO, &[]).expect_err("is still damaged");
        fs::remove_file(&blob).expect("removes");
        world.get(REPO, &[]).expect("comes anew");
    }
}

#[test]
fn offline_what_is_there_is_taken_without_a_request() {
    let world = World::new();
    let error = text(&world.get(REPO, &[("HF_HUB_OFFLINE", "1")]).expect_err("nothing is there"));
    assert!(error.contains("HF_HUB_OFFLINE is set") && error.contains("`path`"), "{error}");
    let folder = world.get(REPO, &[]).expect("comes");
    world.fake.requests();
    assert_eq!(world.get(REPO, &[("HF_HUB_OFFLINE", "1")]).expect("is there"), folder);
    let commit = folder.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(world.get(&format!("{REPO}@{commit}"), &[("HF_HUB_OFFLINE", "1")]).expect("is there"), folder);
    assert!(world.paths().is_empty());
}

#[test]
fn without_a_network_what_is_there_is_taken_and_that_is_said() {
    let world = World::new();
    let folder = world.get(REPO, &[]).expect("comes");
    (0..3).for_each(|_| world.fake.fail("/revision/", Fault::Status(503, None)));
    assert_eq!(world.get(REPO, &[]).expect("is there"), folder);
    assert!(world.heard.said().contains("is taken at commit"), "{}", world.heard.said());
    let nowhere = Settings::of(&|name| match name {
        "HF_HOME" => Some("/nowhere".to_owned()),
        "HF_ENDPOINT" => Some("http://127.0.0.1:1".to_owned()),
        _ => None,
    });
    let patience = Patience { attempts: 2, first: Duration::from_millis(1), ..Patience::default() };
    let hub = Hub::new(nowhere.expect("makes sense"), patience);
    let error = hub.list(&REPO.parse().expect("a name"), &world.heard).expect_err("nobody is there");
    assert!(
        text(&error).contains("cannot be reached") && text(&error).contains("HTTPS_PROXY"),
        "{}",
        text(&error)
    );
}

#[test]
fn a_copied_cache_without_links_is_understood() {
    let world = World::new();
    let folder = world.get(REPO, &[]).expect("comes");
    let weights = fs::read(folder.join("model.safetensors")).expect("is there");
    fs::remove_file(folder.join("model.safetensors")).expect("removes");
    fs::write(folder.join("model.safetensors"), weights).expect("writes");
    assert_eq!(world.get(REPO, &[("HF_HUB_OFFLINE", "1")]).expect("is there"), folder);
    world.fake.requests();
    world.get(REPO, &[]).expect("is there");
    assert_eq!(world.paths().len(), 1, "nothing comes twice");
}

#[test]
fn two_that_download_the_same_download_it_once() {
    let world = World::new();
    world.fake.fail("/blobs/", Fault::Slow(Duration::from_millis(300)));
    let get = || world.get(REPO, &[]).expect("comes");
    thread::scope(|scope| {
        let both = [scope.spawn(get), scope.spawn(get)];
        let folders = both.map(|one| one.join().expect("ends"));
        assert_eq!(folders[0], folders[1]);
    });
    assert_eq!(world.fake.requests().iter().filter(|request| request.second).count(), 1);
    assert!(world.heard.said().contains("another process downloads it"), "{}", world.heard.said());
}

#[test]
fn who_stops_is_let_go_and_the_part_stays() {
    let world = World::new();
    world.heard.cancelled.store(true, Ordering::Relaxed);
    assert!(matches!(world.get(REPO, &[]), Err(StageError::Cancelled)));
}

#[test]
fn what_no_hub_answers_is_said() {
    let world = World::new();
    world.fake.commit(REPO, &[("../../escape", b"x"), ("config.json", b"{}"), ("model.safetensors", b"y")]);
    let error = text(&world.get(REPO, &[]).expect_err("leaves the cache"));
    assert!(error.contains("answers what no hub does"), "{error}");
}

#[test]
fn a_disk_that_refuses_is_named() {
    let world = World::new();
    fs::write(world.home.path().join("hub"), "a file").expect("writes");
    let error = text(&world.get(REPO, &[]).expect_err("is no folder"));
    assert!(error.contains("cannot") && error.contains("hub"), "{error}");
}
