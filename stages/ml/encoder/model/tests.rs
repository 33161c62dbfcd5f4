mod damaged;
mod teachers;

mod parity;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use super::*;
use crate::{
    arch::post_norm::{DOWN, QUERY},
    backend::precision::Precision,
    batch::Batch,
    inputs::Inputs,
    layer::Layer,
    testing::{batch, elsewhere, fixture, furthest, tiny, trained},
};

#[test]
fn a_prepacked_network_is_near_the_network_and_keeps_no_matrix_of_a_layer() {
    let (config, device) = (tiny(), Device::flex());
    let network = trained(&config, &device);
    let all = batch(&[5, 9, 1, 18]);
    let fused = Inputs::new(&all, &config, &device);
    let states = |network: &Network, batch: &Inputs| {
        let output = network.forward(batch, &[0, 1, 2]);
        output.hidden.into_iter().chain([output.logits]).map(host).collect::<Vec<_>>()
    };
    for (form, near) in [(WeightFormat::F32, 1e-5), (WeightFormat::Int8, 0.15)] {
        let packed = network.clone().prepack(&config, form);
        let (exact, found) = (states(&network, &fused), states(&packed, &fused));
        assert_eq!(exact[0], found[0]);
        for (exact, found) in exact.iter().zip(&found).skip(1) {
            let (distance, largest) = (furthest(exact, found), furthest(exact, &vec![0.0; exact.len()]));
            assert!(distance <= near * largest, "{form:?}: {distance} of {largest}");
            assert!(form == WeightFormat::F32 || distance > 0.0, "nothing was rounded to 8 bits");
        }
        let kept = |layer: &Layer| {
            layer.linear(QUERY).weight.dims() != [0, 0] || layer.linear(DOWN).weight.dims() != [0, 0]
        };
        assert!(!packed.layers.iter().any(kept));
    }
}

#[test]
fn a_network_is_prepacked_where_the_kernels_run_in_f32_without_gradients() {
    let (config, device) = (tiny(), Device::flex());
    let network = Network::init(&config, 7, &device);
    let packed = |network: &Network| network.layers.iter().any(|layer| layer.prepacked.is_some());
    assert!(packed(&network.clone().prepack(&config, WeightFormat::F32)));
    assert!(!packed(&network.clone().train().prepack(&config, WeightFormat::F32)));
    assert!(!packed(&network.clone().at(Precision::Bf16).prepack(&config, WeightFormat::F32)));
    assert!(!packed(&elsewhere(|| network.prepack(&config, WeightFormat::F32))));
}

#[test]
fn a_packed_batch_gives_what_each_window_gives_alone() {
    let (config, device) = (tiny(), Device::flex());
    let network = trained(&config, &device);
    for lengths in [vec![5, 9, 1, 18], vec![6, 6], vec![3]] {
        let all = batch(&lengths);
        for device in [device.clone(), device.clone().autodiff()] {
            let network = if device.is_autodiff() { network.clone().train() } else { network.clone() };
            let together = network.forward(&Inputs::new(&all, &config, &device), &[1, 2]);
            let (logits, states) =
                (host(together.logits), together.hidden.into_iter().map(host).collect::<Vec<_>>());
            for (window, length) in lengths.iter().enumerate() {
                let rows = all.starts[window] as usize..all.starts[window + 1] as usize;
                let alone = Batch {
                    ids: all.ids[rows.clone()].to_vec(),
                    starts: vec![0, *length],
                    ..Batch::default()
                };
                let alone = network.forward(&Inputs::new(&alone, &config, &device), &[1, 2]);
                let part =
                    |values: &[f32], width: usize| values[rows.start * width..rows.end * width].to_vec();
                assert!(furthest(&part(&logits, 7), &host(alone.logits)) < 1e-5);
                for (state, alone) in states.iter().zip(alone.hidden) {
                    assert!(furthest(&part(state, 16), &host(alone)) < 1e-5);
                }
            }
        }
    }
}

#[test]
fn hidden_states_come_in_the_order_asked_and_end_before_the_classifier() {
    let (config, device) = (tiny(), Device::flex());
    let network = trained(&config, &device);
    let packed = Inputs::new(&batch(&[4, 7]), &config, &device);
    let output = network.forward(&packed, &[2, 0]);
    let [last, first] = <[Tensor<2>; 2]>::try_from(output.hidden).expect("two");
    assert_eq!(host(network.head.forward(last)), host(output.logits));
    assert_eq!(host(first), host(network.forward(&packed, &[0]).hidden.remove(0)));
}

