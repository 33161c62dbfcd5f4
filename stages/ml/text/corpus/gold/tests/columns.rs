//! Which column of several is read.

use super::*;

#[test]
fn columns_that_begin_with_a_bracket_are_columns() {
    for first in [
        "[ O",
        "{ O",
        "[\tO",
        "{\tO",
        "[ [ PUN O",
        "{ { PUN O",
        "[\t[\tPUN\tO",
        "[ { PUN O",
        "[ ( PUN O",
        "{ \" PUN O",
        "[ ] PUN O",
    ] {
        let mark = first.trim_end_matches('O');
        let rest = &mark[1..];
        let middle = rest.replace(['[', '{', '(', '"', ']'], "x");
        let content =
            format!("{first}\nAnne{middle}B-PER\nRoy{middle}I-PER\n]{rest}O\n\nBrest{middle}B-LOC\n");
        let word = &first[..1];
        assert_eq!(gold("a.conll", &content), format!("{word} [Anne Roy]PER ] | [Brest]LOC"), "{content}");
        let text = read_text("a.conll", &content);
        assert_eq!(text, [format!("{word} Anne Roy ]"), "Brest".to_owned()], "{content}");
    }
    // JSON that is broken is told as JSON.
    let broken = refused("a.json", "[\n  {\"tokens\": [\"Anne\"],\n   \"ner_tags\": [\"O\"]\n");
    assert!(broken.contains("JSON"), "{broken}");
}

#[test]
fn of_several_columns_of_types_the_first_is_read_and_said_and_another_can_be_said() {
    let coarse = "[Anne]PER va à [Brest]LOC et dort";
    let fine = "[Anne]PERSONNE.FEMME va à [Brest]LIEU.VILLE et dort";
    for (content, form) in [
        (
            "Anne\tPER\tPERSONNE.FEMME\nva\tO\tO\nà\tO\tO\nBrest\tLOC\tLIEU.VILLE\net\tO\tO\ndort\tO\tO",
            "3 columns, word 1, tag 2, the first of 2 columns of types",
        ),
        (
            "Anne NP PER PERSONNE.FEMME\nva VP O O\nà PP O O\nBrest NP LOC LIEU.VILLE\net O O O\ndort VP O O",
            "4 columns, word 1, tag 3, the first of 2 columns of types",
        ),
        (
            "Anne|PER|PERSONNE.FEMME va|O|O à|O|O Brest|LOC|LIEU.VILLE et|O|O dort|O|O",
            "word 1, tag 2, the first of 2 columns of types",
        ),
    ] {
        assert_eq!(gold("a.tsv", content), coarse, "{content}");
        assert!(notes("a.tsv", content).contains(form), "{form}: {}", notes("a.tsv", content));
        let said = Options { columns: Some(Columns { word: 1, tag: -1 }), ..Options::default() };
        assert_eq!(shown(&read_with("a.tsv", content, &said).expect("said").value), fine, "{content}");
    }
}

#[test]
fn columns_of_hipe_are_read_by_their_layers_documents_and_ends_of_sentences() {
    let head = "TOKEN\tNE-COARSE-LIT\tNE-COARSE-METO\tNE-FINE-LIT\tNE-NESTED\tNEL-LIT\tMISC\n";
    let document = |id: &str| {
        format!(
            "# hipe2022:document_id = {id}\n# hipe2022:language = fr\n# hipe2022:applicable_columns = TOKEN NE-COARSE-LIT\n"
        )
    };
    let rows = |end: &str| {
        format!(
            "Anne\tB-pers\tO\tB-pers.ind\tO\tQ1\tNoSpaceAfter\n.\tO\tO\tO\tO\t_\tEndOfLine|{end}\nÀ\tO\tO\tO\tO\t_\t_\n\
             MM\tB-pers\tO\tO\tO\t_\t_\n.\tI-pers\tO\tO\tO\t_\t{end}\nRoy\tI-pers\tO\tO\tO\t_\t_\nvit\t_\t_\t_\t_\t_\t{end}\n"
        )
    };
    for (end, between) in [("EndOfSentence", "\n"), ("EndOfSentence", ""), ("PySBDSegment", "\n")] {
        let content = [head, &document("d-1"), &rows(end), between, &document("d-2"), &rows(end)].concat();
        let one = "[Anne]pers . | À [MM . Roy]pers vit";
        let read = read_with("a.tsv", &content, &Options::default()).expect("read");
        assert_eq!(shown(&read.value), format!("{one} | {one}"), "{content}");
        let groups: Vec<_> = read.value.sets[0].records.iter().map(|record| record.group.as_str()).collect();
        assert_eq!(groups, ["a/d-1", "a/d-1", "a/d-2", "a/d-2"]);
        let said = read.notes.join("\n");
        assert!(
            said.contains(&format!("tag 2, by the first line, sentences by `{end}` in column 7")),
            "{said}"
        );
        assert!(said.contains("2 ends of sentences lie inside of entities"), "{said}");
    }
    let bare = [head, "# document_id = d\nAnne\tB-pers\tO\tO\tO\tQ1\t_\nva\t_\tO\tO\tO\t_\t_\n"].concat();
    assert_eq!(gold("a.tsv", &bare), "[Anne]pers va");
    let fine = [head, "Anne\t_\t_\tB-pers.ind\tO\tQ1\t_\nva\t_\t_\tO\tO\t_\t_\n"].concat();
    assert_eq!(gold("a.tsv", &fine), "[Anne]pers.ind va", "the first layer that is annotated");
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
