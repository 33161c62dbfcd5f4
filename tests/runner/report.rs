//! `ner-pipe report`: a page of what `command` stages made in the shapes that `evaluate`, `prune` and trainings write.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use crate::project::Project;

/// Stages that copy what lies in `data/` to outputs of the kinds that the page shows.
const ALL: &str = r#"
[sources]
history     = { path = "data/history", kind = "folder" }
pruning     = { path = "data/pruning.json", kind = "file" }
evaluation  = { path = "data/evaluation.json", kind = "file" }
differences = { path = "data/differences.jsonl", kind = "file" }

[stage.learn]
use = "command"
inputs = { from = "sources.history" }
outputs = { history = "out/history/", model = "out/model.txt" }
params = { run = "echo learn >> trace; cp -r {from} {history}; echo model > {model}" }

[stage.cut]
use = "command"
inputs = { model = "learn.model", from = "sources.pruning" }
outputs = { report = { path = "out/pruning.json", kind = "report" } }
params = { run = "echo cut >> trace; cp {from} {report}" }

[stage.measure]
use = "command"
inputs = { model = "learn.model", from = "sources.evaluation", texts = "sources.differences", cut = "cut.report" }
outputs = { report = { path = "out/evaluation.json", kind = "report" }, differences = "out/differences.jsonl" }
params = { run = "echo measure >> trace; cp {from} {report}; cp {texts} {differences}" }
"#;

const SENTENCE: &str = "Mme Durand <script>alert(1)</script> habite Angers.";

fn scores(f1: f64) -> Value {
    json!({
        "texts": 12,
        "micro": {"precision": f1, "recall": f1, "f1": f1, "support": 40, "f1_interval": [f1 - 0.03, f1]},
        "macro": {"precision": f1, "recall": f1, "f1": f1, "support": 40},
        "per_type": {"PER": {"precision": f1, "recall": f1, "f1": f1, "support": 30, "f1_interval": null}},
        "f1_drop": null,
    })
}

fn model(parameters: u64, fidelity: f64, quality: f64) -> Value {
    let parts = |f1: f64, name: &str, slice: &str| {
        let mut all = scores(f1);
        all[name] = json!({slice: scores(f1)});
        all["by_length"] = json!({"short": scores(f1)});
        all["by_mention"] = json!({"unseen": scores(f1)});
        all
    };
    let cell = |tokens: u32, ms: f64| {
        json!({"tokens": tokens, "batch": 1, "p50_ms": ms, "p90_ms": ms * 1.25, "p99_ms": ms * 2.0, "ratio": 0.5,
            "ratio_interval": [0.4, 0.6], "rounds": 30, "warmup": 3})
    };
    let mut latency = cell(32, 4.0);
    latency["device"] = "cpu".into();
    latency["threads"] = 2.into();
    latency["matrix"] = json!([cell(32, 4.0), cell(128, 16.0)]);
    json!({
        "parameters": parameters,
        "bytes": parameters * 4,
        "flops": 2_000_000_000_u64,
        "memory": {"how": "computed", "peak": 5_000_000},
        "latency": latency,
        "throughput": {"sentences_per_s": 321.0, "ratio": 1.5, "ratio_interval": [1.4, 1.6]},
        "fidelity": parts(fidelity, "by_source", "press"),
        "quality": parts(quality, "sets", "gold_set"),
    })
}

