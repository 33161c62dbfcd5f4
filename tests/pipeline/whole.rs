//! A whole `CamemBERT`, from a hub through every stage.

use std::{env, fs, path::PathBuf, time::Instant};

use hub::testing::FakeHub;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Map, Value, json};

use super::command;

const REPO: &str = "owner/camembert-ner";
const VOCABULARY: usize = 32_005;
const HIDDEN: usize = 768;
const INNER: usize = 3072;

const PIPELINE: &str = r#"seed = 7
[sources]
teacher = { hub = "owner/camembert-ner", kind = "model" }
text = { path = "text", kind = "text" }
gold = { path = "gold", kind = "gold" }
[stage.annotate]
inputs = { text = "sources.text", teacher = "sources.teacher" }
[stage.split]
inputs = { records = "annotate.records", exclude = "sources.gold" }
params = { dev = 0.2, test = 0.2 }
[stage.distill]
inputs = { train = "split.train", dev = "split.dev", teacher = "sources.teacher", logits = "annotate.logits" }
params = { keep_layers = 10, epochs = 1, batch_tokens = 512 }
[stage.prune]
inputs = { model = "distill.model", train = "split.train" }
params = { heads = 0.25, ffn = 0.25, vocabulary = 8000 }
[stage.finetune]
inputs = { model = "prune.model", train = "split.train", dev = "split.dev", teacher = "sources.teacher" }
params = { epochs = 1, batch_tokens = 512 }
[stage.evaluate]
inputs = { teacher = "sources.teacher", final = "finetune.model", test = "split.test", gold = "sources.gold" }
params = { rounds = 1, samples = 100, seconds = 0.0, latency_tokens = [32], latency_batches = [1] }
"#;

/// Weights of `camembert-ner`'s names and shapes in bf16, drawn as transformers initialises them, in a safetensors file.
fn weights() -> Vec<u8> {
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    let mut linear = |name: &str, rows: usize, columns: usize| {
        tensors.push((format!("{name}.weight"), vec![rows, columns]));
        tensors.push((format!("{name}.bias"), vec![rows]));
    };
    for layer in 0..12 {
        let layer = format!("roberta.encoder.layer.{layer}");
        for name in ["self.query", "self.key", "self.value", "output.dense"] {
            linear(&format!("{layer}.attention.{name}"), HIDDEN, HIDDEN);
        }
        linear(&format!("{layer}.intermediate.dense"), INNER, HIDDEN);
        linear(&format!("{layer}.output.dense"), HIDDEN, INNER);
    }
    linear("classifier", 5, HIDDEN);
    for (name, rows) in [("word", VOCABULARY), ("position", 514), ("token_type", 1)] {
        tensors.push((format!("roberta.embeddings.{name}_embeddings.weight"), vec![rows, HIDDEN]));
    }
    let layers = (0..12).flat_map(|layer| {
        ["attention.output", "output"].map(|part| format!("roberta.encoder.layer.{layer}.{part}"))
    });
    for norm in layers.chain(["roberta.embeddings".to_owned()]) {
        for part in ["weight", "bias"] {
            tensors.push((format!("{norm}.LayerNorm.{part}"), vec![HIDDEN]));
        }
    }

    let mut data: Vec<u8> = Vec::with_capacity(230_000_000);
    let mut header = Map::new();
    let mut state = 1_u64;
    for (name, shape) in tensors {
        let start = data.len();
        for _ in 0..shape.iter().product() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = f32::from(u16::try_from(state >> 48).expect("16 bits")) / 32_768.0 - 1.0;
            let value = match name.rsplit_once('.') {
                Some((norm, "weight")) if norm.ends_with("LayerNorm") => 1.0,
                Some((_, "bias")) => 0.0,
                // Standard deviation 0.02.
                _ => 0.0346 * uniform,
            };
            data.extend_from_slice(&value.to_le_bytes()[2..]);
        }
        let place = json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name, place);
    }
    let header = Value::Object(header).to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

