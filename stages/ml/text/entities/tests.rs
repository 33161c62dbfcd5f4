use std::{fs, io::Write, path::Path};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    corpus::{Document, Entries, Entry, Gold, Options, Unit},
    labels::{Scheme, spans},
};

fn entity(kind: &str, start: usize, end: usize) -> Entity {
    Entity { kind: kind.into(), start, end, score: 0.75 }
}

/// What a format writes of a document, by its endings.
fn written(format: Format, style: Style, document: &Document, entities: &[Vec<Entity>]) -> Vec<Vec<u8>> {
    let mut outs: Vec<Vec<u8>> = format.endings().iter().map(|_| Vec::new()).collect();
    let mut writer = format.writer(style);
    let mut all: Vec<&mut dyn Write> = outs.iter_mut().map(|out| out as &mut dyn Write).collect();
    writer.begin(document, &mut all).expect("written");
    for (entry, entities) in document.entries.iter().zip(entities) {
        let entities = Placed::all(&entry.text, entities).expect("they are in it");
        writer.text(entry, &entities, &mut all).expect("written");
    }
    writer.end(document, &mut all).expect("written");
    drop(all);
    outs
}

fn text(format: Format, style: Style, document: &Document, entities: &[Vec<Entity>]) -> String {
    String::from_utf8(written(format, style, document, entities).remove(0)).expect("UTF-8")
}

/// Type and words of each entity, as the readers of gold find them in what was written.
fn read_back(
    format: Format,
    style: Style,
    document: &Document,
    entities: &[Vec<Entity>],
) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    for (ending, bytes) in format.endings().iter().zip(written(format, style, document, entities)) {
        fs::write(folder.path().join(format!("a.{ending}")), bytes).expect("written");
    }
    let gold = Gold::read(folder.path(), &Options::default()).expect("what is written can be read").value;
    let records = gold.sets.iter().flat_map(|set| &set.records);
    let of = |record: &crate::corpus::Record| {
        let found = spans(&record.tags, Scheme::Bio).into_iter();
        let surfaces = record.surfaces();
        found.map(|span| (span.kind, surfaces.of(span.start, span.end))).collect::<Vec<_>>()
    };
    records.flat_map(of).collect()
}

/// The same of what is written.
fn expected(document: &Document, entities: &[Vec<Entity>]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (entry, entities) in document.entries.iter().zip(entities) {
        let words = entry.words();
        for entity in entities {
            let own = words.iter().filter(|[start, end]| entity.start < *end && *start < entity.end);
            let text = crate::corpus::Slices::new(&entry.text);
            let own = own.map(|&[start, end]| text.of(start, end).to_lowercase());
            all.push((entity.kind.clone(), own.collect::<Vec<_>>().join(" ")));
        }
    }
    all
}

const STYLES: [Style; 3] = [
    Style { offsets: Offsets::Characters, files: false },
    Style { offsets: Offsets::Both, files: true },
    Style { offsets: Offsets::Bytes, files: false },
];

