//! Folders with the habits of public teachers, against transformers: `testdata/teachers.json`, which
//! `testdata/teachers.py` wrote.

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use burn::tensor::Device;
use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Model;
use crate::{backend::readback::host, batch::Batch, inputs::Inputs, testing::values};
use text::{folder, words::words};

#[derive(Deserialize)]
struct Teachers {
    texts: Vec<String>,
    teachers: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    vocabulary: String,
    /// What is odd about its files.
    habit: Option<String>,
    config: Value,
    tensors: BTreeMap<String, Vec<usize>>,
    /// Instead of the vocabulary's.
    tokenizer: Option<Value>,
    said: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    ids: Vec<u32>,
    /// A digit an id: the column of the greatest logit.
    labels: String,
}

#[derive(Deserialize)]
struct Vocabularies {
    files: BTreeMap<String, String>,
    cases: Vec<Vocabulary>,
}

#[derive(Deserialize)]
struct Vocabulary {
    name: String,
    files: BTreeMap<String, String>,
    config: Option<Value>,
}

/// Tensors as a checkpoint of this habit calls them, with the bytes of each.
fn tensors(case: &Case) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    let habit = case.habit.as_deref();
    let called = |name: &str| match habit {
        Some("module") => format!("module.{name}"),
        Some("gamma") => {
            let gamma = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            gamma.replace("LayerNorm.bias", "LayerNorm.beta")
        }
        _ => name.to_owned(),
    };
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let float = |name: &str, shape: &[usize]| (Dtype::F32, shape.to_vec(), bytes(&values(name, shape)));
    let mut tensors: BTreeMap<_, _> =
        case.tensors.iter().map(|(name, shape)| (called(name), float(name, shape))).collect();
    if habit == Some("position_ids") {
        let ids: Vec<u8> = (0..140_i64).flat_map(i64::to_le_bytes).collect();
        tensors.insert("roberta.embeddings.position_ids".to_owned(), (Dtype::I64, vec![1, 140], ids));
    }
    if habit == Some("pooler") {
        for (name, shape) in [("weight", &[16, 16][..]), ("bias", &[16])] {
            let name = format!("roberta.pooler.dense.{name}");
            tensors.insert(name.clone(), float(&name, shape));
        }
    }
    tensors
}

fn write(case: &Case, vocabulary: &Vocabulary, files: &BTreeMap<String, String>, to: &Path) {
    let tensors = tensors(case);
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| {
            (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor"))
        })
        .collect();
    if case.habit.as_deref() == Some("sharded") {
        let (first, second) = views.split_at(views.len() / 2);
        let mut map = serde_json::Map::new();
        for (number, part) in [first, second].into_iter().enumerate() {
            let file = format!("model-0000{}-of-00002.safetensors", number + 1);
            map.extend(part.iter().map(|(name, _)| (name.clone(), json!(file))));
            serialize_to_file(part.to_vec(), None, &to.join(&file)).expect("written");
        }
        fs::write(to.join(folder::INDEX), json!({ "weight_map": map }).to_string()).expect("written");
    } else {
        serialize_to_file(views, None, &to.join(folder::WEIGHTS)).expect("written");
    }
    fs::write(to.join(folder::CONFIG), case.config.to_string()).expect("written");
    for (name, content) in &vocabulary.files {
        let bytes = BASE64_STANDARD.decode(&files[content]).expect("base64");
        fs::write(to.join(name), bytes).expect("written");
    }
    if let Some(tokenizer) = &case.tokenizer {
        fs::write(to.join(folder::TOKENIZER), tokenizer.to_string()).expect("written");
    }
    if let Some(config) = &vocabulary.config {
        fs::write(to.join(folder::TOKENIZER_CONFIG), config.to_string()).expect("written");
    }
}

#[test]
fn public_teachers_say_what_they_say_in_transformers() {
    let Teachers { texts, teachers } =
        serde_json::from_str(include_str!("../../../../testdata/teachers.json")).expect("the cases");
    let Vocabularies { files, cases } =
        serde_json::from_str(include_str!("../../../../testdata/tokenizers.json")).expect("the vocabularies");
    let device = Device::flex();
    for case in teachers {
        let name = &case.name;
        let vocabulary = cases.iter().find(|known| known.name == case.vocabulary).expect("a vocabulary");
        let folder = tempfile::tempdir().expect("a folder");
        write(&case, vocabulary, &files, folder.path());
        let model = Model::load(folder.path(), &device).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (text, said) in texts.iter().zip(&case.said) {
            let longest = model.config.max_pieces();
            let windows = model.tokenizer.windows(text, &words(text), longest).expect("sub-words");
            let [window] = windows.as_slice() else { panic!("{name}: `{text}` in one window") };
            assert_eq!(window.ids, said.ids, "{name}: {text}");
            let inputs = Inputs::new(&Batch::windows(&windows), &model.config, &device);
            let logits = host(model.network.forward(&inputs, &[]).logits);
            let greatest = |row: &[f32]| {
                let best = (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
                best.to_string()
            };
            let labels: String = logits.chunks_exact(model.config.labels.len()).map(greatest).collect();
            assert_eq!(labels, said.labels, "{name}: {text}");
        }
    }
}
