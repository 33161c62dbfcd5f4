mod bad;
mod columns;
mod documents;
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
fn columns_of_every_layout_are_read() {
    let expected = "[Jeanne Roy]PER dort à [Brest]LOC";
    for (content, form) in [
        ("Jeanne B-PER\nRoy I-PER\ndort O\nà O\nBrest B-LOC", "2 columns, word 1, tag 2, BIO"),
        ("Jeanne\tB-PER\nRoy\tI-PER\ndort\tO\nà\tO\nBrest\tB-LOC\n\n\n", "2 columns, word 1, tag 2, BIO"),
        (
            "Jeanne N B-NP B-PER\nRoy N I-NP I-PER\ndort V B-VP O\nà P O O\nBrest N B-NP B-LOC",
            "4 columns, word 1, tag 4",
        ),
        (
            "1\tJeanne\tB-PER\tO\n2\tRoy\tI-PER\tO\n3\tdort\tO\tO\n4\tà\tO\tO\n5\tBrest\tB-LOC\tO",
            "word 2, tag 3",
        ),
        (
            "1\tJeanne\tB-PER\tB-PER\n2\tRoy\tI-PER\tO\n3\tdort\tO\tO\n4\tà\tO\tO\n5\tBrest\tB-LOC\tO",
            "tag 3, the first of 2 columns of tags",
        ),
        (
            "1\tJeanne\tB-PER\t-\t-\n2\tRoy\tI-PER\t-\t-\n3\tdort\tO\t-\t-\n4\tà\tO\t-\t-\n5\tBrest\tB-LOC\t-\t-",
            "word 2, tag 3",
        ),
        ("Jeanne B-PER NOM\nRoy I-PER NOM\ndort O VER\nà O PRP\nBrest B-LOC NOM", "3 columns, word 1, tag 2"),
        ("Jeanne -X- _ B-PER\nRoy -X- _ I-PER\ndort -X- _ O\nà -X- _ O\nBrest -X- _ B-LOC", "word 1, tag 4"),
        ("B-PER Jeanne\nI-PER Roy\nO dort\nO à\nB-LOC Brest", "word 2, tag 1"),
        ("Jeanne\tB-PER\nRoy I-PER\ndort   O\nà\tO\nBrest B-LOC", "word 1, tag 2"),
        ("Jeanne;B-PER\nRoy;I-PER\ndort;O\nà;O\nBrest;B-LOC", "word 1, tag 2"),
        ("token\tner\nJeanne\tB-PER\nRoy\tI-PER\ndort\tO\nà\tO\nBrest\tB-LOC", "by the first line"),
        (
            "Word Pos Tag\nJeanne N B-PER\nRoy N I-PER\ndort V O\nà P O\nBrest N B-LOC",
            "word 1, tag 3, by the first line",
        ),
        ("Jeanne\tB-PER\t\nRoy\tI-PER \ndort\tO\u{a0}\nà\tO\t\t\nBrest\tB-LOC", "word 1, tag 2"),
        ("Jeanne B-PER\rRoy I-PER\rdort O\rà O\rBrest B-LOC\r", "word 1, tag 2"),
        ("Jeanne PER\nRoy PER\ndort O\nà O\nBrest LOC", "types without a prefix"),
        (
            "# global.columns = ID FORM UPOS NER\n1\tJeanne\tN\tB-PER\n2\tRoy\tN\tI-PER\n3\tdort\tV\tO\n4\tà\tP\tO\n5\tBrest\tN\tB-LOC",
            "by global.columns",
        ),
    ] {
        assert_eq!(gold("a.conll", content), expected, "{content}");
        assert!(notes("a.conll", content).contains(form), "{form}: {}", notes("a.conll", content));
    }
    let conllu = "# sent_id = 1\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\t_\tP\t_\t_\t_\t_\t_\t_\n2\tle\t_\tD\t_\t_\t_\t_\t_\tNER=O\n\
                  3\tCher\t_\tN\t_\t_\t_\t_\t_\tSpaceAfter=No|NER=B-LOC\n";
    assert_eq!(gold("a.conllu", conllu), "de le [Cher]LOC");
}

