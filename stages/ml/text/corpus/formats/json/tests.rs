use super::*;
use crate::corpus::{
    item::{Content, Item},
    options::Fields,
};

fn read_with(name: &str, text: &str, want: Want, options: &Options) -> Found {
    let file = File { path: name.into(), text: text.to_owned(), ..File::default() };
    assert!(Json.sniff(&file, want, options), "{text}");
    Json.read(&file, want, options).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn read(name: &str, text: &str, want: Want) -> Found {
    read_with(name, text, want, &Options::default())
}

/// The texts, or the words with their tags.
fn shown(found: Found) -> Vec<String> {
    assert_eq!(found.bad, []);
    let shown = |Item { content, .. }| match content {
        Content::Text(text) | Content::Placed { text, .. } => text,
        Content::Tagged { words, tags, .. } => {
            words.iter().zip(&tags).map(|(word, tag)| format!("{word}/{tag}")).collect::<Vec<_>>().join(" ")
        }
        Content::Spans { text, marks } => {
            let marks = marks.iter().map(|mark| format!("[{}, {}, {}]", mark.start, mark.end, mark.kind));
            format!("{text} {}", marks.collect::<String>())
        }
    };
    found.items.into_iter().map(shown).collect()
}

#[test]
fn a_record_that_is_a_file_is_told_from_what_holds_records() {
    let said = |text: &str| Options {
        fields: Fields { text: Some(text.to_owned()), ..Fields::default() },
        ..Options::default()
    };
    let plain = Options::default();
    for (text, options) in [
        (
            r#"{"content": "Zoé rit.", "entities": [{"start": 0, "end": 3, "label": "PER", "text": "Zoé"}]}"#,
            &plain,
        ),
        (r#"{"title": "Avis", "body": "Zoé rit.", "authors": [{"name": "Luc Roux de Brest"}]}"#, &plain),
        (r#"{"titre": "Avis", "contenu": "Zoé rit.", "pieces": [{"nom": "une annexe"}]}"#, &said("contenu")),
        (r#"{"text": "Un lot", "lots": [{"contenu": "Zoé rit."}]}"#, &said("contenu")),
        (r#"{"meta": [{"author": "Luc Roux de Brest"}], "examples": [{"text": "Zoé rit."}]}"#, &plain),
        (
            r#"{"features": [{"name": "text", "type": {}}], "rows": [{"row_idx": 0, "row": {"text": "Zoé rit."}}]}"#,
            &plain,
        ),
        (r#"{"document": "d1", "passages": [{"text": "Zoé rit."}]}"#, &plain),
    ] {
        for (name, text) in [
            ("a.json", text.to_owned()),
            ("a.json", text.replacen('{', "{\n", 1)),
            ("a.jsonl", text.to_owned()),
        ] {
            assert_eq!(shown(read_with(name, &text, Want::Text, options)), ["Zoé rit."], "{text}");
        }
    }
}

#[test]
fn lists_of_like_records_are_all_read_and_said() {
    let text = r#"{"version": 2, "train": [{"text": "Zoé rit."}], "test": [{"text": "Luc dort."}]}"#;
    let found = read("a.json", text, Want::Text);
    let said = found.notes.iter().any(|note| note.contains("`test`") && note.contains("`train`"));
    assert!(said, "{:?}", found.notes);
    assert_eq!(shown(found).len(), 2);
}

#[test]
fn the_answers_of_a_server_of_data_sets_name_their_tags() {
    let text = r#"{"features": [{"name": "tokens", "type": {}}, {"name": "ner_tags", "type": {"feature":
        {"names": ["O", "B-PER"], "_type": "ClassLabel"}}}],
        "rows": [{"row_idx": 0, "row": {"tokens": ["Zoé", "rit"], "ner_tags": [1, 0]}}]}"#;
    assert_eq!(shown(read("a.json", text, Want::Gold)), ["Zoé/B-PER rit/O"]);
}

#[test]
fn the_first_record_alone_decides_no_field() {
    for first in [r#"{"text": null, "title": "Avis"}"#, r#"{"title": "Avis"}"#] {
        let lines = format!("{first}\n{{\"text\": \"Zoé rit.\", \"title\": \"Avis\"}}\n");
        let list = format!("[{}]", lines.trim().replace('\n', ",\n"));
        for text in [lines, list] {
            let found = read("a.json", &text, Want::Text);
            assert_eq!(found.bad.len(), 1, "{text}");
            assert_eq!(found.bad[0].0.number(), 1);
            assert_eq!(shown(Found { bad: Vec::new(), ..found }), ["Zoé rit."], "{text}");
        }
    }
    let text = "{\"tokens\": [], \"ner_tags\": []}\n{\"tokens\": [\"Zoé\"], \"ner_tags\": [\"B-PER\"]}\n";
    assert_eq!(shown(read("a.jsonl", text, Want::Gold)), ["", "Zoé/B-PER"]);
}

#[test]
fn lines_may_be_strings() {
    let text = "\"Zo\\u00e9 rit.\"\n\"Luc\\ndort.\"\n";
    assert_eq!(shown(read("a.jsonl", text, Want::Text)), ["Zoé rit.", "Luc\ndort."]);
    assert_eq!(shown(read("a.jsonl", "\"Zo\\u00e9 rit.\"\n", Want::Text)), ["Zoé rit."]);
    let spoken = File { path: "a.txt".into(), text: "\"Oui.\"\n\"Non.\"\n".to_owned(), ..File::default() };
    assert!(!Json.sniff(&spoken, Want::Text, &Options::default()));
}

#[test]
fn a_field_that_is_there_twice_is_refused_everywhere() {
    let twice = r#"{"text": "Zoé", "text": "Luc"}"#;
    for text in [twice.to_owned(), format!("{twice}\n{{\"text\": \"Eve\"}}\n")] {
        let found = read("a.jsonl", &text, Want::Text);
        assert_eq!(found.bad, [(Place::Line(1), "duplicate field `text`".to_owned())], "{text}");
    }
    for text in [format!("[\n{twice}\n]"), twice.replacen('{', "{\n", 1)] {
        let file = File { path: "a.json".into(), text, ..File::default() };
        let error = Json.read(&file, Want::Text, &Options::default()).expect_err("twice");
        assert!(error.to_string().contains("duplicate field `text`"), "{error}");
    }
}

#[test]
fn a_document_whose_spans_fit_no_sentence_is_a_bad_record() {
    for (ner, reason) in [
        (r#"[[[0, 0, "PER"]]]"#, "2 sentences but 1 lists in `ner`"),
        (r#"[[], [[1, 2, "PER"]]]"#, "begins before it"),
        (r#"[[[-1, 0, "PER"]], []]"#, "begins before it"),
    ] {
        let text =
            format!(r#"{{"doc_key": "d", "sentences": [["Zoé", "rit"], ["Luc", "va"]], "ner": {ner}}}"#);
        let found = read("a.jsonl", &text, Want::Gold);
        assert!(found.items.is_empty() && found.bad[0].1.contains(reason), "{:?}", found.bad);
    }
}

#[test]
fn tags_are_the_list_that_looks_like_tags() {
    for (fields, expected) in [
        (r#""tags": ["NOUN", "VERB"], "entity_labels": ["B-PER", "O"]"#, "Zoé/B-PER rit/O"),
        (r#""tags": ["NOUN", "VERB"], "ner": ["B-PER", "O"]"#, "Zoé/B-PER rit/O"),
        (r#""tags": ["B-PER", "O"], "chunks": ["B-NP", "O"]"#, "Zoé/B-PER rit/O"),
    ] {
        let text = format!(r#"{{"tokens": ["Zoé", "rit"], {fields}}}"#);
        assert_eq!(shown(read("a.jsonl", &text, Want::Gold)), [expected], "{fields}");
    }
}

#[test]
fn long_names_of_documents_are_kept() {
    let name = "d".repeat(500);
    let text = format!(r#"{{"text": "Zoé rit.", "document": "{name}"}}"#);
    assert_eq!(read("a.jsonl", &text, Want::Text).items[0].document, Some(name));
}

#[test]
fn spans_beside_a_text_and_its_words_count_what_they_fit() {
    let words = r#""text": "Zoé Roux rit", "tokenized_text": ["Zoé", "Roux", "rit"]"#;
    let tokens = words.replace("tokenized_text", "tokens");
    for (text, expected) in [
        (format!(r#"{{{words}, "ner": [[0, 1, "PER"]]}}"#), "Zoé/B-PER Roux/I-PER rit/O"),
        (
            format!(r#"{{{tokens}, "entities": [{{"start": 0, "end": 2, "type": "PER"}}]}}"#),
            "Zoé/B-PER Roux/I-PER rit/O",
        ),
        (
            format!(r#"{{{tokens}, "spans": [{{"start": 4, "end": 8, "label": "PER"}}]}}"#),
            "Zoé Roux rit [4, 8, PER]",
        ),
        (format!(r#"{{{tokens}, "spans": []}}"#), "Zoé Roux rit "),
    ] {
        assert_eq!(shown(read("a.jsonl", &text, Want::Gold)), [expected], "{text}");
    }
}

#[test]
fn the_label_of_a_span_is_the_string_that_the_text_does_not_say() {
    for span in
        [r#"["Zoé", "PER", 0, 3]"#, r#"["PER", "Zoé", 0, 3]"#, r#"[0, 3, "Zoé", "PER"]"#, r#"[0, 3, "PER"]"#]
    {
        let text = format!(r#"{{"text": "Zoé rit", "entities": [{span}]}}"#);
        assert_eq!(shown(read("a.jsonl", &text, Want::Gold)), ["Zoé rit [0, 3, PER]"], "{span}");
    }
    let found = read("a.jsonl", r#"{"text": "Zoé rit", "entities": [[0, 3, "PER", "LOC"]]}"#, Want::Gold);
    assert!(found.bad[0].1.contains("which string of span 0 is its label"), "{:?}", found.bad);
}

#[test]
fn records_of_unknown_fields_say_what_to_type() {
    let refused = |text: &str, want| {
        let file = File { path: "a.jsonl".into(), text: text.to_owned(), ..File::default() };
        let error = Json.read(&file, want, &Options::default()).expect_err(text);
        format!("{error} {}", error.advice().unwrap_or_default())
    };
    let two = "{\"titre\": \"Avis\", \"contenu\": \"Zoé rit.\"}\n{\"titre\": \"Avis\", \"contenu\": \"Luc dort.\"}\n";
    assert!(refused(two, Want::Text).contains("fields = { text = \"contenu\" }"));
    let holder = r#"{"titre": "Avis", "contenu": "Zoé rit.", "pieces": [{"nom": "a"}]}"#;
    assert!(refused(holder, Want::Text).contains("fields = { text = \"contenu\" }"));
    let words = "{\"mots\": [\"Zoé\"], \"types\": [\"PER\"]}\n";
    assert!(refused(words, Want::Gold).contains("fields = { tokens = \"mots\", tags = \"types\" }"));
    let spans = "{\"text\": \"Zoé rit.\", \"marques\": [[0, 3, \"PER\"]]}\n";
    assert!(refused(spans, Want::Gold).contains("fields = { text = \"text\", tags = \"marques\" }"));
    let numbers = refused("{\"tokens\": [\"Zoé\"], \"ner_tags\": [1]}\n", Want::Gold);
    assert!(numbers.contains("labels = [\"O\", ..]") && numbers.contains("first line"), "{numbers}");
    let options = Options { labels: Some(vec!["O".to_owned()]), ..Options::default() };
    let found = read_with("a.jsonl", "{\"tokens\": [\"Zoé\"], \"ner_tags\": [1]}\n", Want::Gold, &options);
    assert_eq!(found.bad[0].1, "tag 0 is 1, a number without a name: the option `labels` has 1");
}
