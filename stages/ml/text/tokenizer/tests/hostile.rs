//! Files that are whole and ask for more than a machine has are refused, or their texts are.

use std::time::{Duration, Instant};

use super::*;

/// A whole tokenizer.json with changes at some pointers.
fn json(changes: &[(&str, Value)]) -> Value {
    let mut json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4},
        },
    });
    for (pointer, value) in changes {
        *json.pointer_mut(pointer).expect(pointer) = value.clone();
    }
    json
}

fn load(changes: &[(&str, Value)]) -> Result<Tokenizer, String> {
    let folder = beside(&[(folder::TOKENIZER, json(changes))]);
    Tokenizer::load(folder.path(), 100).map_err(|e| {
        let stage_contract::Invalid { message, help, .. } = stage_contract::Invalid::of(&e);
        assert!(help.is_some_and(|help| help.contains("own repository")), "{message}");
        message
    })
}

fn sequence(kind: &str, steps: &[Value]) -> Value {
    json!({"type": "Sequence", kind: steps})
}

fn replace(pattern: &Value, content: &str) -> Value {
    json!({"type": "Replace", "pattern": pattern, "content": content})
}

#[test]
fn a_normaliser_that_multiplies_a_text_is_stopped() {
    let twice = || replace(&json!({"String": "a"}), "aa");
    let chain = |steps| sequence("normalizers", &vec![twice(); steps]);
    let long = "aaaa ".repeat(1000);
    let specials = "[CLS]a".repeat(20_000);
    let added = json!([{
        "id": 1, "content": "[CLS]", "special": true, "normalized": false, "single_word": false, "lstrip": false,
        "rstrip": false,
    }]);
    for (normalizer, text) in [
        (chain(40), long.as_str()),
        (sequence("normalizers", &[chain(20), chain(20)]), "a"),
        (replace(&json!({"String": "a"}), &"a".repeat(1 << 21)), "a"),
        (replace(&json!({"Regex": ""}), &"b".repeat(100_000)), long.as_str()),
        (sequence("normalizers", &vec![json!({"type": "ByteLevel"}); 40]), "é"),
        (json!({"type": "Prepend", "prepend": "a".repeat(1 << 21)}), "a"),
        // Little each time, and often: each text between two special tokens is normalised alone.
        (json!({"type": "Prepend", "prepend": "a".repeat(100_000)}), specials.as_str()),
    ] {
        let changes = [("/normalizer", normalizer), ("/added_tokens", added.clone())];
        // What the tokenizer is tried with may be enough to find it.
        let found = match load(&changes) {
            Err(message) => message,
            Ok(tokenizer) => tokenizer.pieces(text).expect_err("too much").to_string(),
        };
        assert!(found.contains("its normalizer makes too much of a text of"), "{found}");
    }
    // A token that the file adds is normalised before there is a text.
    let mut token = added.clone();
    (token[0]["content"], token[0]["normalized"]) = ("a".into(), true.into());
    let changes = [("/normalizer", chain(40)), ("/added_tokens", token)];
    assert!(load(&changes).err().expect("refused").contains("its normalizer multiplies texts"));
    // Whatever grows as characters do is read.
    let honest = sequence("normalizers", &[json!({"type": "NFKC"}), replace(&json!({"String": " "}), "▁▁")]);
    let tokenizer = load(&[("/normalizer", honest)]).expect("loaded");
    tokenizer.pieces(&"ﷺ ".repeat(20_000)).expect("read");
}