fn config() -> String {
    json!({
        "architectures": ["CamembertForTokenClassification"], "model_type": "camembert", "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": INNER,
        "hidden_act": "gelu", "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
        "pad_token_id": 1, "bos_token_id": 5, "eos_token_id": 6,
        "id2label": { "0": "O", "1": "I-LOC", "2": "I-PER", "3": "I-MISC", "4": "I-ORG" },
    })
    .to_string()
}

/// So much memory, in bytes, did a process or one of its children hold at most.
fn peak() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("is told");
    u64::try_from(usage.max_rss()).expect("a size") * 1024
}

/// Minutes and gigabytes: run alone, and with the real tokenizer and text, which the repository has no right to.
#[test]
fn a_teacher_of_camembert_s_size_goes_from_a_hub_through_every_stage() {
    let Some(real) = env::var_os("NER_PIPE_REAL").map(PathBuf::from) else {
        eprintln!("SKIPPED: NER_PIPE_REAL names no folder with a real tokenizer and text");
        return;
    };
    let bytes = |name: &str| fs::read(real.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let tokenizer = |name: &str| bytes(&format!("camembert-tokenizer/{name}"));
    let (pieces, settings) = (tokenizer("sentencepiece.bpe.model"), tokenizer("tokenizer_config.json"));
    let specials = tokenizer("special_tokens_map.json");
    let hub = FakeHub::start();
    hub.commit(
        REPO,
        &[
            ("config.json", config().as_bytes()),
            ("model.safetensors", &weights()),
            ("sentencepiece.bpe.model", &pieces),
            ("tokenizer_config.json", &settings),
            ("special_tokens_map.json", &specials),
            ("README.md", b"---\nlicense: mit\n---\n"),
            ("training_args.bin", b"nobody reads it"),
        ],
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let text = String::from_utf8(bytes("corpus/press.txt")).expect("is UTF-8");
    let gold = String::from_utf8(bytes("gold/press_dev.bio")).expect("is UTF-8");
    let first = |text: &str, count: usize, between: &str| {
        text.split(between).take(count).collect::<Vec<_>>().join(between) + "\n"
    };
    for name in ["text", "gold"] {
        fs::create_dir(path(name)).expect("made");
    }
    fs::write(path("pipeline.toml"), PIPELINE).expect("written");
    fs::write(path("text/press.txt"), first(&text, 120, "\n")).expect("written");
    fs::write(path("gold/press.bio"), first(&gold, 40, "\n\n")).expect("written");

    let begun = Instant::now();
    let output = command(folder.path(), &["run", "--device", "cpu", "--format", "json"])
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_HOME", path("home"))
        .env("HF_HUB_OFFLINE", "0")
        .output()
        .expect("starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{:.0} s, at most {} MB\n{errors}", begun.elapsed().as_secs_f64(), peak() / 1_000_000);

    let report: Value =
        serde_json::from_slice(&fs::read(path("artifacts/evaluate/report.json")).expect("published"))
            .expect("is JSON");
    assert_eq!(report["types"], json!(["LOC", "MISC", "ORG", "PER"]));
    let parameters = |model: &str| report["models"][model]["parameters"].as_u64().expect("is a count");
    let linear = |rows: u64, columns: u64| rows * columns + rows;
    let layer = 4 * linear(768, 768) + linear(3072, 768) + linear(768, 3072) + 4 * 768;
    let embeddings = (32_005 + 514 + 1) * 768 + 2 * 768;
    assert_eq!(parameters("teacher"), 12 * layer + embeddings + linear(5, 768));
    let (teacher, student) = (parameters("teacher"), parameters("final"));
    assert!(45 * teacher < 100 * student && 100 * student < 60 * teacher, "{student} of {teacher}");
    let cached = walkdir::WalkDir::new(path("home")).into_iter().filter_map(Result::ok);
    assert!(!cached.into_iter().any(|entry| entry.file_name() == "training_args.bin"), "only what is needed");
    let card = fs::read_to_string(path("artifacts/finetune/model/README.md")).expect("a card");
    assert!(card.contains("license: \"mit\""), "as the teacher's own says: {card}");
}