/// A project with everything there is to show.
pub fn whole() -> Project {
    let project = Project::new(ALL);
    let gate = |outcome: &str, measured: f64, interval: Value| {
        json!({"outcome": outcome, "measured": measured, "bound": 0.55, "interval": interval, "direction": "max",
            "metric": "final.parameters.ratio", "against": "teacher", "slice": null})
    };
    let evaluation = json!({
        "models": {
            "teacher": model(1_000_000, 1.0, 0.91),
            "final": model(654_321, 0.876, 0.823),
            "<script>alert(2)</script>": model(600_000, 0.5, 0.4),
        },
        "types": ["PER"],
        "bootstrap": {"samples": 1000, "confidence": 0.95},
        "lengths": {"short": [0, 10]},
        "gates": {
            "small": gate("fail", 0.6543, Value::Null),
            "kept": gate("pass", 0.25, json!([0.125, 0.375])),
            "fast": gate("inconclusive", 0.5, json!([0.45, 0.625])),
        },
    });
    let pruning = json!({
        "criterion": "taylor",
        "parameters": {"before": 1_000_000, "after": 654_321},
        "budget": {"params": {"limit": 660_000, "before": 1_000_000, "after": 654_321}},
        "vocabulary": null,
        "rounds": [
            {"round": 1, "parameters": 800_000, "dev_f1": {"cut": 0.71, "recovered": 0.84}},
            {"round": 2, "parameters": 654_321, "dev_f1": {"cut": 0.79, "recovered": 0.79}},
        ],
        "layers": [
            {"layer": 0, "from_teacher_layer": 0, "heads": {"before": 3, "kept": [0, 2], "scores": [0.5, 0.01, 0.9]},
                "ffn": {"before": 64, "after": 48}},
            {"layer": 1, "from_teacher_layer": 2, "heads": {"before": 3, "kept": [1], "scores": [0.1, 0.4, 0.2]},
                "ffn": {"before": 64, "after": 64}},
        ],
    });
    let header = "epoch,train_loss,val_loss,val_f1,val_precision,val_recall,lr,pruning_ratio\n";
    let steps = (1..=400).map(|step| {
        let loss = 1.0 / f64::from(step);
        json!({"step": step, "epoch": 1 + (step - 1) / 200, "lr": 1e-4, "grad_norm": 1.0, "loss": loss,
            "terms": {"kd": {"raw": loss, "weighted": loss * 0.5}}})
        .to_string()
            + "\n"
    });
    let sentence = json!({
        "set": "test", "id": "press-7", "source": "press", "text": SENTENCE,
        "words": [[0, 3], [4, 10], [37, 43], [44, 50], [50, 51]],
        "tags": {"teacher": ["O", "B-PER", "O", "B-LOC", "O"], "final": ["O", "B-PER", "O", "O", "O"]},
    });
    project.write("data/evaluation.json", &evaluation.to_string());
    project.write("data/pruning.json", &pruning.to_string());
    project.write("data/history/epochs.csv", &format!("{header}1,0.5,0.4,0.7125,0.8,0.6,0.0001,0\n"));
    project.write("data/history/steps.jsonl", &steps.collect::<String>());
    project.write("data/differences.jsonl", &format!("{sentence}\n"));
    project
}

pub fn holds(page: &str, facts: &[&str]) {
    for fact in facts {
        assert!(page.contains(fact), "the page has no {fact}");
    }
}

