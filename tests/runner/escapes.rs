//! What users name reaches the page of `ner-pipe report` as text, and never as markup.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    project::Project,
    report::{holds, whole},
};

/// Tables of a report whose keys are names: of models, sets, sources, types, gates, budgets, parts of a loss.
const NAMED: [&str; 10] = [
    "models",
    "sets",
    "by_source",
    "by_length",
    "by_mention",
    "per_type",
    "gates",
    "lengths",
    "budget",
    "terms",
];

/// A name that ends every tag and attribute that it may stand in; `&lt;` must not come out as it is.
fn evil(name: &str) -> String {
    format!("{name}\"'><script>alert(1)</script>&lt;{name}")
}

fn escaped(name: &str) -> String {
    format!("{name}&quot;'&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;lt;{name}")
}

/// Every text and every name in a report made evil; `found` are those that were.
fn spoil(value: &Value, named: bool, found: &mut BTreeSet<String>) -> Value {
    let mut spoilt = |name: &str| {
        found.insert(name.to_owned());
        evil(name)
    };
    match value {
        Value::String(text) => spoilt(text).into(),
        Value::Array(items) => items.iter().map(|item| spoil(item, false, found)).collect(),
        Value::Object(fields) => {
            let mut all = Map::new();
            for (key, value) in fields {
                // The one that all others are compared with.
                let name = if named && key != "teacher" { spoilt(key) } else { key.clone() };
                all.insert(name, value.clone());
            }
            let inner = all.into_iter().map(|(key, value)| {
                let value = spoil(&value, NAMED.contains(&key.as_str()), found);
                (key, value)
            });
            Value::Object(inner.collect())
        }
        other => other.clone(),
    }
}

/// Makes the texts and names of a file of JSON evil, line by line, and says which those are.
fn spoil_file(project: &Project, path: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut spoilt = String::new();
    for line in project.read(path).lines() {
        let value: Value = serde_json::from_str(line).expect("is JSON");
        spoilt.push_str(&spoil(&value, false, &mut names).to_string());
        spoilt.push('\n');
    }
    project.write(path, &spoilt);
    names
}

#[test]
fn names_and_labels_in_reports_reach_the_page_as_text() {
    let project = whole();
    let mut evaluation: Value = serde_json::from_str(&project.read("data/evaluation.json")).expect("is JSON");
    evaluation["models"]["mine"] = evaluation["models"]["final"].clone();
    evaluation["gates"]["kept"]["slice"] = "holdout".into();
    project.write("data/evaluation.json", &evaluation.to_string());
    let files = ["evaluation.json", "pruning.json", "history/steps.jsonl", "differences.jsonl"];
    let names: BTreeSet<_> =
        files.iter().flat_map(|file| spoil_file(&project, &format!("data/{file}"))).collect();
    project.ok(&["run"]);
    let page = project.ok(&["report", "--show-text", "-o", "-"]);
    // Each `<` begins a tag that the page itself writes, and nothing ends one before its time.
    let tags = page.split('<').skip(1).map(|tag| tag.split([' ', '>']).next().unwrap_or_default());
    let tags: BTreeSet<_> = tags.map(|tag| tag.trim_start_matches('/')).collect();
    assert!(tags.is_subset(&TAGS.split(' ').collect()), "{tags:?}");
    assert!(!page.contains("\"'"));
    for name in names {
        assert!(!page.contains(&format!("&lt;{name}")), "an ampersand before {name} is as it was");
    }
    let shown =
        ["mine", "final", "small", "kept", "fast", "holdout", "PER", "gold_set", "press", "short", "unseen"];
    for name in shown.iter().chain(&["taylor", "params", "kd", "test"]) {
        holds(&page, &[&escaped(name)]);
    }
}

/// Those that the page is made of.
const TAGS: &str = "!DOCTYPE a body br circle dd details div dl dt figcaption figure g h1 h2 h3 h4 head header html li \
    line main mark meta nav ol p path rect section small span style summary svg table tbody td text th \
    thead title tr ul";
