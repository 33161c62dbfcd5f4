//! Links in a project: what counts is where a path leads, and not what it is called.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::project::{Project, TWO};

/// [`TWO`] with both outputs below `artifacts/`.
fn below_artifacts() -> String {
    TWO.replace("out/sorted.txt", "artifacts/sort/in.txt").replace("out/count.txt", "artifacts/count/n.txt")
}

fn link(project: &Project, target: impl AsRef<Path>, name: &str) {
    symlink(target, project.path(name)).expect("links");
}

fn disk() -> (TempDir, PathBuf) {
    let disk = tempfile::tempdir().expect("a folder");
    let path = fs::canonicalize(disk.path()).expect("is there");
    (disk, path)
}

/// Every command that looks at the pipeline refuses it, in these words, and the user's file lies where it was.
fn refused(project: &Project, said: &[&str]) {
    let executed = project.trace();
    for arguments in [&["run"] as &[&str], &["run", "--dry-run"], &["status"], &["clean"]] {
        let ended = project.ner_pipe(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?} {}", ended.out);
        for said in said {
            assert!(ended.err.contains(said), "{arguments:?} {said}\n{}", ended.err);
        }
    }
    assert_eq!(project.trace(), executed);
    assert_eq!(project.read("data/in.txt"), "b\na\nc\n");
    assert!(!project.exists("cache/displaced"));
}

#[test]
fn an_output_whose_folder_became_a_link_to_a_sources_folder_does_not_take_its_place() {
    for text in [TWO.replace("sorted.txt", "in.txt"), below_artifacts()] {
        for again in [false, true] {
            let project = Project::new(&text);
            let folder = if text.contains("artifacts") { "artifacts/sort" } else { "out" };
            if again {
                project.ok(&["run"]);
                project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
                project.remove(folder);
            }
            fs::create_dir_all(project.path("artifacts")).expect("creates");
            link(&project, project.path("data"), folder);
            refused(
                &project,
                &[
                    "output `sort.out` would replace the source `sources.in`",
                    &format!("by links, `{folder}/in.txt` is `data/in.txt`"),
                    &format!("help: publish the output elsewhere, or let the link `{folder}` lead elsewhere"),
                    "[pipeline.toml:",
                ],
            );
        }
    }
}

#[test]
fn an_output_lies_in_no_folder_that_is_read_under_another_name() {
    let text = TWO.replace("data/in.txt", "data/texts").replace("sort {data}", "cat {data}/*");
    let project = Project::new(&text.replace("\"file\"", "\"folder\""));
    let (_disk, disk) = disk();
    fs::create_dir(disk.join("texts")).expect("creates");
    fs::write(disk.join("texts/a.txt"), "a\n").expect("writes");
    link(&project, disk.join("texts"), "data/texts");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    project.remove("out");
    link(&project, disk.join("texts"), "out");
    refused(
        &project,
        &[
            "output `sort.out` would lie inside the source `sources.in`, at `out/sorted.txt`: by links, ",
            &format!("`out/sorted.txt` is `{}`", disk.join("texts/sorted.txt").display()),
            &format!("`data/texts` is `{}`", disk.join("texts").display()),
        ],
    );
    assert_eq!(fs::read_dir(disk.join("texts")).expect("is there").count(), 1);
}

#[test]
fn a_source_that_is_a_link_to_an_output_is_that_output() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    fs::rename(project.path("data/in.txt"), project.path("data/old.txt")).expect("renames");
    link(&project, "../out/sorted.txt", "data/in.txt");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(
        ended.err.contains("would replace the source `sources.in`, `out/sorted.txt`: by links, `data/in.txt` is `out/sorted.txt`"),
        "{}",
        ended.err
    );
}

