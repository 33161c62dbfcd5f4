use std::fs;

use serde_json::Value;

use crate::project::{Project, TWO, cached};

/// What is said of a damage, and how it is done.
type Way<'a> = (&'a str, &'a dyn Fn(&Project));

#[test]
fn a_whole_cache_is_verified_and_a_missing_one_is_no_damage() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    let said = project.ok(&["verify"]);
    assert!(said.contains("2 intact, 0 damaged, "), "{said}");
    project.write("cache/entries/.DS_Store", "what a file manager leaves");
    project.ok(&["verify"]);
    project.remove("cache");
    let said = project.ok(&["verify"]);
    assert!(said.contains("note: count of pipeline.lock is not in the cache"), "{said}");
    assert!(said.contains("0 intact, 0 damaged"), "{said}");
}

#[test]
fn every_sort_of_damage_is_found_with_exit_code_5_and_repaired() {
    let entry =
        |project: &Project| cached(project, "a\nb\nc\n").ancestors().nth(3).expect("is an entry").to_owned();
    let ways: [Way; 7] = [
        ("output `out` was modified: its digest is not the recorded one", &|project| {
            fs::write(cached(project, "a\nb\nc\n"), "a\nX\nc\n").expect("writes");
        }),
        ("output `out` is missing", &|project| {
            fs::remove_file(cached(project, "a\nb\nc\n")).expect("removes");
        }),
        ("output `out` was modified: its digest is not the recorded one", &|project| {
            let path = cached(project, "a\nb\nc\n");
            fs::remove_file(&path).expect("removes");
            fs::create_dir(&path).expect("creates");
        }),
        ("entry.json: ", &|project| {
            fs::write(entry(project).join("entry.json"), "{ not json").expect("writes");
        }),
        ("manifest.json is not of this key", &|project| {
            let path = entry(project).join("manifest.json");
            let text = fs::read_to_string(&path).expect("is there");
            fs::write(&path, text.replace("\"version\": ", "\"version\": 1")).expect("writes");
        }),
        ("manifest.json: ", &|project| {
            fs::remove_file(entry(project).join("manifest.json")).expect("removes");
        }),
        ("log.txt was modified", &|project| {
            fs::write(entry(project).join("log.txt"), "something else").expect("writes");
        }),
    ];
    for (what, damage) in ways {
        let project = Project::new(TWO);
        project.ok(&["run"]);
        damage(&project);
        let ended = project.ner_pipe(&["verify"]);
        assert_eq!(ended.code, Some(5), "{what}: {}{}", ended.out, ended.err);
        assert!(
            ended.out.contains(what) && ended.out.contains("1 intact, 1 damaged"),
            "{what}: {}",
            ended.out
        );
        assert!(
            ended.out.contains("help: type `ner-pipe verify --set-aside`, then `ner-pipe run`"),
            "{}",
            ended.out
        );
        assert_eq!(project.ner_pipe(&["verify", "sort"]).code, Some(5), "{what}");
        assert_eq!(project.ner_pipe(&["verify", "count"]).code, Some(0), "{what}");
        let ended = project.ner_pipe(&["verify", "--set-aside", "--format", "json"]);
        assert_eq!(ended.code, Some(5));
        let said: Value = serde_json::from_str(&ended.out).expect("is JSON");
        assert!(said["damaged"][0]["what"][0].as_str().expect("is text").starts_with(what), "{said}");
        project.expect(&[], &[("sort", "executed"), ("count", "reused")]);
        assert_eq!(project.ner_pipe(&["verify"]).code, Some(0), "{what}");
    }
    let project = Project::new(TWO);
    assert_eq!(project.ner_pipe(&["verify", "sort"]).code, Some(2), "nothing is recorded of it");
}

#[test]
fn a_stage_that_gives_the_same_again_is_verified_and_its_result_stays() {
    let project = Project::new(TWO);
    assert_eq!(project.ner_pipe(&["verify", "--rerun", "count"]).code, Some(2), "nothing to compare with");
    project.ok(&["run"]);
    let lock = project.read("pipeline.lock");
    let said = project.ok(&["verify", "--rerun", "count"]);
    assert!(said.contains("count.n is the same, byte for byte"), "{said}");
    assert_eq!(project.trace(), ["sort", "count", "count"]);
    assert_eq!(project.read("pipeline.lock"), lock);
    let left = ["tmp", "locks"].map(|folder| {
        fs::read_dir(project.path("cache").join(folder))
            .expect("is there")
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name() != "publish" && entry.file_name() != "use")
            .count()
    });
    assert_eq!(left, [0, 0]);
    // The cache is not needed: the lock has the digests.
    project.replace("pipeline.toml", "wc -l", "wc -c");
    let ended = project.ner_pipe(&["verify", "--rerun", "count"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("cannot be compared with its result: params.run "), "{}", ended.err);
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    project.replace("pipeline.toml", "wc -c", "wc -l");
    let ended = project.ner_pipe(&["verify", "--rerun", "count"]);
    assert!(
        ended.err.contains("the published outputs of `sort`, which it reads, are missing or modified"),
        "{}",
        ended.err
    );
    assert_eq!(project.ner_pipe(&["verify", "--rerun", "nobody"]).code, Some(2));
}

