use super::*;

fn camembert() -> Value {
    json!({
        "architectures": ["CamembertForTokenClassification"], "model_type": "camembert", "hidden_size": 768,
        "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 32005,
        "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 5, "eos_token_id": 6,
        "layer_norm_eps": 1e-5, "hidden_act": "gelu", "dtype": "float16", "an_unknown_key": {"kept": [1, 2]},
        "id2label": {"0": "O", "1": "I-LOC", "2": "I-PER", "3": "I-MISC", "4": "I-ORG"}
    })
}

fn student(vocab: usize, layers: usize, heads: usize, ffn: usize) -> Config {
    let mut config = Config::parse(camembert()).expect("a CamemBERT");
    config.labels = Labels::student(false);
    config.vocab = vocab;
    config.layers = (0..layers).map(|i| LayerShape { heads, ffn, from_teacher_layer: i }).collect();
    config
}

fn refused(change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut stock = camembert();
    change(stock.as_object_mut().expect("an object"));
    Config::parse(stock).expect_err("refused").to_string()
}

#[test]
fn the_closed_form_gives_the_table_of_exact_numbers() {
    assert_eq!(Config::parse(camembert()).expect("a CamemBERT").parameters(), 110_035_205);
    for (vocab, layers, heads, ffn, parameters) in [
        (32005, 12, 12, 3072, 110_036_743),
        (32005, 10, 12, 3072, 95_860_999),
        (32005, 10, 9, 3072, 89_956_999),
        (16000, 10, 9, 2560, 69_795_719),
        (16000, 10, 9, 1920, 59_958_919),
        (16000, 10, 12, 1536, 59_960_839),
        (20000, 8, 9, 2304, 58_298_887),
    ] {
        assert_eq!(student(vocab, layers, heads, ffn).parameters(), parameters, "{layers} x {heads} x {ffn}");
    }
}

#[test]
fn the_closed_form_gives_the_real_teachers_students() {
    for (ffn, parameters) in [(1280, 20_259_783), (960, 17_798_983)] {
        let mut config = student(15_000, 10, 9, ffn);
        (config.hidden, config.head_dim) = (384, 32);
        assert_eq!(config.parameters(), parameters);
    }
}

#[test]
fn a_round_trip_keeps_shapes_and_unknown_keys() {
    let mut config = student(16_000, 10, 9, 1920);
    config.crf = true;
    config.layers[3] = LayerShape { heads: 7, ffn: 800, from_teacher_layer: 11 };
    let text = config.json();
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["an_unknown_key"], json!({"kept": [1, 2]}));
    assert_eq!(value["dtype"], "float32");
    assert_eq!(value["ner_pipe"]["layers"][3], json!({"heads": 7, "ffn": 800, "from_teacher_layer": 11}));
    // Layers differ: the stock keys keep what they said, as no single number would be true.
    assert_eq!((&value["num_attention_heads"], &value["intermediate_size"]), (&json!(12), &json!(3072)));

    let read = Config::parse(value.clone()).expect("what was written");
    assert_eq!(Config { stock: Value::Null, ..read.clone() }, Config { stock: Value::Null, ..config });
    assert_eq!(read.json(), text);
}

#[test]
fn a_uniform_student_speaks_the_stock_keys() {
    let value: Value = serde_json::from_str(&student(16_000, 10, 12, 1536).json()).expect("JSON");
    assert_eq!(value["num_hidden_layers"], 10);
    assert_eq!((&value["num_attention_heads"], &value["intermediate_size"]), (&json!(12), &json!(1536)));
    assert_eq!(value["id2label"]["1"], "B-PER");
    assert_eq!(value["label2id"]["I-ORG"], 6);
}

#[test]
fn a_new_model_gets_the_keys_that_transformers_needs() {
    let mut config = student(100, 2, 12, 64);
    config.stock = Value::Null;
    let special = Special { bos: 5, pad: 1, eos: 6, unk: 3 };
    config.name_special(special);
    let value: Value = serde_json::from_str(&config.json()).expect("JSON");
    for key in
        ["architectures", "model_type", "hidden_act", "type_vocab_size", "bos_token_id", "eos_token_id"]
    {
        assert!(!value[key].is_null(), "{key}");
    }
    let read = Config::parse(value).expect("what was written");
    assert_eq!(read.parameters(), config.parameters());
    read.check_special(special).expect("they agree");
}

