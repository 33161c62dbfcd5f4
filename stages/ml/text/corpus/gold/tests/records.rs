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

#[test]
fn data_sets_with_tags_as_names_or_numbers_are_read() {
    let names = "[\"O\", \"B-PER\", \"I-PER\", \"B-LOC\"]";
    let row = "{\"id\": \"0\", \"tokens\": [\"Anne\", \"Roy\", \"à\", \"Brest\"], \"pos_tags\": [1, 1, 2, 1], \"ner_tags\": [1, 2, 0, 3]}";
    let expected = "[Anne Roy]PER à [Brest]LOC";
    for content in [
        format!("{{\"names\": {names}}}\n{row}"),
        format!("{{\"label2id\": {{\"O\": \"0\", \"B-PER\": \"1\", \"I-PER\": \"2\", \"B-LOC\": \"3\"}}}}\n{row}"),
        format!("{{\"id2label\": {{\"0\": \"O\", \"1\": \"B-PER\", \"2\": \"I-PER\", \"3\": \"B-LOC\"}}}}\r\n{row}\r\n"),
        format!("{{\"names\": {names}}}\n{}", row.replace("[1, 2, 0, 3]", "[\"1\", \"2\", \"0\", \"3\"]")),
        format!("{{\"names\": {names}}}\n{}", row.replace("[1, 2, 0, 3]", "[1.0, 2.0, 0.0, 3.0]")),
        format!("{{\"names\": {names}, \"data\": [{row}]}}"),
        row.replace("[1, 2, 0, 3]", "[\"B-PER\", \"I-PER\", \"O\", \"B-LOC\"]").replace("ner_tags", "labels"),
        row.replace("[1, 2, 0, 3]", "[\"B-PER\", \"I-PER\", \"O\", \"B-LOC\"]").replace("ner_tags", "etiquettes"),
        row.replace("[1, 2, 0, 3]", "[\"PER\", \"PER\", \"O\", \"LOC\"]").replace("tokens", "words").replace("ner_tags", "tags"),
        "{\"tokens\": [[\"Anne\", \"Roy\", \"à\", \"Brest\"]], \"ner_tags\": [[\"B-PER\", \"I-PER\", \"O\", \"B-LOC\"]]}".to_owned(),
        "{\"tokenized_text\": [\"Anne\", \"Roy\", \"à\", \"Brest\"], \"ner\": [[0, 1, \"PER\"], [3, 3, \"LOC\"]]}".to_owned(),
        "{\"tokens\": [\"Anne\", \"Roy\", \"à\", \"Brest\"], \"entities\": [{\"type\": \"PER\", \"start\": 0, \"end\": 2}, {\"type\": \"LOC\", \"start\": 3, \"end\": 4}]}".to_owned(),
        "{\"text\": \"Anne Roy à Brest\", \"tags\": \"B-PER I-PER O B-LOC\"}".to_owned(),
    ] {
        assert_eq!(gold("a.json", &content), expected, "{content}");
    }
    let labels = ["O", "B-PER", "I-PER", "B-LOC"].map(str::to_owned).to_vec();
    let options = Options { labels: Some(labels), ..Options::default() };
    assert_eq!(shown(&read_with("a.jsonl", row, &options).expect("said").value), expected);
    let info = format!(
        "{{\"features\": {{\"ner_tags\": {{\"feature\": {{\"names\": {names}}}}}, \"pos_tags\": {{\"feature\": {{\"names\": [\"X\"]}}}}}}}}"
    );
    let folder = folder(&[("set/train.jsonl", row), ("set/dataset_info.json", &info)]);
    let read = Gold::read(&folder.path().join("set"), &Options::default()).expect("beside");
    assert_eq!(shown(&read.value), expected);
    assert!(
        read.notes.iter().any(|note| note.contains("named by") && note.contains("dataset_info.json")),
        "{:?}",
        read.notes
    );
    for (content, reason) in [
        (
            row.to_owned(),
            "a.jsonl:1: its tags are numbers without names\nname them by the option `labels = [\"O\", ..]`",
        ),
        (format!("{{\"names\": [\"O\", \"B-PER\"]}}\n{row}"), "tag 1 is 2, a number without a name"),
        (
            format!("{{\"names\": {names}}}\n{}", row.replace("[1, 2, 0, 3]", "[1.0, null, 0, 3]")),
            "a.jsonl:2: tag 1 is null",
        ),
        (
            format!("{{\"names\": {names}}}\n{}", row.replace("[1, 2, 0, 3]", "[1, 2.5, 0, 3]")),
            "tag 1 is a number that is not whole",
        ),
        (row.replace("[1, 2, 0, 3]", "[\"O\"]"), "4 tokens but 1 tags"),
        (row.replace("[1, 2, 0, 3]", "null"), "no tags and no spans"),
        (row.replace("\"Roy\"", "null"), "token 1 is null"),
        ("{\"label2id\": {\"O\": 0, \"B-A\": 0}}".to_owned() + "\n" + row, "gives one number twice"),
        (
            row.replace("[1, 2, 0, 3]", "[\"B-PER\", \"Z-PER\", \"O\", \"O\"]"),
            "a.jsonl:1: tag 1: the tag `Z-PER`",
        ),
    ] {
        let said = refused("a.jsonl", &content);
        assert!(said.contains(reason) && !said.contains("Brest"), "{reason}: {said}");
    }
}

