//! A word a row or a record, and fields that options name.

use super::*;

#[test]
fn a_word_a_record_is_read_as_a_word_a_row() {
    let expected = "[Anne Roy]PER dort | À [Brest]LOC";
    let words = [("Anne", "B-PER"), ("Roy", "I-PER"), ("dort", "O"), ("À", "O"), ("Brest", "B-LOC")];
    let rows = |fields: [&str; 3]| -> Vec<Value> {
        let row = |(at, (word, tag)): (usize, &(&str, &str))| {
            let sentence = if at < 3 { 7 } else { 8 };
            serde_json::json!({(fields[0]): sentence, (fields[1]): word, (fields[2]): tag, "start": at})
        };
        words.iter().enumerate().map(row).collect()
    };
    for fields in [
        ["sentence_id", "word", "tag"],
        ["sent_id", "token", "ner"],
        ["id", "tokens", "ner_tags"],
        ["Sentence #", "Word", "Tag"],
    ] {
        let rows = rows(fields);
        let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
        for (name, content) in [
            ("a.jsonl", lines.join("\n")),
            ("a.json", Value::from(rows.clone()).to_string()),
            ("a.json", serde_json::to_string_pretty(&serde_json::json!({"data": rows})).expect("json")),
        ] {
            assert_eq!(gold(name, &content), expected, "{content}");
            let said = notes(name, &content);
            assert!(said.contains(&format!("sentences `{}`", fields[0])), "{said}");
            assert_eq!(read_text(name, &content), ["Anne Roy dort", "À Brest"], "{content}");
        }
    }
    let pandas = r#"{"sentence_id": {"0": 7, "1": 7, "2": 8}, "word": {"0": "Anne", "1": "dort", "2": "Brest"}, "tag": {"0": "B-PER", "1": "O", "2": "B-LOC"}}"#;
    assert_eq!(gold("a.json", pandas), "[Anne]PER dort | [Brest]LOC");
    let named = "{\"names\": [\"O\", \"B-PER\"]}\n{\"sentence_id\": 1, \"word\": \"Anne\", \"tag\": 1}\n{\"sentence_id\": 1, \"word\": \"dort\", \"tag\": 0}\n";
    assert_eq!(gold("a.jsonl", named), "[Anne]PER dort");
    let nameless = named.split_once('\n').expect("lines").1;
    assert!(refused("a.jsonl", nameless).contains("a.jsonl: its tags are numbers without names"));
    let options = Options { labels: Some(vec!["O".into(), "B-PER".into()]), ..Options::default() };
    assert_eq!(shown(&read_with("a.jsonl", nameless, &options).expect("named").value), "[Anne]PER dort");
    let lines: Vec<_> = rows(["sentence_id", "word", "tag"]).iter().map(Value::to_string).collect();
    let bad = lines.join("\n").replace("\"À\"", "[\"À\"]");
    assert!(refused("a.jsonl", &bad).contains("a.jsonl:4: the field `word` is a list"));
    // What a model found is no text.
    let found = "[{\"word\": \"Anne\", \"entity\": \"B-PER\", \"start\": 0}, {\"word\": \"Brest\", \"entity\": \"B-LOC\", \"start\": 12}]";
    assert!(read_with("a.json", found, &Options::default()).is_err());
}