#[test]
fn a_new_network_depends_on_its_seed_alone() {
    let (config, device) = (tiny(), Device::flex());
    let weights = |seed| Network::init(&config, seed, &device).weights(&config);
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
    let word = &weights(1).get("roberta.embeddings.word_embeddings.weight").expect("there").values.clone();
    let deviation = (word.iter().map(|v| v * v).sum::<f32>() / 800.0).sqrt();
    assert!((deviation - 0.02).abs() < 0.002, "{deviation}");
    assert_eq!(weights(1).get("roberta.embeddings.LayerNorm.weight").expect("there").values, vec![1.0; 16]);
}

#[test]
fn the_closed_form_counts_what_a_checkpoint_holds() {
    let (config, device) = (tiny(), Device::flex());
    let network = Network::init(&config, 1, &device);
    assert_eq!(network.weights(&config).parameters(), config.parameters() + config.crf_parameters());
    // The token types are folded into the positions.
    assert_eq!(network.num_params(), config.parameters() + config.crf_parameters() - config.hidden);
}

#[test]
fn weights_survive_any_number_of_round_trips_bit_by_bit() {
    let (config, device) = (tiny(), Device::flex());
    let mut weights = Network::init(&config, 1, &device).weights(&config);
    let types = "roberta.embeddings.token_type_embeddings.weight";
    weights.get_mut(types).expect("there").values = (0_u8..16).map(f32::from).collect();
    let position =
        weights.get("roberta.embeddings.position_embeddings.weight").expect("there").values.clone();
    let once = Network::from_weights(&config, weights, &device).expect("whole").weights(&config);
    let folded = &once.get("roberta.embeddings.position_embeddings.weight").expect("there").values;
    assert_eq!(folded[17].to_bits(), (position[17] + 1.0).to_bits());
    assert_eq!(once.get(types).expect("there").values, vec![0.0; 16]);
    let twice = Network::from_weights(&config, once.clone(), &device).expect("whole").weights(&config);
    assert_eq!(once, twice);
}

#[test]
fn a_checkpoint_without_its_classifier_is_refused() {
    let (config, device) = (tiny(), Device::flex());
    let mut weights = Network::init(&config, 1, &device).weights(&config);
    weights.take("classifier.weight", &[7, 16]).expect("there");
    let error = Network::from_weights(&config, weights, &device).expect_err("no classifier");
    assert_eq!(error.to_string(), "has no tensor classifier.weight, expected [7, 16]");
}

#[test]
fn training_and_validation_networks_agree() {
    let (config, device) = (tiny(), Device::flex());
    let network = trained(&config, &device);
    let batch = batch(&[5, 9]);
    let plain = host(network.forward(&Inputs::new(&batch, &config, &device), &[]).logits);
    let autodiff = device.clone().autodiff();
    let training = network.train();
    let tracked = training.forward(&Inputs::new(&batch, &config, &autodiff), &[]).logits;
    assert!(furthest(&host(tracked.clone()), &plain) < 1e-5);
    let gradients = tracked.sum().backward();
    let gradient = training.layers[0].linear(QUERY).weight.val().grad(&gradients).expect("a gradient");
    assert!(host(gradient.abs().sum())[0] > 0.0);
    let back = training.valid();
    assert_eq!(host(back.forward(&Inputs::new(&batch, &config, &device), &[]).logits), plain);
}

#[test]
fn a_saved_model_tells_transformers_its_special_tokens_and_its_longest_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = fixture::model(fixture::teacher_labels(), &[]);
    model.save(folder.path()).expect("saved");
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.path().join(name)).expect(name)).expect("JSON")
    };
    let (config, special) = (read("tokenizer_config.json"), read("special_tokens_map.json"));
    assert_eq!(config["model_max_length"], model.config.max_pieces());
    assert_eq!(config["tokenizer_class"], "PreTrainedTokenizerFast");
    for (key, token) in
        [("cls_token", "<s>"), ("sep_token", "</s>"), ("pad_token", "<pad>"), ("unk_token", "<unk>")]
    {
        assert_eq!((&config[key], &special[key]), (&token.into(), &token.into()), "{key}");
    }
    let again = Model::load(folder.path(), &Device::flex()).expect("loaded");
    assert_eq!(again.tokenizer.special(), model.tokenizer.special());
}

