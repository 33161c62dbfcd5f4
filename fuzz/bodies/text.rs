//! What is done with foreign files of tokenizers, text, gold and labels. Anything may be refused, nothing may panic, and what
//! is read is whole.

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use stage_contract::Artifact;
use text::{
    clean::{Rules, clean},
    corpus::{Begin, Entries, Gold, Options, Stream, Text},
    encoding, folder,
    labels::{Labels, Notation, Scheme, Tally, spans, split_tag},
    mojibake,
    tokenizer::Tokenizer,
    words::words,
};

/// Does with a file all that is done with one of its kind.
type Loader = fn(&[u8]);

/// Each with the name of its seeds' folder.
pub const LOADERS: &[(&str, Loader)] = &[
    ("tokenizer-json", |data| tokenizer(&[(folder::TOKENIZER, data)])),
    ("sentencepiece", |data| {
        tokenizer(&[(folder::SENTENCEPIECE[0], data), (folder::TOKENIZER_CONFIG, ROLES)]);
    }),
    ("vocab-txt", |data| tokenizer(&[(folder::WORD_PIECE, data)])),
    ("byte-level", byte_level),
    ("tokenizer-config", |data| {
        tokenizer(&[(folder::TOKENIZER, WORD_PIECE), (folder::TOKENIZER_CONFIG, data)]);
    }),
    ("added-tokens", |data| tokenizer(&[(folder::TOKENIZER, WORD_PIECE), (folder::ADDED_TOKENS, data)])),
    ("special-tokens", |data| tokenizer(&[(folder::TOKENIZER, WORD_PIECE), (folder::SPECIAL_TOKENS, data)])),
    ("index", index),
    ("plain", |data| corpus("txt", data)),
    ("json", |data| corpus("json", data)),
    ("jsonl", |data| corpus("jsonl", data)),
    ("columns", |data| corpus("conll", data)),
    ("table", |data| corpus("csv", data)),
    ("parquet", |data| corpus("parquet", data)),
    ("brat", brat),
    ("labels", labels),
];

/// The size of the model's vocabulary.
const ENTRIES: usize = 30;
const ROLES: &[u8] = br#"{"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}"#;
const WORD_PIECE: &[u8] = include_bytes!("../seeds/text/tokenizer-json/word-piece.json");
const TEXTS: [&str; 5] =
    ["", "à Aix <s> [CLS] é", "  ", "▁a\n", "L’hôpital Saint-Louis e\u{301} ﷺ lalala 12,5 km ``x''"];

fn tokenizer(files: &[(&str, &[u8])]) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("written");
    }
    let Ok(tokenizer) = Tokenizer::load(folder.path(), ENTRIES) else { return };
    reads(&tokenizer);
    // What a student is saved with.
    if let Ok(again) = Tokenizer::from_json(tokenizer.json().to_vec()) {
        assert_eq!(again.ids(), tokenizer.ids());
    }
    let _ = tokenizer.files(512);
    if tokenizer.can_trim().is_ok()
        && let Ok(small) = tokenizer.trim(&[1, 0, 2], ENTRIES / 2)
    {
        assert!(small.tokenizer.vocab_size() <= small.origin.len());
        reads(&small.tokenizer);
    }
}

fn reads(tokenizer: &Tokenizer) {
    for text in TEXTS {
        // A damaged one may still refuse a text.
        let Ok(pieces) = tokenizer.pieces(text) else { continue };
        let length = text.chars().count();
        for piece in &pieces {
            assert!((piece.id as usize) < tokenizer.vocab_size(), "an id without an embedding");
            assert!(piece.start <= piece.end && piece.end <= length, "a piece beside the text");
        }
        let words = words(text);
        for window in tokenizer.windows(text, &words, 8).expect("pieces were found") {
            assert!(window.ids.len() <= 8);
            let rows = window.anchors.iter().map(|anchor| (anchor.word, anchor.row));
            let rows = rows.chain(window.continuations.iter().map(|piece| (piece.word, piece.row)));
            for (word, row) in rows {
                assert!(word < words.len() && row < window.ids.len());
            }
        }
    }
}

