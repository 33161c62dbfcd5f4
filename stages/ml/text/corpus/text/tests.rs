use proptest::prelude::*;

use super::{
    super::options::{Fields, Unit},
    *,
};

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, bytes).expect("written");
    }
    folder
}

/// The texts of one file of this name, and what was said.
fn read(name: &str, content: &[u8], options: &Options) -> Result<(Vec<String>, Vec<String>), StageError> {
    let folder = folder(&[(name, content)]);
    let Read { value, notes } = Text::read(&folder.path().join(name), options)?;
    Ok((value.lines.into_iter().map(|line| line.text).collect(), notes))
}

fn texts(name: &str, content: &str) -> Vec<String> {
    read(name, content.as_bytes(), &Options::default()).unwrap_or_else(|e| panic!("{content}: {e}")).0
}

#[test]
fn a_folder_is_read_in_name_order_with_names_as_sources() {
    let folder = folder(&[
        ("b.txt", b"un\r\n\r\ndeux"),
        ("a.txt", "\u{feff}é\n".as_bytes()),
        ("sub/c.TXT", b"trois"),
        ("x.md", b"no"),
        (".h.txt", b"no"),
    ]);
    let Read { value, notes } = Text::read(folder.path(), &Options::default()).expect("read");
    let lines: Vec<_> = value.lines.iter().map(|l| (l.source.as_str(), l.number, l.text.as_str())).collect();
    assert_eq!(lines, [("a", 1, "é"), ("b", 1, "un"), ("b", 2, ""), ("b", 3, "deux"), ("sub-c", 1, "trois")]);
    assert_eq!(notes.len(), 1, "{notes:?}");
    let one = Text::load(&folder.path().join("b.txt")).expect("one file");
    assert_eq!(one.lines, value.lines[1..4]);
}

#[test]
fn texts_come_from_records_of_every_kind() {
    let expected = ["Le centre est ouvert.", "Il ferme à midi."];
    let [one, two] = expected;
    for (name, content) in [
        ("a.jsonl", format!("{{\"text\": \"{one}\"}}\r\n{{\"text\": \"{two}\", \"meta\": [1]}}\r\n")),
        ("a.json", format!("[\n {{\"text\": \"{one}\"}},\n {{\"text\": \"{two}\"}}\n]")),
        ("a.json", format!("{{\"data\": [{{\"sentence\": \"{one}\"}}, {{\"sentence\": \"{two}\"}}]}}")),
        ("a.json", format!("{{\n \"text\": \"{one}\"\n}}\n{{\n \"text\": \"{two}\"\n}}")),
        ("a.json", format!("{{\"text\": {{\"0\": \"{one}\", \"1\": \"{two}\"}}}}")),
        ("a.json", format!("[{{\"data\": {{\"text\": \"{one}\"}}}}, {{\"data\": {{\"text\": \"{two}\"}}}}]")),
        ("a.txt", format!("{{\"phrase_a\": \"{one}\", \"id\": 1}}\n{{\"phrase_a\": \"{two}\", \"id\": 2}}")),
        ("a.csv", format!("id,text\n1,{one}\n2,\"{two}\"\n")),
        ("a.csv", format!("Text\n{one}\n{two}\n")),
        ("a.tsv", format!("id\ttexte\n1\t{one}\n2\t{two}\n")),
        ("a.csv", format!("id;text\n1;{one}\n2;{two}\n")),
        ("a.json", format!("[\n \"{one}\",\n \"{two}\"\n]")),
        ("a.txt", format!("{one}\n{two}\n")),
        ("a", format!("{one}\r{two}\r")),
    ] {
        assert_eq!(texts(name, &content), expected, "{content}");
    }
    assert_eq!(texts("a.txt", "un.\r\ndeux.\ntrois.\rquatre.\n"), ["un.", "deux.", "trois.", "quatre."]);
    assert_eq!(texts("a.txt", "\u{feff}un.\n\u{feff}deux.\n"), ["un.", "deux."]);
    assert_eq!(texts("a.jsonl", "{\"tokens\": [\"Il\", \"vient\"], \"ner_tags\": [0, 0]}"), ["Il vient"]);
    assert_eq!(texts("a.bio", "Il\tO\nvient\tO\n\nÀ\tO\nRennes\tB-LIEU\n"), ["Il vient", "À Rennes"]);
    assert_eq!(texts("a.csv", "text\nun, deux\n\"trois\"\"\"\n"), ["un, deux", "trois\""]);
    assert_eq!(texts("a.jsonl", "{\"text\": \"un\\ndeux\", \"document\": 3}"), ["un\ndeux"]);
}