#[test]
fn two_outputs_that_links_lead_to_one_place_are_refused() {
    let project = Project::new(&TWO.replace("out/count.txt", "out2/sorted.txt"));
    fs::create_dir(project.path("out")).expect("creates");
    link(&project, "out", "out2");
    refused(
        &project,
        &[
            "outputs `sort.out` at `out/sorted.txt` and `count.n` at `out2/sorted.txt` are one place",
            "links lead to `out/sorted.txt`",
            "help: publish one of them elsewhere, or let the link `out2` lead elsewhere",
        ],
    );
    project.replace("pipeline.toml", "out2/sorted.txt", "out2/sorted.txt/n");
    refused(&project, &["one output lies inside the other, by links: `sort.out` at `out/sorted.txt`"]);
    project.replace("pipeline.toml", "out2/sorted.txt/n", "out2/n");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
}

#[test]
fn two_pipeline_files_that_links_lead_to_one_place_are_refused() {
    let project = Project::new(TWO);
    fs::create_dir(project.path("out")).expect("creates");
    link(&project, "out", "out2");
    project.write("b.toml", &TWO.replace("out/", "out2/").replace("wc -l", "wc -c"));
    project.ok(&["run"]);
    let executed = project.trace();
    for arguments in [&["run", "--file", "b.toml"] as &[&str], &["run", "--dry-run", "--file", "b.toml"]] {
        let ended = project.ner_pipe(arguments);
        assert_eq!(ended.code, Some(2), "{}", ended.out);
        let said = "would go where `pipeline.toml` publishes: `out/count.txt`; by links, `out2/count.txt` is `out/count.txt`";
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    assert_eq!((project.trace(), project.read("out/count.txt").trim()), (executed, "3"));
    // Once the link leads elsewhere, the place is another.
    fs::remove_file(project.path("out2")).expect("is a link");
    project.ok(&["run", "--file", "b.toml"]);
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn a_users_folder_below_artifacts_that_is_reached_by_a_link_is_the_users() {
    let project = Project::new(&below_artifacts());
    project.ok(&["run"]);
    project.write("mine/n.txt", "mine");
    project.replace("pipeline.toml", "wc -l", "wc -c");
    project.remove("artifacts/count");
    link(&project, "../mine", "artifacts/count");
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(
        ended.err.contains(
            "overwrite `artifacts/count/n.txt`, which ner-pipe did not make; by links, it is `mine/n.txt`"
        ),
        "{}",
        ended.err
    );
    assert_eq!(project.read("mine/n.txt"), "mine");
}

#[test]
fn a_project_whose_data_cache_and_artifacts_lie_on_another_disk_is_like_any_other() {
    let project = Project::new(&below_artifacts());
    let (_disk, disk) = disk();
    fs::rename(project.path("data"), disk.join("data")).expect("renames");
    for name in ["data", "cache", "artifacts"] {
        fs::create_dir_all(disk.join(name)).expect("creates");
        link(&project, disk.join(name), name);
    }
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert!(disk.join("artifacts/count/n.txt").is_file());
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    project.write("data/in.txt", "one\n");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    project.write("artifacts/count/n.txt", "edited");
    project.expect(&[], &[("sort", "reused"), ("count", "restored")]);
    // Moved to a larger disk, the outputs stay what they are, and are no strangers when they change.
    fs::rename(disk.join("artifacts"), disk.join("larger")).expect("renames");
    fs::remove_file(project.path("artifacts")).expect("is a link");
    link(&project, disk.join("larger"), "artifacts");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    project.write("data/in.txt", "two\ntwo\n");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    let said = project.ok(&["clean"]);
    assert!(said.contains("artifacts/count/n.txt removed\n") && said.contains("2 removed, 0 left"), "{said}");
    project.expect(&[], &[("sort", "restored"), ("count", "restored")]);
    assert!(disk.join("larger/count/n.txt").is_file());
}

#[test]
fn outputs_that_were_moved_away_and_linked_back_are_ours_still() {
    let project = Project::new(TWO);
    let (_disk, disk) = disk();
    project.ok(&["run"]);
    let copied = std::process::Command::new("cp").arg("-r").arg(project.path("out")).arg(&disk).status();
    assert!(copied.expect("starts").success());
    project.remove("out");
    link(&project, disk.join("out"), "out");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    project.write("data/in.txt", "one\n");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert_eq!(fs::read_to_string(disk.join("out/sorted.txt")).expect("is there"), "one\n");
}

#[test]
fn a_link_that_is_turned_elsewhere_while_a_stage_runs_leads_no_output_astray() {
    let text = TWO.replace("sort.out", "sources.in").replace("out/count.txt", "counts/in.txt");
    let turned = "wc -l < {data} > {n}; mkdir counts; rmdir counts; ln -s data counts";
    let project = Project::new(&text.replace("wc -l < {data} > {n}", turned));
    let ended = project.ner_pipe(&["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    let said =
        "`counts/in.txt` resolves to `data/in.txt` now, and resolved to `counts/in.txt` when the run began";
    assert!(ended.err.contains(said), "{}", ended.err);
    assert_eq!(project.read("data/in.txt"), "b\na\nc\n");
    assert!(!project.exists("cache/displaced"));
    refused(&project, &["would replace the source `sources.in`"]);
}

#[test]
fn clean_leaves_what_a_link_no_longer_leads_to_and_links_themselves() {
    let project = Project::new(TWO);
    let (_disk, disk) = disk();
    for name in ["old", "new"] {
        fs::create_dir(disk.join(name)).expect("creates");
    }
    link(&project, disk.join("old"), "out");
    project.ok(&["run"]);
    fs::remove_file(project.path("out")).expect("is a link");
    link(&project, disk.join("new"), "out");
    project.replace("pipeline.toml", "out/count.txt", "other/count.txt");
    project.ok(&["run"]);
    fs::rename(disk.join("new/sorted.txt"), disk.join("kept.txt")).expect("renames");
    link(&project, disk.join("kept.txt"), "out/sorted.txt");
    let said = project.ok(&["clean"]);
    assert!(said.contains("out/sorted.txt stays: it is not what was placed there"), "{said}");
    assert!(said.contains("1 removed, 1 left"), "{said}");
    assert!(disk.join("old/sorted.txt").is_file() && disk.join("old/count.txt").is_file());
    assert!(project.path("out/sorted.txt").is_symlink());
}

#[test]
fn a_link_that_leads_nowhere_above_an_output_is_found_before_any_work() {
    for text in [TWO.to_owned(), below_artifacts()] {
        let project = Project::new(&text);
        let folder = if text.contains("artifacts") { "artifacts" } else { "out" };
        link(&project, "/no/such/disk", folder);
        let ended = project.ner_pipe(&["run"]);
        assert_eq!(ended.code, Some(2), "{}", ended.out);
        assert!(ended.err.contains(&format!("overwrite `{folder}`")), "{}", ended.err);
        assert!(project.trace().is_empty());
    }
}

#[test]
fn a_cache_whose_disk_is_not_there_is_no_empty_one() {
    let project = Project::new(TWO);
    let (_disk, disk) = disk();
    fs::create_dir(disk.join("cache")).expect("creates");
    link(&project, disk.join("cache"), "cache");
    project.ok(&["run"]);
    fs::rename(disk.join("cache"), disk.join("away")).expect("renames");
    for arguments in [&["run"] as &[&str], &["status"], &["gc"], &["clean", "--cache", "--yes"]] {
        let ended = project.ner_pipe(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?} {}", ended.out);
        let said = format!("cache is a link to {}, which is not there", disk.join("cache").display());
        assert!(ended.err.contains(&said) && ended.err.contains("mount the disk"), "{}", ended.err);
    }
    fs::rename(disk.join("away"), disk.join("cache")).expect("renames");
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}

#[test]
fn a_lock_that_is_a_link_stays_one() {
    let project = Project::new(TWO);
    let (_disk, disk) = disk();
    project.ok(&["run"]);
    fs::copy(project.path("pipeline.lock"), disk.join("lock")).expect("copies");
    project.remove("pipeline.lock");
    link(&project, disk.join("lock"), "pipeline.lock");
    let before = project.read("pipeline.lock");
    project.write("data/in.txt", "one\n");
    project.expect(&[], &[("sort", "executed"), ("count", "executed")]);
    assert!(project.path("pipeline.lock").is_symlink());
    assert_ne!(fs::read_to_string(disk.join("lock")).expect("is there"), before);
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
}
