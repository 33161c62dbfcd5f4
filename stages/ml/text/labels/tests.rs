//! Labels as models have them, and what cannot be.

use super::*;

fn names(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn found(text: &str, scheme: Scheme) -> Vec<(usize, usize, String)> {
    spans(&names(text), scheme).into_iter().map(|s| (s.start, s.end, s.kind)).collect()
}

fn span(start: usize, end: usize, kind: &str) -> (usize, usize, String) {
    (start, end, kind.to_owned())
}

#[test]
fn the_students_labels_are_in_the_order_of_the_format() {
    let seven = Labels::bio(["PER", "LOC", "ORG"]);
    assert_eq!(seven.names(), names("O B-PER I-PER B-LOC I-LOC B-ORG I-ORG"));
    assert_eq!(seven.tags()[3], Tag::Begin(1));
    assert_eq!(seven.scheme(), Scheme::Bio);
    assert_eq!(Labels::parse(seven.names()).expect("its own names"), seven);
}

#[test]
fn a_student_without_labels_that_begin_has_one_for_each_type() {
    let four = Labels::io(["PER", "LOC", "ORG"]);
    assert_eq!(four.names(), names("O I-PER I-LOC I-ORG"));
    assert_eq!(four.scheme(), Scheme::Io);
    assert_eq!(Labels::parse(four.names()).expect("its own names"), four);
    let columns =
        |labels: &Labels| ["O", "B-LOC", "I-LOC", "B-DATE", "LOC"].map(|tag| labels.column_of_tag(tag));
    assert_eq!(columns(&four), [Some(0), Some(2), Some(2), None, None]);
    assert_eq!(columns(&Labels::bio(["PER", "LOC"])), [Some(0), Some(3), Some(4), None, None]);
}

#[test]
fn the_teachers_five_labels_are_io_whatever_their_order() {
    let labels = Labels::parse(&names("I-LOC O I-PER I-MISC I-ORG")).expect("camembert-ner's labels");
    assert_eq!(labels.scheme(), Scheme::Io);
    assert_eq!(labels.outside(), 1);
    assert_eq!(labels.types(), names("LOC PER MISC ORG"));
    assert_eq!(labels.tags(), [Tag::Inside(0), Tag::Outside, Tag::Inside(1), Tag::Inside(2), Tag::Inside(3)]);
    assert_eq!(labels.column("I-ORG"), Some(4));
    assert_eq!(labels.type_index("MISC"), Some(2));
    assert!((0..5).all(|to| labels.legal(None, to)));
}

#[test]
fn names_that_mean_nothing_are_refused() {
    for (set, reason) in [
        ("LABEL_0 LABEL_1", "has no name of its own"),
        ("I-PER I-LOC", "`O` is missing"),
        ("PER LOC", "`O` is missing"),
        ("O", "no entity type"),
        ("O I-PER I-per", "mean the same"),
        ("O I-PER B-LOC X", "`X` has no prefix"),
        ("O B-PER I-PER [CLS]", "`[CLS]` has no prefix"),
        ("O PER I-", "`I-` names no type"),
        ("O PER _B", "`_B` names no type"),
        ("O B-PER I-PER B", "`B` names no type"),
        ("O B I", "`B`, `I` name no type"),
        ("o b i", "`b`, `i` name no type"),
        ("O B", "`B` names no type"),
        ("O S B E M", "`S`, `B`, `E`, `M` name no type"),
        ("OTHER B- I-", "`B-`, `I-` name no type"),
        ("O B-Per I-per", "`B-Per` and `I-per` write one type in two ways"),
        ("O LOC-B PER-B LOC-I Per-I", "`PER-B` and `Per-I` write one type in two ways"),
        ("O S-loc E-LOC B-loc", "`S-loc` and `E-LOC` write one type in two ways"),
        ("O Per PER", "mean the same"),
    ] {
        let error = Labels::parse(&names(set)).expect_err(set);
        assert!(error.to_string().contains(reason) && error.advice().is_some(), "{set}: {error}");
    }
    for (set, way_out) in
        [("O B I", "such as `B-PER`"), ("o b_ i_", "such as `b-PER`"), ("RIEN PER", "in place of the name")]
    {
        let error = Labels::parse(&names(set)).expect_err(set);
        assert!(error.advice().is_some_and(|help| help.contains(way_out)), "{set}: {:?}", error.advice());
    }
    let error = Labels::parse(&names("LABEL_0 LABEL_1 LABEL_2 LABEL_3")).expect_err("no names");
    let line = r#""id2label": {"0": "O", "1": "B-PER", "2": "I-PER", "3": ".."}"#;
    assert!(error.advice().is_some_and(|help| help.ends_with(line)), "{:?}", error.advice());
}

#[test]
fn every_habit_of_writing_labels_is_understood() {
    use Tag::{Begin, Inside, Outside};
    for (set, scheme, types, tags) in [
        ("O LOC PER", Scheme::Io, "LOC PER", vec![Outside, Inside(0), Inside(1)]),
        ("O I-PERSON I-GPE_LOC", Scheme::Io, "PERSON GPE_LOC", vec![Outside, Inside(0), Inside(1)]),
        ("B-O B-LOC B-PER", Scheme::Io, "LOC PER", vec![Outside, Inside(0), Inside(1)]),
        ("O B-LOC B-PER", Scheme::Io, "LOC PER", vec![Outside, Inside(0), Inside(1)]),
        ("O E-MAIL PHONE", Scheme::Io, "E-MAIL PHONE", vec![Outside, Inside(0), Inside(1)]),
        ("O B-A I-A E-A S-A", Scheme::Bio, "A", vec![Outside, Begin(0), Inside(0), Inside(0), Begin(0)]),
        ("B-A I-A L-A U-A O", Scheme::Bio, "A", vec![Begin(0), Inside(0), Inside(0), Begin(0), Outside]),
        ("O I-A E-A", Scheme::Io, "A", vec![Outside, Inside(0), Inside(0)]),
        // Types of one word each beside others, and a type that never says where it begins.
        ("O B-A I-A B-B", Scheme::Bio, "A B", vec![Outside, Begin(0), Inside(0), Begin(1)]),
        ("O B-A I-A I-B", Scheme::Bio, "A B", vec![Outside, Begin(0), Inside(0), Inside(1)]),
        (
            "O b-per i-per b-loc i-loc",
            Scheme::Bio,
            "per loc",
            vec![Outside, Begin(0), Inside(0), Begin(1), Inside(1)],
        ),
        ("O B_PER I_PER", Scheme::Bio, "PER", vec![Outside, Begin(0), Inside(0)]),
        ("O PER-B PER-I", Scheme::Bio, "PER", vec![Outside, Begin(0), Inside(0)]),
        ("O B-A M-A E-A S-A", Scheme::Bio, "A", vec![Outside, Begin(0), Inside(0), Inside(0), Begin(0)]),
        ("O HEPATITIS-B FLU", Scheme::Io, "HEPATITIS-B FLU", vec![Outside, Inside(0), Inside(1)]),
        ("O O B-A I-A", Scheme::Bio, "A", vec![Outside, Outside, Begin(0), Inside(0)]),
    ] {
        let labels = Labels::parse(&names(set)).expect(set);
        assert_eq!((labels.scheme(), labels.types().join(" ")), (scheme, types.to_owned()), "{set}");
        assert_eq!(labels.tags(), tags, "{set}");
    }
    let labels = Labels::parse(&names("O B-A I-A E-A S-A I-B")).expect("BIOES");
    assert_eq!((labels.column_of("A", true), labels.column_of("A", false)), (Some(1), Some(2)));
    assert_eq!((labels.column_of("B", true), labels.column_of("C", true)), (Some(5), None));
    assert!(labels.marks_begin(0) && !labels.marks_begin(1));
}

#[test]
fn what_marks_no_entity_may_have_any_usual_name() {
    use Tag::{Begin, Inside, Outside};
    for (set, types, tags) in [
        ("o b-loc i-loc", "loc", vec![Outside, Begin(0), Inside(0)]),
        ("o B-LOC I-LOC", "LOC", vec![Outside, Begin(0), Inside(0)]),
        ("OTHER LOC PER", "LOC PER", vec![Outside, Inside(0), Inside(1)]),
        ("LOC outside PER", "LOC PER", vec![Inside(0), Outside, Inside(1)]),
        ("0 LOC PER", "LOC PER", vec![Outside, Inside(0), Inside(1)]),
        ("NONE I-LOC I-PER", "LOC PER", vec![Outside, Inside(0), Inside(1)]),
        ("B_LOC I_LOC no-entity", "LOC", vec![Begin(0), Inside(0), Outside]),
        ("_ BLOC ILOC", "LOC", vec![Outside, Begin(0), Inside(0)]),
        // With an O the other names are types.
        ("O OTHER LOC", "OTHER LOC", vec![Outside, Inside(0), Inside(1)]),
        ("B-O I-O B-OTHER I-OTHER", "OTHER", vec![Outside, Outside, Begin(0), Inside(0)]),
        ("0 OTHER LOC", "OTHER LOC", vec![Outside, Inside(0), Inside(1)]),
    ] {
        let labels = Labels::parse(&names(set)).expect(set);
        assert_eq!((labels.types().join(" "), labels.tags()), (types.to_owned(), &tags[..]), "{set}");
        assert_eq!(labels.names(), names(set), "config.json keeps them");
    }
    let error = Labels::parse(&names("OTHER NONE B-LOC")).expect_err("which of the two?");
    assert!(error.to_string().contains("`NONE` has no prefix"), "{error}");
}

#[test]
fn a_blank_in_a_type_is_an_underscore_as_in_gold() {
    let set = ["O", "B-Body part", "I-Body  part", "B-é à", " I-é à\t", "B-ORG", "I-ORG "].map(str::to_owned);
    let labels = Labels::parse(&set).expect("labels");
    assert_eq!(labels.types(), ["Body_part", "é_à", "ORG"]);
    assert_eq!(labels.scheme(), Scheme::Bio);
    assert_eq!(labels.names(), set, "config.json keeps them");
    let plain = Labels::parse(&["O", "Body part", "Age"].map(str::to_owned)).expect("labels");
    assert_eq!(plain.types(), ["Body_part", "Age"]);
    for set in [["O", "Body part", "Body_part"], ["O", "ORG", "org "]] {
        let error = Labels::parse(&set.map(str::to_owned)).expect_err("one type").to_string();
        assert!(error.contains("mean the same"), "{error}");
    }
    let error = Labels::parse(&["O", "PER", " "].map(str::to_owned)).expect_err("no name").to_string();
    assert!(error.contains("names no type"), "{error}");
}

#[test]
fn nothing_goes_on_behind_an_end_or_a_single_word() {
    for (set, ends) in [
        ("O I-A E-A", "E-A"),
        ("O B-A I-A E-A S-A", "E-A S-A"),
        ("B-A I-A L-A U-A O", "L-A U-A"),
        ("O b_a m_a e_a w_a", "e_a w_a"),
        ("O A-B A-I A-E", "A-E"),
        ("O B-A I-A", ""),
        // A type, and no end.
        ("O E-MAIL PHONE", ""),
    ] {
        let labels = parse(set);
        let found =
            (0..labels.len()).filter(|column| labels.ends(*column)).map(|column| &*labels.names()[column]);
        assert_eq!(found.collect::<Vec<_>>().join(" "), ends, "{set}");
    }
    let renamed = parse("O I-A E-A").renamed(&types(&[("A", "C")])).expect("renamed");
    assert!(renamed.ends(2) && !renamed.ends(1));
}

#[test]
fn in_bio_an_inside_follows_only_its_own_type() {
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let at = |name| labels.column(name).expect("a label of the student");
    assert!(!labels.legal(None, at("I-PER")));
    assert!(!labels.legal(Some(at("O")), at("I-PER")));
    assert!(!labels.legal(Some(at("I-LOC")), at("I-PER")));
    assert!(labels.legal(Some(at("B-PER")), at("I-PER")));
    assert!(labels.legal(Some(at("I-PER")), at("I-PER")));
    assert!(labels.legal(Some(at("I-PER")), at("B-PER")));
    assert!(labels.legal(None, at("O")));
}

#[test]
fn bio_is_read_as_strictly_as_seqeval_reads_it() {
    assert_eq!(found("B-PER I-PER O B-LOC", Scheme::Bio), [span(0, 2, "PER"), span(3, 4, "LOC")]);
    assert_eq!(found("I-PER I-PER O", Scheme::Bio), []);
    assert_eq!(found("B-PER I-LOC I-LOC", Scheme::Bio), [span(0, 1, "PER")]);
    assert_eq!(found("B-PER I-LOC I-PER", Scheme::Bio), [span(0, 1, "PER")]);
    assert_eq!(found("B-PER B-PER I-PER", Scheme::Bio), [span(0, 1, "PER"), span(1, 3, "PER")]);
    assert_eq!(found("O I-ORG B-ORG", Scheme::Bio), [span(2, 3, "ORG")]);
    assert_eq!(found("B-PER O I-PER", Scheme::Bio), [span(0, 1, "PER")]);
    assert_eq!(spans::<&str>(&[], Scheme::Bio), []);
}

#[test]
fn io_joins_adjacent_words_of_one_type() {
    assert_eq!(
        found("I-PER I-PER I-LOC O I-LOC", Scheme::Io),
        [span(0, 2, "PER"), span(2, 3, "LOC"), span(4, 5, "LOC")]
    );
    assert_eq!(found("B-PER B-PER", Scheme::Io), [span(0, 2, "PER")]);
}

fn parse(text: &str) -> Labels {
    Labels::parse(&names(text)).expect("labels")
}

fn types(pairs: &[(&str, &str)]) -> Types {
    pairs.iter().copied().collect()
}

#[test]
fn types_are_renamed_joined_and_left_out() {
    let teacher = parse("O I-LOC I-PERSON I-MISC I-ORG I-COMPANY I-DATE");
    let renamed = teacher
        .renamed(&types(&[("PERSON", "PER"), ("COMPANY", "ORG"), ("MISC", "outside"), ("DATE", "ignore")]))
        .expect("renamed");
    assert_eq!(renamed.types(), ["LOC", "PER", "MISC", "ORG", "DATE"]);
    assert_eq!(renamed.types_to(Policy::Learn).collect::<Vec<_>>(), ["LOC", "PER", "ORG"]);
    assert_eq!(renamed.types_to(Policy::Outside).collect::<Vec<_>>(), ["MISC"]);
    assert_eq!(renamed.types_to(Policy::Ignore).collect::<Vec<_>>(), ["DATE"]);
    assert_eq!(renamed.tags()[4..6], [Tag::Inside(3), Tag::Inside(3)], "two columns of one type");
    assert_eq!(renamed.names(), teacher.names(), "the columns are the model's");
    assert_eq!(teacher.renamed(&Types::default()).expect("as it was"), teacher);
}

#[test]
fn types_that_cannot_be_are_refused() {
    let teacher = parse("O B-PER I-PER B-LOC I-LOC");
    for (wrong, reason, way_out) in [
        (vec![("DATE", "outside")], "names DATE, which the model does not have", "PER, LOC"),
        (vec![("PER", "a b")], "tags have no blanks", "`a_b`"),
        (vec![("PER", "O")], "no name of a type", "`outside`"),
        (vec![("PER", "-")], "no name of a type", "`outside`"),
        (vec![("PER", "")], "no name of a type", "`outside`"),
        (vec![("PER", "None")], "no name of a type", "`outside`"),
        (vec![("PER", "outsid")], "almost `outside`", "did you mean `outside`?"),
        (vec![("PER", "Outside")], "almost `outside`", "did you mean `outside`?"),
        (vec![("PER", "outside ")], "almost `outside`", "did you mean `outside`?"),
        (vec![("PER", "otuside")], "almost `outside`", "did you mean `outside`?"),
        (vec![("PER", "IGNORE")], "almost `ignore`", "did you mean `ignore`?"),
        (vec![("PER", "ignored")], "almost `ignore`", "did you mean `ignore`?"),
        (vec![("PER", "B-PER")], "a label and no name", "write `PER`"),
        (vec![("PER", "b-PERSON")], "a label and no name", "write `PERSON`"),
        (vec![("PER", "I-DATE")], "a label and no name", "write `DATE`"),
        (vec![("PER", "E-PER")], "a label and no name", "write `PER`"),
        (vec![("PER", "I_loc")], "a label and no name", "write `loc`"),
        (vec![("PER", "LOC-B")], "a label and no name", "write `LOC`"),
        (vec![("PER", "B-")], "a prefix without a type", "name of a type"),
        (vec![("PER", "I")], "a prefix without a type", "name of a type"),
        (vec![("PER", "loc")], "calls PER `loc`, which differs from LOC in letter case only", "write `LOC`"),
        (vec![("PER", "x"), ("LOC", "X")], "in letter case only", "another name"),
        (vec![("PER", "LOC"), ("LOC", "outside")], "calls PER `LOC`, but LOC is not learned", "another name"),
        (vec![("PER", "Loc"), ("LOC", "ignore")], "calls PER `Loc`, but LOC is not learned", "another name"),
        (vec![("PER", "outside"), ("LOC", "ignore")], "no type to learn", "keep one of"),
    ] {
        let error = teacher.renamed(&types(&wrong)).expect_err(reason);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        assert!(error.advice().is_some_and(|help| help.contains(way_out)), "{way_out}: {:?}", error.advice());
    }
    for good in [
        vec![("PER", "E-MAIL")],
        vec![("PER", "per"), ("LOC", "Loc")],
        vec![("PER", "LOC"), ("LOC", "LOC")],
        vec![("PER", "OTHER"), ("LOC", "ignore")],
        vec![("PER", "LOC"), ("LOC", "PER")],
    ] {
        assert!(teacher.renamed(&types(&good)).is_ok(), "{good:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
#[test]
fn labels_are_read_in_time_that_grows_with_their_number_and_too_many_are_refused() {
    let many = |count: usize| -> Vec<String> {
        ["O".to_owned()].into_iter().chain((1..count).map(|kind| format!("I-T{kind}"))).collect()
    };
    let begun = std::time::Instant::now();
    assert_eq!(Labels::parse(&many(10_000)).expect("as many as may be").types().len(), 9_999);
    for names in [many(1_000_000), vec!["LABEL_1".to_owned(); 9_000], vec![" ".to_owned(); 9_000]] {
        let error = Labels::parse(&names).expect_err("too many, or nameless");
        assert!(
            error.to_string().len() < 500 && error.advice().is_some_and(|help| help.len() < 500),
            "{error}"
        );
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}