/// Entities on some words of a text, none beside another of one kind's middle: `picks` says which and how long.
fn placed(entry: &Entry, picks: &[(usize, usize, bool)]) -> Vec<Entity> {
    let words = entry.words();
    let (mut at, mut found) = (0, Vec::new());
    for (skip, length, person) in picks {
        let (first, last) = (at + skip, at + skip + length);
        if last >= words.len() {
            break;
        }
        found.push(entity(if *person { "PER" } else { "LOC" }, words[first][0], words[last][1]));
        at = last + 1;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_format_that_is_read_comes_back_with_the_same_entities(
        texts in prop::collection::vec("[a-zé😀L'’]{1,6}( [A-Zà«.,-]{0,3}[a-z0-9é'-]{1,7}[.,;:!#]{0,2}){0,9}", 1..4),
        picks in prop::collection::vec((0..3_usize, 0..3_usize, any::<bool>()), 1..6),
    ) {
        let entries: Vec<Entry> = texts.into_iter().map(Entry::new).collect();
        let entities: Vec<_> = entries.iter().map(|entry| placed(entry, &picks)).collect();
        // A file without an entity may be no gold.
        prop_assume!(entities.iter().any(|found| !found.is_empty()));
        let document = Document::new("a", entries);
        for format in [Format::Jsonl, Format::Conll, Format::Brat, Format::Spacy] {
            for style in STYLES {
                prop_assert_eq!(
                    read_back(format, style, &document, &entities),
                    expected(&document, &entities),
                    "{}", format
                );
            }
        }
    }
}

#[test]
fn a_record_keeps_its_fields_and_gets_its_entities_in_place_of_old_ones() {
    let record =
        serde_json::from_str(r#"{"id":7,"text":"é Anna","entities":[[0,1,"X"]],"z":{"b":1,"a":[]}}"#);
    let entry = Entry { record: record.expect("an object"), ..Entry::new("é Anna") };
    let document = Document::new("sub/a.jsonl", vec![entry]);
    let found = [vec![entity("PER", 2, 6)]];
    assert_eq!(
        text(Format::Jsonl, Style::default(), &document, &found),
        "{\"id\":7,\"text\":\"é Anna\",\"entities\":[{\"type\":\"PER\",\"text\":\"Anna\",\"start\":2,\"end\":6,\
         \"score\":0.75}],\"z\":{\"b\":1,\"a\":[]}}\n"
    );
    let line = text(Format::Jsonl, Style { offsets: Offsets::Both, files: true }, &document, &found);
    let object: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(object["file"], "sub/a.jsonl");
    assert_eq!((&object["entities"][0]["start_byte"], &object["entities"][0]["end"]), (&3.into(), &6.into()));
    let line = text(Format::Jsonl, Style { offsets: Offsets::Bytes, files: false }, &document, &found);
    assert!(line.contains("\"start_byte\":3,\"end_byte\":7") && !line.contains("\"start\":"), "{line}");
}

#[test]
fn a_record_of_words_gets_the_text_that_offsets_count_in() {
    let record = serde_json::from_str(r#"{"tokens":["Jean-Paul","II"]}"#).expect("an object");
    let words = Some(vec![[0, 9], [10, 12]]);
    let entry = Entry { words, record, ..Entry::new("Jean-Paul II") };
    let document = Document::new("a", vec![entry]);
    let found = [vec![entity("PER", 0, 12)]];
    let line = text(Format::Jsonl, Style::default(), &document, &found);
    assert!(
        line.starts_with(r#"{"tokens":["Jean-Paul","II"],"text":"Jean-Paul II","entities":[{"#),
        "{line}"
    );
    assert_eq!(
        read_back(Format::Jsonl, Style::default(), &document, &found),
        [("PER".to_owned(), "jean-paul ii".to_owned())]
    );
}

fn read(path: &Path, options: &Options) -> Document {
    let mut entries = Entries::new(options);
    let (name, path) = entries.files(path).expect("there").remove(0);
    entries.read(name, path).expect("read").expect("not left out")
}

#[test]
fn columns_come_back_with_their_boundaries_and_new_tags() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.conll");
    let old =
        "-DOCSTART-\t-X-\tO\n\nl'an\tN\tO\nAix\tN\tB-PER\n\n-DOCSTART-\t-X-\tO\n\nRien\tN\tO\n.\tP\tO\n";
    fs::write(&path, old).expect("written");
    let document = read(&path, &Options::default());
    let found = [vec![entity("LOC", 5, 8)], vec![]];
    assert_eq!(
        text(Format::Conll, Style::default(), &document, &found),
        old.replace("Aix\tN\tB-PER", "Aix\tN\tB-LOC")
    );
    let lines = text(Format::Jsonl, Style::default(), &document, &found);
    assert!(lines.starts_with(r#"{"document":"1","text":"l'an Aix","#), "{lines}");
    let plain = Document::new("a", document.entries);
    assert_eq!(
        text(Format::Conll, Style::default(), &plain, &found),
        "-DOCSTART-\tO\n\nl'an\tO\nAix\tB-LOC\n\n-DOCSTART-\tO\n\nRien\tO\n.\tO\n"
    );
}

#[test]
fn entities_over_ends_of_lines_come_back_from_brat() {
    let document = Document::new("a", vec![Entry::new("Anna\nRoux vit à\n\nAix."), Entry::new("Aix")]);
    let found = [vec![entity("PER", 0, 9), entity("LOC", 17, 20)], vec![entity("LOC", 0, 3)]];
    let [ann, txt] =
        written(Format::Brat, Style::default(), &document, &found).try_into().expect("two files");
    assert_eq!(String::from_utf8(txt).expect("UTF-8"), "Anna\nRoux vit à\n\nAix.\nAix\n");
    let ann = String::from_utf8(ann).expect("UTF-8");
    assert!(
        ann.starts_with("T1\tPER 0 4;5 9\tAnna Roux\n#1\tAnnotatorNotes T1\tscore 0.750000\nT2\t"),
        "{ann}"
    );
    assert_eq!(read_back(Format::Brat, Style::default(), &document, &found), expected(&document, &found));
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "Anna\nRoux\n\nvit").expect("written");
    let options = Options { unit: Unit::Document, ..Options::default() };
    assert_eq!(read(&folder.path().join("a.txt"), &options).entries.len(), 2);
}

#[test]
fn documents_of_one_file_and_blank_lines_in_entities_keep_their_offsets_in_brat() {
    let of = |document: &str, text: &str| Entry { document: Some(document.into()), ..Entry::new(text) };
    let entries =
        vec![of("1", "Anna\r\n \n\tRoux vit."), of("1", "Aix"), of("2", "\u{feff}Anna"), of("2", "Aix")];
    let document = Document::new("a", entries);
    let found = [
        vec![entity("PER", 0, 13)],
        vec![entity("LOC", 0, 3)],
        vec![entity("PER", 1, 5)],
        vec![entity("LOC", 0, 3)],
    ];
    let [ann, txt] =
        written(Format::Brat, Style::default(), &document, &found).try_into().expect("two files");
    let (ann, txt) = (String::from_utf8(ann).expect("UTF-8"), String::from_utf8(txt).expect("UTF-8"));
    assert_eq!(txt, "Anna \n \n\tRoux vit.\nAix\n\n\u{2060}Anna\nAix\n");
    let marks: Vec<&str> = ann.lines().filter(|line| line.starts_with('T')).collect();
    assert_eq!(marks[0], "T1\tPER 0 5;8 13\tAnna   Roux");
    let characters: Vec<char> = txt.chars().collect();
    for mark in marks {
        let [_, places, says] = mark.split('\t').collect::<Vec<_>>().try_into().expect("three columns");
        let places = places.split_once(' ').expect("a type").1.split(';');
        let parts = places.map(|place| {
            let (from, to) = place.split_once(' ').expect("two numbers");
            characters[from.parse().expect("a number")..to.parse().expect("a number")]
                .iter()
                .collect::<String>()
        });
        assert_eq!(parts.collect::<Vec<_>>().join(" ").replace('\t', " "), says);
    }
    // No sentence of gold goes beyond a blank line.
    let back = read_back(Format::Brat, Style::default(), &document, &found);
    assert_eq!(back[..2], [("PER".to_owned(), "anna".to_owned()), ("PER".to_owned(), "roux".to_owned())]);
    assert_eq!(back.len(), 5);
}

#[test]
fn a_page_shows_entities_escapes_texts_and_asks_for_nothing() {
    let document = Document::new("<a>", vec![Entry::new("<b>Anna</b> & \"Aix\"")]);
    let found = [vec![entity("PER", 3, 7)]];
    let page = text(Format::Html, Style::default(), &document, &found);
    assert!(page.contains("&lt;b&gt;<mark style=\"--hue:"), "{page}");
    assert!(page.contains(">Anna<b>PER</b></mark>&lt;/b&gt; &amp; "), "{page}");
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("<title>&lt;a&gt;</title>"));
    assert!(
        !["http", "src=", "href=", "url(", "@import", "<script"].iter().any(|ask| page.contains(ask)),
        "{page}"
    );
}

#[test]
fn formats_and_offsets_are_called_by_their_names() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    assert_eq!("xml".parse::<Format>(), Err("expected jsonl, table, conll, brat, spacy, html".to_owned()));
    assert_eq!(Format::of_file(Path::new("b.CONLL")), Some(Format::Conll));
    assert_eq!(Format::of_file(Path::new("b.txt")), None);
    assert_eq!("bytes".parse(), Ok(Offsets::Bytes));
    assert!("utf16".parse::<Offsets>().is_err());
}
