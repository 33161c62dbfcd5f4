use std::{fs, path::Path};

use burn::tensor::Device;
use serde_json::{Value, json};

use super::{finding::Finding, *};
use encoder::{
    model::Model,
    testing::fixture::{model, teacher_labels},
    weights::{Array, Stored, Wanted, Weights},
};
use text::{
    folder::{CARD, CONFIG, INDEX, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS},
    labels::Labels,
};

fn saved() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    // No tensor of it is like another, and none has zeros.
    let mut teacher = model(teacher_labels(), &[]);
    teacher.network = encoder::network::Network::init(&teacher.config, 7, &Device::flex());
    teacher.save(folder.path()).expect("saved");
    folder
}

fn audit(folder: &Path) -> Audit {
    Audit::of(folder, "it")
}

fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(file);
    let mut value = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
    change(&mut value);
    fs::write(path, value.to_string()).expect("written");
}

fn reweigh(folder: &Path, change: impl FnOnce(&mut Weights)) {
    let mut weights = Weights::load(folder, &Wanted::All).expect("read");
    change(&mut weights);
    weights.save(&folder.join(WEIGHTS), Stored::F32).expect("saved");
}

fn found<'a>(audit: &'a Audit, what: &str) -> &'a Finding {
    let found = audit.findings.iter().find(|finding| finding.what.contains(what));
    found.unwrap_or_else(|| panic!("nobody says `{what}`: {:#?}", audit.findings))
}

