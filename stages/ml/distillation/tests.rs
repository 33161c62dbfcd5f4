use burn::module::Param;

use super::*;
use crate::ml::{
    corpus::{Provenance, Record},
    fixture::{model, teacher_labels},
    infer::encode,
    labels::Labels,
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
    let (q, _) = distillation.teach(&batch, false);
    let row = |word: usize| &q[word * 7..][..7];
    assert!(row(1)[0] > 0.99, "what is not there is O: {q:?}");
    assert!(row(2)[1] > 0.99, "and so Anna is B-PER: {q:?}");
}
