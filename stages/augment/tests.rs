use super::*;
use text::corpus::Provenance;

fn record(index: usize, text: &str, words: &[[usize; 2]], tags: &[&str]) -> Record {
    Record {
        id: format!("press-{index}"),
        text: text.to_owned(),
        source: "press".to_owned(),
        group: format!("press-{index}"),
        words: words.to_vec(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        score: vec![1.0; tags.len()],
        provenance: Provenance::Silver { model: "12ab".to_owned() },
    }
}

fn records() -> Vec<Record> {
    vec![
        record(
            0,
            "Il vient d'Angers.",
            &[[0, 2], [3, 8], [9, 11], [11, 17], [17, 18]],
            &["O", "O", "O", "B-LOC", "O"],
        ),
        record(
            1,
            "Anne Roux est de Nantes.",
            &[[0, 4], [5, 9], [10, 13], [14, 16], [17, 23], [23, 24]],
            &["B-PER", "I-PER", "O", "O", "B-LOC", "O"],
        ),
        record(
            2,
            "La CAF a écrit au docteur Petit.",
            &[[0, 2], [3, 6], [7, 8], [9, 14], [15, 17], [18, 25], [26, 31], [31, 32]],
            &["O", "B-ORG", "O", "O", "O", "O", "B-PER", "O"],
        ),
        record(
            3,
            "Rien à dire ce jour.",
            &[[0, 4], [5, 6], [7, 11], [12, 14], [15, 19], [19, 20]],
            &["O"; 6],
        ),
    ]
}

#[test]
fn a_mention_takes_the_place_of_another_of_its_type_and_de_agrees_with_it() {
    let records = records();
    let mentions = Mentions::of(&records);
    assert_eq!(mentions.counts(), json!({"LOC": 2, "ORG": 1, "PER": 2}));
    let mut rng = rng(1, "test");
    assert_eq!(mentions.substituted(&records[0], &mut rng).as_deref(), Some("Il vient de Nantes."));
    assert_eq!(mentions.substituted(&records[1], &mut rng).as_deref(), Some("Petit est d'Angers."));
    assert_eq!(mentions.substituted(&records[3], &mut rng), None, "nothing to change");
    let only = Mentions::of(&records[2..]);
    let same = only.substituted(&records[2], &mut rng).expect("it has entities");
    assert!(same.starts_with("La CAF"), "there is no other: {same}");
}

#[test]
fn capitals_and_small_letters_change_nothing_else() {
    let records = records();
    let mut rng = rng(2, "test");
    let found: BTreeSet<String> = (0..40).filter_map(|_| casing::cased(&records[1], &mut rng)).collect();
    let right = ["ANNE ROUX EST DE NANTES.", "ANNE ROUX est de NANTES.", "anne roux est de nantes."];
    assert_eq!(found, right.map(str::to_owned).into());
}

#[test]
fn a_scan_has_mistakes_and_is_never_the_text_itself() {
    let mut rng = rng(3, "test");
    let text = "Le malade a été adressé au centre hospitalier de Nantes par son médecin.";
    let found: Vec<String> = (0..50).filter_map(|_| ocr::misread(text, &mut rng)).collect();
    assert!(found.len() > 25 && found.iter().all(|found| found != text));
    let length = text.chars().count();
    assert!(found.iter().all(|found| found.chars().count().abs_diff(length) < length / 4), "{found:?}");
}

#[test]
fn whole_words_are_shortened_the_longest_first() {
    let mut rng = rng(4, "test");
    let short = |text: &str, rng: &mut ChaCha8Rng| {
        (0..60).filter_map(|_| shorthand::abbreviated(text, rng)).collect::<BTreeSet<_>>()
    };
    let found = short("Le docteur a vu le patient.", &mut rng);
    assert!(found.contains("Le Dr a vu le pt."), "{found:?}");
    assert!(short("Un patienteur rejoint Saintes.", &mut rng).is_empty(), "parts of words stay");
    let found = short("Mot du médecin traitant", &mut rng);
    assert!(found.contains("Mot du MT"));
}

#[test]
fn words_and_marks_stand_alone() {
    assert_eq!(
        spacing::spaced("Vu le 3/4 (d'Angers).").as_deref(),
        Some("Vu le 3 / 4 ( d' Angers ) ."),
        "as the columns of a gold file are joined"
    );
    assert_eq!(spacing::spaced("Vu ce jour"), None, "nothing to change");
}

#[test]
fn every_frame_of_a_note_can_be_said() {
    let records = records();
    let (notes, mentions) = (notes::Notes::read().expect("frames"), Mentions::of(&records));
    let mut rng = rng(5, "test");
    let said: Vec<String> =
        (0..2000).filter_map(|i| notes.say(&records[i % 4], &mentions, &mut rng)).collect();
    assert!(said.len() > 1900);
    assert!(
        said.iter().all(|text| !text.contains(['{', '}', '[', ']', '^', '<']) && !text.contains('\n')),
        "no slot is left"
    );
    for name in ["ROUX Anne", "A. ROUX", "ANNE ROUX"] {
        assert!(said.iter().any(|text| text.contains(name)), "nobody writes {name}");
    }
}

#[test]
fn a_document_is_many_lines_and_no_longer_than_it_may_be() {
    let records = records();
    let mentions = Mentions::of(&records);
    let mut said = BTreeSet::new();
    let made = make("documents", 60, &records, &mentions, &mut said, &mut rng(7, "test")).expect("frames");
    assert_eq!(made.len(), 60);
    let lengths: Vec<usize> = made.iter().map(|text| text.chars().count()).collect();
    assert!(lengths.iter().all(|length| *length >= 340), "{lengths:?}");
    // Spacing out adds to half of them.
    assert!(lengths.iter().all(|length| *length <= 1500), "{lengths:?}");
    let spaced = made.iter().filter(|text| spacing::spaced(text).is_none());
    assert!((15..=45).contains(&spaced.count()), "every second one");
}

#[test]
fn shares_say_how_many_and_nothing_is_said_twice() {
    let records = records();
    let mentions = Mentions::of(&records);
    let mut said: BTreeSet<String> = records.iter().map(|record| record.text.clone()).collect();
    let mut rng = rng(6, "notes");
    let made = make("notes", 30, &records, &mentions, &mut said, &mut rng).expect("frames");
    assert_eq!(made.len(), 30);
    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), 30);
    let few = make("cased", 500, &records, &mentions, &mut said, &mut rng).expect("frames");
    assert!(!few.is_empty() && few.len() < 15, "records give no more: {}", few.len());
    let nothing = Augment {
        substituted: 0.0,
        cased: 0.0,
        ocr: 0.0,
        abbreviated: 0.0,
        notes: 0.0,
        spaced: 0.0,
        documents: 0.0,
    };
    assert_eq!(nothing.check().expect_err("nothing").at.as_deref(), Some("notes"));
}
