//! What config.json calls its labels.

use serde::Serialize;
use serde_json::Value;

use super::finding::Finding;
use encoder::config::{Contradiction, declared_labels};
use text::{
    folder::CONFIG,
    labels::{Labels, Scheme},
};

/// A model's labels.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Said {
    pub names: Vec<String>,
    /// `bio` or `io`; none where they are not understood.
    pub scheme: Option<&'static str>,
    pub types: Vec<String>,
}

/// Reads them, whatever else is wrong with config.json. What keeps a model from being used is not said here: whoever loads
/// it says it.
pub(super) fn read(config: &Value, findings: &mut Vec<Finding>) -> Option<Said> {
    let (names, contradictions) = declared_labels(config).ok()?;
    let labels = Labels::parse(&names).ok();
    if !contradictions.is_empty() {
        let of = |number: fn(&Contradiction) -> String| {
            let all = contradictions.iter().map(|it| format!("{} {}", it.label, number(it)));
            all.collect::<Vec<_>>().join(", ")
        };
        let [said, counts] = [of(|it| it.inverse.to_string()), of(|it| it.column.to_string())];
        let what = format!("label2id says {said}, but id2label, which counts, {counts}");
        let finding = Finding::warning(what).file(CONFIG).key("label2id");
        findings.push(finding.help(format!("write {counts} under `label2id`")));
    }
    let keys = |key: &str| config[key].as_object().into_iter().flat_map(serde_json::Map::keys);
    let mut more: Vec<&str> =
        keys("label2id").filter(|name| !names.contains(*name)).map(String::as_str).collect();
    more.sort_unstable();
    if !more.is_empty() {
        findings.push(
            Finding::warning(format!("label2id names {}, which no column of the model is", more.join(", ")))
                .file(CONFIG)
                .key("label2id")
                .help("leave it out there: the model never says it"),
        );
    }
    let inverse: Vec<&String> = keys("label2id").collect();
    let less: Vec<&str> = names.iter().filter(|name| !inverse.contains(name)).map(String::as_str).collect();
    if !inverse.is_empty() && !less.is_empty() {
        findings.push(
            Finding::note(format!("label2id leaves out {}", less.join(", "))).file(CONFIG).key("label2id"),
        );
    }
    if config["label2id"].as_object().is_some_and(|map| map.values().any(Value::is_string)) {
        findings.push(Finding::note("label2id has texts for numbers").file(CONFIG).key("label2id"));
    }
    let ignored: Vec<&str> =
        keys("id2label").filter(|key| key.starts_with('-')).map(String::as_str).collect();
    if !ignored.is_empty() {
        findings.push(
            Finding::note(format!(
                "id2label names {}, which is for losses and no column",
                ignored.join(", ")
            ))
            .file(CONFIG)
            .key("id2label"),
        );
    }
    if let Some(number) = config["num_labels"].as_u64().filter(|number| *number != names.len() as u64) {
        findings.push(
            Finding::warning(format!("num_labels is {number}, and id2label has {}", names.len()))
                .file(CONFIG)
                .key("num_labels")
                .help("remove `num_labels`: id2label says it"),
        );
    }
    let scheme = labels.as_ref().map(|labels| match labels.scheme() {
        Scheme::Io => "io",
        Scheme::Bio => "bio",
    });
    if scheme == Some("io") {
        findings.push(Finding::note(
            "no label says where an entity begins (IO): neighbours of one type are read as one entity",
        ));
    }
    let types = labels.map_or_else(Vec::new, |labels| labels.types().to_vec());
    Some(Said { names, scheme, types })
}
