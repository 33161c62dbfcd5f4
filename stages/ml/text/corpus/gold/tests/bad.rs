//! What is said of bad records.

use super::*;

#[test]
fn to_leave_bad_records_out_is_offered_only_where_each_set_keeps_a_sentence() {
    let folder = folder(&[("a.bio", "un O\ndeux\n\ntrois O\n"), ("b.bio", "un O\ndeux\n\nquatre\n")]);
    let help = |name: &str| {
        let error = Gold::load(&folder.path().join(name)).expect_err("bad");
        error.advice().unwrap_or_default().to_owned()
    };
    assert!(help("a.bio").contains("`errors = 1`"));
    for name in ["b.bio", ""] {
        assert!(!help(name).contains("`errors") && help(name).contains("correct them"), "{}", help(name));
    }
}

#[test]
fn a_bad_line_is_named_with_its_tag_and_never_its_word() {
    for (content, parts) in [
        ("Morel B-PER\ndort o", &["a.bio:2: the tag `o` is neither O nor"][..]),
        ("Morel B-PER\nMorel PERSONNE\n", &["a.bio:2: its tag is neither"]),
        ("un O\ndeux B-A\ntrois X-A\nquatre O", &["a.bio:3: the tag `X-A`"]),
        ("un O\ndeux", &["a.bio:2: a word without a tag"]),
        ("un\tO\ndeux\tO\ntrois\tB-A\t\tO", &["a.bio:3: 4 columns where other lines have 2"]),
        ("un 3\ndeux O\ntrois O", &["a.bio:1: its tags are numbers without names"]),
        ("un 1\ndeux 0", &["a.bio:1: its tags are numbers without names", "`labels = "]),
        (
            "un O\n\ndeux\n\ntrois O\n\nB-A\nquatre O",
            &["2 bad records", "a.bio:3: a word", "a.bio:7: a word", "`errors = 2`"],
        ),
    ] {
        let said = refused("a.bio", content);
        assert!(
            parts.iter().all(|part| said.contains(part))
                && !said.contains("Morel")
                && !said.contains("PERSONNE"),
            "{said}"
        );
    }
    let options = Options { errors: 1, ..Options::default() };
    let read = read_with("a.bio", "un O\ndeux\n\ntrois O\n", &options).expect("one is left out");
    assert_eq!(shown(&read.value), "trois");
    assert!(
        read.notes.iter().any(|note| note.contains("a.bio:2: a word without a tag: left out")),
        "{:?}",
        read.notes
    );
}
