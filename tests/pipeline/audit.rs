//! `audit` through the real binary: what it exits with, where it writes, and models of a hub.

use hub::testing::FakeHub;
use serde_json::{Value, json};

use super::command;

#[test]
fn a_repository_that_no_model_can_be_read_from_is_audited_and_exits_with_2() {
    let hub = FakeHub::start();
    let config = json!({"model_type": "t5", "id2label": {"0": "O", "1": "PER"}}).to_string();
    hub.commit(
        "owner/broken",
        &[("config.json", config.as_bytes()), ("README.md", b"# t5"), ("other.bin", b"x")],
    );
    let folder = tempfile::tempdir().expect("a folder");
    let audit = |arguments: &[&str]| {
        let output = command(folder.path(), &[&["audit", "hub:owner/broken"], arguments].concat())
            .env("HF_ENDPOINT", hub.endpoint())
            .env("HF_HOME", folder.path().join("home"))
            .env("HF_HUB_OFFLINE", "0")
            .output()
            .expect("starts");
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("hub:owner/broken cannot be used: "), "{error}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let found: Value = serde_json::from_str(&audit(&["--format", "json"])).expect("JSON");
    assert_eq!((&found["usable"], &found["model_type"]), (&json!(false), &json!("t5")));
    let errors = found["findings"].as_array().expect("a list").iter();
    let errors: Vec<&str> = errors
        .filter(|finding| finding["severity"] == "error")
        .filter_map(|finding| finding["what"].as_str())
        .collect();
    assert_eq!(errors.len(), 3, "config, weights, tokenizer: {errors:?}");
    let page = audit(&[]);
    assert!(
        page.starts_with("hub:owner/broken cannot be used\n\nerrors (3)\n") && !page.contains('\u{1b}'),
        "{page}"
    );
    // Nothing to look at is another matter.
    let output = command(folder.path(), &["audit", "nowhere"]).output().expect("starts");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}