/// Changes to a folder that is whole: what is said of each, and how bad it is.
type Case = (&'static str, Severity, fn(&Path));

const UP: &str = "roberta.encoder.layer.0.intermediate.dense";
const QUERY: &str = "roberta.encoder.layer.0.attention.self.query.weight";

fn values(weights: &mut Weights, name: &str, change: impl Fn(usize, f32) -> f32) {
    let array = weights.get_mut(name).expect("there");
    array.values.iter_mut().enumerate().for_each(|(at, value)| *value = change(at, *value));
}

const CASES: [Case; 28] = [
    ("is no token classifier", Severity::Error, |it| {
        edit(it, CONFIG, |c| c["architectures"] = json!(["CamembertForMaskedLM"]));
    }),
    ("model_type is t5", Severity::Error, |it| edit(it, CONFIG, |c| c["model_type"] = json!("t5"))),
    ("is not JSON", Severity::Error, |it| fs::write(it.join(CONFIG), "{").expect("written")),
    ("has no config.json", Severity::Error, |it| fs::remove_file(it.join(CONFIG)).expect("removed")),
    ("has no model.safetensors", Severity::Error, |it| fs::remove_file(it.join(WEIGHTS)).expect("removed")),
    ("has no tokenizer", Severity::Error, |it| fs::remove_file(it.join(TOKENIZER)).expect("removed")),
    ("is truncated or no safetensors file", Severity::Error, |it| {
        let bytes = fs::read(it.join(WEIGHTS)).expect("read");
        fs::write(it.join(WEIGHTS), &bytes[..bytes.len() - 1]).expect("written");
    }),
    ("is a Git LFS pointer", Severity::Error, |it| {
        fs::write(it.join(WEIGHTS), "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
            .expect("written");
    }),
    ("has no name of its own", Severity::Error, |it| {
        edit(it, CONFIG, |c| {
            c["id2label"] =
                json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2", "3": "LABEL_3", "4": "LABEL_4"});
        });
    }),
    ("there is no tensor roberta", Severity::Error, |it| reweigh(it, |w| drop(w.remove(QUERY)))),
    ("and not [8, 8]", Severity::Error, |it| {
        reweigh(it, |w| w.insert(QUERY, Array { shape: vec![4, 8], values: vec![0.5; 32] }));
    }),
    ("stored as F64, which is not read: 1 tensor", Severity::Error, |it| {
        let path = it.join(WEIGHTS);
        let bytes = fs::read(&path).expect("read");
        // Half as many numbers of twice the length.
        let from = r#""roberta.embeddings.LayerNorm.bias":{"dtype":"F32","shape":[8]"#;
        let to = r#""roberta.embeddings.LayerNorm.bias":{"dtype":"F64","shape":[4]"#;
        let place = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("there");
        let changed = [&bytes[..place], to.as_bytes(), &bytes[place + from.len()..]].concat();
        fs::write(path, changed).expect("written");
    }),
    ("NaN or infinite: 1 value", Severity::Error, |it| {
        reweigh(it, |w| values(w, QUERY, |at, value| if at == 3 { f32::NAN } else { value }));
    }),
    ("but config.json makes room for", Severity::Error, |it| {
        edit(it, CONFIG, |c| c["vocab_size"] = json!(20));
        reweigh(it, |w| {
            let name = "roberta.embeddings.word_embeddings.weight";
            let values = w.get(name).expect("there").values[..160].to_vec();
            w.insert(name, Array { shape: vec![20, 8], values });
        });
    }),
    ("NaN or infinite: 2 values", Severity::Warning, |it| {
        reweigh(it, |w| w.insert("lm_head.bias", Array { shape: vec![2], values: vec![f32::INFINITY; 2] }));
    }),
    ("no place in the model for 1 tensor", Severity::Warning, |it| {
        reweigh(it, |w| w.insert("more.weight", Array { shape: vec![2], values: vec![1.0, 2.0] }));
    }),
    ("0 of 2 heads and 2 of 8 neurons hold zeros alone", Severity::Warning, |it| {
        reweigh(it, |w| {
            values(w, &format!("{UP}.weight"), |at, value| if at < 16 { 0.0 } else { value });
            values(w, &format!("{UP}.bias"), |at, _| if at < 2 { 0.0 } else { 1.0 });
        });
    }),
    ("1 of 2 heads and 0 of 8 neurons hold zeros alone", Severity::Warning, |it| {
        // By columns of what reads it.
        let output = "roberta.encoder.layer.0.attention.output.dense.weight";
        reweigh(it, |w| values(w, output, |at, value| if at % 8 < 4 { 0.0 } else { value }));
    }),
    ("of the numbers in matrices are 0", Severity::Warning, |it| {
        reweigh(it, |w| {
            values(
                w,
                "roberta.embeddings.word_embeddings.weight",
                |at, value| if at % 3 == 0 { 0.0 } else { value },
            );
        });
    }),
    ("2 tensors are copies of one another", Severity::Warning, |it| {
        reweigh(it, |w| {
            let array = w.get(QUERY).expect("there").clone();
            w.insert(QUERY.replace("query", "key"), array);
        });
    }),
    ("label2id says", Severity::Warning, |it| edit(it, CONFIG, |c| c["label2id"]["I-LOC"] = json!(2))),
    ("label2id names I-DATE", Severity::Warning, |it| {
        edit(it, CONFIG, |c| c["label2id"]["I-DATE"] = json!(5));
    }),
    ("line 3 says 70,000,000 parameters", Severity::Warning, |it| {
        fs::write(it.join(CARD), "# x\n\nOnly 70M parameters.\n").expect("written");
    }),
    ("`num_parameters` says 5 parameters", Severity::Warning, |it| {
        edit(it, CONFIG, |c| c["num_parameters"] = json!(5));
    }),
    ("longer ones crash", Severity::Warning, |it| {
        fs::remove_file(it.join(TOKENIZER_CONFIG)).expect("removed");
    }),
    ("it says no limit", Severity::Warning, |it| {
        edit(it, TOKENIZER_CONFIG, |c| c["model_max_length"] = json!(1e30));
    }),
    ("stock transformers does not load it", Severity::Warning, |it| {
        let folder = it.to_owned();
        let mut teacher = Model::load(&folder, &Device::flex()).expect("whole");
        teacher.config.layers[0].ffn = 4;
        teacher.config.layers.push(encoder::config::LayerShape { ffn: 8, ..teacher.config.layers[0] });
        teacher.network = encoder::network::Network::init(&teacher.config, 7, &Device::flex());
        teacher.save(&folder).expect("saved");
    }),
    ("names code of its own", Severity::Warning, |it| {
        edit(it, CONFIG, |c| c["auto_map"] = json!({"AutoModel": "x.Y"}));
    }),
];

#[test]
fn of_a_model_that_is_whole_nothing_is_said_but_what_its_labels_cannot() {
    let folder = saved();
    let audit = audit(folder.path());
    assert!(audit.usable && audit.uses.teacher && !audit.uses.student);
    assert_eq!(audit.uses.exports, ["onnx", "onnx-int8", "hf", "hf-dense"]);
    assert_eq!(audit.findings.len(), 1, "{:#?}", audit.findings);
    found(&audit, "no label says where an entity begins");
    let teacher = Model::load(folder.path(), &Device::flex()).expect("whole");
    assert_eq!(audit.parameters.counted, teacher.config.all_parameters());
    verdict(&audit).expect("usable");
}

#[test]
fn each_thing_that_is_wrong_is_said_once_with_a_way_out_and_an_error_is_what_nobody_can_load() {
    for (what, severity, change) in CASES {
        let folder = saved();
        change(folder.path());
        let audit = audit(folder.path());
        let finding = found(&audit, what);
        assert_eq!(finding.severity, severity, "{what}");
        assert!(finding.help.as_ref().is_some_and(|help| !help.is_empty()), "{what}: no way out");
        let loaded = Model::load(folder.path(), &Device::flex());
        assert_eq!(audit.usable, loaded.is_ok(), "{what}: {:?}", loaded.err().map(|e| e.to_string()));
        assert_eq!(verdict(&audit).is_ok(), audit.usable, "{what}");
        let page = page(&audit);
        assert!(
            page.lines().all(|line| line.chars().count() <= 80 || !line.trim().contains(' ')),
            "{what}\n{page}"
        );
        let can = if audit.usable { "it can be used" } else { "it cannot be used" };
        assert_eq!(page.lines().next(), Some(can), "{what}");
        serde_json::to_value(&audit).expect("JSON");
    }
}

#[test]
fn a_folder_of_anything_is_audited_without_a_panic() {
    let whole = saved();
    for name in [CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG] {
        let bytes = fs::read(whole.path().join(name)).expect("read");
        for at in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            for damaged in [&damaged[..], &bytes[..at]] {
                fs::write(whole.path().join(name), damaged).expect("written");
                let audit = audit(whole.path());
                let loads = Model::load(whole.path(), &Device::flex()).is_ok();
                assert_eq!(audit.usable, loads, "{name} at {at}: {:#?}", audit.findings);
            }
        }
        fs::write(whole.path().join(name), bytes).expect("written");
    }
    let empty = tempfile::tempdir().expect("a folder");
    assert!(!audit(empty.path()).usable);
}

#[test]
fn an_index_is_compared_with_what_lies_in_its_shards() {
    let folder = saved();
    let all = Weights::load(folder.path(), &Wanted::All).expect("read");
    let names: Vec<String> =
        Weights::shapes(folder.path(), &Wanted::All).expect("read").0.into_keys().collect();
    fs::remove_file(folder.path().join(WEIGHTS)).expect("removed");
    let mut map = serde_json::Map::new();
    for (number, half) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let mut part = Weights::default();
        let file = format!("model-{number}.safetensors");
        for name in half {
            part.insert(name, all.get(name).expect("there").clone());
            map.insert(name.clone(), file.clone().into());
        }
        part.save(&folder.path().join(file), Stored::F32).expect("saved");
    }
    let bytes = 4 * all.parameters();
    let write = |total: usize, map: &serde_json::Map<String, Value>| {
        let index = json!({"metadata": {"total_size": total}, "weight_map": map});
        fs::write(folder.path().join(INDEX), index.to_string()).expect("written");
        audit(folder.path())
    };
    assert_eq!(write(bytes, &map).findings.len(), 1, "the labels' note alone");
    found(&write(1, &map), "`metadata.total_size` says 1 bytes");
    map.insert(names[0].clone(), "model-1.safetensors".into());
    assert_eq!(found(&write(bytes, &map), "of 1 tensor it says another file").tensors, [names[0].as_str()]);
}

#[test]
fn zeros_that_nobody_counts_are_told_from_parameters_that_are_not_there() {
    let folder = saved();
    reweigh(folder.path(), |w| {
        values(
            w,
            "roberta.embeddings.word_embeddings.weight",
            |at, value| if at % 2 == 0 { 0.0 } else { value },
        );
    });
    let counted = audit(folder.path());
    let without = counted.parameters.counted - counted.zeros.numbers;
    assert!(counted.zeros.numbers * 10 > counted.parameters.counted);
    edit(folder.path(), CONFIG, |c| c["n_params"] = json!(without));
    found(&audit(folder.path()), "zeros are not counted");
}

#[test]
fn a_student_says_what_it_is_for() {
    let folder = tempfile::tempdir().expect("a folder");
    model(Labels::bio(["PER", "LOC"]), &[]).save(folder.path()).expect("saved");
    let audit = audit(folder.path());
    assert!(audit.usable && audit.uses.student);
    assert_eq!(found(&audit, "by the CRF").key.as_deref(), Some("ner_pipe.decode"));
}