#[test]
fn a_field_of_annotations_that_is_said_and_not_there_is_one_error() {
    let lists = "{\"id\": 1, \"mots\": [\"Anne\", \"dort\"], \"classes\": [\"B-PER\", \"O\"]}\n".repeat(50);
    let rows = ["phrase,mot,classe\n", &"1,Anne,B-PER\n1,dort,O\n2,ici,O\n".repeat(50)].concat();
    let tabs = rows.replace(',', "\t");
    let said = |tokens: &str, tags: &str, sentence: Option<&str>| {
        let fields = Fields {
            tokens: Some(tokens.into()),
            tags: Some(tags.into()),
            sentence: sentence.map(str::to_owned),
            ..Fields::default()
        };
        Options { fields, ..Options::default() }
    };
    for (name, content, options) in [
        ("a.jsonl", &lists, said("nott", "classes", None)),
        ("a.jsonl", &lists, said("mots", "nott", None)),
        ("a.csv", &rows, said("nott", "classe", None)),
        ("a.csv", &rows, said("mot", "nott", None)),
        ("a.csv", &rows, said("mot", "classe", Some("nott"))),
        ("a.tsv", &tabs, said("mot", "nott", None)),
    ] {
        let error = read_with(name, content, &options).expect_err("a wrong field");
        assert!(error.to_string().ends_with(&format!("{name}: no record has the field `nott`")), "{error}");
        assert!(error.advice().unwrap_or_default().contains("one of `"), "{error:?}");
    }
    let error = read_with("a.jsonl", &lists, &said("id", "classes", None)).expect_err("a number");
    assert!(error.to_string().ends_with("a.jsonl:1: the field `id` is a number"), "{error}");
    assert!(error.advice().unwrap_or_default().contains("the records have `"), "{error:?}");
    for (name, content) in [("a.csv", &rows), ("a.tsv", &tabs)] {
        let read = read_with(name, content, &said("mot", "classe", Some("phrase"))).expect("right");
        assert!(shown(&read.value).starts_with("[Anne]PER dort | ici | "), "{content}");
        let read = read_with(name, content, &said("mot", "classe", None)).expect("right");
        assert!(shown(&read.value).starts_with("[Anne]PER dort ici [Anne]PER"), "{content}");
    }
}

#[test]
fn tables_with_a_word_a_row_are_read() {
    let expected = "[Anne]PER \" dort | À [Brest]LOC";
    for content in [
        "Sentence #,Word,POS,Tag\nSentence: 1,Anne,N,B-PER\n,\"\"\"\",P,O\n,dort,V,O\nSentence: 2,À,P,O\n,Brest,N,B-LOC\n",
        "sentence_id;token;ner\n1;Anne;B-PER\n1;\"\"\"\";O\n1;dort;O\n2;À;O\n2;Brest;B-LOC\n",
        "word,tag\nAnne,B-PER\n\"\"\"\",O\ndort,O\n\nÀ,O\nBrest,B-LOC\n",
        "word,tag\nAnne,PER\n\"\"\"\",O\ndort,O\n,\nÀ,O\nBrest,LOC\n",
        "sentence_id\ttoken\tner\n1\tAnne\tB-PER\n1\t\"\tO\n1\tdort\tO\n2\tÀ\tO\n2\tBrest\tB-LOC\n",
        "tokens,ner_tags\n\"['Anne' '\"\"' 'dort']\",\"['B-PER' 'O' 'O']\"\n\"['À' 'Brest']\",\"['O' 'B-LOC']\"\n",
        "sentence\ttags\nAnne \" dort\tB-PER O O\nÀ Brest\tO B-LOC\n",
    ] {
        assert_eq!(gold("a.csv", content), expected, "{content}");
    }
    let fields = Fields {
        tokens: Some("mot".into()),
        tags: Some("classe".into()),
        sentence: Some("phrase".into()),
        ..Fields::default()
    };
    let options = Options { fields, ..Options::default() };
    let read =
        read_with("a.csv", "phrase,mot,classe\n1,Anne,B-PER\n2,ici,O\n", &options).expect("said").value;
    assert_eq!(shown(&read), "[Anne]PER | ici");
    assert!(notes("a.csv", "word,tag\nAnne,B-PER\nici,O\n").contains("all is one sentence"));
    assert!(
        refused("a.csv", "id,word,tag\n1,Anne,B-PER\n1,ici,O,O\n2,un,O\n")
            .contains("a.csv:3: 4 cells under 3 names")
    );
}
