//! What is taught of the sub-words that no word is read off.

use super::*;
use crate::params::Subwords;
use encoder::decode::softmax;

/// `▁Anna` `s`, and `▁` between it and a word that is one letter.
fn annas(id: &str, tags: [&str; 2]) -> Record {
    Record {
        text: "Annas b".into(),
        words: vec![[0, 5], [6, 7]],
        ..record(id, &tags, Provenance::Silver { model: "12ab".into() })
    }
}

fn of_pieces(
    student: &Model,
    teacher: &Model,
    record: &Record,
    subwords: Subwords,
) -> crate::targets::Pieces {
    let training = Training { subwords, ..Training::default() };
    let case = Case::new(student, teacher, std::slice::from_ref(record), training);
    let batch = Batch::pack(&case.train.encoded, &[0]);
    case.with(|distillation| distillation.targets(&batch, case.train.as_taught(&[0]).as_ref()).pieces)
}

#[test]
fn they_go_on_with_the_entity_of_their_word_and_what_stands_before_a_word_begins_none() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let column = |name: &str| student.config.labels.column(name).expect("a label");
    for (tags, right) in [
        (["B-PER", "O"], ["I-PER", "O"]),
        (["O", "B-LOC"], ["O", "O"]),
        (["B-PER", "I-PER"], ["I-PER", "I-PER"]),
        (["B-PER", "B-PER"], ["I-PER", "O"]),
    ] {
        let pieces = of_pieces(&student, &teacher, &annas("a-1", tags), Subwords::All);
        // `<s>` `▁Anna` `s` `▁` `b` `</s>`
        assert_eq!((pieces.rows, pieces.tags), (vec![2, 3], right.map(column).to_vec()), "{tags:?}");
        assert_eq!(
            (pieces.soft, pieces.said),
            (vec![0], vec![0]),
            "the teacher says what goes on, not what begins"
        );
    }
    let none = of_pieces(&student, &teacher, &annas("a-1", ["B-PER", "O"]), Subwords::First);
    assert_eq!(none, crate::targets::Pieces::default());
}

#[test]
fn without_labels_that_begin_neighbours_of_one_type_are_one_entity_sub_words_between_them_too() {
    let (teacher, student) = (model(teachers("outside"), &[]), model(Labels::io(["PER", "LOC", "ORG"]), &[]));
    let column = |name: &str| student.config.labels.column(name).expect("a label");
    for (tags, right) in [
        (["B-PER", "O"], ["I-PER", "O"]),
        (["O", "B-LOC"], ["O", "O"]),
        (["B-PER", "I-PER"], ["I-PER", "I-PER"]),
        (["B-PER", "B-PER"], ["I-PER", "I-PER"]),
        (["B-PER", "B-LOC"], ["I-PER", "O"]),
    ] {
        let pieces = of_pieces(&student, &teacher, &annas("a-1", tags), Subwords::All);
        assert_eq!((pieces.rows, pieces.tags), (vec![2, 3], right.map(column).to_vec()), "{tags:?}");
    }
}

#[test]
fn a_student_of_other_pieces_learns_them_from_tags_alone() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let letters = student.tokenizer.trim(&[], student.config.vocab - 4).expect("trimmed");
    let (mut config, mut weights) = (student.config.clone(), student.network.weights(&student.config));
    trim::cut(&mut config, &mut weights, &letters);
    let network = Network::from_weights(&config, weights, &Device::flex()).expect("shapes follow");
    let spelt = Model { config, network, tokenizer: letters.tokenizer };
    let pieces = of_pieces(&spelt, &teacher, &annas("a-1", ["B-PER", "O"]), Subwords::All);
    let inside = student.config.labels.column("I-PER").expect("a label");
    // The word is read at the `▁` that its first letter has before it; the one between the words leads.
    assert_eq!(pieces.tags, [inside, inside, inside, inside, inside, 0]);
    assert_eq!(pieces.soft, Vec::<u32>::new());
}

#[test]
fn a_word_costs_what_it_does_alone_and_its_further_sub_words_besides() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let records = [annas("a-1", ["B-PER", "O"])];
    let terms = |subwords: Subwords| {
        let training = Training { subwords, ..Training::default() };
        Case::new(&student, &teacher, &records, training).terms()
    };
    let (first, all) = (terms(Subwords::First), terms(Subwords::All));
    // The fixture takes every letter for O.
    let encoded = encode(&student, [("Annas b", &[[0, 5], [6, 7]][..])]).expect("sub-words");
    let inputs = Inputs::new(&Batch::pack(&encoded, &[0]), &student.config, &Device::flex());
    let logits = host(student.network.forward(&inputs, &[]).logits);
    let cost = |row: usize, label: &str| {
        let column = student.config.labels.column(label).expect("a label");
        -softmax(&logits[row * 7..][..7], 1.0)[column].ln()
    };
    let more = f64::midpoint(cost(2, "I-PER"), cost(3, "O"));
    let near = |found: f32, right: f64| (f64::from(found) - right).abs() < 1e-5;
    assert_eq!((first[0].0, all[0].0), ("ce", "ce"));
    assert!(near(all[0].1, f64::from(first[0].1) + more), "{first:?} {all:?} {more}");
    assert!(all[1].1 > first[1].1, "the teacher says O of `s` for certain, and the student less so");
    assert_eq!(first[2..], all[2..], "hidden states and CRF are of words");
}

#[test]
fn what_a_file_says_of_them_costs_what_the_teachers_own_word_costs() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &["PER"]));
    let root = tempfile::tempdir().expect("a folder");
    let folder = ModelFolder::at(root.path().join("teacher"));
    teacher.save(&folder.path).expect("saved");
    let records = [annas("a-1", ["B-PER", "O"]), annas("a-2", ["B-PER", "I-PER"])];
    let case = || Case {
        weights: Weights::of(&[("ce", 1.0), ("kd", 1.0)]),
        ..Case::new(&student, &teacher, &records, Training::default())
    };
    let live = case().terms();
    let texts = case().train.as_teacher().to_vec();
    let said = word_logits(&teacher, &texts, 100, &Device::flex(), None).expect("finite");
    let array = |said: WordLogits| {
        let values = [said.values, said.continuations].concat();
        Array { shape: vec![values.len() / 5, 5], values }
    };
    let origin =
        Origin { teacher: folder.digest().expect("weights"), labels: teacher.config.labels.names().to_vec() };
    let named = records.iter().zip(said).map(|(record, said)| (record.id.clone(), array(said)));
    let logits = Logits { origin, texts: named.collect() };
    let mut recalled = case();
    recalled.train.recall(Some(logits), &folder, &teacher, &Device::flex()).expect("all there");
    for terms in [recalled.terms(), elsewhere(|| case().terms()), elsewhere(|| recalled.terms())] {
        assert_eq!(terms.len(), live.len());
        let near = live.iter().zip(&terms).all(|(live, found)| (live.1 - found.1).abs() < 1e-5);
        assert!(near, "{live:?} {terms:?}");
    }
}
