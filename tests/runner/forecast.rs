use serde_json::Value;

use crate::project::{Project, TWO};

fn plan(project: &Project) -> Vec<Value> {
    let said = project.ok(&["run", "--dry-run", "--format", "json"]);
    said.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
}

#[test]
fn a_dry_run_says_what_was_taken_earlier_and_when_that_is_not_known() {
    // 40 MB held by one program, and half a second.
    let hungry = "echo sort >> trace; sleep 0.5; head -c 40000000 /dev/zero | tail -n 1 > /dev/null; sort {data} > {out}";
    let project = Project::new(&TWO.replace("echo sort >> trace; sort {data} > {out}", hungry));
    assert!(
        project.ok(&["run", "--dry-run"]).ends_with("the costs are unknown: no stage has run here yet\n")
    );
    let events = plan(&project);
    assert!(events[0]["expected"]["seconds"].is_null());
    assert_eq!(events[2]["unknown"].as_array().expect("is a list").len(), 2);
    project.ok(&["run", "sort"]);
    project.replace("pipeline.toml", "sort {data}", "sort -r {data}");
    let said = project.ok(&["run", "--dry-run"]);
    assert!(said.contains("\n         last time: ") && said.contains(" memory, 12 B disk\n"), "{said}");
    assert!(said.lines().last().expect("has one").ends_with("; unknown for count"), "{said}");
    let events = plan(&project);
    let expected = &events[0]["expected"];
    assert!(expected["seconds"].as_f64().expect("is known") >= 0.5, "{expected}");
    assert!(expected["memory_bytes"].as_u64().expect("is known") >= 40_000_000, "{expected}");
    assert_eq!(expected["disk_bytes"], 12, "6 in the cache, 6 where it is published");
    assert_eq!(events[2]["event"], "expected");
    assert_eq!(events[2]["seconds"], expected["seconds"], "what is not known is not counted");
    assert_eq!(events[2]["unknown"][0], "count");
    project.ok(&["run"]);
    assert!(project.ok(&["run", "--dry-run"]).ends_with("nothing to execute\n"));
    project.remove("out/sorted.txt");
    assert_eq!(plan(&project)[0]["expected"]["disk_bytes"], 6, "a copy");
}

#[test]
fn a_record_of_an_older_ner_pipe_has_no_memory_and_is_read_all_the_same() {
    let project = Project::new(TWO);
    project.ok(&["run"]);
    for entry in project.entries() {
        let path = entry.join("entry.json");
        let mut record: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).expect("is there")).expect("is JSON");
        assert!(record["memory"].as_u64().is_some_and(|bytes| bytes > 100_000), "{record}");
        // Of those days: neither memory, nor a seal, nor the log's digest.
        for field in ["memory", "seal", "log"] {
            record.as_object_mut().expect("is a table").remove(field);
        }
        std::fs::write(&path, record.to_string()).expect("writes");
    }
    project.expect(&[], &[("sort", "reused"), ("count", "reused")]);
    project.expect(&["--dry-run"], &[]);
    assert_eq!(project.ner_pipe(&["run", "--dry-run", "--force", "sort"]).code, Some(0));
}