#[test]
fn the_words_are_the_words_whatever_counts_or_names_stand_before_them() {
    let expected = "[Jeanne Roy]PER dort | à [Brest]LOC";
    for (content, form) in [
        ("1\tJeanne\tB-PER\n2\tRoy\tI-PER\n3\tdort\tO\n\n4\tà\tO\n5\tBrest\tB-LOC", "word 2, tag 3, BIO"),
        (
            "1\t1\tJeanne\tB-PER\n1\t2\tRoy\tI-PER\n1\t3\tdort\tO\n\n2\t1\tà\tO\n2\t2\tBrest\tB-LOC",
            "word 3, tag 4, BIO",
        ),
        (
            "d1 s1 1 Jeanne B-PER\nd1 s1 2 Roy I-PER\nd1 s1 3 dort O\n\nd1 s2 1 à O\nd1 s2 2 Brest B-LOC",
            "word 4, tag 5, BIO",
        ),
        (
            "0 6 Jeanne B-PER\n7 10 Roy I-PER\n11 15 dort O\n\n17 18 à O\n19 24 Brest B-LOC",
            "word 3, tag 4, BIO",
        ),
        (
            "0-6 Jeanne B-PER\n7-10 Roy I-PER\n11-15 dort O\n\n17-18 à O\n19-24 Brest B-LOC",
            "word 2, tag 3, BIO",
        ),
        ("1 Jeanne B-PER\n1 Roy I-PER\n1 dort O\n2 à O\n2 Brest B-LOC", "sentences by column 1, BIO"),
        ("1 Jeanne B-PER\n2 Roy I-PER\n3 dort O\n1 à O\n2 Brest B-LOC", "sentences by column 1, BIO"),
        (
            "p.s1 1 Jeanne B-PER\np.s1 2 Roy I-PER\np.s1 3 dort O\np.s2 1 à O\np.s2 2 Brest B-LOC",
            "word 3, tag 4, sentences by column 1 and 2, BIO",
        ),
        ("\tJeanne\tB-PER\n\tRoy\tI-PER\n\tdort\tO\n\n\tà\tO\n\tBrest\tB-LOC", "word 2, tag 3, BIO"),
        (
            "#id=1\n1-1\tJeanne\tB-PER\t_\n1-2\tRoy\tI-PER\t_\n1-3\tdort\tO\t_\n\n#id=2\n2-1\tà\tO\t_\n2-2\tBrest\tB-LOC\t_",
            "word 2, tag 3, BIO",
        ),
        (
            "Jeanne 0 6 B-PER\nRoy 7 10 I-PER\ndort 11 15 O\n\nà 17 18 O\nBrest 19 24 B-LOC",
            "word 1, tag 4, BIO",
        ),
    ] {
        assert_eq!(gold("a.conll", content), expected, "{content}");
        assert!(notes("a.conll", content).contains(form), "{form}: {}", notes("a.conll", content));
    }
    assert_eq!(
        gold("a.conll", "d1 1 T1 B-A\nd1 2 T2 O\nd1 3 T3 O\nd1 4 T1 O\n\nd1 5 T2 B-A\nd1 6 T4 O"),
        "[T1]A T2 T3 T1 | [T2]A T4"
    );
    let classes = "NPP Jeanne B-PER\nNPP Roy I-PER\nV dort O\nP à O\nNPP Brest B-LOC\nV dort O\nP sur O\nNPP Oléron B-LOC";
    assert_eq!(gold("a.conll", classes), "[Jeanne Roy]PER dort à [Brest]LOC dort sur [Oléron]LOC");
}

#[test]
fn one_odd_row_does_not_change_which_column_of_tags_is_read() {
    let row = |word: &str, outer: &str, inner: &str| format!("{word}\t{outer}\t{inner}\n");
    let head =
        [row("Stade", "B-ORG", "O"), row("Brestois", "I-ORG", "B-LOC"), row("gagne", "O", "O")].concat();
    for (last, shown) in [
        (row("Anne", "B-PER", "O"), "[Anne]PER"),
        (row("Anne", "B-PER", "B-AUTRE"), "[Anne]PER"),
        (row("ici", "O", "B-PER"), "ici"),
    ] {
        let content = format!("{head}{last}");
        assert_eq!(gold("a.tsv", &content), format!("[Stade Brestois]ORG gagne {shown}"), "{content}");
        assert!(notes("a.tsv", &content).contains("the first of 2 columns of tags"), "{content}");
    }
    let chunks = "Anne N B-NP B-PER\nRoy N I-NP I-PER\ndort V B-VN O\nvite A B-X O\nà P B-PP O\nla D B-NP O\nmer N I-NP O\n\
                  de P B-PP O\nla D B-NP O\nManche N I-NP B-LOC\n";
    assert!(notes("a.conll", chunks).contains("word 1, tag 4"), "{}", notes("a.conll", chunks));
}

