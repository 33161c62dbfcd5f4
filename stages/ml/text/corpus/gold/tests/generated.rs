//! Gold that nobody wrote: it comes back from every format, and nothing makes a reader panic.

use super::*;

/// Sentences of words and types, and how each format writes them.
fn sentences() -> impl Strategy<Value = Vec<Vec<(String, Option<&'static str>)>>> {
    let word = (
        "[a-zA-ZéÀ0-9#’'«.]{1,6}",
        prop::option::weighted(0.4, prop::sample::select(vec!["ORG", "Lieu_dit", "E-MAIL"])),
    );
    let sentence = prop::collection::vec(word, 1..6);
    // A file of one word says too little of what is what.
    prop::collection::vec(sentence, 2..6).prop_map(|mut sentences| {
        sentences.push(vec![
            ("un".into(), Some("ORG")),
            ("deux".into(), Some("ORG")),
            ("trois".into(), None),
        ]);
        sentences
    })
}

fn tags(sentence: &[(String, Option<&'static str>)], scheme: TagScheme) -> Vec<String> {
    let kinds: Vec<_> = sentence.iter().map(|(_, kind)| *kind).collect();
    let tag = |at: usize| {
        let Some(kind) = kinds[at] else { return "O".to_owned() };
        let before = at > 0 && kinds[at - 1] == Some(kind);
        let after = kinds.get(at + 1) == Some(&Some(kind));
        let prefix = match (scheme, before, after) {
            (TagScheme::Bioes, false, false) => "S",
            (TagScheme::Bioes | TagScheme::Ioe2, _, false) => "E",
            (TagScheme::Iob2 | TagScheme::Bioes, false, _) => "B",
            _ => "I",
        };
        format!("{prefix}-{kind}")
    };
    (0..sentence.len()).map(tag).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn sentences_come_back_from_every_format_and_scheme(
        sentences in sentences(),
        scheme in prop::sample::select(vec![TagScheme::Iob1, TagScheme::Iob2, TagScheme::Bioes, TagScheme::Ioe2]),
        form in 0..6,
    ) {
        let mut content = String::new();
        for (number, sentence) in sentences.iter().enumerate() {
            let tags = tags(sentence, scheme);
            let words: Vec<&str> = sentence.iter().map(|(word, _)| word.as_str()).collect();
            let rows = words.iter().zip(&tags);
            match form {
                0 => rows.for_each(|(word, tag)| writeln!(content, "{word}\t{tag}").expect("written")),
                1 => rows.for_each(|(word, tag)| writeln!(content, "{word} X {tag}").expect("written")),
                2 => rows.enumerate().for_each(|(at, (word, tag))| writeln!(content, "{}\t{word}\t{tag}\tO", at + 1).expect("written")),
                3 => writeln!(content, "{}", serde_json::json!({"tokens": words, "ner_tags": tags})).expect("written"),
                4 => {
                    let line: Vec<_> = rows.map(|(word, tag)| format!("{word}|X|{tag}")).collect();
                    writeln!(content, "{}", line.join(" ")).expect("written");
                }
                _ => {
                    let head = if number == 0 { "sentence_id,word,tag\n" } else { "" };
                    content.push_str(head);
                    rows.for_each(|(word, tag)| writeln!(content, "s{number},{word},{tag}").expect("written"));
                }
            }
            if form < 3 {
                content.push('\n');
            }
        }
        let read = read_with("a", &content, &Options::default()).expect("read").value;
        let expected = GoldSet::new("a", sentences.iter().map(|sentence| {
            (sentence.iter().map(|(word, _)| word.clone()).collect(), tags(sentence, TagScheme::Iob2))
        }));
        prop_assert_eq!(shown(&read), shown(&Gold { sets: vec![expected] }));
        let home = tempfile::tempdir().expect("a folder");
        read.save(&home.path().join("out")).expect("saved");
        prop_assert_eq!(Gold::load(&home.path().join("out")).expect("read again"), read);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), ending in "txt|ann|jsonl|parquet") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(format!("a.{ending}"));
        fs::write(&path, &bytes).expect("written");
        let _ = Gold::load(&path);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(B-A|I-A|O|\\PC|[\\[\\]{}\",:;|/\t\n# 0-9-]){0,80}", errors in 0..9_usize) {
        let _ = read_with("a.conll", &text, &Options { errors, ..Options::default() });
    }

    #[test]
    fn no_annotation_makes_the_reader_panic(start in -3..40_i64, end in -3..40_i64, says in prop::option::of("\\PC{0,3}"), text in "\\PC{0,12}") {
        let record = serde_json::json!({"text": text, "entities": [{"start": start, "end": end, "label": "A", "text": says}]});
        let _ = read_with("a.jsonl", &record.to_string(), &Options::default());
    }
}