#[test]
fn words_of_every_notation_become_sentences() {
    let expected = ["Anne Roy va à Brest .", "Jean va bien"];
    let words = ["Anne", "Roy", "va", "à", "Brest", ".", "", "Jean", "va", "bien"];
    for tags in [
        "B-PER I-PER O O B-LOC O _ B-PER O O",
        "PER PER O O LOC O _ PER O O",
        "b-per i-per o o b-loc o _ b-per o o",
        "PER-B PER-I O O LOC-B O _ PER-B O O",
        "B_PER I_PER O O B_LOC O _ B_PER O O",
        "B-PER M-PER O O S-LOC O _ B-PER O O",
        "1 2 0 0 3 0 _ 1 0 0",
        "B-PER I-PER O OO B-LOC O _ B-PER O O",
    ] {
        let line = |(word, tag): (&&str, &str)| {
            if word.is_empty() { String::new() } else { format!("{word} {tag}\n") }
        };
        let content: Vec<_> = words.iter().zip(tags.split(' ')).map(line).collect();
        let content =
            content.iter().map(|line| if line.is_empty() { "\n" } else { line }).collect::<String>();
        assert_eq!(texts("a.conll", &content), expected, "{content}");
    }
    assert_eq!(texts("a.conll", "Anne B-PER\nva O\n"), ["Anne va"]);
    assert_eq!(texts("a.conll", "CHU de Brest B-ORG\nva O\nbien O\nici O"), ["CHU de Brest va bien ici"]);
    assert_eq!(
        texts("a.tsv", "1\tAnne\tB-PER\n2\tdort\tO\n\n3\tJean\tB-PER\n4\tva\tO"),
        ["Anne dort", "Jean va"]
    );
    let treebank = "# text = Du pain.\n1-2\tDu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tDe\tde\tADP\t_\t_\t3\tcase\t_\t_\n\
                    2\tle\tle\tDET\t_\t_\t3\tdet\t_\t_\n3\tpain\tpain\tNOUN\t_\t_\t0\troot\t_\tSpaceAfter=No\n\n\
                    1\tOui\toui\tINTJ\t_\t_\t0\troot\t_\t_\n2\t!\t!\tPUNCT\t_\t_\t1\tpunct\t_\t_\n";
    assert_eq!(texts("a.conllu", treebank), ["Du pain.", "Oui !"]);
    let hipe = "TOKEN\tNE-COARSE-LIT\tMISC\n# document_id = d\nAnne\tB-pers\t_\nva\tO\tEndOfSentence\n# b\nBien\tO\t_\n";
    for name in ["a.conll", "a.tsv", "a.txt"] {
        assert_eq!(texts(name, hipe), ["Anne va", "Bien"]);
        assert_eq!(texts(name, &hipe.replace("B-pers", "_").replace("\tO\t", "\t_\t")), ["Anne va", "Bien"]);
    }
    let commas = "# made by hand\nsentence_id,word,tag\n1,Anne,B-PER\n1,va,O\n# and more\n2,Bien,O\n";
    assert_eq!(texts("a.csv", commas), ["Anne va", "Bien"]);
    let error = read("a.conll", "Anne B-PER\nva\nbien O\nici O\n".as_bytes(), &Options::default())
        .expect_err("ragged");
    assert!(error.to_string().contains("a.conll:2: a word without a tag"), "{error}");
}

