use super::*;
use crate::corpus::item::Content;

fn file(name: &str, text: &str) -> File {
    File { path: name.into(), text: text.to_owned(), ..File::default() }
}

fn read(name: &str, text: &str, want: Want) -> Found {
    let file = file(name, text);
    assert!(Table.sniff(&file, want, &Options::default()), "{text}");
    Table.read(&file, want, &Options::default()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Sentences between strokes, each behind its document.
fn sentences(name: &str, text: &str) -> String {
    let found = read(name, text, Want::Gold);
    assert_eq!(found.bad, [], "{text}");
    let shown = |item: crate::corpus::item::Item| {
        let Content::Tagged { words, .. } = item.content else { panic!("words and tags in {text}") };
        format!("{}{}", item.document.map(|name| format!("{name}: ")).unwrap_or_default(), words.join(" "))
    };
    found.items.into_iter().map(shown).collect::<Vec<_>>().join(" | ")
}

fn texts(name: &str, text: &str) -> Vec<String> {
    let found = read(name, text, Want::Text);
    assert_eq!(found.bad, [], "{text}");
    let text = |item: crate::corpus::item::Item| match item.content {
        Content::Text(text) => text,
        other => panic!("{other:?}"),
    };
    found.items.into_iter().map(text).collect()
}

#[test]
fn a_column_that_counts_rows_numbers_no_sentences() {
    for name in ["Unnamed: 0", "", "id", "index", "idx", "#"] {
        let rows = format!("{name},word,tag\n0,Zoé,B-PER\n1,Roux,I-PER\n2,rit,O\n");
        assert_eq!(sentences("a.csv", &rows), "Zoé Roux rit", "{name}");
        let rows = format!("{name},sentence_id,word,tag\n0,4,Zoé,B-PER\n1,4,rit,O\n2,5,Luc,B-PER\n");
        assert_eq!(sentences("a.csv", &rows), "Zoé rit | Luc", "{name}");
    }
    assert_eq!(sentences("a.csv", "id,word,tag\n7,Zoé,B-PER\n7,rit,O\n8,Luc,B-PER\n"), "Zoé rit | Luc");
    assert_eq!(sentences("a.csv", ",words,tags\n0,Zoé,B-PER\n1,rit,O\n"), "Zoé rit");
    let counted: String = (0..12).map(|row| [&row.to_string(), ",mot,O\n"].concat()).collect();
    let found = read("a.csv", &format!("sent_id,word,tag\n{counted}"), Want::Gold);
    assert_eq!(found.items.len(), 1);
    assert!(found.notes.iter().any(|note| note.contains("`sent_id`")), "{:?}", found.notes);
    let lines = file("a.tsv", "id\tword\ttag\n1\tZoé\tB-PER\n2\trit\tO\n\n3\tLuc\tB-PER\n");
    assert!(!Table.sniff(&lines, Want::Gold, &Options::default()), "blank lines end sentences");
}

#[test]
fn sentences_count_anew_in_each_document_which_is_named_once() {
    for rows in [
        "doc_id,sentence_id,word,tag\nd1,1,Zoé,B-PER\nd1,1,rit,O\nd2,1,Luc,B-PER\nd2,2,dort,O\n",
        "doc_id,sentence_id,word,tag\nd1,1,Zoé,B-PER\n,,rit,O\nd2,1,Luc,B-PER\n,2,dort,O\n",
    ] {
        assert_eq!(sentences("a.csv", rows), "d1: Zoé rit | d2: Luc | d2: dort", "{rows}");
    }
    let again = "sentence_id,word,tag\n1,Zoé,B-PER\n1,rit,O\n2,Luc,B-PER\n1,Eve,B-PER\n";
    assert_eq!(sentences("a.csv", again), "Zoé rit | Luc | Eve");
}

#[test]
fn a_table_of_unknown_names_is_read_by_its_column_of_running_text() {
    let expected = ["Le patient, lui, dort bien.", "Il rentre demain."];
    for (name, text) in [
        ("a.csv", "id,message,date\n1,\"Le patient, lui, dort bien.\",2020\n2,Il rentre demain.,2021\n"),
        ("a.csv", "n;remarque\n1;Le patient, lui, dort bien.\n2;Il rentre demain.\n"),
        ("a.csv", "sep=;\nn;remarque\n1;Le patient, lui, dort bien.\n2;Il rentre demain.\n"),
        ("a.csv", "1,\"Le patient, lui, dort bien.\"\n2,\"Il rentre demain.\"\n"),
        ("a.txt", "titre,corps_du_texte\nA,\"Le patient, lui, dort bien.\"\nB,\"Il rentre demain.\"\n"),
        ("a.txt", "1\tLe patient, lui, dort bien.\n2\tIl rentre demain.\n"),
        ("a.tsv", "fra\tLe patient, lui, dort bien.\nfra\tIl rentre demain.\n"),
        ("a.csv", "title,body,date\nA,\"Le patient, lui, dort bien.\",2020\nB,Il rentre demain.,2021\n"),
    ] {
        assert_eq!(texts(name, text), expected, "{text}");
    }
    let numbers = file("a.csv", "poids;taille\n1;2\n3;4\n");
    let error = Table.read(&numbers, Want::Text, &Options::default()).expect_err("no text");
    let advice = error.advice().unwrap_or_default();
    assert!(advice.contains("fields = { text = \"taille\" }"), "{error} {advice}");
    for (name, text) in [
        ("a.txt", "Hier, il pleut.\nDemain, il vente.\n"),
        ("a.csv", "Hier, il pleut.\nDemain\nJeudi, vendredi, samedi.\n"),
        ("a.txt", "« Non », dit-il.\n\"Oui\", dit-elle.\n"),
    ] {
        assert!(!Table.sniff(&file(name, text), Want::Text, &Options::default()), "{text}");
    }
}

#[test]
fn a_quote_that_is_not_closed_is_a_bad_row_and_swallows_no_other() {
    for (text, items) in [
        ("sentence_id,word,tag\n1,Zoé,B-PER\n1,\"bien,O\n2,Luc,B-PER\n2,rit,O\n", 1),
        ("sentence_id,word,tag\n1,Zoé,B-PER\n1,\",O\n2,Luc,B-PER\n2,rit,O\n3,Eve,B-PER\n3,\",O\n", 1),
    ] {
        let found = read("a.csv", text, Want::Gold);
        assert_eq!(found.bad[0].0, Place::Line(3), "{text}");
        assert_eq!(found.items.len(), items, "{text}: {:?}", found.bad);
    }
    let found = read("a.csv", "id,text\n1,\"Zoé rit\n2,Luc dort.\n3,Eve.\n", Want::Text);
    assert_eq!((found.bad.len(), found.bad[0].0, found.items.len()), (1, Place::Line(2), 2));
    let whole = "id,text\n1,\"Cher ami,\nje viens, puis je pars.\n\"\n2,Luc dort.\n";
    assert_eq!(texts("a.csv", whole).len(), 2);
}

#[test]
fn offsets_count_the_ends_of_lines_in_a_cell_as_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    for (end, start) in [("\r\n", 5), ("\n", 4)] {
        let path = folder.path().join("a.csv");
        let rows = [
            "text,entities".to_owned(),
            format!("\"Vu :{end}Zoé rit\",\"[({start}, {}, 'PER')]\"", start + 4),
        ];
        std::fs::write(&path, rows.join(end)).expect("written");
        let file = File { path, text: rows.join(end).replace('\r', ""), ..File::default() };
        let found = Table.read(&file, Want::Gold, &Options::default()).expect("read");
        let [item] = found.items.as_slice() else { panic!("one text: {:?}", found.bad) };
        let Content::Spans { text, .. } = &item.content else { panic!("spans") };
        assert!(text.contains(end) && item.place == Place::Line(2), "{text:?}");
    }
}

#[test]
fn numbers_in_place_of_tags_are_named_by_a_file_beside_or_refused() {
    let rows = "sentence_id,word,tag\n1,Zoé,1\n1,rit,0\n";
    let error = Table.read(&file("a.csv", rows), Want::Gold, &Options::default()).expect_err("no names");
    let advice = error.advice().unwrap_or_default();
    assert!(advice.contains("`labels = [\"O\", ..]`") && !advice.contains("first line"), "{advice}");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("label2id.json"), r#"{"O": 0, "B-PER": 1}"#).expect("written");
    let path = folder.path().join("a.csv");
    let file = File { root: Some(folder.path().to_owned()), path, ..file("", rows) };
    let found = Table.read(&file, Want::Gold, &Options::default()).expect("named");
    let Content::Tagged { tags, .. } = &found.items[0].content else { panic!("tags") };
    assert_eq!(tags, &["B-PER", "O"]);
}