#[test]
fn marks_of_documents_are_known_behind_a_number_and_in_any_case() {
    for content in [
        "0\t-DOCSTART-\tO\n\n1\tun\tO\n2\tdeux\tB-A\n\n0\t-DOCSTART-\tO\n\n1\ttrois\tO\n2\tquatre\tO",
        "-docstart- O\nun O\ndeux B-A\n-DOCEND- O\n-docstart- O\ntrois O\nquatre O\n-docend- O",
    ] {
        let read = read_with("a.conll", content, &Options::default()).expect("read").value;
        assert_eq!(shown(&read), "un [deux]A | trois quatre", "{content}");
        let groups: Vec<_> = read.sets[0].records.iter().map(|record| record.group.as_str()).collect();
        assert_eq!(groups, ["a/1", "a/2"]);
    }
}

#[test]
fn a_hashtag_in_a_sentence_is_never_lost() {
    for content in ["Anne\tB-PER\n#Brest\tLOC\nici\tO", "Anne B-PER\n#Brest LOC\nici O"] {
        assert!(refused("a.conll", content).contains("a.conll:2: its tag is neither"), "{content}");
    }
}

#[test]
fn columns_that_are_said_read_as_those_that_are_found() {
    let conllu = "1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\t_\tP\t_\t_\t_\t_\t_\t_\n2\tle\t_\tD\t_\t_\t_\t_\t_\tNER=O\n\
                  3\tCher\t_\tN\t_\t_\t_\t_\t_\tSpaceAfter=No|NER=B-LOC\n3.1\tlà\t_\t_\t_\t_\t_\t_\t_\t_\n";
    let said = |word, tag| Options { columns: Some(Columns { word, tag }), ..Options::default() };
    for tag in [10, -1] {
        let read = read_with("a.conllu", conllu, &said(2, tag)).expect("said").value;
        assert_eq!(shown(&read), gold("a.conllu", conllu));
    }
    for (word, tag, problem) in [
        (1, 5, "there is no column 5: the lines have 2"),
        (-3, 2, "there is no column -3: the lines have 2"),
        (1, 1, "word and tag are both column 1"),
        (2, -1, "word and tag are both column -1"),
        (0, 2, "`columns.word` is 0"),
        (1, 0, "`columns.tag` is 0"),
    ] {
        let error = read_with("a.conll", "un O\ndeux B-A", &said(word, tag)).expect_err(problem);
        assert!(error.to_string().contains(problem) && error.advice().is_some(), "{error}");
    }
}

#[test]
fn every_end_of_a_line_and_every_mark_of_a_joined_file_is_known() {
    for content in [
        "Anne B-PER\r\ndort O\r\n\r\nÀ O\rBrest B-LOC\r",
        "Anne B-PER\ndort O\n\nÀ O\rBrest B-LOC\n",
        "Anne B-PER\r\r\ndort O\r\r\n\r\r\nÀ O\r\r\nBrest B-LOC",
        "\u{feff}Anne B-PER\ndort O\n\n\u{feff}À O\nBrest B-LOC\n",
        "\u{feff}Anne B-PER\r\ndort O\r\n\r\n\u{feff}À O\r\nBrest B-LOC\r\n",
    ] {
        assert_eq!(gold("a.conll", content), "[Anne]PER dort | À [Brest]LOC", "{content:?}");
    }
}