/// What stands between the tags.
fn text(page: &str) -> String {
    let inner = page.split('<').filter_map(|part| part.split_once('>').map(|(_, text)| text));
    inner.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_page_shows_gates_scores_pruning_and_curves_and_executes_nothing() {
    let project = whole();
    project.ok(&["run"]);
    let trace = project.trace();
    assert_eq!(project.ok(&["report"]), "wrote artifacts/report.html\n");
    assert_eq!(project.trace(), trace, "a report only reads");
    let page = project.read("artifacts/report.html");
    let said = text(&page);
    // Gates, with their three outcomes.
    holds(&said, &["small \u{2717} fail final.parameters.ratio against teacher 0.6543 exact \u{2264} 0.55"]);
    holds(&said, &["kept \u{2713} pass", "0.125 to 0.375", "fast ? inconclusive", "0.45 to 0.625"]);
    // The graph.
    holds(
        &page,
        &[
            "learn (command), fresh",
            "learn \u{2192} measure: model as model",
            "sources.history: data/history",
        ],
    );
    // Models side by side; fidelity and quality apart, by type, source and slice.
    holds(&said, &["final 654,321 65.4 % 87.6 82.3 4 ms", "Fidelity: agreement", "Quality: against gold"]);
    holds(&said, &["source press", "set gold_set", "length short (0 to 10 words)", "mention unseen"]);
    holds(
        &page,
        &["final, all types: 87.6 (84.6 to 87.6)", "final, PER: 82.3", "p50 4 ms", "final: 16 at 128"],
    );
    // Pruning: a cross for each head that went, and widths.
    assert_eq!(page.matches("class=\"cross\"").count(), 3);
    holds(
        &page,
        &["layer 0, head 1: removed, score 0.01", "layer 0, head 2: kept", "layer 0: 48 of 64 neurons"],
    );
    holds(&said, &["3 of 6 heads and 112 of 128 FFN neurons are left", "1 800,000 71.0 84.0", "660,000"]);
    // Curves, thinned.
    holds(&said, &["Loss by step", "Scores on dev by epoch", "kd", "71.2"]);
    let longest = page.split("d=\"").filter_map(|path| path.split('"').next()).map(str::len).max();
    assert!(longest.is_some_and(|longest| longest < 3000), "{longest:?}");
    assert!(page.len() < 200_000, "{}", page.len());
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let project = whole();
    project.ok(&["run"]);
    project.ok(&["report", "--show-text"]);
    let page = project.read("artifacts/report.html");
    for outside in ["<script", "src=", "http:", "https:", "@import", "url(", "<link", "onload", "<img"] {
        assert!(!page.contains(outside), "{outside}");
    }
    holds(&page, &["<!DOCTYPE html>", "lang=\"en\"", "prefers-color-scheme: dark", "&lt;script&gt;alert(2)"]);
    let root = project.path("").display().to_string();
    assert!(!page.contains(root.trim_end_matches('/')), "no absolute path");
}

#[test]
fn sentences_are_shown_only_to_who_asks_for_them_and_are_escaped() {
    let project = whole();
    project.ok(&["run"]);
    let mode =
        || fs::metadata(project.path("artifacts/report.html")).expect("there").permissions().mode() & 0o777;
    project.ok(&["report"]);
    let page = project.read("artifacts/report.html");
    for word in ["Durand", "Angers", "habite", "press-7"] {
        assert!(!page.contains(word), "{word}");
    }
    holds(&page, &["ner-pipe report --show-text"]);
    assert_eq!(mode(), 0o644);
    project.ok(&["report", "--show-text"]);
    let page = project.read("artifacts/report.html");
    holds(&page, &["&lt;script&gt;alert(1)&lt;/script&gt; habite"]);
    holds(&page, &["<mark class=\"\">Durand<span class=\"type\">PER</span></mark>"]);
    holds(&text(&page), &["teacher Mme Durand PER", "Angers LOC \u{2260}"]);
    assert_eq!(mode(), 0o600, "what has text in it is its owner's alone");
}

#[test]
fn equal_results_give_equal_bytes() {
    let project = whole();
    project.ok(&["run"]);
    let page = |arguments: &[&str]| project.ok(&[&["report", "--output", "-"], arguments].concat());
    assert_eq!(page(&["--show-text"]), page(&["--show-text"]));
    let first = page(&[]);
    project.ok(&["run"]);
    assert_eq!(page(&[]), first, "also after a run with nothing to do");
    project.ok(&["report", "-o", "elsewhere.html"]);
    assert_eq!(project.read("elsewhere.html"), first);
}

#[test]
fn what_is_not_there_is_left_out_with_a_word() {
    let project = whole();
    let page = text(&project.ok(&["report", "-o", "-"]));
    for word in [
        "no gates defined, or none evaluated yet",
        "no `evaluate` has a result yet",
        "no `prune` has a result yet",
        "no training has a history yet",
        "no stage has an output `differences` yet",
        "learn is never-run: never run",
        "3 stages: 3 never-run",
    ] {
        holds(&page, &[word]);
    }
    assert!(!project.exists("cache") && !project.exists("artifacts"), "a reader writes nothing");
    project.ok(&["run", "learn"]);
    project.write("data/history/epochs.csv", "what is this");
    project.write("data/evaluation.json", "{\"models\": {}}");
    project.ok(&["run"]);
    let page = text(&project.ok(&["report", "-o", "-"]));
    holds(&page, &["Loss by step", "no `evaluate` has a result yet"]);
    assert!(!page.contains("Scores on dev"), "{page}");
}

#[test]
fn a_stale_result_is_shown_as_one_and_with_its_reason() {
    let project = whole();
    project.ok(&["run"]);
    project.replace("pipeline.toml", "echo cut >>", "echo cut again >>");
    let page = text(&project.ok(&["report", "-o", "-"]));
    holds(&page, &["3 stages: 1 fresh, 1 stale, 1 maybe"]);
    holds(
        &page,
        &[
            "cut is stale: params.run",
            "what follows: measure",
            "The last result; its stage is not fresh: stale.",
            "3 of 6 heads",
        ],
    );
}

#[test]
fn artifacts_without_a_cache_are_enough() {
    let project = whole();
    project.ok(&["run"]);
    project.remove("cache");
    let page = text(&project.ok(&["report", "-o", "-"]));
    holds(
        &page,
        &[
            "small \u{2717} fail",
            "3 of 6 heads",
            "Scores on dev by epoch",
            "The last result; its stage is not fresh",
        ],
    );
}

#[test]
fn a_page_takes_the_place_of_a_page_alone() {
    let project = whole();
    let before = project.read("pipeline.toml");
    let ended = project.ner_pipe(&["report", "--output", "pipeline.toml"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("pipeline.toml is there and is no page"), "{}", ended.err);
    assert!(ended.err.contains("help: name another file"), "{}", ended.err);
    assert_eq!(project.read("pipeline.toml"), before);
    project.ok(&["report", "--output", "page.html"]);
    project.ok(&["report", "--output", "page.html"]);
}