#[test]
fn steps_that_are_too_many_too_deep_or_without_end_are_refused() {
    let nested =
        |kind: &str, levels| (0..levels).fold(json!({"type": "Nmt"}), |inner, _| sequence(kind, &[inner]));
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let template =
        json!({"type": "TemplateProcessing", "single": vec![text; 100], "pair": [], "special_tokens": {}});
    let long = "#".repeat(100);
    for (pointer, value, message) in [
        ("/normalizer", nested("normalizers", 50), "nested in more than 16 levels"),
        ("/pre_tokenizer", nested("pretokenizers", 50), "nested in more than 16 levels"),
        ("/post_processor", nested("processors", 50), "nested in more than 16 levels"),
        ("/decoder", nested("decoders", 50), "nested in more than 16 levels"),
        ("/normalizer", sequence("normalizers", &vec![json!({"type": "Nmt"}); 1000]), "more than 100 steps"),
        (
            "/pre_tokenizer",
            sequence(
                "pretokenizers",
                &vec![json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}); 40],
            ),
            "its pre_tokenizer multiplies texts",
        ),
        ("/pre_tokenizer", json!({"type": "FixedLength", "length": 0}), "pieces of no length"),
        ("/pre_tokenizer", split("(?:a+)+(?=b)"), "may take forever"),
        ("/pre_tokenizer", split("(?:(?:a{999}){999}){999}(?=b)"), "may take forever"),
        ("/pre_tokenizer", split("("), "no regular expression"),
        ("/normalizer", replace(&json!({"Regex": "(a*)*\\1b"}), "x"), "may take forever"),
        ("/decoder", replace(&json!({"Regex": "(a*)*\\1b"}), "x"), "may take forever"),
        ("/post_processor", template, "repeats texts"),
        ("/model/max_input_chars_per_word", json!(u64::MAX), "max_input_chars_per_word"),
        ("/model/continuing_subword_prefix", json!(long), "continuing_subword_prefix has more than 64 bytes"),
        ("/model/vocab/a", json!(3), "two pieces of its vocabulary have the id 3"),
    ] {
        let found = load(&[(pointer, value)]).err().expect(message);
        assert!(found.contains(message), "{message}: {found}");
    }
}

#[test]
fn what_is_looked_at_is_what_is_built() {
    let good = json(&[]).to_string();
    let charsmap = r#"{"type":"Precompiled","precompiled_charsmap":"@"}"#;
    let twice =
        good.replacen("\"normalizer\":null", &format!("\"normalizer\":{charsmap},\"normalizer\":null"), 1);
    assert_ne!(twice, good);
    let folder = beside(&[]);
    fs::write(folder.path().join(folder::TOKENIZER), twice).expect("written");
    let tokenizer = Tokenizer::load(folder.path(), 100).expect("of two the last one counts, as in Python");
    assert_eq!(tokenizer.pieces("a").expect("read").len(), 1);
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
#[test]
fn time_grows_with_what_a_folder_says_and_not_with_its_square() {
    let begun = Instant::now();
    let many: serde_json::Map<String, Value> = (0..100_000_u64)
        .rev()
        .map(|id| (id.to_string(), json!({"content": format!("t{id}"), "special": true})))
        .collect();
    let files =
        [(folder::TOKENIZER, json(&[])), (folder::TOKENIZER_CONFIG, json!({"added_tokens_decoder": many}))];
    drop(Tokenizer::load(beside(&files).path(), 200_000));
    let ids: serde_json::Map<String, Value> =
        (0..100_000_u64).map(|id| (format!("t{id}"), (id + 5).into())).collect();
    let files = [(folder::TOKENIZER, json(&[])), (folder::ADDED_TOKENS, Value::Object(ids))];
    assert_eq!(Tokenizer::load(beside(&files).path(), 200_000).expect("read").vocab_size(), 100_005);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn a_file_that_is_too_large_or_none_is_refused_before_it_is_read() {
    let folder = beside(&[]);
    let path = folder.path().join(folder::TOKENIZER);
    let file = fs::File::create(&path).expect("made");
    file.set_len(1 << 40).expect("a hole");
    assert!(refused(folder.path(), 10).0.contains("no file beside the weights has"));
    fs::remove_file(&path).expect("there");
    fs::create_dir(&path).expect("made");
    assert!(refused(folder.path(), 10).0.contains("is no file"));
}
