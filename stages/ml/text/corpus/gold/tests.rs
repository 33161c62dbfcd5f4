mod bad;
mod columns;
mod documents;
mod generated;
mod records;

use std::fmt::Write as _;

use proptest::prelude::*;

use super::{
    super::{
        Text,
        options::{Columns, Fields, TagScheme},
    },
    *,
};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, content).expect("written");
    }
    folder
}

fn read_with(name: &str, content: &str, options: &Options) -> Result<Read<Gold>, StageError> {
    let folder = folder(&[(name, content)]);
    Gold::read(&folder.path().join(name), options)
}

/// Sentences between strokes, entities between brackets with their types: `[Jean Roy]PER vit | ici`.
fn shown(gold: &Gold) -> String {
    let sentences = gold.sets.iter().flat_map(|set| &set.records).map(|record| {
        let spans = entities(&record.tags, Scheme::Bio);
        let mut text = Vec::new();
        for (at, word) in words(record).enumerate() {
            let open = spans.iter().any(|span| span.start == at);
            let close = spans.iter().find(|span| span.end == at + 1).map(|span| format!("]{}", span.kind));
            text.push(format!("{}{word}{}", if open { "[" } else { "" }, close.unwrap_or_default()));
        }
        text.join(" ")
    });
    sentences.collect::<Vec<_>>().join(" | ")
}

fn gold(name: &str, content: &str) -> String {
    let read = read_with(name, content, &Options::default());
    shown(&read.unwrap_or_else(|e| panic!("{content}: {e}")).value)
}

fn notes(name: &str, content: &str) -> String {
    read_with(name, content, &Options::default())
        .unwrap_or_else(|e| panic!("{content}: {e}"))
        .notes
        .join("\n")
}

fn read_text(name: &str, content: &str) -> Vec<String> {
    let folder = folder(&[(name, content)]);
    let text = Text::read(&folder.path().join(name), &Options::default());
    text.unwrap_or_else(|e| panic!("{content}: {e}")).value.lines.into_iter().map(|line| line.text).collect()
}

/// Message and advice.
fn refused(name: &str, content: &str) -> String {
    let error = read_with(name, content, &Options::default()).expect_err(content);
    format!("{error}\n{}", error.advice().expect("a way out"))
}

#[test]
fn words_are_joined_by_one_space_and_never_split() {
    let folder = folder(&[("press.bio", "l’hôpital\tI-ORG\nSaint-Louis\tI-ORG\n!\tO\n\nParis\tB-LOC\n")]);
    let gold = Gold::load(&folder.path().join("press.bio")).expect("loaded");
    let [set] = gold.sets.as_slice() else { panic!("one set") };
    assert_eq!(set.name, "press");
    let first = &set.records[0];
    assert_eq!(first.text, "l’hôpital Saint-Louis !");
    assert_eq!(first.words, [[0, 9], [10, 21], [22, 23]]);
    assert_eq!(first.tags, ["B-ORG", "I-ORG", "O"]);
    assert_eq!((first.id.as_str(), first.group.as_str()), ("press:1", "press:1"));
    assert_eq!(set.records[1].id, "press:2");
    assert_eq!(gold.types(), BTreeMap::from([("LOC".to_owned(), 1), ("ORG".to_owned(), 1)]));
}

#[test]
fn odd_words_are_kept_and_blank_ones_left_out() {
    assert_eq!(
        gold("a.conll", "à O\nSaint\u{a0}Lô B-LOC\n10\u{a0}000 O"),
        "à [Saint\u{a0}Lô]LOC 10\u{a0}000"
    );
    assert_eq!(gold("a.conll", "Le O\nClub de Brest B-ORG\ndort O"), "Le [Club de Brest]ORG dort");
    assert_eq!(
        gold("a.conll", "\u{200b}Anne B-PER\nRoy\u{200b} I-PER\n\u{200b} O"),
        "[\u{200b}Anne Roy\u{200b}]PER \u{200b}"
    );
    assert_eq!(gold("a.bio", "Anne\0\tB-PER\nR\u{7}oy\tI-PER\nici\tO"), "[Anne\0 R\u{7}oy]PER ici");
    assert_eq!(gold("a.bio", "محمد\tB-PER\nيعيش\tO"), "[محمد]PER يعيش");
    assert_eq!(gold("a.bio", "E\u{301}lise\tB-PER\n👩‍👧\tO"), "[E\u{301}lise]PER 👩‍👧");
    let content = "{\"tokens\": [\" \", \"Anne\", \"\", \"Roy\"], \"ner_tags\": [\"B-PER\", \"I-PER\", \"I-PER\", \"I-PER\"]}\n\
                   {\"tokens\": [\"Brest\", \"\"], \"ner_tags\": [\"B-LOC\", \"O\"]}";
    assert_eq!(gold("a.jsonl", content), "[Anne Roy]PER | [Brest]LOC");
    assert!(notes("a.jsonl", content).contains("3 words of white space are left out"));
    assert_eq!(gold("a.bio", "Anne\tB-PER\n\tO\nici\tO"), "[Anne]PER ici");
    assert_eq!(gold("a.bio", "Anne B-PER\n O\nici O"), "[Anne]PER ici");
}

