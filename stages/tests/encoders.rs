//! Every encoder on the whole way: a teacher's folder, annotation, distillation, pruning, finetuning, and the student's folder.

use std::{collections::BTreeMap, fs, path::Path};

use burn::tensor::Device;
use serde_json::{Value, json};

use encoder::{
    arch::{ARCHITECTURES, Architecture},
    batch::Encoded,
    config::Config,
    infer::encode,
    model::Model,
    tagger::tag,
    testing::{fixture::teacher_labels, tokenizer, trained},
};
use stage_contract::{Context, Stage, testing::context};
use stages::{annotate::Annotate, distill::Distill, finetune::Finetune, prune::Prune};
use text::words::words;

const WORDS: [&str; 8] = ["Anna", "Paris", "CAF", "le", "et", "vit", "ici", "hier"];

/// config.json of a small teacher, with what any encoder may ask for.
fn config(architecture: &dyn Architecture) -> Config {
    let keys = architecture.keys();
    let labels = teacher_labels();
    let names = labels.names().iter().enumerate();
    let mut config = json!({
        "model_type": architecture.families()[0].model_type, "vocab_size": 4 + WORDS.len(),
        "max_position_embeddings": 40, "pad_token_id": 1,
        "id2label": names.map(|(id, name)| (id.to_string(), json!(name))).collect::<serde_json::Map<_, _>>(),
        "local_attention": 8,
        "relative_attention": true, "share_att_key": true, "position_biased_input": false,
        "norm_rel_ebd": "layer_norm", "pos_att_type": ["p2c", "c2p"], "position_buckets": 8,
    });
    for (key, value) in [(keys.hidden, 16), (keys.layers, 4), (keys.heads, 4), (keys.neurons, 32)] {
        config[key] = json!(value);
    }
    Config::parse(config).expect("is understood")
}

struct Project<'a>(&'a Path);

impl Project<'_> {
    fn ports(&self, ports: &[(&str, &str)]) -> BTreeMap<String, std::path::PathBuf> {
        ports.iter().map(|(port, name)| ((*port).to_owned(), self.0.join(name))).collect()
    }

    fn run(&self, stage: &impl Stage, inputs: &[(&str, &str)], outputs: &[(&str, &str)]) {
        let checkpoint = self.0.join("checkpoint");
        fs::remove_dir_all(&checkpoint).ok();
        let (inputs, outputs) = (self.ports(inputs), self.ports(outputs));
        stage
            .run(&Context {
                inputs: &inputs,
                outputs: &outputs,
                checkpoint: &checkpoint,
                seed: 3,
                ..context()
            })
            .expect("does its work");
    }
}

/// Parameters as a pipeline file gives them.
fn stage<S: Stage>(parameters: Value) -> S {
    serde_json::from_value(parameters).expect("are parameters")
}

fn encoded(model: &Model, text: &str) -> Vec<Encoded> {
    encode(model, [(text, words(text).as_slice())]).expect("sub-words")
}

#[test]
fn every_encoder_is_annotated_with_distilled_pruned_finetuned_and_saved() {
    let device = Device::flex();
    for architecture in ARCHITECTURES {
        let name = architecture.families()[0].model_type;
        let folder = tempfile::tempdir().expect("a folder");
        let project = Project(folder.path());
        let config = config(architecture);
        let network = trained(&config, &device);
        let teacher = Model { config, network, tokenizer: tokenizer(&WORDS) };
        teacher.save(&folder.path().join("teacher")).expect("saved");
        // Longer than the reach of local attention.
        let lines: Vec<String> = (0..30)
            .map(|line| {
                (0..6 + line % 9).map(|word| WORDS[(line * 5 + word * 3) % 8]).collect::<Vec<_>>().join(" ")
            })
            .collect();
        fs::write(folder.path().join("text.txt"), lines.join("\n")).expect("written");

        project.run(
            &stage::<Annotate>(json!({"clean": {"shortest": 1, "near_duplicates": false}})),
            &[("text", "text.txt"), ("teacher", "teacher")],
            &[("records", "records.jsonl"), ("report", "annotated.json"), ("logits", "logits.safetensors")],
        );
        let data = [("train", "records.jsonl"), ("dev", "records.jsonl"), ("teacher", "teacher")];
        let weights = json!({"ce": 1.0, "kd": 0.8, "hidden": 0.15, "relation": 0.1, "crf": 0.15});
        project.run(
            &stage::<Distill>(json!({
                "keep_layers": 3, "epochs": 1, "weights_first": weights, "weights": weights, "relation_heads": 4
            })),
            &data,
            &[("model", "distilled"), ("history", "distilled.json")],
        );
        project.run(
            &stage::<Prune>(json!({"heads": 0.25, "ffn": 0.5})),
            &[&data[..], &[("model", "distilled")]].concat(),
            &[("model", "pruned"), ("report", "pruned.json")],
        );
        project.run(
            &stage::<Finetune>(json!({"epochs": 1, "weights": weights, "relation_heads": 4})),
            &[&data[..], &[("model", "pruned")]].concat(),
            &[("model", "final"), ("history", "final.json")],
        );

        let student = Model::load(&folder.path().join("final"), &device).expect("a whole model");
        assert_eq!(student.config.architecture, architecture, "{name}");
        assert_eq!(
            student.config.labels.types(),
            ["LOC", "PER", "MISC", "ORG"],
            "{name}: the teacher's types"
        );
        let shapes: Vec<_> = student.config.layers.iter().map(|layer| (layer.heads, layer.ffn)).collect();
        assert_eq!(shapes, [(3, 16); 3], "{name}");
        let reach = |model: &Model, layer: usize| model.config.layers[layer].reach;
        for (layer, shape) in student.config.layers.iter().enumerate() {
            assert_eq!(
                reach(&student, layer),
                reach(&teacher, shape.from_teacher_layer),
                "{name}: as its origin"
            );
        }
        assert!(student.config.parameters() < teacher.config.parameters(), "{name}");
        let tagged = tag(&student, &encoded(&student, &lines[8]), 512, &[], &device, None).expect("finite");
        assert_eq!(tagged.decoded[0].tags.len(), 14, "{name}");
    }
}
