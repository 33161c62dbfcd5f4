//! What transformers makes of awkward texts with a small vocabulary of each kind (`stages/testdata/vocabularies.py`).

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Parity {
    texts: Vec<String>,
    files: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    model_type: String,
    files: BTreeMap<String, String>,
    config: Option<Value>,
    size: usize,
    pieces: Vec<String>,
}

fn cases() -> Parity {
    serde_json::from_str(include_str!("../../../../testdata/tokenizers.json")).expect("the cases")
}

pub(super) fn texts() -> Vec<String> {
    cases().texts
}

fn written_to(case: &Case, files: &BTreeMap<String, String>) -> tempfile::TempDir {
    let folder = beside(&[(folder::CONFIG, json!({"model_type": case.model_type}))]);
    for (name, content) in &case.files {
        let bytes = BASE64_STANDARD.decode(&files[content]).expect("base64");
        fs::write(folder.path().join(name), bytes).expect("written");
    }
    if let Some(config) = &case.config {
        fs::write(folder.path().join(folder::TOKENIZER_CONFIG), config.to_string()).expect("written");
    }
    folder
}

/// As vocabularies.py writes them.
fn written(pieces: &[(u32, usize, usize)]) -> String {
    let mut before = 0;
    let parts = pieces.iter().map(|&(id, start, end)| {
        let part = if start == before { format!("{id}-{end}") } else { format!("{id}@{start}-{end}") };
        before = end;
        part
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_kind_gives_the_ids_and_offsets_of_transformers() {
    let Parity { texts, files, cases } = cases();
    assert!(texts.len() > 50 && cases.len() > 10);
    for case in cases {
        let folder = written_to(&case, &files);
        let name = &case.name;
        let tokenizer = Tokenizer::load(folder.path(), case.size).expect(name);
        assert_eq!(tokenizer.vocab_size(), case.size, "{name}");
        // A student is saved with what `json` gives, and read again as it is.
        let saved =
            beside(&[(folder::TOKENIZER_CONFIG, json!({"tokenizer_class": "PreTrainedTokenizerFast"}))]);
        fs::write(saved.path().join(folder::TOKENIZER), tokenizer.json()).expect("written");
        for (name, content) in tokenizer.files(512) {
            fs::write(saved.path().join(name), content).expect("written");
        }
        let again = Tokenizer::load(saved.path(), case.size).expect(name);
        assert_eq!((again.special(), again.json()), (tokenizer.special(), tokenizer.json()), "{name}");
        assert_eq!(case.pieces.len(), texts.len());
        for (text, expected) in texts.iter().zip(&case.pieces) {
            assert_eq!(&written(&ids(&tokenizer, text)), expected, "{name}: {text:?}");
            assert_eq!(ids(&again, text), ids(&tokenizer, text), "{name}: {text:?}");
        }
    }
}

#[test]
fn what_the_folder_says_counts_more_than_tokenizer_json() {
    let Parity { files, .. } = cases();
    let json: Value =
        serde_json::from_slice(&BASE64_STANDARD.decode(&files["json"]).expect("base64")).expect("JSON");
    let load = |config: Value, json: &Value| {
        let bert = (folder::CONFIG, json!({"model_type": "bert"}));
        let files = [bert, (folder::TOKENIZER_CONFIG, config), (folder::TOKENIZER, json.clone())];
        Tokenizer::load(beside(&files).path(), 150).expect("loaded")
    };
    let first = |tokenizer: &Tokenizer, text: &str| tokenizer.pieces(text).expect("pieces")[0];
    // transformers lowers a BERT's text unless it is told not to, whatever tokenizer.json does.
    for (config, lowers) in [
        (json!({}), true),
        (json!({"do_lower_case": true}), true),
        (json!({"do_lower_case": false}), false),
        (json!({"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": true}), false),
    ] {
        let tokenizer = load(config.clone(), &json);
        assert_eq!(first(&tokenizer, "Anna") != first(&tokenizer, "anna"), !lowers, "{config}");
    }
    // Older files do not say of which kind their model is.
    let mut older = json.clone();
    older["model"].as_object_mut().expect("a model").shift_remove("type");
    let (newer, older) = (load(json!({}), &json), load(json!({}), &older));
    assert_eq!(ids(&newer, "Anna habite"), ids(&older, "Anna habite"));
    // Padding and truncation are ours to do.
    let mut padded = json.clone();
    padded["padding"] = json!({
        "strategy": {"Fixed": 32}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "[PAD]",
    });
    padded["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    for config in [json!({"do_lower_case": false}), json!({"tokenizer_class": "PreTrainedTokenizerFast"})] {
        let (plain, padded) = (load(config.clone(), &json), load(config, &padded));
        assert_eq!(ids(&plain, "Anna habite Lyon"), ids(&padded, "Anna habite Lyon"));
        assert_eq!(plain.special(), padded.special());
    }
    // A class that asks for tokens which a tokenizer.json does not have is not the one that it was made with.
    let tokenizer = load(json!({"tokenizer_class": "RobertaTokenizer", "do_lower_case": true}), &json);
    assert_eq!(tokenizer.special(), Special { bos: 2, pad: 0, eos: 3, unk: Some(1) });
}

#[test]
fn a_trimmed_tokenizer_reads_every_text_in_the_pieces_that_it_kept() {
    let Parity { texts, files, cases } = cases();
    let mut trimmed = 0;
    for case in cases {
        let folder = written_to(&case, &files);
        let tokenizer = Tokenizer::load(folder.path(), case.size).expect(&case.name);
        let used = |tokenizer: &Tokenizer| {
            let mut used = vec![0_usize; tokenizer.vocab_size()];
            texts.iter().flat_map(|text| ids(tokenizer, text)).for_each(|(id, ..)| used[id as usize] += 1);
            used
        };
        let before = used(&tokenizer);
        let Ok(()) = tokenizer.can_trim() else {
            assert!(tokenizer.trim(&before, case.size).is_err(), "{}", case.name);
            continue;
        };
        trimmed += 1;
        let unknown = tokenizer.special().unk.expect("one") as usize;
        let error = tokenizer.trim(&before, 1).err().expect("too few");
        let least: usize =
            error.advice().expect("a way out").split(' ').nth(1).expect("use N").parse().expect("N");
        for keep in [least, usize::midpoint(least, case.size), case.size] {
            let Trimmed { tokenizer: small, origin } = tokenizer.trim(&before, keep).expect(&case.name);
            assert_eq!((small.vocab_size(), origin.len()), (keep, keep), "{}", case.name);
            let now = small.special().unk.expect("one") as usize;
            assert_eq!(
                used(&small)[now],
                before[unknown],
                "{}: text that was read is unknown now",
                case.name
            );
            let named = |special: Special| [special.bos, special.pad, special.eos].map(|id| id as usize);
            assert_eq!(named(small.special()).map(|id| origin[id]), named(tokenizer.special()));
            // Texts whose pieces were all kept are read as before.
            for text in &texts {
                let expected = ids(&tokenizer, text);
                if expected.iter().all(|(id, ..)| origin.binary_search(&(*id as usize)).is_ok()) {
                    let found = ids(&small, text).into_iter();
                    let found = found.map(|(id, start, end)| {
                        (u32::try_from(origin[id as usize]).expect("small"), start, end)
                    });
                    assert_eq!(found.collect::<Vec<_>>(), expected, "{}: {text:?}", case.name);
                }
            }
        }
    }
    assert!(trimmed > 5);
}
