//! Damaged files are refused with what is wrong, and never panic.

use super::*;

/// A whole tokenizer.json with this `model`, in which `[CLS]` and `[SEP]` are 1 and 2.
fn json(model: Value) -> Value {
    let mut json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
    });
    json["model"] = model;
    json
}

fn word_piece() -> Value {
    json(json!({
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "la": 4},
    }))
}

fn bpe(merges: &Value) -> Value {
    json(json!({
        "type": "BPE", "unk_token": null,
        "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "l": 3, "a": 4, "la": 5}, "merges": merges,
    }))
}

fn outcome(json: &Value) -> (String, String) {
    refused(beside(&[(folder::TOKENIZER, json.clone())]).path(), 10)
}

#[test]
fn a_whole_one_is_read() {
    for json in [word_piece(), bpe(&json!([["l", "a"]])), bpe(&json!(["l a"]))] {
        let folder = beside(&[(folder::TOKENIZER, json)]);
        let tokenizer = Tokenizer::load(folder.path(), 10).expect("whole");
        assert_eq!(tokenizer.pieces("la").expect("pieces").len(), 1);
        assert_eq!((tokenizer.special().bos, tokenizer.special().eos), (1, 2));
    }
}

#[test]
fn what_would_fail_at_the_first_text_is_refused_at_once() {
    let change = |from: Value, pointer: &str, to: Value| {
        let mut json = from;
        *json.pointer_mut(pointer).expect(pointer) = to;
        json
    };
    let template = |id: u64, described: bool| {
        let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let mut tokens = json!({"[CLS]": {"id": "[CLS]", "ids": [id], "tokens": ["[CLS]"]}});
        if described {
            tokens["[SEP]"] = json!({"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]});
        }
        let single = [special("[CLS]"), json!({"Sequence": {"id": "A", "type_id": 0}}), special("[SEP]")];
        json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": tokens})
    };
    let precompiled = |charsmap: &str| json!({"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": charsmap}]});
    let long = json!([["l", "a"], ["la", "lalalalala"]]);
    for (json, message) in [
        (
            change(word_piece(), "/model/unk_token", json!("<unk>")),
            "its unknown token `<unk>` is not in its vocabulary",
        ),
        (json(json!({"type": "Unigram", "unk_id": null, "vocab": [["a", 0.0]]})), "its unknown token is not"),
        (json(json!({"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]})), "its unknown token is not"),
        (change(bpe(&json!([])), "/model/unk_token", json!("<unk>")), "its unknown token `<unk>` is not"),
        (bpe(&json!([["l", "a"], ["la", "l"]])), "its merge 2 joins pieces that are not in its vocabulary"),
        (bpe(&long), "its merge 2 joins pieces that are not in its vocabulary"),
        (bpe(&json!(["la"])), "its merge 1 is no pair"),
        (change(word_piece(), "/model/vocab/la", json!(-1)), "an id of its vocabulary is no whole number"),
        (
            change(word_piece(), "/model/vocab/la", json!(1_u64 << 40)),
            "an id of its vocabulary is no whole number",
        ),
        (
            change(word_piece(), "/model/vocab/la", json!(10)),
            "its ids reach 10, but config.json makes room for 10",
        ),
        (
            change(word_piece(), "/post_processor/cls/1", json!(77)),
            "its ids reach 77, but config.json makes room for 10",
        ),
        (
            change(word_piece(), "/post_processor", template(77, true)),
            "its ids reach 77, but config.json makes room",
        ),
        (
            change(word_piece(), "/post_processor", template(1, false)),
            "its post-processor names a token without an id",
        ),
        (change(word_piece(), "/normalizer", precompiled("@")), "its normalisation is damaged"),
        (
            change(word_piece(), "/normalizer", precompiled("BAAAAAAAAAA=")),
            "its normalisation is damaged: its trie leads",
        ),
        (json!([]), "malformed tokenizer"),
        (json!({"model": null}), "malformed tokenizer"),
    ] {
        let (found, _) = outcome(&json);
        assert!(found.contains(message), "{message}: {found}");
    }
}

#[test]
fn what_the_folder_says_wrongly_is_refused_by_its_field() {
    for (config, field) in [
        (json!({"do_lower_case": "yes"}), "`do_lower_case`"),
        (json!({"added_tokens_decoder": {"x": {"content": "a"}}}), "`added_tokens_decoder`"),
        (json!({"added_tokens_decoder": {"5": {"special": true}}}), "`added_tokens_decoder`"),
        (json!({"pad_token": 7}), "`pad_token`"),
        (json!({"extra_special_tokens": [7]}), "`extra_special_tokens`"),
        (json!(["pad"]), "holds no object"),
    ] {
        let bert = json!({"model_type": "bert"});
        let files =
            [(folder::TOKENIZER, word_piece()), (folder::TOKENIZER_CONFIG, config), (folder::CONFIG, bert)];
        let (message, _) = refused(beside(&files).path(), 10);
        assert!(message.contains(field), "{field}: {message}");
    }
}

#[test]
fn vocabularies_in_files_of_their_own_are_refused_by_line() {
    let vocab = json!({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "l": 4, "a": 5, "la": 6});
    let load = |vocab: Value, merges: &str| {
        refused(beside(&[("vocab.json", vocab), ("merges.txt", json!(merges))]).path(), 20).0
    };
    for (merges, message) in [
        ("#version: 0.2\nl a\nla la\n", "line 3 joins pieces that are not all in vocab.json"),
        ("l a\n\nl\n", "line 3 is no pair of pieces"),
        ("l a la\n", "line 1 is no pair of pieces"),
    ] {
        let found = load(vocab.clone(), merges);
        assert!(found.contains(message), "{message}: {found}");
    }
    assert!(load(json!([1]), "l a\n").contains("it is no object of ids"));
    assert!(load(json!({"<s>": "0"}), "").contains("an id of its vocabulary is no whole number"));
    let found = load(json!({"<s>": 0.5}), "");
    assert!(!found.contains("tokenizer.json"), "there is none: {found}");
    for (bytes, message) in [
        (&b"[PAD]\nl\xE9\n"[..], "it is not UTF-8"),
        (b"", "it is empty"),
        (b"la\n", "vocab.txt: no line is `[UNK]`"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    ] {
        let folder = beside(&[]);
        fs::write(folder.path().join(folder::WORD_PIECE), bytes).expect("written");
        let (found, _) = refused(folder.path(), 10);
        assert!(found.contains(message), "{message}: {found}");
    }
    // Another line may stand for what is unknown, and then has to be there too.
    for (name, loads) in [("la", true), ("<unk>", false)] {
        let config = (folder::TOKENIZER_CONFIG, json!({"unk_token": name}));
        let folder = beside(&[config, (folder::WORD_PIECE, json!("[PAD]\n[CLS]\n[SEP]\n[MASK]\nla\n"))]);
        if loads {
            assert_eq!(Tokenizer::load(folder.path(), 10).expect("loaded").special().unk, Some(4));
        } else {
            let (message, help) = refused(folder.path(), 10);
            assert!(
                message.contains("no line is `<unk>`") && help.contains("`unk_token`"),
                "{message} {help}"
            );
        }
    }
}

#[test]
fn a_sentencepiece_model_that_ends_early_is_refused_wherever_it_ends() {
    let folder = folder(&model(UNIGRAM), &[]);
    let path = folder.path().join(folder::SENTENCEPIECE[0]);
    let whole = fs::read(&path).expect("read");
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).expect("written");
        let (message, help) = refused(folder.path(), 18);
        assert!(message.contains("is no SentencePiece model that can be used"), "{end}: {message}");
        assert!(help.contains("own repository"), "{help}");
    }
    fs::write(&path, &whole).expect("written");
    assert!(Tokenizer::load(folder.path(), 18).is_ok());
    assert!(refused(folder.path(), 99).0.contains("neither as CamemBERT's do nor as XLM-RoBERTa's"));
    let mut infinite = model(UNIGRAM);
    infinite.pieces[4].score = Some(f32::NAN);
    fs::write(&path, infinite.encode_to_vec()).expect("written");
    assert!(refused(folder.path(), 18).0.contains("the score of piece 4 is not finite"));
}

#[test]
fn a_sentencepiece_model_with_any_byte_changed_is_refused_or_reads_every_text() {
    let mut whole = model(UNIGRAM);
    whole.pieces[4].kind = Some(USER_DEFINED);
    whole.normalizer = Some(Normalizer {
        precompiled_charsmap: Some(vec![4, 0, 0, 0, 0, 0, 0, 0]),
        ..Normalizer::default()
    });
    for config in [json!({}), json!({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"})] {
        let folder = folder(&whole, &[(folder::TOKENIZER_CONFIG, config)]);
        let path = folder.path().join(folder::SENTENCEPIECE[0]);
        let bytes = fs::read(&path).expect("read");
        let mut read = 0;
        for at in 0..bytes.len() {
            let mut spoilt = bytes.clone();
            spoilt[at] ^= 0x21;
            fs::write(&path, &spoilt).expect("written");
            if let Ok(tokenizer) = Tokenizer::load(folder.path(), 30) {
                read += 1;
                for text in ["à Aix <s> é", "  ", "▁a\n"] {
                    tokenizer.pieces(text).expect("a whole tokenizer reads every text");
                }
            }
        }
        assert!(read < bytes.len(), "something was found");
    }
}