#[test]
fn special_tokens_are_known_by_their_part_and_not_by_their_spelling() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = fixture::model(fixture::teacher_labels(), &[]);
    model.save(folder.path()).expect("saved");
    let rename = |name: &str| {
        let path = folder.path().join(name);
        let text = fs::read_to_string(&path).expect("read");
        let named = [("<s>", "[CLS]"), ("</s>", "[SEP]"), ("<pad>", "[PAD]"), ("<unk>", "[UNK]")];
        let text = named.iter().fold(text, |text, (from, to)| text.replace(from, to));
        fs::write(path, text).expect("written");
    };
    rename("tokenizer.json");
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        fs::remove_file(folder.path().join(name)).expect("removed");
    }
    let again = Model::load(folder.path(), &Device::flex()).expect("the usual spellings");
    assert_eq!(again.tokenizer.special(), model.tokenizer.special());
    let odd = fs::read_to_string(folder.path().join("tokenizer.json")).expect("read").replace("[PAD]", "@@");
    fs::write(folder.path().join("tokenizer.json"), odd).expect("written");
    let error = Model::load(folder.path(), &Device::flex()).err().expect("nothing says which is the padding");
    assert!(error.advice().is_some_and(|help| help.contains("`pad_token`")), "{:?}", error.advice());
    // What the advice says works.
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"pad_token": {"content": "@@"}}"#)
        .expect("written");
    let again = Model::load(folder.path(), &Device::flex()).expect("now it is said");
    assert_eq!(again.tokenizer.special(), model.tokenizer.special());
}

#[test]
fn a_tokenizer_that_was_saved_with_padding_and_truncation_is_read_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = fixture::model(fixture::teacher_labels(), &[]);
    model.save(folder.path()).expect("saved");
    let path = folder.path().join("tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    for (strategy, direction) in [("BatchLongest", "Right"), ("Fixed", "Left")] {
        let strategy = if strategy == "Fixed" { serde_json::json!({"Fixed": 64}) } else { strategy.into() };
        json["padding"] = serde_json::json!({
            "strategy": strategy, "direction": direction, "pad_to_multiple_of": 8, "pad_id": 1, "pad_type_id": 0,
            "pad_token": "<pad>",
        });
        fs::write(&path, json.to_string()).expect("written");
        let again = Model::load(folder.path(), &Device::flex()).expect("padding is ours to do");
        assert_eq!(again.tokenizer.special(), model.tokenizer.special());
        assert_eq!(
            again.tokenizer.pieces("Anna").expect("pieces"),
            model.tokenizer.pieces("Anna").expect("pieces")
        );
    }
}

#[test]
fn a_special_token_beyond_the_vocabulary_is_left_out_and_any_other_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = fixture::model(fixture::teacher_labels(), &[]);
    model.save(folder.path()).expect("saved");
    let path = folder.path().join("tokenizer.json");
    let whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    let add = |special: bool| {
        let mut value = whole.clone();
        let token = serde_json::json!({
            "id": model.config.vocab, "content": "<unk>NOTUSED", "special": special, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false,
        });
        value["added_tokens"].as_array_mut().expect("a list").push(token);
        fs::write(&path, value.to_string()).expect("written");
        outside(folder.path()).map(|(_, tokenizer)| tokenizer)
    };
    let tokenizer = add(true).expect("no text means it");
    assert!(tokenizer.vocab_size() <= model.config.vocab);
    let pieces = tokenizer.pieces("<unk>NOTUSED Anna").expect("pieces");
    assert!(pieces.iter().all(|piece| (piece.id as usize) < model.config.vocab), "{pieces:?}");
    let error = Invalid::of(&add(false).err().expect("a text may mean it"));
    assert!(error.message.contains("makes room for"), "{}", error.message);
}

#[test]
fn every_mistake_in_a_teacher_comes_with_something_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fixture::model(fixture::teacher_labels(), &[]).save(folder.path()).expect("saved");
    let config = fs::read_to_string(path("config.json")).expect("read");
    let help = || Invalid::of(&outside(folder.path()).err().expect("refused")).help;
    for (from, to) in [
        ("\"I-MISC\"", "\"LABEL_2\""),
        ("id2label", "labels"),
        ("{", "{{"),
        ("hidden_size", "hidden"),
        ("\"camembert\"", "\"bert\""),
        ("\"gelu\"", "\"relu\""),
    ] {
        let spoilt = config.replace(from, to);
        assert_ne!(spoilt, config, "{from}");
        fs::write(path("config.json"), spoilt).expect("written");
        assert!(help().is_some(), "{from} -> {to}");
    }
    fs::write(path("config.json"), &config).expect("written");
    fs::remove_file(path("tokenizer.json")).expect("removed");
    assert!(help().is_some_and(|help| help.contains("download the tokenizer")));
}
