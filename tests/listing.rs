//! `ner-pipe stages`: readable on a terminal of 80 columns, and whole for programs.

use ner_pipe::commands::stages::{Args, Format, run};
use stage_contract::Registry;

#[path = "diagnostics/stages.rs"]
mod stages;

fn listed(name: Option<&str>, format: Format) -> String {
    let mut out = Vec::new();
    let args = Args { name: name.map(str::to_owned), format };
    run(&args, &stages::registry(), &mut out).expect("a known name");
    String::from_utf8(out).expect("text")
}

#[test]
fn every_stage_is_documented_with_ports_parameters_and_defaults() {
    let text = listed(None, Format::Text);
    let long: Vec<_> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "wider than 80 columns: {long:#?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("diagnostics/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("stages", text));
}

#[test]
fn programs_get_defaults_as_values_and_variants_with_their_meaning() {
    let json: serde_json::Value = serde_json::from_str(&listed(Some("distill"), Format::Json)).expect("JSON");
    let stages = json["stages"].as_array().expect("a list");
    assert_eq!(stages.len(), 1);
    let parameters = stages[0]["parameters"].as_array().expect("a list");
    let names: Vec<_> = parameters.iter().map(|p| p["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["epochs", "temperature", "layers", "learning", "schedule"]);
    assert_eq!(parameters[1]["default"], 2.5);
    assert_eq!(stages[0]["inputs"][3]["required"], false);
    let json: serde_json::Value = serde_json::from_str(&listed(None, Format::Json)).expect("JSON");
    let misc = &json["stages"][0]["parameters"][0];
    assert_eq!(misc["variants"][0]["value"], "outside");
    assert_eq!(misc["variants"][0]["doc"], "It becomes O.");
    let kinds: Vec<_> = json["kinds"].as_array().expect("a list").iter().map(|kind| &kind["name"]).collect();
    assert_eq!(kinds, ["file", "folder", "text", "model", "records", "report", "gold"], "of the registry");
}

#[test]
fn a_build_without_machine_learning_says_so_of_every_name() {
    let refused = |registry: &Registry| {
        let args = Args { name: Some("cut".to_owned()), format: Format::Text };
        run(&args, registry, &mut Vec::new()).expect_err("no such stage").to_string()
    };
    assert_eq!(refused(&stages::registry()), "there is no stage `cut`");
    let lacking = "this build has only the runner's own stages and kinds, and no stage `cut`";
    assert_eq!(refused(&ner_pipe::without_ml()), lacking);
}
