//! Folders of every kind, compared with transformers, and what may be wrong with them.

mod damaged;
mod hostile;
mod parity;

use std::{fs, path::Path};

use prost::Message;
use serde_json::{Value, json};

use super::{
    proto::{BPE, Model, Normalizer, Piece, Trainer, UNIGRAM, USER_DEFINED},
    *,
};
use crate::{testing::real, words::words};

/// A `SentencePiece` model of a few pieces.
fn model(kind: i32) -> Model {
    let piece = |piece: &str, score, kind| Piece {
        text: Some(piece.to_owned()),
        score: Some(score),
        kind: Some(kind),
    };
    let mut pieces = vec![piece("<unk>", 0.0, 2), piece("<s>", 0.0, 3), piece("</s>", 0.0, 3)];
    let mut score = 0.0;
    for text in ["▁à", "▁", "Aix", "▁A", "ix", "a", "à", "i", "x", "A"] {
        score -= 1.0;
        pieces.push(piece(text, score, 1));
    }
    let trainer = Trainer { model_type: Some(kind), ..Trainer::default() };
    Model { pieces, trainer: Some(trainer), normalizer: Some(Normalizer::default()) }
}

/// A folder with a `SentencePiece` model, and what stands beside it.
fn folder(model: &Model, files: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = beside(files);
    fs::write(folder.path().join(folder::SENTENCEPIECE[0]), model.encode_to_vec()).expect("written");
    folder
}

