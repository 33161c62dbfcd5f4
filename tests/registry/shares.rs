//! Instances of one stage, and what of the machine each gets.

use super::{
    probe,
    project::{Project, text},
};

/// Each with the name it is asked for by.
pub const TESTS: [(&str, fn()); 8] = [
    (
        "instances_draw_alike_and_differ_by_their_values_alone",
        instances_draw_alike_and_differ_by_their_values_alone,
    ),
    ("a_stage_may_have_seeds_of_its_own", a_stage_may_have_seeds_of_its_own),
    ("a_resolved_lock_has_the_stages_own_seed", a_resolved_lock_has_the_stages_own_seed),
    ("stages_take_all_cpus_unless_they_say_how_many", stages_take_all_cpus_unless_they_say_how_many),
    ("no_two_stages_share_a_gpu_unless_the_file_says_so", no_two_stages_share_a_gpu_unless_the_file_says_so),
    ("every_gpu_has_a_stage_of_its_own", every_gpu_has_a_stage_of_its_own),
    ("a_stage_on_several_gpus_takes_them_all", a_stage_on_several_gpus_takes_them_all),
    (
        "the_number_of_jobs_does_not_change_what_is_measured",
        the_number_of_jobs_does_not_change_what_is_measured,
    ),
];

/// The report of a probe, as JSON.
pub fn report(project: &Project, id: &str) -> serde_json::Value {
    serde_json::from_str(&project.read(&format!("artifacts/{id}/report.json"))).expect("is JSON")
}

fn instances_draw_alike_and_differ_by_their_values_alone() {
    let project = probe("temperature = 3.0");
    project.ok(&["run", "probe"]);
    project.replace("pipeline.toml", "[stage.probe]", "[stage.probe]\nmatrix.t = [2.0, 3.0]");
    project.replace("pipeline.toml", "temperature = 3.0", "temperature = \"{matrix.t}\"");
    project.replace("pipeline.toml", "probe.report", "probe@t=3.0.report");
    let (_, outcomes) = project.run(&[]);
    assert_eq!(outcomes["probe@t=2.0"], "executed");
    assert_eq!(outcomes["probe@t=3.0"], "restored", "it is what `probe` was");
    for (id, temperature) in [("probe@t=2.0", 2.0), ("probe@t=3.0", 3.0)] {
        assert_eq!(report(&project, id)["seed"], ner_pipe::fingerprint::node_seed(7, "probe"));
        assert_eq!(report(&project, id)["temperature"], temperature, "a number stays a number");
    }
    project.ok(&["run", "--set", "probe@t=2.0.temperature=1.5", "--set", "probe.gate=inconclusive"]);
    assert_eq!(report(&project, "probe@t=2.0")["temperature"], 1.5);
    assert_eq!(report(&project, "probe@t=3.0")["temperature"], 3.0);
}

fn a_stage_may_have_seeds_of_its_own() {
    let project = probe("");
    project.ok(&["run"]);
    project.replace("pipeline.toml", "[stage.probe]", "[stage.probe]\nforeach = [7, 8]\nseed = \"{item}\"");
    project.replace("pipeline.toml", "probe.report", "probe@8.report");
    let (_, outcomes) = project.run(&[]);
    assert_eq!((outcomes["probe@7"].as_str(), outcomes["probe@8"].as_str()), ("restored", "executed"));
    assert_eq!(report(&project, "probe@8")["seed"], ner_pipe::fingerprint::node_seed(8, "probe"));
    project.replace("pipeline.toml", "foreach = [7, 8]", "foreach = { 7 = 9, 8 = 8 }");
    assert!(project.ok(&["why", "probe@7"]).contains("seed 7 -> 9"));
    assert_eq!(project.states()["probe@8"], "fresh");
}

fn a_resolved_lock_has_the_stages_own_seed() {
    let project = probe("temperature = 1.0");
    project.replace("pipeline.toml", "[stage.probe]", "[stage.probe]\nseed = 11");
    project.ok(&["run"]);
    let theirs = project.read("pipeline.lock");
    project.replace("pipeline.toml", "= 1.0", "= 2.0");
    project.ok(&["run"]);
    let ours = project.read("pipeline.lock");
    project.write("pipeline.lock", &format!("<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n"));
    assert!(project.ok(&["lock", "resolve"]).contains("probe  ours"));
    assert_eq!(project.read("pipeline.lock"), ours, "what a run writes");
    assert_eq!(project.states()["probe"], "fresh");
}

/// Two instances of a probe that end so, with these resources each, on a machine of so many cpus.
fn pair(end: &str, resources: &str, cpus: usize) -> Project {
    Project::new(&format!(
        r#"
resources = {{ cpu = {cpus} }}
[sources]
in = {{ path = "data/in.txt", kind = "file" }}
[stage.probe]
foreach = [1.0, 2.0]
inputs = {{ text = "sources.in" }}
params = {{ end = "{end}", temperature = "{{item}}" }}
{resources}
"#
    ))
}

const BOTH: [(&str, &str); 2] = [("probe@1.0", "executed"), ("probe@2.0", "executed")];