/// vocab.json and merges.txt, with a zero between.
fn byte_level(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let files = folder::BYTE_LEVEL.map(|name| (name, parts.next().unwrap_or_default()));
    tokenizer(&files);
}

fn index(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(folder::INDEX), data).expect("written");
    fs::write(folder.path().join("model-1.safetensors"), "").expect("written");
    for path in folder::weights(folder.path()).unwrap_or_default() {
        assert!(path.starts_with(folder.path()) && path.exists());
    }
}

fn corpus(ending: &str, data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("a.{ending}"));
    fs::write(&path, data).expect("written");
    read(&path);
    if let Ok((text, _)) = encoding::decode(data.to_vec(), &path, None) {
        let length = text.chars().count();
        assert!(words(&text).iter().all(|[start, end]| start < end && *end <= length));
        let _ = mojibake::repair(&text);
    }
}

/// Text and annotations, with a zero between.
fn brat(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parts = data.splitn(2, |byte| *byte == 0);
    for ending in ["txt", "ann"] {
        let part = parts.next().unwrap_or_default();
        fs::write(folder.path().join(format!("a.{ending}")), part).expect("written");
    }
    read(folder.path());
}

/// Every reader of text and gold.
fn read(path: &Path) {
    for options in [Options::default(), Options { errors: 1000, ..Options::default() }] {
        if let Ok(found) = Gold::read(path, &options) {
            for record in found.value.sets.iter().flat_map(|set| &set.records) {
                record.check().expect("what is read is whole");
            }
            let made = tempfile::tempdir().expect("a folder");
            let path = made.path().join("gold");
            if found.value.save(&path).is_ok()
                && let Ok(again) = Gold::load(&path)
            {
                assert_eq!(again.types(), found.value.types());
            }
        }
        if let Ok(found) = Text::read(path, &options) {
            let _ = clean(&found.value, &Rules::default());
        }
        entries(path, &options);
        if path.is_file() {
            stream(path, &options);
        }
    }
}

fn entries(path: &Path, options: &Options) {
    let mut reader = Entries::new(options);
    for (name, file) in reader.files(path).unwrap_or_default() {
        let Ok(Some(document)) = reader.read(name, file) else { continue };
        for entry in &document.entries {
            let length = entry.text.chars().count();
            assert!(entry.words().iter().all(|[start, end]| start <= end && *end <= length));
        }
        let lines = document.entries.iter().flat_map(|entry| &entry.lines);
        let tags: BTreeMap<usize, String> = lines.map(|(line, _)| (*line, "B-X".to_owned())).collect();
        let _ = document.retagged(&tags);
    }
}

fn stream(path: &Path, options: &Options) {
    let begin = Begin::of_file(path, options);
    let mut text = String::new();
    let opened = text::corpus::open(path).map(|mut bytes| bytes.read_to_string(&mut text));
    if begin == Begin::Whole || !matches!(opened, Ok(Ok(_))) {
        return;
    }
    let (mut reader, mut entries) = (Entries::new(options), Vec::new());
    let mut stream = Stream::new("a", begin == Begin::Records, options);
    stream.look(text.lines());
    for (line, number) in text.lines().zip(1..) {
        if stream.take(&mut reader, number, line, &mut entries).is_err() {
            return;
        }
    }
    let _ = stream.finish(&mut reader);
}

/// A label a line.
fn labels(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let names: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Ok(labels) = Labels::parse(&names) {
        assert_eq!(labels.len(), names.len());
        let types = labels.types().iter().map(|kind| (kind.as_str(), "outside")).skip(1).collect();
        let _ = labels.renamed(&types);
        for to in 0..labels.len() {
            let _ = (labels.legal(None, to), labels.legal(Some(labels.outside()), to), labels.ends(to));
        }
    }
    for name in &names {
        let _ = split_tag(name);
    }
    for scheme in [Scheme::Io, Scheme::Bio] {
        assert!(spans(&names, scheme).iter().all(|span| span.start < span.end && span.end <= names.len()));
    }
    let notation = Notation::of(names.iter().map(String::as_str));
    if let Ok(found) = notation.entities(&names, &mut Tally::default()) {
        assert!(found.iter().all(|span| span.start < span.end && span.end <= names.len()));
    }
}