fn beside(files: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, value) in files {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<(u32, usize, usize)> {
    let pieces = tokenizer.pieces(text).expect("pieces");
    pieces.iter().map(|piece| (piece.id, piece.start, piece.end)).collect()
}

/// The whole message, and the way out.
fn refused(folder: &Path, entries: usize) -> (String, String) {
    let error = Tokenizer::load(folder, entries).err().expect("refused");
    let invalid = stage_contract::Invalid::of(&error);
    (invalid.message, invalid.help.expect("a way out"))
}

#[test]
fn ids_are_shifted_as_each_family_shifts_them() {
    // 13 pieces: 5 + 12 + <mask> of CamemBERT's, 4 + 10 + <mask> of XLM-RoBERTa's.
    for (entries, special, a) in [
        (18, Special { bos: 5, pad: 1, eos: 6, unk: Some(3) }, 7),
        (15, Special { bos: 0, pad: 1, eos: 2, unk: Some(3) }, 4),
    ] {
        let folder = folder(&model(UNIGRAM), &[]);
        let tokenizer = Tokenizer::load(folder.path(), entries).expect("the size tells the family");
        assert_eq!((tokenizer.special(), tokenizer.vocab_size()), (special, entries));
        // `▁à` and `▁` + `Aix`, and a letter that is no piece.
        assert_eq!(ids(&tokenizer, "à Aix"), [(a, 0, 1), (a + 1, 2, 3), (a + 2, 2, 5)]);
        assert_eq!(ids(&tokenizer, "à ü")[2].0, 3);
        let windows = tokenizer.windows("à", &[[0, 1]], 8).expect("windows");
        assert_eq!(windows[0].ids, [special.bos, a, special.eos]);
        // What is written for the student is read as the same tokenizer.
        let again = Tokenizer::from_json(tokenizer.json().to_vec()).expect("tokenizer.json");
        assert_eq!(again.special(), special);
        assert_eq!(ids(&again, "Aix à  Aix <mask>"), ids(&tokenizer, "Aix à  Aix <mask>"));
    }
}

#[test]
fn camemberts_numbering_holds_for_merges_too() {
    let mut bpe = model(BPE);
    let folder = folder(&bpe, &[(folder::CONFIG, json!({"model_type": "camembert"}))]);
    let tokenizer = Tokenizer::load(folder.path(), 18).expect("merges");
    // `▁A` is joined before there is an `ix` for `Aix`, whose score is better.
    assert_eq!(ids(&tokenizer, "à Aix"), [(7, 0, 1), (10, 2, 3), (11, 3, 5)]);
    assert_eq!(tokenizer.special(), Special { bos: 5, pad: 1, eos: 6, unk: Some(3) });
    bpe.trainer = Some(Trainer { model_type: Some(3), ..Trainer::default() });
    fs::write(folder.path().join(folder::SENTENCEPIECE[0]), bpe.encode_to_vec()).expect("written");
    assert!(refused(folder.path(), 18).0.contains("neither a Unigram nor a BPE model"));
}

#[test]
fn the_class_tells_the_family_and_added_tokens_follow_the_pieces() {
    let config = json!({
        "tokenizer_class": "XLMRobertaTokenizer",
        "added_tokens_decoder": {"15": {"content": "Aixois", "special": false}}
    });
    let folder = folder(&model(UNIGRAM), &[(folder::TOKENIZER_CONFIG, config)]);
    let tokenizer = Tokenizer::load(folder.path(), 100).expect("the class tells the family");
    assert_eq!(tokenizer.vocab_size(), 16);
    assert!(ids(&tokenizer, "à Aixois").contains(&(15, 2, 8)));
    let (message, _) = refused(folder.path(), 15);
    assert!(message.contains("its ids reach 15, but config.json makes room for 15"), "{message}");
}

#[test]
fn a_special_token_beyond_the_vocabulary_is_left_out_unless_it_is_needed() {
    let token = |content: &str| json!({"content": content, "special": true});
    let config = |last: &str, pad: &str| {
        json!({
            "tokenizer_class": "CamembertTokenizer", "pad_token": pad,
            "added_tokens_decoder": {"3": token("<unk>"), "4": token("<unk>"), "5": token("<s>"), "18": token(last)}
        })
    };
    let with = |value| folder(&model(UNIGRAM), &[(folder::TOKENIZER_CONFIG, value)]);
    let folder = with(config("<other>", "<pad>"));
    let tokenizer = Tokenizer::load(folder.path(), 18).expect("as transformers loads it");
    assert_eq!(tokenizer.vocab_size(), 18);
    assert!(ids(&tokenizer, "<other> <unk>NOTUSED").iter().all(|(id, ..)| *id < 18));
    let beside = json!({"eos_token": "<end>"});
    fs::write(folder.path().join(folder::SPECIAL_TOKENS), beside.to_string()).expect("written");
    let (message, help) = refused(folder.path(), 18);
    assert!(message.contains("its ids reach 18") && help.contains("one and the same model"), "{message}");
}

#[test]
fn an_added_token_has_the_id_that_the_folder_says_or_is_refused() {
    let config = json!({"tokenizer_class": "CamembertTokenizer"});
    let added = |id: u64| {
        folder(
            &model(UNIGRAM),
            &[(folder::TOKENIZER_CONFIG, config.clone()), (folder::ADDED_TOKENS, json!({"Aixois": id}))],
        )
    };
    let tokenizer = Tokenizer::load(added(18).path(), 30).expect("the next id");
    assert!(ids(&tokenizer, "à Aixois").contains(&(18, 2, 8)));
    assert!(refused(added(20).path(), 30).0.contains("the added token of id 20 follows 18 other tokens"));
}

#[test]
fn a_class_that_only_python_runs_is_refused_by_name() {
    for (name, config) in [
        (folder::TOKENIZER_CONFIG, json!({"tokenizer_class": "FlaubertTokenizer"})),
        (folder::CONFIG, json!({"model_type": "flaubert"})),
    ] {
        let vocab = json!({"a</w>": 0});
        let folder =
            beside(&[(name, config), ("vocab.json", vocab), ("merges.txt", json!("#version: 0.2\n"))]);
        let (message, help) = refused(folder.path(), 10);
        assert!(
            message.contains("FlaubertTokenizer is not read") && help.contains("tokenizer.json"),
            "{message}"
        );
    }
}

#[test]
fn a_class_whose_numbering_is_unknown_is_refused_by_name_whatever_its_vocabulary_lies_in() {
    let of =
        |class: &str| (folder::TOKENIZER_CONFIG, json!({"tokenizer_class": class, "pad_token": "<pad>"}));
    for class in
        ["FunnelTokenizer", "BarthezTokenizerFast", "MBartTokenizer", "LlamaTokenizer", "MyTokenizer"]
    {
        let name = class.trim_end_matches("Fast");
        let bytes = [("vocab.json", json!({"a": 0})), ("merges.txt", json!(""))];
        for folder in [
            beside(&[of(class), (folder::WORD_PIECE, json!("a\n"))]),
            beside(&[&[of(class)][..], &bytes].concat()),
            folder(&model(UNIGRAM), &[of(class)]),
            // Nor does a size that would fit tell the numbering.
            folder(&model(BPE), &[of(class), (folder::CONFIG, json!({"model_type": "camembert"}))]),
        ] {
            let (message, help) = refused(folder.path(), 18);
            let expected = format!("the vocabulary of a {name} is read from tokenizer.json alone");
            assert!(message.contains(&expected) && help.contains("AutoTokenizer"), "{message}");
        }
    }
}

#[test]
fn a_text_has_the_same_pieces_each_time_whatever_tokenizer_json_leaves_to_chance() {
    let vocab = json!({"<s>": 0, "<pad>": 1, "</s>": 2, "l": 3, "a": 4, "la": 5, "lala": 6});
    for dropout in [json!(0.9), json!(1.0), json!(0.0), json!(null)] {
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": null, "decoder": null, "post_processor": null,
            "model": {
                "type": "BPE", "dropout": dropout, "unk_token": null, "vocab": vocab,
                "merges": [["l", "a"], ["la", "la"]],
            },
        });
        let tokenizer = Tokenizer::load(beside(&[(folder::TOKENIZER, json)]).path(), 7).expect("loaded");
        let again = Tokenizer::from_json(tokenizer.json().to_vec()).expect("what students are saved with");
        for _ in 0..20 {
            assert_eq!(ids(&tokenizer, "lalala"), [(6, 0, 4), (5, 4, 6)], "{dropout}");
            assert_eq!(ids(&again, "lalala"), [(6, 0, 4), (5, 4, 6)], "{dropout}");
        }
    }
}