fn stages_take_all_cpus_unless_they_say_how_many() {
    pair("alone", "", 4).expect(&["--jobs", "4"], &BOTH);
    let project = pair("together", "resources = { cpu = 2 }", 4);
    project.expect(&["--jobs", "4"], &BOTH);
    for (id, _) in BOTH {
        assert_eq!(report(&project, id)["threads"], 2);
        assert_eq!(report(&project, id)["rayon"], "2");
    }
    let project = pair("alone", "resources = { cpu = 3 }", 4);
    project.expect(&["--jobs", "4"], &BOTH);
}

fn with_gpus(project: &Project, gpus: &str, device: &str) -> Vec<String> {
    let list = (0..gpus.parse().expect("is a number")).map(|n: usize| n.to_string()).collect::<Vec<_>>();
    let environment = [("FAKE_GPUS", gpus), ("CUDA_VISIBLE_DEVICES", &list.join(","))];
    let ended = project.with(&environment, &["run", "--jobs", "4", "--device", device]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    let mut devices: Vec<_> = BOTH.iter().map(|(id, _)| text(&report(project, id)["device"])).collect();
    devices.sort();
    devices
}

fn no_two_stages_share_a_gpu_unless_the_file_says_so() {
    let cpu = "cpu = 1";
    let alone = pair("alone", &format!("resources = {{ {cpu} }}"), 4);
    assert_eq!(with_gpus(&alone, "1", "auto"), ["cuda:0", "cuda:0"]);
    let shared = pair("together", &format!("resources = {{ {cpu}, gpu = 0 }}"), 4);
    assert_eq!(with_gpus(&shared, "1", "cuda"), ["cuda:0", "cuda:0"]);
    let two_on_one = pair("together", &format!("resources = {{ {cpu} }}"), 4);
    two_on_one.replace("pipeline.toml", "{ cpu = 4 }", "{ cpu = 4, gpu = 2 }");
    assert_eq!(with_gpus(&two_on_one, "1", "auto"), ["cuda:0", "cuda:0"]);
    let on_cpu = pair("together", &format!("resources = {{ {cpu}, gpu = 1 }}"), 4);
    assert_eq!(with_gpus(&on_cpu, "0", "auto"), ["cpu", "cpu"], "without a GPU none is needed");
}

fn every_gpu_has_a_stage_of_its_own() {
    let project = pair("together", "resources = { cpu = 1, gpu = 1 }", 4);
    assert_eq!(with_gpus(&project, "2", "auto"), ["cuda:0", "cuda:1"]);
    let project = pair("alone", "resources = { cpu = 1 }", 4);
    assert_eq!(with_gpus(&project, "2", "cuda:1"), ["cuda:1", "cuda:1"], "that one was asked for");
}

fn a_stage_on_several_gpus_takes_them_all() {
    let further = |project: &Project| BOTH.map(|(id, _)| report(project, id)["further"].clone());
    let cpu = "resources = { cpu = 1 }";
    let project = pair("alone", cpu, 4);
    assert_eq!(with_gpus(&project, "3", "cuda:2,0"), ["cuda:2", "cuda:2"], "one after the other");
    assert_eq!(further(&project), [(); 2].map(|()| serde_json::json!(["cuda:0"])));
    let record = project.ok(&["why", "probe@1.0", "--format", "json"]);
    assert!(record.contains("fresh"), "the set of devices is in no key: {record}");

    let project = pair("together", "resources = { cpu = 1, gpu = 1 }", 4);
    assert_eq!(with_gpus(&project, "3", "cuda:2,0"), ["cuda:0", "cuda:2"], "each that was asked for to one");
    assert_eq!(further(&project), [(); 2].map(|()| serde_json::json!([])));

    let project = pair("alone", cpu, 4);
    let run = |gpus: &str, devices| project.with(&[("FAKE_GPUS", gpus)], &["run", "--device", devices]);
    let ended = run("2", "cuda:0,2");
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("no CUDA driver"), "before any work: {}", ended.err);
    let ended = run("2", "cuda:1,1");
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("cuda:1 is named twice"), "{}", ended.err);
    project.replace("pipeline.toml", "{ cpu = 4 }", "{ cpu = 4, gpu = 1 }");
    let ended = run("2", "cuda:0,1");
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    assert!(ended.err.contains("this stage needs 2 gpu, and there is 1"), "{}", ended.err);
}

fn the_number_of_jobs_does_not_change_what_is_measured() {
    let project = probe("");
    project.replace(
        "pipeline.toml",
        "[stage.probe]",
        "[stage.clock]\ninputs = { text = \"sources.in\" }\nresources.cpu = 1\n[stage.probe]",
    );
    project.ok(&["run", "--jobs", "1"]);
    let (_, outcomes) = project.run(&["--jobs", "3"]);
    assert_eq!((outcomes["clock"].as_str(), outcomes["probe"].as_str()), ("reused", "reused"));
    let (_, outcomes) = project.run(&["--threads", "7"]);
    assert_eq!(outcomes["clock"], "reused", "its share is one thread whatever there is");
}