#[test]
fn plain_text_that_resembles_another_format_stays_text() {
    for text in [
        "[...] le patient est sorti\nIl va bien",
        "{nom} est venu\nIl va bien",
        "texte, avec virgules\nun, deux",
        "Le texte\nest court",
        "La vitamine O\nest inconnue",
        "# Titre\n- point",
        "text\nun mot",
        "1\tun\n2\tdeux",
        "BZh est un sigle",
        "Vitamine B-12\nVitamine O\nPlan I-95\nGroupe O",
        "12\ta\tb\tc\td\te\tf\tg\th\n15\ta\tb\tc\td\te\tf\tg\t_",
        "1\ta\tb\tc\td\te\tf\tg\th\n2\ta\tb\tc\td\te\tf\tg\ti",
        "Page 1\nPage 2\nPage 3\nPage 4",
        "Groupe sanguin\nGroupe O\nRhésus négatif\nFin",
    ] {
        assert_eq!(texts("a.txt", text), text.lines().collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn a_unit_may_be_a_document_or_a_file() {
    let folder = folder(&[("a.txt", b"un\ndeux\n\ntrois"), ("b.txt", b"quatre")]);
    let read = |unit| {
        let options = Options { unit, ..Options::default() };
        let lines = Text::read(folder.path(), &options).expect("read").value.lines;
        lines.into_iter().map(|line| (line.id(), line.group(), line.text)).collect::<Vec<_>>()
    };
    let owned = |rows: &[(&str, &str, &str)]| {
        rows.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect::<Vec<_>>()
    };
    let documents = [("a-1", "a-1", "un\ndeux"), ("a-4", "a-4", "trois"), ("b-1", "b-1", "quatre")];
    assert_eq!(read(Unit::Document), owned(&documents));
    assert_eq!(read(Unit::File), owned(&[("a-1", "a/a", "un\ndeux\n\ntrois"), ("b-1", "b/b", "quatre")]));
    for (name, content) in [
        ("c.jsonl", "{\"text\": \"un\", \"doc_id\": 1}\n{\"text\": \"deux\"}"),
        ("c.csv", "id,text\n1,un\n2,deux\n"),
        ("c.conll", "un O\nun O\n\ndeux O\ndeux B-A\n"),
        ("c.txt", "un|N|O un|N|B-A\ndeux|N|O deux|N|O\n"),
    ] {
        let folder = self::folder(&[(name, content.as_bytes())]);
        let options = Options { unit: Unit::File, ..Options::default() };
        let lines = Text::read(folder.path(), &options).expect("read").value.lines;
        assert_eq!(lines.iter().map(Line::group).collect::<Vec<_>>(), ["c/c", "c/c"], "{content}");
    }
}

#[test]
fn records_say_their_documents() {
    let folder = folder(&[(
        "a.jsonl",
        b"{\"text\": \"un\", \"doc_id\": \"x\"}\n{\"text\": \"deux\", \"doc_id\": 7}\n{\"text\": \"trois\"}",
    )]);
    let text = Text::load(folder.path()).expect("read");
    let groups: Vec<_> = text.lines.iter().map(Line::group).collect();
    assert_eq!(groups, ["a/x", "a/7", "a-3"]);
    text.save(&folder.path().join("out")).expect("saved");
    assert_eq!(Text::load(&folder.path().join("out")).expect("read again"), text);
}

#[test]
fn documents_of_one_name_in_two_files_are_two() {
    let rows = b"{\"text\": \"un\", \"doc_id\": \"x\"}\n{\"text\": \"deux\", \"doc_id\": \"x\"}\n".as_slice();
    let columns = b"# newdoc id = x\nun O\ndeux B-PER\ntrois O\n".as_slice();
    let folder = folder(&[("a.jsonl", rows), ("b/a.jsonl", rows), ("c.conll", columns), ("c.jsonl", rows)]);
    let text = Text::load(folder.path()).expect("read");
    let groups: Vec<_> = text.lines.iter().map(Line::group).collect();
    assert_eq!(groups, ["a/x", "a/x", "b-a/x", "b-a/x", "c.conll/x", "c.jsonl/x", "c.jsonl/x"]);
}

#[test]
fn a_field_that_is_said_and_not_there_is_one_error() {
    let rows = "{\"id\": 1, \"note\": \"un\", \"words\": [\"un\"]}\n".repeat(300);
    let table = ["id,note\n", &"1,un\n".repeat(300)].concat();
    let wrong = || Some("nott".to_owned());
    for (name, content, fields) in [
        ("a.jsonl", &rows, Fields { text: wrong(), ..Fields::default() }),
        ("a.jsonl", &rows, Fields { tokens: wrong(), ..Fields::default() }),
        ("a.jsonl", &rows, Fields { document: wrong(), ..Fields::default() }),
        ("a.csv", &table, Fields { text: wrong(), ..Fields::default() }),
        ("a.csv", &table, Fields { text: Some("note".into()), document: wrong(), ..Fields::default() }),
    ] {
        let options = Options { fields, ..Options::default() };
        let error = read(name, content.as_bytes(), &options).expect_err("a wrong field");
        assert!(error.to_string().ends_with(&format!("{name}: no record has the field `nott`")), "{error}");
        let advice = error.advice().unwrap_or_default();
        assert!(advice.contains("one of `id`, `note`") && !advice.contains("errors ="), "{advice}");
    }
    // Of another kind than a text.
    for (field, kind) in [("id", "a number"), ("words", "a list")] {
        let fields = Fields { text: Some(field.into()), ..Fields::default() };
        let error = read("a.jsonl", rows.as_bytes(), &Options { fields, ..Options::default() });
        let error = error.expect_err(field);
        assert!(error.to_string().ends_with(&format!("a.jsonl:1: the field `{field}` is {kind}")), "{error}");
        assert!(error.advice().unwrap_or_default().contains("the records have `id`, `note`"), "{error:?}");
    }
    let late = [&rows, "{\"note\": \"deux\", \"nott\": \"d\"}\n"].concat();
    let fields = Fields { document: wrong(), ..Fields::default() };
    let (texts, _) =
        read("a.jsonl", late.as_bytes(), &Options { fields, ..Options::default() }).expect("one has it");
    assert_eq!(texts.len(), 301);
}

#[test]
fn to_leave_bad_records_out_is_offered_only_where_something_is_left() {
    let help = |name: &str, content: &str| {
        let error = read(name, content.as_bytes(), &Options::default()).expect_err(content);
        error.advice().unwrap_or_default().to_owned()
    };
    let bad = "{\"text\": null}\n{\"text\": 7}\n";
    let some = help("a.jsonl", &[bad, "{\"text\": \"un\"}\n{\"text\": \"deux\"}\n"].concat());
    assert!(some.contains("`errors = 2`"), "{some}");
    for content in [bad.to_owned(), [bad, "{\"text\": \" \"}\n"].concat()] {
        let help = help("a.jsonl", &content);
        assert!(!help.contains("errors") && help.contains("correct them"), "{help}");
    }
}

#[test]
fn an_odd_first_record_does_not_decide_which_field_is_the_text() {
    let rows = "{\"text\": 7, \"b\": \"x\", \"c\": \"y\"}\n{\"text\": \"un\", \"b\": \"x\", \"c\": \"y\"}\n{\"text\": \"deux\", \"b\": \"x\", \"c\": \"y\"}\n";
    let options = Options { errors: 1, ..Options::default() };
    let (texts, notes) = read("a.jsonl", rows.as_bytes(), &options).expect("one is left out");
    assert_eq!(texts, ["un", "deux"]);
    assert!(notes.iter().any(|note| note.contains("a.jsonl:1: the field `text` is a number")), "{notes:?}");
}

#[test]
fn bad_records_are_listed_together_or_left_out() {
    let content = b"{\"text\": \"un\"}\n{\"text\": null}\n{\"text\": \"deux\"\n{\"other\": 1}\n{\"text\": \"a\", \"text\": \"b\"}\n{\"text\": NaN}";
    let error = read("a.jsonl", content, &Options::default()).expect_err("bad");
    let message = error.to_string();
    for part in [
        "5 bad records",
        "a.jsonl:2: the field `text` is null",
        "a.jsonl:3: the JSON ends too early",
        "a.jsonl:4: no field `text`",
        "a.jsonl:5: duplicate field `text`",
        "NaN is no JSON",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(error.advice().is_some_and(|help| help.contains("`errors = 5`")), "{:?}", error.advice());
    let (texts, notes) =
        read("a.jsonl", content, &Options { errors: 5, ..Options::default() }).expect("left out");
    assert_eq!(texts, ["un"]);
    assert_eq!(notes.iter().filter(|note| note.ends_with("left out")).count(), 5, "{notes:?}");
}

#[test]
fn fields_are_named_where_they_cannot_be_guessed() {
    let content = b"{\"a\": \"un\", \"b\": {\"c\": \"deux\"}, \"d\": \"trois\"}";
    let error = read("a.jsonl", content, &Options::default()).expect_err("which?").to_string();
    assert!(error.contains("no field of text among `a`, `b`, `d`"), "{error}");
    let mut options = Options::default();
    for (field, text) in [("a", "un"), ("b.c", "deux")] {
        options.fields.text = Some(field.into());
        assert_eq!(read("a.jsonl", content, &options).expect(field).0, [text]);
    }
    options.fields.text = Some("corps".into());
    assert_eq!(read("a.csv", b"corps,x\nun,2\n", &options).expect("a table").0, ["un"]);
}

#[test]
fn other_encodings_are_read_or_told() {
    let wide: Vec<u8> = "\u{feff}été\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (texts, notes) = read("a.txt", &wide, &Options::default()).expect("UTF-16");
    assert_eq!(texts, ["été"]);
    assert!(notes[0].ends_with("a.txt: text, UTF-16LE, 1 text"), "{notes:?}");
    let windows = b"Sa s\x9cur a pay\xe9 45 \x80 \xe0 l\x92accueil.\n";
    let error = read("a.txt", windows, &Options::default()).expect_err("1252");
    assert!(error.to_string().ends_with("a.txt:1: not UTF-8"), "{error}");
    let help = error.advice().expect("a way out");
    assert!(help.contains("iconv -f WINDOWS-1252") && help.contains("encoding = \"windows-1252\""), "{help}");
    let options = Options { encoding: Some("windows-1252".into()), ..Options::default() };
    assert_eq!(read("a.txt", windows, &options).expect("said").0, ["Sa sœur a payé 45 € à l’accueil."]);
}

#[test]
fn compressed_files_are_read_as_what_they_hold() {
    let text = "un mot\ndeux mots\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).expect("packed");
    let zst = zstd::encode_all(text.as_bytes(), 1).expect("packed");
    let folder = folder(&[("a.txt.gz", &gz.finish().expect("packed")), ("b.TXT.ZST", &zst)]);
    let lines = Text::load(folder.path()).expect("read").lines;
    let sources: Vec<_> = lines.iter().map(|line| line.source.as_str()).collect();
    assert_eq!(sources, ["a", "a", "b", "b"]);
    assert_eq!(lines[3].text, "deux mots");
}

#[test]
fn what_cannot_be_read_is_refused_by_file() {
    let error = |name: &str, content: &[u8]| read(name, content, &Options::default()).expect_err(name);
    for (name, content, message) in [
        ("c.txt", b" \n\n".as_slice(), "no text in"),
        ("p.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        ("d.docx", b"PK\x03\x04word/document.xml", "is a Word document and no text"),
        ("u.txt", b"\xff\xfe\0\0L\0\0\0", "not UTF-8"),
        ("x.parquet", b"PAR1\x00\x01\x02\x03\xff\xfe\xfdPAR1", "no Parquet that can be read"),
        ("x.parquet", b"PAR1\x00\x01\x02\x03\xff\xfe\xfd\x00\x00", "a damaged Parquet file"),
    ] {
        let error = error(name, content);
        assert!(error.to_string().contains(name) && error.to_string().contains(message), "{error}");
        assert!(error.advice().is_some(), "{error}");
    }
    let missing = Text::load(Path::new("/nowhere/absent.txt")).expect_err("absent").to_string();
    assert!(missing.contains("cannot read"), "{missing}");
}

#[test]
fn an_empty_file_is_noted_and_the_others_are_read() {
    let folder = folder(&[("a.txt", b""), ("b.txt", b"un mot")]);
    let Read { value, notes } = Text::read(folder.path(), &Options::default()).expect("read");
    assert_eq!(value.lines.len(), 1);
    assert!(notes.iter().any(|note| note.ends_with("a.txt: no text")), "{notes:?}");
}

#[test]
fn text_of_plain_lines_is_saved_as_it_always_was() {
    let home = folder(&[]);
    let text = Text { lines: vec![Line::new("a", 1, "x"), Line::new("a", 2, ""), Line::new("b", 1, "é")] };
    let path = home.path().join("text");
    text.save(&path).expect("saved");
    assert_eq!(fs::read(path.join("a.txt")).expect("a"), b"x\n\n");
    assert_eq!(Text::load(&path).expect("loaded"), text);
    let slash = Text { lines: vec![Line::new("../a", 1, "x")] };
    assert!(slash.save(&home.path().join("other")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_survives_the_disk(
        texts in prop::collection::vec(("(\\PC|\n|\r|\t|\u{feff}){0,20}|\\{\"text\": 1|text,a|O", prop::option::of("[a-z]{1,3}")), 1..8),
    ) {
        let line = |((text, document), number): ((String, Option<String>), usize)| Line { document, ..Line::new("s", number, text) };
        let text = Text { lines: texts.into_iter().zip(1..).map(line).collect() };
        prop_assume!(text.lines.iter().any(|line| !line.text.trim().is_empty()));
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("text");
        text.save(&path).expect("saved");
        prop_assert_eq!(Text::load(&path).expect("loaded"), text);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), ending in "txt|jsonl|csv|parquet|gz") {
        let _ = read(&format!("a.{ending}"), &bytes, &Options::default());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\PC|[\\[\\]{}\",:;|\t\n\r# 0-9-]){0,80}", ending in "txt|jsonl|csv") {
        let _ = read(&format!("a.{ending}"), text.as_bytes(), &Options::default());
    }
}
