use std::fs;

use super::*;

fn read(name: &str, content: &str, options: &Options) -> Result<(Document, Notes), StageError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("written");
    let mut entries = Entries::new(options);
    let (name, path) = entries.files(&path)?.remove(0);
    let document = entries.read(name, path)?.expect("read");
    Ok((document, entries.notes()))
}

fn texts(document: &Document) -> Vec<&str> {
    document.entries.iter().map(|entry| entry.text.as_str()).collect()
}

#[test]
fn a_record_keeps_its_fields_in_their_order() {
    let line = r#"{"zone": 3, "id": "x", "text": "Anna vit.", "a": [1, {"b": null}], "doc_id": 7}"#;
    let (document, _) = read("a.jsonl", line, &Options::default()).expect("read");
    let [entry] = document.entries.as_slice() else { panic!("{document:?}") };
    assert_eq!(
        (entry.text.as_str(), entry.document.as_deref(), &entry.words),
        ("Anna vit.", Some("7"), &None)
    );
    let record = Value::Object(entry.record.clone().expect("a record"));
    assert_eq!(record, serde_json::from_str::<Value>(line).expect("JSON"));
    assert_eq!(
        record.as_object().expect("fields").keys().collect::<Vec<_>>(),
        ["zone", "id", "text", "a", "doc_id"]
    );
    let (document, _) =
        read("a.csv", "id,text\n1,\"Anna, vit\"\n2,Rien\n", &Options::default()).expect("read");
    assert_eq!(texts(&document), ["Anna, vit", "Rien"]);
    assert_eq!(document.entries[0].record.as_ref().expect("a row")["id"], "1");
}

#[test]
fn words_that_a_file_gives_are_kept_with_their_lines() {
    let (document, _) =
        read("a.conll", "-DOCSTART- O\n\nl'an B-X\n \tO\nmil O\n\n# un\nAix B-LOC\n", &Options::default())
            .expect("read");
    assert!(document.has_columns());
    assert_eq!(texts(&document), ["l'an mil", "Aix"]);
    let [first, second] = document.entries.as_slice() else { panic!("{document:?}") };
    assert_eq!(first.words().as_ref(), [[0, 4], [5, 8]]);
    assert_eq!(first.lines, [(3, Some(0)), (4, None), (5, Some(1))]);
    assert_eq!((second.lines.as_slice(), second.document.as_deref()), ([(8, Some(0))].as_slice(), Some("1")));
    // Few lines say little, and an ending says what they are.
    let few = "Marie b-per\nCurie i-per\nvit o\n";
    assert!(!read("a.txt", few, &Options::default()).expect("read").0.has_columns());
    assert!(read("a.conll", few, &Options::default()).expect("read").0.has_columns());
    let marked = "-DOCSTART-\tO\n\nAnna\tO\nvit\tO\n";
    assert!(read("a.txt", marked, &Options::default()).expect("read").0.has_columns());
    let (document, _) =
        read("a.json", r#"[{"tokens": ["Jean-Paul", "II"], "ner_tags": [1, 2]}]"#, &Options::default())
            .expect("numbers of tags need no names");
    assert_eq!(document.entries[0].words, Some(vec![[0, 9], [10, 12]]));
    let (document, _) =
        read("a.csv", "Sentence #,Word,Tag\n1,Anna,0\n,vit,0\n2,Aix,1\n", &Options::default()).expect("read");
    assert_eq!(texts(&document), ["Anna vit", "Aix"]);
}

#[test]
fn a_bad_record_costs_itself_where_that_is_allowed() {
    let lines = "{\"text\": \"un\"}\n{\"text\": 3}\n{\"text\": \"deux\"}\n";
    let error = read("a.jsonl", lines, &Options::default()).expect_err("one too many");
    assert!(error.to_string().ends_with("a.jsonl:2: the field `text` is a number"), "{error}");
    let (document, notes) =
        read("a.jsonl", lines, &Options { errors: 1, ..Options::default() }).expect("allowed");
    assert_eq!(texts(&document), ["un", "deux"]);
    let [lost] = notes.lost.as_slice() else { panic!("{notes:?}") };
    assert!(lost.ends_with("a.jsonl:2: the field `text` is a number: left out"), "{lost}");
    let answered =
        "{\"text\": \"un\", \"answer\": \"accept\"}\n{\"text\": \"deux\", \"answer\": \"reject\"}\n";
    let (document, notes) = read("a.jsonl", answered, &Options::default()).expect("read");
    assert_eq!(texts(&document), ["un"]);
    let [lost] = notes.lost.as_slice() else { panic!("{notes:?}") };
    assert!(lost.ends_with("a.jsonl: 1 record whose `answer` is not `accept` is left out"), "{lost}");
}