#[test]
fn what_holds_no_annotations_is_refused_with_what_would() {
    for (name, content) in [
        ("a.txt", "Un texte sans rien.\nUn autre."),
        ("a.md", "# Titre"),
        ("a.csv", "a,b\n1,2\n"),
        ("a.txt", "Anne vit à Brest\tB-PER O O B-LOC\nJean va\tB-PER O\n"),
    ] {
        assert!(refused(name, content).contains("no annotations that can be read"), "{content}");
    }
    for (content, parts) in [
        ("Morel B-PER\ndort None\nici None\n", &["a.bio:2: `None` is no tag", "`O`"][..]),
        ("Morel PER\ndort OTHER\nici OTHER\nBrest LOC\n", &["a.bio: no tag is `O`", "write `O`"]),
        ("Morel B\nRoy I\nici O\n", &["a.bio:1: `B` is no tag", "`B-TYPE`"]),
        ("Morel\u{a0}B-PER\ndort\u{a0}O\n", &["a.bio:1: a no-break space", "sed -i"]),
        (
            "1\tMorel\t_\tN\t_\t_\t2\tx\t_\t_\n2\tdort\t_\tV\t_\t_\t0\troot\t_\t_\n",
            &["a.bio: no column has tags", "`NER=B-TYPE`"],
        ),
        ("Morel LABEL_1\ndort LABEL_0\n", &["a.bio:1: `LABEL_1` is no tag"]),
    ] {
        let said = refused("a.bio", content);
        assert!(parts.iter().all(|part| said.contains(part)) && !said.contains("Morel"), "{said}");
    }
    for content in ["\n", ""] {
        assert!(refused("a.bio", content).contains("no sentence in"), "{content:?}");
    }
    let text = refused("a.jsonl", "{\"text\": \"Un texte.\"}");
    assert!(text.contains("no tags and no spans among `text`"), "{text}");
}

#[test]
fn webannos_layers_are_read() {
    let content = "#FORMAT=WebAnno TSV 3.3\n#T_SP=x.type.POS|PosValue\n#T_SP=x.ner.type.NamedEntity|identifier|value\n\n\n\
                   #Text=Anne Roy va à Brest\n1-1\t0-4\tAnne\tN\t*[1]\tPER[1]\t\n1-2\t5-8\tRoy\tN\t*[1]\tPER[1]\t\n\
                   1-3\t9-11\tva\tV\t_\t_\t\n1-4\t12-13\tà\tP\t_\t_\t\n1-5\t14-19\tBrest\tN\t*\tLOC\t\n\n\
                   #Text=# Anne Roy\n2-1\t20-21\t#\tN\t_\t_\t\n2-2\t22-26\tAnne\tN\t*[2]\tPER[2]|ORG[4]\t\n2-2.1\t22-23\tA\tN\t_\t_\t\n\
                   2-3\t27-30\tRoy\tN\t*[3]\tPER[3]\t\n";
    assert_eq!(gold("a.tsv", content), "[Anne Roy]PER va à [Brest]LOC | # [Anne]PER [Roy]PER");
    assert!(notes("a.tsv", content).contains("1 word has several labels"), "{}", notes("a.tsv", content));
}

#[test]
fn types_that_differ_in_case_alone_are_noted() {
    let said = notes("a.bio", "un B-Per\ndeux O\ntrois B-PER\n");
    assert!(said.contains("`PER` and `Per` differ in case alone"), "{said}");
}

#[test]
fn gold_survives_the_disk_with_sets_and_documents() {
    let folder = folder(&[
        ("in/b.conll", "-DOCSTART- O\n\na O\n\nb O\n\n-DOCSTART- O\n\nc I-PER\n"),
        ("in/a.jsonl", "{\"tokens\":[\"Aix\"],\"ner_tags\":[\"B-LOC\"]}"),
        ("in/README.md", "not gold"),
        ("in/sub/C.CONLL", "# newdoc id = un\nAix B-LOC\n"),
    ]);
    let gold = Gold::load(&folder.path().join("in")).expect("loaded");
    assert_eq!(gold.sets.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a", "b", "sub-C"]);
    let groups: Vec<_> = gold.sets[1].records.iter().map(|r| r.group.as_str()).collect();
    assert_eq!(groups, ["b/1", "b/1", "b/2"]);
    let copy = folder.path().join("out");
    gold.save(&copy).expect("saved");
    assert_eq!(Gold::load(&copy).expect("loaded again"), gold);
    assert_eq!(
        fs::read_to_string(copy.join("b.bio")).expect("columns"),
        "-DOCSTART-\tO\n\na\tO\n\nb\tO\n\n-DOCSTART-\tO\n\nc\tB-PER\n"
    );
    let one = Gold { sets: vec![gold.sets[0].clone()] };
    one.save(&folder.path().join("a.bio")).expect("saved as a file");
    assert_eq!(Gold::load(&folder.path().join("a.bio")).expect("a file"), one);
}