#[test]
fn schemes_and_habits_are_found_from_the_file() {
    for (content, expected, scheme) in [
        (
            "Brest I-LOC\nJeanne I-PER\nRoy I-PER\nAnne B-PER\nO O",
            "[Brest]LOC [Jeanne Roy]PER [Anne]PER O",
            "IOB1",
        ),
        ("Jeanne B-PER\nRoy E-PER\nà O\nBrest S-LOC", "[Jeanne Roy]PER à [Brest]LOC", "BIOES"),
        ("Jeanne b-per\nRoy i-per\ndort o", "[Jeanne Roy]per dort", "BIO, `o` for O"),
        ("Jeanne B_PER\nRoy I_PER\ndort O", "[Jeanne Roy]PER dort", "BIO"),
        ("Jeanne PER-B\nRoy PER-I\ndort O", "[Jeanne Roy]PER dort", "BIO"),
        ("Jeanne\tB-Grand Nom\nRoy\tI-Grand Nom\ndort\tO", "[Jeanne Roy]Grand_Nom dort", "BIO"),
        ("Jeanne B:PER\nRoy I:PER\ndort O", "[Jeanne Roy]PER dort", "BIO"),
        ("Jeanne B/PER\nRoy I/PER\ndort O", "[Jeanne Roy]PER dort", "BIO"),
        ("Jeanne B.PER\nRoy I.PER\ndort O\nà O\nBrest B.LOC", "[Jeanne Roy]PER dort à [Brest]LOC", "BIO"),
        ("Jeanne BPER\nRoy IPER\ndort O\nà O\nBrest BLOC", "[Jeanne Roy]PER dort à [Brest]LOC", "BIO"),
        ("un BRAND\ndeux O\ntrois IP", "[un]BRAND deux [trois]IP", "types without a prefix"),
        ("Jeanne I-PER\nRoy E-PER\ndort O", "[Jeanne Roy]PER dort", "IOE2"),
        ("Rien O\nici O", "Rien ici", "CoNLL"),
        ("du B-SUBST\nfer I-SUBST\n1 O", "[du fer]SUBST 1", "BIO"),
    ] {
        assert_eq!(gold("a.conll", content), expected, "{content}");
        assert!(notes("a.conll", content).contains(scheme), "{scheme}: {}", notes("a.conll", content));
    }
    let labels = Options { labels: Some(vec!["O".into(), "B-A".into()]), ..Options::default() };
    assert_eq!(shown(&read_with("a.bio", "un 1\ndeux 0", &labels).expect("named").value), "[un]A deux");
    let beyond = read_with("a.bio", "un 1\ndeux 0\ntrois 2", &labels).expect_err("too few").to_string();
    assert!(
        beyond.contains("a.bio:3: its tag is 2, a number without a name: the option `labels` has 2"),
        "{beyond}"
    );
    assert!(!refused("a.bio", "un 1\ndeux 0").contains("first line"));
    let scheme = |scheme| Options { scheme: Some(scheme), ..Options::default() };
    let bad = read_with("a.bio", "x O\n\ny I-A\n", &scheme(TagScheme::Iob2)).expect_err("no B-").to_string();
    assert!(bad.contains("a.bio:3: the tag `I-A` is not legal there"), "{bad}");
    let io = read_with("a.bio", "x B-12\ny B-12\nz O", &scheme(TagScheme::Io)).expect("literal").value;
    assert_eq!(shown(&io), "[x y]B-12 z");
}

#[test]
fn comments_documents_and_hashtags_are_told_apart() {
    let content =
        "# sent_id = 1\n#Brest B-LOC\n# O\n# text = à O\n# id\ndort O\n\n# newdoc id = deux\nici O\n";
    let read = read_with("a.conll", content, &Options::default()).expect("read").value;
    assert_eq!(shown(&read), "[#Brest]LOC # dort | ici");
    let groups: Vec<_> = read.sets[0].records.iter().map(|record| record.group.as_str()).collect();
    assert_eq!(groups, ["a:1", "a/deux"]);
    let content = "\u{feff}-DOCSTART- -X- O\r\n\r\nun N O\r\n\r\n-DOCSTART- -X- O\r\n\r\nBrest N I-LOC\r\n";
    let read = read_with("a.conll", content, &Options::default()).expect("read").value;
    assert_eq!(shown(&read), "un | [Brest]LOC");
    let groups: Vec<_> = read.sets[0].records.iter().map(|record| record.group.as_str()).collect();
    assert_eq!(groups, ["a/1", "a/2"]);
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
fn strokes_between_word_and_tag_are_read() {
    for content in [
        "Anne|NAM|I-PER Roy|NAM|I-PER dort|VER|O\n\nÀ|PRP|O Brest|NAM|I-LOC",
        "Anne|I-PER Roy|I-PER dort|O\nÀ|O Brest|I-LOC",
        "Anne/B-PER Roy/I-PER dort/O\nÀ/O Brest/B-LOC",
        "Anne|NAM|PER Roy|NAM|PER dort|VER|O\nÀ|PRP|O Brest|NAM|LOC",
    ] {
        assert_eq!(gold("a.txt", content), "[Anne Roy]PER dort | À [Brest]LOC", "{content}");
    }
    let options = Options { columns: Some(Columns { word: 2, tag: -1 }), ..Options::default() };
    let read = read_with("a.txt", "1|un|O 2|deux|B-A", &options).expect("said").value;
    assert_eq!(shown(&read), "un [deux]A");
    assert!(refused("a.txt", "un|O deux|O trois|O quatre|O cinq|B-A six|O sept|O huit|O neuf|O dix|O a|O b|O c|O d|O e|O f|O g|O h|O i|O j|O\nseul")
        .contains("a.txt:2: token 0 has 1 parts"));
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
