use burn::{
    module::{Module, Param},
    tensor::TensorData,
};

use super::*;
use crate::ml::{
    corpus::{Corpus, Gold, Provenance, Record},
    fixture::{model, teacher_labels},
    infer::encode,
    labels::Labels,
    trim,
};

fn record(id: &str, tags: &[&str], provenance: Provenance) -> Record {
    Record {
        id: id.into(),
        text: "Anna Anna".into(),
        source: "a".into(),
        group: id.into(),
        words: vec![[0, 4], [5, 9]],
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        score: vec![1.0; 2],
        provenance,
    }
}

#[test]
fn gold_that_joins_training_is_not_the_teachers_word() {
    let silver = record("a-1", &["B-PER", "B-MISC"], Provenance::Silver { model: "12ab".into() });
    let gold = record("g:1", &["B-PER", "B-PER"], Provenance::Gold);
    let training = Training { misc: Misc::Ignore, ..Training::default() };
    let student = model(Labels::student(false), &[]);
    let examples = Examples::new(&student, &[&silver, &gold], &training).expect("known tags");
    assert_eq!(examples.annotations(), [&[Some(1), None]]);
}

#[test]
fn a_word_after_one_that_no_piece_covers_begins_its_entity() {
    let device = Device::flex();
    let (mut teacher, student) = (model(teacher_labels(), &[]), model(Labels::student(false), &[]));
    // Of everything, `<s>` too, it says PER.
    let bias = Tensor::from_data(TensorData::from([0.0_f32, 0.0, 90.0, 0.0, 0.0]), &device);
    teacher.network.head.bias = Some(Param::from_tensor(bias));
    let training = Training::default();
    let none = Examples::new(&student, &[], &training).expect("nothing to read");
    let distillation = Distillation {
        teacher: &teacher,
        student: &student,
        train: &none,
        dev: &none,
        training: &training,
        weights: &|_| [1.0; 4],
        pairs: &[],
        transitions: &losses::bigram(&student.config.labels, &[]),
        device: &device,
    };
    // No piece reaches the second word, for there is nothing of it.
    let encoded = encode(&student, [("Anna Anna", &[[0, 4], [4, 4], [5, 9]][..])]).expect("sub-words");
    let batch = Batch::pack(&encoded, &[0]);
    assert_eq!(batch.covered, [true, false, true]);
    let (logits, _) = distillation.teach(&batch, false);
    let (from, to) = (&teacher.config.labels, &student.config.labels);
    let q = losses::project(from, to, &logits, &batch.texts, 2.5, Misc::Outside).q;
    let row = |word: usize| &q[word * 7..][..7];
    assert!(row(1)[0] > 0.99, "what is not there is O: {q:?}");
    assert!(row(2)[1] > 0.99, "and so Anna is B-PER: {q:?}");
}

/// The terms of one batch of both texts, with all four losses.
fn losses_of(student: &Model, teacher: &Model, records: &[Record]) -> Vec<f32> {
    let device = Device::flex();
    let corpus = Corpus { records: records.to_vec() };
    let training = Training::default();
    let [train, dev] = Examples::pair(student, teacher, [&corpus, &corpus], &Gold::default(), &training)
        .expect("known tags");
    let distillation = Distillation {
        teacher,
        student,
        train: &train,
        dev: &dev,
        training: &training,
        weights: &|_| [1.0; 4],
        pairs: &[(1, 1)],
        transitions: &losses::bigram(&student.config.labels, &train.annotations()),
        device: &device,
    };
    let members: Vec<usize> = (0..train.len()).collect();
    let network = student.network.clone().train();
    let terms = distillation.terms(&network, &members, 1).expect("a batch");
    terms.iter().map(|term| term.loss.clone().into_scalar::<f32>()).collect()
}

#[test]
fn a_student_of_fewer_pieces_learns_the_same_from_words_that_kept_theirs() {
    let (teacher, student) = (model(teacher_labels(), &[]), model(Labels::student(false), &[]));
    let record = record("a-1", &["B-PER", "B-PER"], Provenance::Silver { model: "12ab".into() });
    let usage = trim::Usage::of(&student.tokenizer, &[record.text.as_str()]).expect("counted");
    let trimmed = trim::trim(&student.tokenizer, &usage.pieces, student.config.vocab - 3).expect("trimmed");
    let (mut config, mut weights) = (student.config.clone(), student.network.weights(&student.config));
    trim::cut(&mut config, &mut weights, &trimmed);
    let network = Network::from_weights(&config, weights, &Device::flex()).expect("shapes follow");
    let small = Model { config, network, tokenizer: trimmed.tokenizer };

    let records = [record.clone(), record];
    let (whole, less) = (losses_of(&student, &teacher, &records), losses_of(&small, &teacher, &records));
    assert_eq!(whole.len(), 5);
    assert!(whole.iter().zip(&less).all(|(a, b)| (a - b).abs() < 1e-6), "{whole:?} {less:?}");

    // Letter by letter it reads the same words; each learns at its first letter from the teacher's one piece.
    let letters = trim::trim(&student.tokenizer, &[], student.config.vocab - 4).expect("trimmed");
    let (mut config, mut weights) = (student.config.clone(), student.network.weights(&student.config));
    trim::cut(&mut config, &mut weights, &letters);
    let network = Network::from_weights(&config, weights, &Device::flex()).expect("shapes follow");
    let spelt = losses_of(&Model { config, network, tokenizer: letters.tokenizer }, &teacher, &records);
    assert_eq!(spelt.len(), 5);
    assert!(spelt.iter().all(|loss| loss.is_finite()) && (spelt[1] - whole[1]).abs() > 1e-3, "{spelt:?}");
}
