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
    config.labels = Labels::bio(["PER", "LOC", "ORG"]);
    config.vocab = vocab;
    config.layers = (0..layers)
        .map(|i| LayerShape { heads, ffn, from_teacher_layer: i, ..LayerShape::default() })
        .collect();
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
    config.layers[3] = LayerShape { heads: 7, ffn: 800, from_teacher_layer: 11, ..LayerShape::default() };
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
    let special = Special { bos: 5, pad: 1, eos: 6, unk: Some(3) };
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
fn the_pad_id_must_agree_and_no_other_id_is_read() {
    let config = Config::parse(camembert()).expect("a CamemBERT");
    for bos in [0, 5] {
        config.check_special(Special { bos, pad: 1, eos: 6, unk: Some(3) }).expect("an encoder reads no bos");
    }
    let error =
        config.check_special(Special { bos: 5, pad: 0, eos: 6, unk: Some(3) }).expect_err("they differ");
    assert_eq!(error.to_string(), "config.json says pad_token_id = 1, but the tokenizer gives it 0");
    let mut stock = camembert();
    (stock["bos_token_id"], stock["eos_token_id"]) = (json!(0), json!([2, 7]));
    let mut config = Config::parse(stock).expect("ids that nobody reads stop nobody");
    config.name_special(Special { bos: 5, pad: 1, eos: 6, unk: Some(3) });
    let written: Value = serde_json::from_str(&config.json()).expect("JSON");
    assert_eq!((&written["bos_token_id"], &written["eos_token_id"]), (&json!(5), &json!(6)));
}

#[test]
fn what_is_no_token_classifier_of_this_kind_is_refused_by_name() {
    let set = |key: &'static str, value: Value| {
        move |keys: &mut Map<String, Value>| {
            keys.insert(key.to_owned(), value);
        }
    };
    assert_eq!(
        refused(set("model_type", json!("t5"))),
        "model_type is t5, expected one of camembert, roberta, xlm-roberta, bert, distilbert, modernbert, deberta-v2"
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
        ("pad_token_id", json!(1.5)),
        ("is_decoder", json!("true")),
        ("hidden_act", json!(["gelu"])),
        ("position_embedding_type", json!(1)),
        ("model_type", json!(1)),
        ("architectures", json!("CamembertForMaskedLM")),
        ("id2label", json!(["O", "I-PER"])),
        ("id2label", json!({"0": "O", "1": 1})),
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
    assert_eq!(Config::parse(stock).expect("null is what is left out").eps.to_bits(), 1e-12_f64.to_bits());
}

#[test]
fn id2label_alone_decides_what_the_labels_are() {
    let labels = Config::parse(camembert()).expect("a CamemBERT").labels;
    for inverse in [
        json!({"O": 0, "I-LOC": 2, "I-PER": 1, "I-MISC": 3, "I-ORG": 4}),
        json!({"O": 0, "I-LOC": 1, "I-PER": 2, "I-MISC": 3, "I-ORG": 4, "I-DATE": 5}),
        json!({"O": "0", "I-LOC": "1"}),
        json!({"0": 0}),
        json!([0, 1]),
        Value::Null,
    ] {
        let mut stock = camembert();
        stock["label2id"] = inverse.clone();
        assert_eq!(Config::parse(stock).expect("label2id is for people").labels, labels, "{inverse}");
    }
}

#[test]
fn the_label_that_losses_skip_is_no_label() {
    let mut stock = camembert();
    stock["id2label"] = json!({"-100": "IGN", "0": "O", "1": "PER"});
    let config = Config::parse(stock).expect("-100 is left out");
    assert_eq!(config.labels.names(), ["O", "PER"]);
    let written: Value = serde_json::from_str(&config.json()).expect("JSON");
    assert_eq!(written["id2label"], json!({"0": "O", "1": "PER"}));
}