#[test]
fn special_ids_must_agree_where_config_names_them() {
    let config = Config::parse(camembert()).expect("a CamemBERT");
    config.check_special(Special { bos: 5, pad: 1, eos: 6, unk: 3 }).expect("they agree");
    let error = config.check_special(Special { bos: 0, pad: 1, eos: 2, unk: 3 }).expect_err("they differ");
    assert_eq!(error.to_string(), "config.json says bos_token_id = 5, but tokenizer.json gives it 0");
    let mut stock = camembert();
    stock.as_object_mut().expect("an object").remove("bos_token_id");
    let config = Config::parse(stock).expect("a CamemBERT");
    config.check_special(Special { bos: 0, pad: 1, eos: 6, unk: 3 }).expect("bos is not named");
}

#[test]
fn what_is_no_token_classifier_of_this_kind_is_refused_by_name() {
    let set = |key: &'static str, value: Value| {
        move |keys: &mut Map<String, Value>| {
            keys.insert(key.to_owned(), value);
        }
    };
    assert_eq!(
        refused(set("model_type", json!("bert"))),
        "model_type is bert, expected camembert or roberta"
    );
    let masked = set("architectures", json!(["CamembertForMaskedLM"]));
    assert_eq!(refused(masked), "CamembertForMaskedLM is no token classifier");
    assert_eq!(refused(set("hidden_act", json!("relu"))), "hidden_act is relu, and only gelu is supported");
    let heads = refused(set("num_attention_heads", json!(7)));
    assert_eq!(heads, "hidden_size 768 is not a multiple of num_attention_heads 7");
    assert_eq!(refused(set("vocab_size", json!(-1))), "vocab_size is -1, expected a whole number");
    let labels = refused(set("id2label", json!({"0": "O", "2": "I-PER"})));
    assert_eq!(labels, "id2label has 2 labels, but none for 1");
    assert!(refused(|keys| drop(keys.remove("id2label"))).contains("id2label is missing"));
    assert!(refused(|keys| drop(keys.remove("hidden_size"))).contains("hidden_size is missing"));
    assert!(refused(set("ner_pipe", json!({"format": 2}))).contains("ner_pipe.format is 2"));
}

#[test]
fn a_key_of_another_type_is_no_key_that_is_missing() {
    for (key, value) in [
        ("layer_norm_eps", json!("1e-5")),
        ("layer_norm_eps", json!(-1e-5)),
        ("type_vocab_size", json!("1")),
        ("bos_token_id", json!("5")),
        ("eos_token_id", json!([6])),
        ("pad_token_id", json!(1.5)),
        ("is_decoder", json!("true")),
        ("hidden_act", json!(["gelu"])),
        ("position_embedding_type", json!(1)),
        ("model_type", json!(1)),
        ("architectures", json!("CamembertForMaskedLM")),
        ("id2label", json!(["O", "I-PER"])),
        ("id2label", json!({"0": "O", "1": 1})),
        ("label2id", json!([0, 1])),
        ("ner_pipe", json!("none")),
        (
            "ner_pipe",
            json!({"format": 1, "scheme": "io", "head_dim": 64, "crf": 1,
            "layers": [{"heads": 12, "ffn": 3072, "from_teacher_layer": 0}]}),
        ),
    ] {
        let error = refused(|keys| drop(keys.insert(key.to_owned(), value.clone())));
        assert!(error.contains(", expected "), "{key} = {value}: {error}");
    }
    let mut stock = camembert();
    stock["layer_norm_eps"] = Value::Null;
    assert_eq!(Config::parse(stock).expect("null is what is left out").eps.to_bits(), default::EPS.to_bits());
}

#[test]
fn two_lists_of_labels_that_contradict_each_other_are_refused() {
    let right = json!({"O": 0, "I-LOC": 1, "I-PER": 2, "I-MISC": 3, "I-ORG": 4});
    let mut stock = camembert();
    stock["label2id"] = right.clone();
    Config::parse(stock).expect("they agree");
    let mut swapped = right.clone();
    (swapped["I-LOC"], swapped["I-PER"]) = (json!(2), json!(1));
    let error = refused(|keys| drop(keys.insert("label2id".to_owned(), swapped)));
    assert!(error.starts_with("label2id does not say of I-LOC that it is 1"), "{error}");
    let mut more = right;
    more["I-DATE"] = json!(5);
    assert!(refused(|keys| drop(keys.insert("label2id".to_owned(), more))).contains("and of nothing more"));
}