#[test]
fn spans_of_every_tool_are_read() {
    let text = "Anne Roy dort à Brest.";
    let expected = "[Anne Roy]PER dort à [Brest]LOC .";
    let value = |start: u8, end: u8, label: &str, says: &str| {
        format!(
            "{{\"value\": {{\"start\": {start}, \"end\": {end}, \"text\": \"{says}\", \"labels\": [\"{label}\"]}}, \"type\": \"labels\"}}"
        )
    };
    let results = format!("{}, {}", value(0, 8, "PER", "Anne Roy"), value(16, 21, "LOC", "Brest"));
    for content in [
        format!("{{\"id\": 1, \"text\": \"{text}\", \"label\": [[0, 8, \"PER\"], [16, 21, \"LOC\"]]}}"),
        format!("{{\"text\": \"{text}\", \"entities\": [{{\"id\": 5, \"label\": \"PER\", \"start_offset\": 0, \"end_offset\": 8}}, {{\"id\": 6, \"label\": \"LOC\", \"start_offset\": 16, \"end_offset\": 21}}], \"relations\": []}}"),
        format!("{{\"text\": \"{text}\", \"tokens\": [{{\"text\": \"Anne\", \"start\": 0, \"end\": 4, \"id\": 0}}], \"spans\": [{{\"start\": 0, \"end\": 8, \"label\": \"PER\", \"token_start\": 0}}, {{\"start\": 16, \"end\": 21, \"label\": \"LOC\"}}], \"answer\": \"accept\"}}"),
        format!("[{{\"data\": {{\"text\": \"{text}\"}}, \"annotations\": [{{\"result\": [{results}, {{\"type\": \"choices\", \"value\": {{\"choices\": [\"x\"]}}}}]}}]}}]"),
        format!("[{{\"text\": \"{text}\", \"label\": [{{\"start\": 0, \"end\": 8, \"text\": \"Anne Roy\", \"labels\": [\"PER\"]}}, {{\"start\": 16, \"end\": 21, \"text\": \"Brest\", \"labels\": [\"LOC\"]}}]}}]"),
        format!("[[\"{text}\", {{\"entities\": [[0, 8, \"PER\"], [16, 21, \"LOC\"]]}}]]"),
        format!("[\"{text}\", {{\"entities\": [[0, 8, \"PER\"], [16, 21, \"LOC\"]]}}]\n[\"\", {{\"entities\": []}}]"),
        format!("{{\"classes\": [\"PER\"], \"annotations\": [[\"{text}\", {{\"entities\": [[0, 8, \"PER\"], [16, 21, \"LOC\"]]}}]]}}"),
        format!("{{\"text\": \"{text}\", \"ents\": [{{\"start\": 0, \"end\": 8, \"label\": \"PER\"}}, {{\"start\": 16, \"end\": 21, \"label\": \"LOC\"}}], \"tokens\": [{{\"id\": 0, \"start\": 0, \"end\": 4}}]}}"),
        format!("{{\"text\": \"{text}\", \"entities\": [{{\"entity_group\": \"PER\", \"score\": 0.9, \"word\": \"Anne Roy\", \"start\": 0, \"end\": 8}}, {{\"entity_group\": \"LOC\", \"start\": 16, \"end\": 21}}]}}"),
        format!("{{\"text\": \"{text}\", \"entities\": [{{\"type\": \"PER\", \"offset\": 0, \"length\": 8}}, {{\"type\": \"LOC\", \"offset\": 16, \"length\": 5}}]}}"),
        format!("{{\"un\": {{\"text\": \"{text}\", \"entities\": [[0, 8, \"PER\"], [16, 21, \"LOC\"]]}}}}"),
        format!("text,entities\n{text},\"[(0, 8, 'PER'), (16, 21, 'LOC')]\"\n"),
        "[{\"id\": 0, \"paragraphs\": [{\"raw\": \"x\", \"sentences\": [{\"tokens\": [{\"orth\": \"Anne\", \"ner\": \"B-PER\"}, {\"orth\": \"Roy\", \"ner\": \"L-PER\"}, {\"orth\": \"dort\", \"ner\": \"O\"}, {\"orth\": \"à\", \"ner\": \"O\"}, {\"orth\": \"Brest\", \"ner\": \"U-LOC\"}, {\"orth\": \".\", \"ner\": \"O\"}]}]}]}]".to_owned(),
        "{\"doc_key\": \"d\", \"sentences\": [[\"Anne\", \"Roy\", \"dort\", \"à\", \"Brest\", \".\"]], \"ner\": [[[0, 1, \"PER\"], [4, 4, \"LOC\"]]]}".to_owned(),
    ] {
        assert_eq!(gold("a.json", &content), expected, "{content}");
    }
}

