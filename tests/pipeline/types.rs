//! Any types, any number of them, through the whole pipeline.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::ner_pipe;

const PIPELINE: &str = r#"seed = 7
[sources]
text = { path = "text", kind = "text" }
gold = { path = "gold.jsonl", kind = "gold" }
[stage.teach]
inputs = { train = "sources.gold", dev = "sources.gold", text = "sources.text" }
params = { vocab = 300, hidden = 16, layers = 3, heads = 2, ffn = 32, epochs = 8, batch_tokens = 256 }
[stage.annotate]
inputs = { text = "sources.text", teacher = "teach.model" }
[stage.split]
inputs = { records = "annotate.records" }
[stage.distill]
inputs = { train = "split.train", dev = "split.dev", teacher = "teach.model", logits = "annotate.logits" }
params = { keep_layers = 2, epochs = 1, batch_tokens = 256 }
[stage.prune]
inputs = { model = "distill.model", train = "split.train" }
params = { heads = 0.5, ffn = 0.25 }
[stage.finetune]
inputs = { model = "prune.model", train = "split.train", dev = "split.dev", teacher = "teach.model" }
params = { epochs = 1, batch_tokens = 256 }
[stage.evaluate]
inputs = { teacher = "teach.model", final = "finetune.model", test = "split.test", gold = "sources.gold" }
params = { rounds = 2, samples = 100, seconds = 0.0, latency_tokens = [16], latency_batches = [1] }
"#;

/// Sentences in which each type has words of its own.
fn project(types: &[String]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("pipeline.toml"), PIPELINE).expect("written");
    fs::create_dir(path("text")).expect("made");
    let mention = |kind: usize, number: usize| {
        format!("{}{}", ["zo", "ka", "mi"][number % 3], "xyzwvutsrqponmlkji".chars().nth(kind).expect("18"))
    };
    let filler = ["le", "patient", "a", "dit", "hier", "que", "tout", "va", "bien", "ici"];
    let mut lines = Vec::new();
    let mut text = Vec::new();
    for sentence in 0..240 {
        let kind = sentence % types.len();
        let (mut tokens, mut tags) = (Vec::new(), Vec::new());
        for word in 0..5 + sentence % 4 {
            tokens.push(filler[(sentence * 7 + word * 3) % filler.len()].to_owned());
            tags.push("O".to_owned());
        }
        let at = sentence % 4;
        tokens[at] = mention(kind, sentence / types.len());
        tags[at] = format!("B-{}", types[kind]);
        text.push(format!("{} {sentence}", tokens.join(" ")));
        lines.push(json!({"tokens": tokens, "ner_tags": tags}).to_string());
    }
    fs::write(path("gold.jsonl"), lines.join("\n")).expect("written");
    fs::write(path("text/notes.txt"), text.join("\n")).expect("written");
    folder
}

fn read(project: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(project.join("artifacts").join(name)).expect("published")).expect("JSON")
}

#[test]
fn a_student_learns_the_types_of_its_teacher_whatever_they_are() {
    let clinical = ["problem", "treatment", "test"].map(str::to_owned).to_vec();
    let many: Vec<String> = (0..18).map(|kind| format!("T{kind}")).collect();
    for types in [vec!["MEDICATION".to_owned()], clinical, many] {
        let folder = project(&types);
        ner_pipe(folder.path(), &["run", "--device", "cpu"]);
        let labels = read(folder.path(), "finetune/model/config.json")["id2label"].clone();
        assert_eq!(labels.as_object().expect("labels").len(), 1 + types.len(), "as the teacher's: {labels}");
        let mut sorted = types.clone();
        sorted.sort();
        let report = read(folder.path(), "evaluate/report.json");
        assert_eq!(report["types"], json!(sorted));
        let support =
            |kind: &String| report["models"]["final"]["quality"]["per_type"][kind]["support"].clone();
        assert!(
            types.iter().all(|kind| support(kind).as_u64() > Some(0)),
            "{}",
            report["models"]["final"]["quality"]
        );
        assert_eq!(report["foreign"]["unknown"], json!({}));
    }
}