#[test]
fn what_puts_nothing_around_a_text_stays_so_and_the_students_tokenizer_too() {
    let whole = Tokenizer::load(folder(&model(UNIGRAM), &[]).path(), 15).expect("XLM-RoBERTa's");
    let mut value: Value = serde_json::from_slice(whole.json()).expect("JSON");
    value["post_processor"] = Value::Null;
    let tokens = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>",
        "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
    });
    let bare = |class: &str| {
        let mut config = tokens.clone();
        config["tokenizer_class"] = class.into();
        let files = [(folder::TOKENIZER_CONFIG, config), (folder::TOKENIZER, value.clone())];
        Tokenizer::load(beside(&files).path(), 15).expect("loaded")
    };
    let ids = |tokenizer: &Tokenizer, text: &str, words: &[[usize; 2]]| {
        let window = tokenizer.windows(text, words, 4).expect("windows").swap_remove(0);
        (window.ids, window.anchors.iter().map(|anchor| anchor.row).collect::<Vec<_>>())
    };
    let words = [[0, 1], [2, 5]];
    let tokenizer = bare("PreTrainedTokenizerFast");
    // `PreTrainedTokenizerFast.from_pretrained` gives the same ids.
    assert_eq!(ids(&tokenizer, "à Aix", &words), (vec![4, 5, 6], vec![0, 1]));
    assert_eq!(ids(&tokenizer, "", &[]), (vec![0, 2], vec![]), "a model reads something");
    assert_eq!(tokenizer.special(), Special { bos: 0, pad: 1, eos: 2, unk: Some(3) });
    // A class that has its own goes on to put them there, and so does what is made without a folder.
    let around = (vec![0, 4, 2], vec![1]);
    assert_eq!(ids(&bare("XLMRobertaTokenizer"), "à", &words[..1]), around);
    let made = Tokenizer::from_json(serde_json::to_vec(&value).expect("JSON")).expect("made");
    assert_eq!(ids(&made, "à", &words[..1]), around);
    for (tokenizer, expected) in [(tokenizer, (vec![4], vec![0])), (made, around)] {
        let saved = beside(&[]);
        fs::write(saved.path().join(folder::TOKENIZER), tokenizer.json()).expect("written");
        for (name, content) in tokenizer.files(512) {
            fs::write(saved.path().join(name), content).expect("written");
        }
        let again = Tokenizer::load(saved.path(), 15).expect("a student's");
        assert_eq!(ids(&again, "à", &words[..1]), expected);
        let Trimmed { tokenizer: small, origin } = again.trim(&[0; 15], 15).expect("trimmed");
        assert_eq!((ids(&small, "à", &words[..1]), origin.len()), (expected, 15));
    }
}