#[test]
fn a_stage_that_gives_something_else_ends_with_5_and_says_which_files() {
    let project = Project::new(&TWO.replace(
        "outputs = { n = \"out/count.txt\" }\nparams = { run = \"echo count >> trace; wc -l < {data} > {n}\" }",
        "outputs = { n = \"out/counts/\", fixed = \"out/fixed\" }\nparams = { run = \"\"\"mkdir -p {n}/été; echo same > {n}/same
date +%s%N > '{n}/now'; cp {n}/now {n}/été/x; test -e again && touch {n}/extra || touch {n}/only-once; echo 1 > {fixed}\"\"\" }",
    ).replace("'{n}/now'", "{n}/now"));
    project.ok(&["run"]);
    let before = project.read("out/counts/now");
    project.write("again", "");
    let ended = project.ner_pipe(&["verify", "--rerun", "count"]);
    assert_eq!(ended.code, Some(5), "{}{}", ended.out, ended.err);
    let wanted = "count.fixed is the same, byte for byte\ncount.n differs:\n  extra: new\n  now\n  only-once: gone\n  été/x\n";
    assert!(ended.out.contains(wanted), "{}", ended.out);
    assert!(ended.out.contains("its recorded result, which is kept"), "{}", ended.out);
    assert_eq!(project.read("out/counts/now"), before);
    let ended = project.ner_pipe(&["verify", "--rerun", "count", "--format", "json"]);
    let last: Value = ended.events().pop().expect("has one");
    assert_eq!(last["same"], false);
    assert_eq!(last["different"]["n"][0], "extra: new");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn a_stage_that_fails_when_executed_again_is_a_failure_and_its_result_stays() {
    let project = Project::new(&TWO.replace("echo count >> trace;", "test ! -e again;"));
    project.ok(&["run"]);
    project.write("again", "");
    let ended = project.ner_pipe(&["verify", "--rerun", "count"]);
    assert_eq!(ended.code, Some(0), "`;` goes on: {}", ended.err);
    project.replace("pipeline.toml", "test ! -e again;", "test ! -e again &&");
    project.remove("again");
    project.ok(&["run"]);
    project.write("again", "");
    let ended = project.ner_pipe(&["verify", "--rerun", "count"]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(
        ended.err.contains("`count` gave no result to compare: the command ended with exit code 1"),
        "{}",
        ended.err
    );
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn verify_and_log_mean_the_same_by_a_name_also_of_what_the_file_has_no_longer() {
    let many = r#"
[stage.s]
use = "command"
foreach = ["a", "b"]
outputs = { out = "out/{key}.txt" }
params = { run = "echo said {item}; echo {item} > {out}" }
"#;
    let project = Project::new(&format!("{TWO}{many}"));
    project.ok(&["run"]);
    project.write("pipeline.toml", &TWO.replace("[stage.count]", "[stage.other]"));
    let both = |name: &str| [project.ner_pipe(&["verify", name]), project.ner_pipe(&["log", name])];
    for (name, ids) in [("s", &["s@a", "s@b"] as &[&str]), ("s@b", &["s@b"]), ("count", &["count"])] {
        let [verify, log] = both(name);
        assert_eq!((verify.code, log.code), (Some(0), Some(0)), "{name}\n{}\n{}", verify.err, log.err);
        assert_eq!(verify.err, log.err);
        for id in ids {
            let said = format!(
                "note: `{id}` is no longer in pipeline.toml; this is its last result, as pipeline.lock has it\n"
            );
            assert!(log.err.contains(&said), "{name}\n{}", log.err);
        }
        assert!(verify.out.contains(&format!("{} intact, 0 damaged", ids.len())), "{name}\n{}", verify.out);
        assert_eq!(log.out.contains("== "), ids.len() > 1, "{name}\n{}", log.out);
    }
    assert!(both("s")[1].out.contains("said a\n") && both("s@b")[1].out.contains("said b\n"));
    project.write("pipeline.toml", &format!("{TWO}{}", many.replace(r#""a", "b""#, r#""b""#)));
    let [verify, log] = both("s");
    assert!(
        verify.out.contains("2 intact") && verify.err == log.err && log.err.matches("note: ").count() == 1
    );
    assert!(log.out.contains("== s@a\n") && log.out.contains("== s@b\n"), "{}", log.out);
    // The next result that is recorded takes it out of the lock, and then it is nothing any more.
    project.replace("pipeline.toml", "wc -l", "wc -c");
    project.ok(&["run"]);
    let ends = both("s@a").map(|ended| (ended.code, ended.out));
    assert_eq!(ends.map(|(code, _)| code), [Some(2), Some(2)]);
}
