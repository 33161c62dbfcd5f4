//! Files of a model folder that are damaged, or ask for more than a machine has: refused with an error, or a model that reads
//! texts.

use std::io::Write;

use serde_json::{Map, json};

use super::*;
use crate::{predictor::Predictor, testing::fixture};

#[path = "../../../../../fuzz/bodies/seeded.rs"]
mod seeded;

/// Mutants of each file.
const MUTANTS: usize = 60;

fn whole() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fixture::model(fixture::teacher_labels(), &[]).save(folder.path()).expect("saved");
    folder
}

/// The same folder with another file in it, in the place of the weights if it holds some.
fn with(whole: &Path, name: &str, bytes: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(whole).expect("a folder").flatten() {
        if name != folder::PYTORCH || entry.file_name() != folder::WEIGHTS {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("copied");
        }
    }
    fs::write(folder.path().join(name), bytes).expect("written");
    folder
}

/// All that is done with a folder from elsewhere.
fn open(folder: &Path) {
    let Ok((config, _)) = outside(folder) else { return };
    assert!(config.all_parameters() > 0 && !config.json().is_empty());
    let _ = card::declared(folder);
    let device = Device::flex();
    if let Ok(model) = Model::load(folder, &device) {
        // A value may still overflow.
        drop(Predictor::of(model, device).and_then(|model| model.entities(&["Anna vit", ""])));
    }
}

#[test]
fn no_file_of_a_model_folder_that_is_damaged_panics() {
    let whole = whole();
    let seeds = tempfile::tempdir().expect("a folder");
    let modern = json!({
        "model_type": "modernbert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 8, "vocab_size": 90, "max_position_embeddings": 64, "pad_token_id": 1,
        "local_attention": 8, "layer_types": ["full_attention"], "id2label": {"0": "O", "1": "I-PER"},
        "rope_parameters": {"full_attention": {"rope_theta": 1e4}, "sliding_attention": {"rope_theta": 1e4}},
    });
    let config = fs::read(whole.path().join(folder::CONFIG)).expect("read");
    let mut stock: Value = serde_json::from_slice(&config).expect("JSON");
    stock.as_object_mut().expect("an object").shift_remove("ner_pipe");
    let weights = fs::read(whole.path().join(folder::WEIGHTS)).expect("read");
    let card = fs::read(whole.path().join(folder::CARD)).expect("read");
    for (name, files) in [
        (folder::CONFIG, vec![config, stock.to_string().into_bytes(), modern.to_string().into_bytes()]),
        (folder::WEIGHTS, vec![weights]),
        (
            folder::PYTORCH,
            vec![
                include_bytes!("../../../../testdata/checkpoint.bin").to_vec(),
                include_bytes!("../../../../testdata/checkpoint-legacy.bin").to_vec(),
            ],
        ),
        (folder::CARD, vec![card]),
    ] {
        fs::create_dir(seeds.path().join(name)).expect("made");
        for (number, bytes) in files.iter().enumerate() {
            fs::write(seeds.path().join(name).join(number.to_string()), bytes).expect("written");
        }
        seeded::fuzz(seeds.path(), name, |bytes| open(with(whole.path(), name, bytes).path()), MUTANTS);
    }
}

/// What is said of a folder whose config.json says something else.
fn said(whole: &Path, change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let text = fs::read(whole.join(folder::CONFIG)).expect("read");
    let mut config: Value = serde_json::from_slice(&text).expect("JSON");
    change(config.as_object_mut().expect("an object"));
    let folder = with(whole, folder::CONFIG, config.to_string().as_bytes());
    let invalid = Invalid::of(&outside(folder.path()).err().expect("refused"));
    assert!(invalid.help.is_some(), "{}", invalid.message);
    invalid.message
}

#[test]
fn numbers_that_no_encoder_has_are_refused_wherever_they_stand() {
    let whole = whole();
    for number in [json!(1_000_000_000), json!(i64::MAX), json!(u64::MAX), json!(1_u64 << 32), json!(1e300)] {
        for key in [
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
            "pad_token_id",
        ] {
            let message = said(whole.path(), |config| {
                config.shift_remove("ner_pipe");
                config.insert(key.to_owned(), number.clone());
            });
            assert!(message.contains(key), "{key} {number}: {message}");
        }
        for key in ["head_dim", "heads", "ffn", "from_teacher_layer"] {
            let message = said(whole.path(), |config| {
                let own = &mut config["ner_pipe"];
                let place = if key == "head_dim" { &mut own[key] } else { &mut own["layers"][0][key] };
                *place = number.clone();
            });
            assert!(message.contains(key), "{key} {number}: {message}");
        }
    }
    let message = said(whole.path(), |config| {
        (config["ner_pipe"]["head_dim"], config["ner_pipe"]["layers"][0]["heads"]) =
            (json!(1 << 20), json!(1 << 20));
    });
    assert!(message.contains("the width of all heads"), "their product is 0 in 32 bits: {message}");
    let message = said(whole.path(), |config| {
        let layer = config["ner_pipe"]["layers"][0].clone();
        config["ner_pipe"]["layers"] = Value::Array(vec![layer; 1001]);
    });
    assert!(message.contains("the number of ner_pipe.layers is 1001"), "{message}");
    let message = said(whole.path(), |config| {
        let names = (0..100_000).map(|label| (label.to_string(), json!(format!("I-T{label}"))));
        config.insert("id2label".to_owned(), Value::Object(names.collect()));
    });
    assert!(message.contains("there are 100000 labels"), "{message}");
    for epsilon in [json!(0.0), json!(1e-300), json!(1e300), json!("x"), json!([0])] {
        let message =
            said(whole.path(), |config| drop(config.insert("layer_norm_eps".to_owned(), epsilon.clone())));
        assert!(message.contains("layer_norm_eps is"), "{message}");
    }
}

#[test]
fn weights_are_not_read_for_their_shapes() {
    let whole = whole();
    let path = whole.path().join(folder::WEIGHTS);
    let bytes = fs::read(&path).expect("read");
    let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().expect("eight"))).expect("short");
    // As large as it was, with a hole where the numbers are: nothing is found wrong until they are read.
    let file = fs::File::create(&path).expect("made");
    (&file).write_all(&bytes[..8 + header]).expect("written");
    file.set_len(bytes.len() as u64).expect("a hole");
    outside(whole.path()).expect("its shapes are right");
    // More numbers than any memory holds, in a file of a kilobyte and in one that has them.
    for (length, expected) in [(0, "no safetensors file"), (1_u64 << 36, "disagree: ")] {
        let tensor = json!({"dtype": "F32", "shape": [1_u64 << 34], "data_offsets": [0, 1_u64 << 36]});
        let header = json!({"roberta.embeddings.word_embeddings.weight": tensor}).to_string();
        let head = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        let file = fs::File::create(&path).expect("made");
        (&file).write_all(&head).expect("written");
        file.set_len(head.len() as u64 + length).expect("a hole");
        let message = Invalid::of(&outside(whole.path()).err().expect("refused")).message;
        assert!(message.contains(expected), "{message}");
    }
}