#[test]
fn what_tools_say_of_their_records_counts() {
    let record = |rest: &str| {
        format!(
            "{{\"text\": \"Anne dort.\", \"spans\": [{{\"start\": 0, \"end\": 4, \"label\": \"PER\"}}]{rest}}}\n"
        )
    };
    let content = record(", \"answer\": \"accept\"")
        + &record(", \"answer\": \"reject\"")
        + &record(", \"answer\": \"ignore\"");
    assert_eq!(gold("a.jsonl", &content), "[Anne]PER dort .");
    assert!(notes("a.jsonl", &content).contains("2 records whose `answer` is not `accept` are left out"));
    let task =
        |people: &str| format!("{{\"data\": {{\"text\": \"Anne dort.\"}}, \"annotations\": [{people}]}}");
    let one = "{\"result\": [{\"value\": {\"start\": 0, \"end\": 4, \"labels\": [\"PER\", \"ORG\"]}}]}";
    let content = format!("[{}, {}, {}]", task(one), task(""), task(&format!("{one}, {{\"result\": []}}")));
    assert_eq!(gold("a.json", &content), "[Anne]PER dort . | [Anne]PER dort .");
    let said = notes("a.json", &content);
    for part in [
        "1 record that nobody annotated is left out",
        "1 text was annotated by several people",
        "2 spans have several labels",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for (bad, reason) in [
        (record("").replace("\"end\": 4", "\"end\": 99"), "leaves the text of 10 characters"),
        (record("").replace("\"end\": 4", "\"end\": 0"), "begins at 0 and ends at 0"),
        (record("").replace("\"end\": 4", "\"end\": -4"), "has no end that is a number of 0 or more"),
        (record("").replace("\"PER\"", "\"\""), "span 0 has no label"),
        (record("").replace("\"PER\"", "\"PER\", \"text\": \"Yves\""), "is not what stands at [0, 4]"),
    ] {
        let said = refused("a.jsonl", &bad);
        assert!(said.contains(reason) && !said.contains("Yves") && !said.contains("dort"), "{said}");
    }
}

#[test]
fn the_text_of_spans_is_kept_and_comes_back_from_the_disk() {
    let content = "{\"text\": \"L’air d’Aix.\\nIci\", \"label\": [[8, 11, \"LOC\"]], \"doc_id\": \"d 1\"}\n{\"text\": \"Ici.\", \"label\": []}";
    let read = read_with("a.jsonl", content, &Options::default()).expect("read").value;
    assert_eq!(read.sets[0].records[0].text, "L’air d’Aix.\nIci");
    assert_eq!(read.sets[0].records[0].group, "a/d 1");
    assert_eq!(shown(&read), "L’ air d’ [Aix]LOC . Ici | Ici .");
    let home = tempfile::tempdir().expect("a folder");
    read.save(&home.path().join("out")).expect("saved");
    assert!(home.path().join("out/a.jsonl").is_file());
    assert_eq!(Gold::load(&home.path().join("out")).expect("read again"), read);
}
