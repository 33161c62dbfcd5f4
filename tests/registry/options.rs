//! Sources with options.

use std::fs;

use serde_json::{Value, json};

use super::world::{World, pipeline};

/// A box in the project.
fn boxed(options: &str) -> World {
    let world = World::new();
    world.project.write("data/box/wheel.bin", "o");
    world.project.write("pipeline.toml", &pipeline(&format!("path = \"data/box\"{options}")));
    world
}

pub(super) fn options_are_part_of_the_key_only_when_they_are_written() {
    let world = boxed("");
    world.ok(&["run"]);
    let manifest = |world: &World| -> Vec<Value> {
        let entries = world.project.entries().into_iter();
        entries
            .map(|entry| {
                serde_json::from_str(&fs::read_to_string(entry.join("manifest.json")).expect("is there"))
                    .expect("is JSON")
            })
            .collect()
    };
    assert!(manifest(&world)[0].get("options").is_none(), "the key is as it was before there were options");
    assert_eq!(world.toy()["packing"], json!({ "unit": "line", "broken": 0, "names": {} }));
    world.project.replace("pipeline.toml", "data/box\"", "data/box\", unit = \"document\", broken = 2");
    let reasons = world.project.stages()[0]["reasons"].clone();
    assert_eq!(reasons, json!(["sources.box.broken unset -> 2", "sources.box.unit unset -> \"document\""]));
    let ended = world.ok(&["run"]);
    assert!(ended.out.contains("2 may be broken"), "a note is shown: {}", ended.out);
    assert_eq!(world.toy()["packing"], json!({ "unit": "document", "broken": 2, "names": {} }));
    assert!(
        world
            .project
            .read("pipeline.lock")
            .contains("[stage.unpack.options.packed]\nbroken = 2\nunit = \"document\""),
        "{}",
        world.project.read("pipeline.lock")
    );
    world.project.replace("pipeline.toml", ", unit = \"document\", broken = 2", "");
    assert_eq!(world.outcome(&[]), "restored");
    world.project.replace("pipeline.toml", "data/box\"", "data/box\", unit = \"line\"");
    assert!(
        world.ok(&["why", "unpack"]).out.contains("sources.box.unit unset -> \"line\""),
        "only what is written counts"
    );
}

pub(super) fn options_are_described_like_parameters() {
    let world = boxed(", unti = \"line\", broken = 500");
    let ended = world.with(&[], &["run"]);
    assert_eq!(ended.code, Some(2));
    for said in [
        "source `box` of kind `box` has no key `unti`",
        "write `unit`",
        "`broken` is 500, above 100",
        "takes: whole number from 0 to 100",
    ] {
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
    }
    let schema: Value = serde_json::from_str(&world.ok(&["schema"]).out).expect("is JSON");
    assert_eq!(schema["$defs"]["source"]["then"]["properties"]["broken"]["maximum"], 100);
    let stages = world.ok(&["stages"]).out;
    assert!(stages.contains("broken = 0  (whole number from 0 to 100)"), "{stages}");
    let stages: Value =
        serde_json::from_str(&world.ok(&["stages", "--format", "json"]).out).expect("is JSON");
    let kinds = stages["kinds"].as_array().expect("a list");
    let kind = kinds.iter().find(|kind| kind["name"] == "box").expect("is there");
    assert_eq!(kind["options"][0]["name"], "unit");
}

pub(super) fn status_shows_what_a_run_would_refuse() {
    let world = boxed(", unit = \"document\"");
    world.project.write("data/box/burnt", "");
    let refusal = "the box is burnt, read by document";
    assert!(world.with(&[], &["run"]).err.contains(refusal));
    let status = world.ok(&["status"]).out;
    assert!(status.contains(&format!("`ner-pipe run` refuses: {refusal}\n  help: take another")), "{status}");
    let status: Value =
        serde_json::from_str(&world.ok(&["status", "--format", "json"]).out).expect("is JSON");
    assert_eq!(status["refused"][0]["message"], refusal);
}

pub(super) fn what_is_wrong_with_an_option_is_marked_where_it_is_written() {
    let world = World::new();
    let stage = "[stage.unpack]\ninputs = { packed = \"sources.box\" }\n";
    world.project.write("data/box/wheel.bin", "o");
    for (source, at) in [
        ("box = { path = \"data/box\", kind = \"box\", names = { wheel = \"w\", door = \"d\" } }\n", "2:65"),
        (
            "[sources.box]\npath = \"data/box\"\nkind = \"box\"\n[sources.box.names]\nwheel = \"w\"\ndoor = \"d\"\n",
            "7:1",
        ),
    ] {
        world.project.write("pipeline.toml", &format!("[sources]\n{source}{stage}"));
        let ended = world.with(&[], &["run"]);
        assert!(ended.code == Some(2) && ended.err.contains("`names` has door"), "{}", ended.err);
        assert!(ended.err.contains(&format!("pipeline.toml:{at}]")), "{}", ended.err);
        assert!(ended.err.contains("read here"), "{}", ended.err);
    }
}