#[test]
fn berts_vocabulary_counts_lines_as_transformers_does() {
    // Line ends of either kind, an empty line, and a piece given twice, whose last line counts.
    let vocab = json!("[PAD]\r\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nla\n\nle\nla\n");
    let tokenizer = Tokenizer::load(beside(&[("vocab.txt", vocab)]).path(), 9).expect("loaded");
    assert_eq!(ids(&tokenizer, "LA lé x"), [(8, 0, 2), (7, 3, 5), (1, 6, 7)]);
    assert_eq!(tokenizer.special(), Special { bos: 2, pad: 0, eos: 3, unk: Some(1) });
}

#[test]
fn links_of_the_hubs_cache_are_followed_and_a_padded_vocabulary_is_taken() {
    let blobs = beside(&[("blob", json!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nla\n"))]);
    let snapshot = tempfile::tempdir().expect("a folder");
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(blobs.path().join(to), snapshot.path().join(name)).expect("linked");
    };
    link("gone", folder::TOKENIZER);
    link("blob", folder::WORD_PIECE);
    let tokenizer = Tokenizer::load(snapshot.path(), 8).expect("loaded");
    assert_eq!((ids(&tokenizer, "la"), tokenizer.vocab_size()), (vec![(5, 0, 2)], 6));
}

/// 10,000 real lines and awkward ones: the same ids and offsets from both files of `CamemBERT`'s own tokenizer.
#[test]
fn camemberts_two_files_agree_everywhere() {
    let (Some(model), Some(corpus)) = (real("camembert-tokenizer"), real("corpus")) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for name in [folder::SENTENCEPIECE[0], folder::TOKENIZER_CONFIG, folder::SPECIAL_TOKENS] {
        fs::copy(model.join(name), folder.path().join(name)).expect("copied");
    }
    let expected = Tokenizer::load(&model, 32_005).expect("tokenizer.json");
    let found = Tokenizer::load(folder.path(), 32_005).expect("sentencepiece.bpe.model");
    assert_eq!((found.special(), found.vocab_size()), (expected.special(), expected.vocab_size()));
    let mut lines: Vec<String> = parity::texts();
    for source in ["administrative", "encyclopedia", "press", "clinical"] {
        let text = fs::read_to_string(corpus.join(format!("{source}.txt"))).expect("read");
        lines.extend(text.lines().take(4_000).map(str::to_owned));
    }
    assert!(lines.len() > 10_000);
    for line in &lines {
        assert_eq!(ids(&found, line), ids(&expected, line));
    }
}

#[test]
fn ids_and_offsets_equal_those_of_transformers() {
    let (Some(model), Some(parity)) = (real("teacher"), real("parity/teacher.json")) else { return };
    let tokenizer = Tokenizer::load(&model, 40_000).expect("the teacher's tokenizer");
    assert_eq!(tokenizer.special(), Special { bos: 0, pad: 1, eos: 2, unk: Some(3) });
    assert_eq!(tokenizer.vocab_size(), 29_639);
    let cases: serde_json::Value =
        serde_json::from_slice(&fs::read(parity).expect("read")).expect("the parity cases");
    let cases = cases.as_array().expect("a list");
    assert!(!cases.is_empty());
    for case in cases {
        let text = case["text"].as_str().expect("text");
        let ids: Vec<u32> = serde_json::from_value(case["input_ids"].clone()).expect("ids");
        let offsets: Vec<(usize, usize)> = serde_json::from_value(case["offsets"].clone()).expect("offsets");
        let pieces = tokenizer.pieces(text).expect("pieces");
        let inside = 1..ids.len() - 1;
        assert_eq!(pieces.iter().map(|p| p.id).collect::<Vec<_>>(), ids[inside.clone()]);
        assert_eq!(pieces.iter().map(|p| (p.start, p.end)).collect::<Vec<_>>(), offsets[inside]);
        let windows = tokenizer.windows(text, &words(text), 512).expect("windows");
        assert_eq!(windows[0].ids, ids);
    }
}

#[test]
fn camemberts_own_specials_and_words_are_found() {
    let Some(model) = real("camembert-tokenizer") else { return };
    let tokenizer = Tokenizer::load(&model, 40_000).expect("camembert's tokenizer");
    assert_eq!(tokenizer.special(), Special { bos: 5, pad: 1, eos: 6, unk: Some(3) });
    assert_eq!(tokenizer.vocab_size(), 32_005);
    let text = "L’hôpital Saint-Louis accueille Mme N'Diaye aujourd'hui à 12,5 km…";
    let words = words(text);
    let windows = tokenizer.windows(text, &words, 512).expect("windows");
    let [window] = windows.as_slice() else { panic!("one window") };
    assert_eq!(window.anchors.len(), words.len());
    assert!(window.anchors.iter().all(|anchor| anchor.owned));
    let spoilt = "♥ Aix";
    let window = &tokenizer.windows(spoilt, &[[0, 1], [2, 5]], 512).expect("windows")[0];
    assert_eq!(window.anchors[0].row, 1, "at the start of a text a lone `▁` overlaps the first word");
}

#[test]
fn real_lines_are_covered_whole_in_small_windows_too() {
    let (Some(model), Some(corpus)) = (real("teacher"), real("corpus")) else { return };
    let tokenizer = Tokenizer::load(&model, 40_000).expect("the teacher's tokenizer");
    for source in ["clinical", "press"] {
        let text = fs::read_to_string(corpus.join(format!("{source}.txt"))).expect("read");
        for (number, line) in text.lines().take(400).enumerate() {
            let words = words(line);
            let mut expected: Option<Vec<usize>> = None;
            for room in [512, 24] {
                let windows = tokenizer.windows(line, &words, room).expect("windows");
                assert!(windows.iter().all(|w| w.ids.len() <= room));
                let mut found: Vec<usize> =
                    windows.iter().flat_map(|w| w.anchors.iter().map(|a| a.word)).collect();
                found.sort_unstable();
                assert!(found.windows(2).all(|w| w[0] < w[1]), "{source}:{number}: a word twice");
                assert!(found.len() * 100 >= words.len() * 95, "{source}:{number}: words without pieces");
                assert_eq!(*expected.get_or_insert(found.clone()), found, "{source}:{number}");
            }
        }
    }
}

#[test]
fn a_folder_without_a_usable_tokenizer_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = |path: &Path| Tokenizer::load(path, 100).err().expect("refused").to_string();
    assert!(error(folder.path()).contains("has no tokenizer: "));
    fs::write(folder.path().join("tokenizer.json"), "{}").expect("written");
    assert!(error(folder.path()).contains("no tokenizer that can be used"));
}
