mod elsewhere;
mod pieces;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use burn::{
    module::{Module, Param},
    optim::GradientsParams,
    tensor::Device,
};

use stage_contract::testing::context;

use super::*;
use crate::{
    crf::transitions::{Transitions, bigram},
    losses::LOSSES,
    params::{CrfTeacher, Training},
    projection, soft,
};
use encoder::{
    arch::post_norm::QUERY,
    infer::{WordLogits, encode, word_logits},
    logits::{Logits, Origin},
    model::ModelFolder,
    testing::{
        elsewhere,
        fixture::{model, teacher_labels},
        shut,
    },
    trim,
    weights::Array,
};
use text::{
    corpus::{Corpus, Gold, GoldSet, Provenance, Record},
    labels::Labels,
};
use train::{
    checkpoint::State,
    gradient::backward,
    history::Step,
    ledger::{Ledger, Part},
    optimizer::Norm,
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

/// The teacher's labels, of which MISC is called so.
fn teachers(misc: &str) -> Labels {
    teacher_labels().renamed(&[("MISC", misc)].into_iter().collect()).expect("it has MISC")
}

#[test]
fn gold_that_joins_training_is_not_the_teachers_word() {
    let silver = record("a-1", &["B-PER", "B-MISC"], Provenance::Silver { model: "12ab".into() });
    let gold = record("g:1", &["B-PER", "B-PER"], Provenance::Gold);
    let teacher = teachers("ignore");
    let student = model(Labels::bio(["PER", "LOC", "ORG"]), &[]);
    let examples =
        Examples::new(&student, &[&silver, &gold], &teacher, &Training::default()).expect("known tags");
    assert_eq!(examples.annotations(), [&[Some(1), None]]);
}

#[test]
fn a_word_after_one_that_no_piece_covers_begins_its_entity() {
    let device = Device::flex();
    let (mut teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    // Of everything, `<s>` too, it says PER.
    let bias = Tensor::from_data(TensorData::from([0.0_f32, 0.0, 90.0, 0.0, 0.0]), &device);
    teacher.network.head.bias = Some(Param::from_tensor(bias));
    let training = Training::default();
    let none = Examples::new(&student, &[], &teacher.config.labels, &training).expect("nothing to read");
    let transitions = bigram(&student.config.labels, &[]);
    let lesson = Lesson {
        teacher: &teacher,
        student: &student,
        training: &training,
        pairs: &[],
        relation: None,
        transitions: &transitions,
    };
    let distillation =
        Distillation { lesson, train: &none, dev: &none, losses: &LOSSES, weights: &|_| four() };
    // No piece reaches the second word, for there is nothing of it.
    let encoded = encode(&student, [("Anna Anna", &[[0, 4], [4, 4], [5, 9]][..])]).expect("sub-words");
    let batch = Batch::pack(&encoded, &[0]);
    assert_eq!(batch.covered, [true, false, true]);
    let (from, to) = (&teacher.config.labels, &student.config.labels);
    let q = || match distillation
        .teach(&teacher.network, &batch, &Inputs::new(&batch, &teacher.config, &device), &[])
        .expect("finite")
        .0
    {
        Said::Host(said) => projection::project(from, to, &said, &batch.texts, 2.5).q,
        Said::Device(said) => host(soft::project(from, to, *said, &batch.texts, 2.5)),
    };
    for q in [q(), encoder::testing::elsewhere(q)] {
        let row = |word: usize| &q[word * 7..][..7];
        assert!(row(1)[0] > 0.99, "what is not there is O: {q:?}");
        assert!(row(2)[1] > 0.99, "and so Anna is B-PER: {q:?}");
    }
}

/// All losses but relations.
fn four() -> Weights {
    Weights::of(&[("ce", 1.0), ("kd", 1.0), ("hidden", 1.0), ("crf", 1.0)])
}

/// What some texts teach.
struct Case<'a> {
    student: &'a Model,
    teacher: &'a Model,
    train: Examples,
    dev: Examples,
    training: Training,
    weights: Weights,
    transitions: Transitions,
}

impl<'a> Case<'a> {
    fn new(student: &'a Model, teacher: &'a Model, records: &[Record], training: Training) -> Self {
        let (gold, silver): (Vec<_>, Vec<_>) =
            records.iter().cloned().partition(|record| record.provenance == Provenance::Gold);
        let corpus = Corpus { records: silver };
        let gold = Gold { sets: vec![GoldSet { name: "g".into(), records: gold }] };
        let [train, dev] =
            Examples::pair(student, teacher, [&corpus, &corpus], &gold, &training).expect("known tags");
        let transitions = bigram(&student.config.labels, &train.annotations());
        Self { student, teacher, train, dev, training, weights: four(), transitions }
    }

    fn with<T>(&self, learn: impl FnOnce(&Distillation<'_>) -> T) -> T {
        let lesson = Lesson {
            teacher: self.teacher,
            student: self.student,
            training: &self.training,
            pairs: &[(1, 1)],
            relation: Some((0, 0)),
            transitions: &self.transitions,
        };
        let weights = |_| self.weights.clone();
        learn(&Distillation {
            lesson,
            train: &self.train,
            dev: &self.dev,
            losses: &LOSSES,
            weights: &weights,
        })
    }

    /// With the relation loss too, in two parts.
    fn relating(mut self) -> Self {
        self.weights =
            Weights::of(&[("ce", 1.0), ("kd", 1.0), ("hidden", 1.0), ("relation", 0.5), ("crf", 1.0)]);
        self.training.relation_heads = 2;
        self
    }

    /// The terms of one batch of all texts.
    fn terms(&self) -> Vec<(&'static str, f32)> {
        self.tried().expect("a batch")
    }

    fn tried(&self) -> Result<Vec<(&'static str, f32)>, StageError> {
        let members: Vec<usize> = (0..self.train.len()).collect();
        let network = self.student.network.clone().train();
        let at = At { epoch: 1, share: 0.0 };
        let terms = self.with(|distillation| distillation.terms(&network, None, &members, at))?;
        Ok(terms.iter().map(|term| (term.name, term.loss.clone().into_scalar::<f32>())).collect())
    }
}

/// The terms of one batch of both texts, with all four losses.
fn losses_of(student: &Model, teacher: &Model, records: &[Record]) -> Vec<f32> {
    let lesson = Case::new(student, teacher, records, Training::default());
    lesson.terms().into_iter().map(|(_, loss)| loss).collect()
}

fn silver(id: &str) -> Record {
    record(id, &["B-PER", "B-PER"], Provenance::Silver { model: "12ab".into() })
}

#[test]
fn a_student_of_fewer_pieces_learns_the_same_from_words_that_kept_theirs() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let record = record("a-1", &["B-PER", "B-PER"], Provenance::Silver { model: "12ab".into() });
    let usage = trim::Usage::of(&student.tokenizer, &[record.text.as_str()]).expect("counted");
    let trimmed = student.tokenizer.trim(&usage.pieces, student.config.vocab - 3).expect("trimmed");
    let (mut config, mut weights) = (student.config.clone(), student.network.weights(&student.config));
    trim::cut(&mut config, &mut weights, &trimmed);
    let network = Network::from_weights(&config, weights, &Device::flex()).expect("shapes follow");
    let small = Model { config, network, tokenizer: trimmed.tokenizer };

    let records = [record.clone(), record];
    let (whole, less) = (losses_of(&student, &teacher, &records), losses_of(&small, &teacher, &records));
    assert_eq!(whole.len(), 5);
    assert!(whole.iter().zip(&less).all(|(a, b)| (a - b).abs() < 1e-6), "{whole:?} {less:?}");

    // Letter by letter it reads the same words; each learns at its first letter from the teacher's one piece.
    let letters = student.tokenizer.trim(&[], student.config.vocab - 4).expect("trimmed");
    let (mut config, mut weights) = (student.config.clone(), student.network.weights(&student.config));
    trim::cut(&mut config, &mut weights, &letters);
    let network = Network::from_weights(&config, weights, &Device::flex()).expect("shapes follow");
    let spelt = losses_of(&Model { config, network, tokenizer: letters.tokenizer }, &teacher, &records);
    assert_eq!(spelt.len(), 5);
    assert!(spelt.iter().all(|loss| loss.is_finite()) && (spelt[1] - whole[1]).abs() > 1e-3, "{spelt:?}");
}

#[test]
fn logits_from_a_file_cost_what_the_teachers_own_word_costs_and_it_is_not_asked() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &["PER"]));
    let root = tempfile::tempdir().expect("a folder");
    let folder = ModelFolder::at(root.path().join("teacher"));
    teacher.save(&folder.path).expect("saved");
    let records = [silver("a-1"), record("g:1", &["B-PER", "B-PER"], Provenance::Gold), silver("a-2")];
    let logits = |ids: &[&str]| {
        let texts = encode(&teacher, records.iter().map(|r| (r.text.as_str(), r.words.as_slice())));
        let said =
            word_logits(&teacher, &texts.expect("sub-words"), 100, &Device::flex(), None).expect("finite");
        let array = |said: WordLogits| Array { shape: vec![said.len(), 5], values: said.values };
        let named = records.iter().zip(said).filter(|(record, _)| ids.contains(&record.id.as_str()));
        Some(Logits {
            origin: Origin {
                teacher: folder.digest().expect("weights"),
                labels: teacher.config.labels.names().to_vec(),
            },
            texts: named.map(|(record, said)| (record.id.clone(), array(said))).collect(),
        })
    };
    let crf_teacher = CrfTeacher::Structural;
    let training = Training { crf_teacher, ..Training::default() };
    let lesson = |teacher| Case {
        weights: Weights::of(&[("ce", 1.0), ("kd", 1.0), ("crf", 1.0)]),
        ..Case::new(&student, teacher, &records, training.clone())
    };
    let live = lesson(&teacher).terms();
    assert_eq!(live.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["ce", "kd", "crf", "crf_structural"]);
    // Whoever asks this one gets no number.
    let mut mute = teacher.clone();
    let nothing = Tensor::<1>::from_data(TensorData::from([f32::NAN; 5]), &Device::flex());
    mute.network.head.bias = Some(Param::from_tensor(nothing));
    let mut recalled = lesson(&mute);
    let asked = recalled.tried().expect_err("no number").to_string();
    assert_eq!(asked, "the teacher's numbers overflow in the classifier, of records a-1, a-2, g:1");
    recalled.train.recall(logits(&["a-1", "a-2"]), &folder, &teacher, &Device::flex()).expect("all there");
    let found = recalled.terms();
    assert!(
        live.iter().zip(&found).all(|(live, found)| (live.1 - found.1).abs() < 1e-6),
        "{live:?} {found:?}"
    );

    let refused = |logits: Option<Logits>| {
        let mut train = lesson(&teacher).train;
        train.recall(logits, &folder, &teacher, &Device::flex()).expect_err("wrong").to_string()
    };
    assert_eq!(refused(logits(&["a-1"])), "the logits have no record a-2");
    let mut short = logits(&["a-1", "a-2"]).expect("some");
    short.texts.insert("a-2".into(), Array { shape: vec![1, 5], values: vec![0.0; 5] });
    assert_eq!(
        refused(Some(short)),
        "record a-2 has 2 words and 0 further sub-words, but the logits have 1 rows of it"
    );
    let mut other = logits(&["a-1", "a-2"]).expect("some");
    other.origin.teacher = "12ab".into();
    assert!(
        refused(Some(other)).starts_with("the logits are those of the model 12ab.., but the teacher is ")
    );
}

/// A model whose words relate to each other in another way.
fn turned(model: Model) -> Model {
    let tensors = model.config.architecture.tensors();
    let mut weights = model.network.weights(&model.config);
    let query = format!("{}.weight", tensors.part(0, tensors.parts[QUERY]));
    weights.get_mut(&query).expect("there").values.iter_mut().for_each(|value| *value *= -30.0);
    let network = Network::from_weights(&model.config, weights, &model.network.device());
    Model { network: network.expect("the same shapes"), ..model }
}

#[test]
fn relations_are_learnt_by_words_whatever_their_pieces() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let records = several(4);
    let relation = |student: &Model| {
        let terms = Case::new(student, &teacher, &records, Training::default()).relating().terms();
        terms.into_iter().find(|(name, _)| *name == "relation").expect("a term").1
    };
    // Both have the same layer and the same embeddings.
    assert!(relation(&student).abs() < 1e-6, "{}", relation(&student));
    let other = turned(student.clone());
    assert!(relation(&other) > 1e-4, "{}", relation(&other));
    let letters = student.tokenizer.trim(&[], student.config.vocab - 4).expect("trimmed");
    let (mut config, mut weights) = (student.config.clone(), student.network.weights(&student.config));
    trim::cut(&mut config, &mut weights, &letters);
    let network = Network::from_weights(&config, weights, &Device::flex()).expect("shapes follow");
    let spelt = relation(&Model { config, network, tokenizer: letters.tokenizer });
    assert!(spelt.is_finite() && spelt > 0.0, "{spelt}");
}

/// Texts of one to three words, each another, so that batches differ in words.
fn several(count: usize) -> Vec<Record> {
    (0..count)
        .map(|at| {
            let words = 1 + at % 3;
            Record {
                text: ["Anna", "CAF", "Paris"][..words].join(" "),
                words: [[0, 4], [5, 8], [9, 14]][..words].to_vec(),
                tags: ["B-PER", "B-ORG", "B-LOC"][..words].iter().map(|tag| (*tag).to_owned()).collect(),
                score: vec![1.0; words],
                ..silver(&format!("a-{at}"))
            }
        })
        .collect()
}

/// What the history says of a step.
fn line(network: &Network, gradients: &GradientsParams, parts: Vec<Part>) -> Step {
    let (mut ledger, mut state) = (Ledger::default(), State::default());
    ledger.enter(
        &mut state,
        0.0,
        &Norm::of(network, gradients, &network.device()),
        parts,
        std::iter::empty(),
    );
    ledger.read(&mut state).expect("numbers");
    state.into_history().steps.remove(0)
}

#[test]
fn several_batches_a_step_are_as_one_of_all_their_texts() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), turned(model(Labels::bio(["PER", "LOC", "ORG"]), &["PER"])));
    let lesson = Case::new(&student, &teacher, &several(7), Training::default()).relating();
    let network = student.network.clone().train();
    let cost = |batches: &[Vec<usize>]| {
        let at = At { epoch: 1, share: 0.0 };
        let (gradients, parts) =
            lesson.with(|distillation| backward(distillation, &network, batches, at)).expect("a step");
        let loss = line(&network, &gradients, parts);
        let query = &network.layers[0].linear(QUERY).weight;
        let gradient = gradients.get::<2>(query.id).expect("a gradient");
        (loss.grad_norm, gradient.into_data().try_to_vec::<f32>().expect("f32"), loss)
    };
    let one = cost(&[vec![0, 1, 2, 3, 4, 5, 6]]);
    let many = cost(&[vec![5, 2], vec![0], vec![1, 3, 4, 6]]);
    assert!((one.0 - many.0).abs() < 1e-5 * one.0, "{} {}", one.0, many.0);
    assert!(one.1.iter().zip(&many.1).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(one.1.iter().any(|gradient| gradient.abs() > 1e-5), "there is something to compare");
    assert!((one.2.loss - many.2.loss).abs() < 1e-5, "{} {}", one.2.loss, many.2.loss);
    assert_eq!(one.2.terms.len(), 6);
    for (name, term) in &one.2.terms {
        let other = many.2.terms[name];
        assert!(
            (term.raw - other.raw).abs() < 1e-5 && (term.weighted - other.weighted).abs() < 1e-5,
            "{name}"
        );
    }
}

/// Stops the run when it is asked for terms once too often.
struct Interrupted<'a> {
    inner: &'a Distillation<'a>,
    left: AtomicUsize,
    stop: &'a AtomicBool,
    /// Whether the CPU passes for another backend, in every thread.
    elsewhere: bool,
    /// How often it was asked for terms by another than the first device.
    copies: AtomicUsize,
}

impl<'a> Interrupted<'a> {
    /// Asked so often, it stops; 0 = never.
    fn new(inner: &'a Distillation<'a>, stop: &'a AtomicBool, asked: usize) -> Self {
        let left = AtomicUsize::new(if asked == 0 { usize::MAX } else { asked });
        let elsewhere = !fused::runs_on(&Device::flex());
        Self { inner, left, stop, elsewhere, copies: AtomicUsize::new(0) }
    }
}

impl Objective for Interrupted<'_> {
    fn terms(
        &self,
        network: &Network,
        read: Option<&Network>,
        members: &[usize],
        at: At,
    ) -> Result<Vec<Term>, StageError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.copies.fetch_add(usize::from(read.is_some()), Ordering::Relaxed);
        let ask = || self.inner.terms(network, read, members, at);
        if self.elsewhere { elsewhere(|| shut(ask)) } else { ask() }
    }

    fn words(&self, members: &[usize]) -> usize {
        self.inner.words(members)
    }

    fn reads(&self) -> Option<&Network> {
        self.inner.reads()
    }

    fn id(&self, text: usize) -> &str {
        self.inner.id(text)
    }

    fn fault(&self, network: &Network, members: &[usize]) -> Option<Fault> {
        self.inner.fault(network, members)
    }

    fn dev(&self, network: &Network) -> Result<Dev, StageError> {
        self.inner.dev(network)
    }
}

/// A model whose embeddings are beyond what f32 can square.
fn overflowing(mut model: Model) -> Model {
    let words = model.network.word.weight.val() * 1e30;
    model.network.word.weight = Param::from_tensor(words);
    model
}

#[test]
fn numbers_that_overflow_in_training_name_the_step_its_records_and_the_place() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let error = |student: &Model, teacher: &Model| {
        let lesson = Case::new(student, teacher, &several(2), Training::default());
        let root = tempfile::tempdir().expect("a folder");
        let (stop, nowhere) = (AtomicBool::new(false), std::collections::BTreeMap::new());
        let cx = Context {
            inputs: &nowhere,
            outputs: &nowhere,
            checkpoint: root.path(),
            cancelled: &stop,
            ..context()
        };
        let trained = lesson.with(|inner| {
            let plan = lesson.training.plan(1, 0.0);
            train(&cx, &plan, student.network.clone(), &lesson.train.encoded, inner)
        });
        trained.err().expect("nothing to learn by")
    };
    let of_student = error(&overflowing(student.clone()), &teacher);
    let message = of_student.to_string();
    assert!(message.starts_with("the loss is NaN (of ce"), "{message}");
    assert!(message.contains("at epoch 1, step 1, of records a-0, a-1: "), "{message}");
    assert!(message.ends_with("the student's numbers overflow in the embeddings"), "{message}");
    assert_eq!(of_student.advice(), Some("lower `lr`, or raise `warmup`"));
    let of_teacher = error(&student, &overflowing(teacher.clone()));
    let message = of_teacher.to_string();
    assert_eq!(message, "the teacher's numbers overflow in the embeddings, of records a-0, a-1");
    assert!(of_teacher.advice().expect("a way out").starts_with("use another checkpoint"));
}

#[test]
fn dev_without_an_entity_or_a_word_has_no_score_and_no_loss() {
    let student = model(Labels::bio(["PER", "LOC", "ORG"]), &["PER", "LOC", "ORG"]);
    let encoded = encode(&student, [("Anna", &[[0, 4]][..])]).expect("sub-words");
    let found = |tag| dev(&student, &encoded, &[vec![]], &[vec![tag]], 64).expect("finite");
    let Dev { score, loss } = found(Some(0));
    assert_eq!((score.precision, score.recall, score.f1, score.support), (None, None, None, 0));
    assert!(loss.expect("a word counts") > 0.0);
    assert_eq!(found(None).loss, None);
}

#[test]
fn a_training_of_several_batches_a_step_goes_on_to_the_same_bytes_and_stops_as_early() {
    let (teacher, student) =
        (model(teachers("outside"), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let training =
        Training { batch_tokens: 8, accumulate: 2, patience: 1, layer_lr: 0.5, ..Training::default() };
    let lesson = Case::new(&student, &teacher, &several(24), training);
    let root = tempfile::tempdir().expect("a folder");
    // Asked so often, it stops; 0 = never.
    let run = |folder: &str, asked: usize| {
        let (stop, nowhere) = (AtomicBool::new(false), std::collections::BTreeMap::new());
        let checkpoint = root.path().join(folder);
        let cx = Context {
            inputs: &nowhere,
            outputs: &nowhere,
            checkpoint: &checkpoint,
            seed: 3,
            cancelled: &stop,
            ..context()
        };
        lesson.with(|inner| {
            let objective = Interrupted::new(inner, &stop, asked);
            let plan = lesson.training.plan(6, 0.0);
            train(&cx, &plan, student.network.clone(), &lesson.train.encoded, &objective)
        })
    };
    let whole = run("whole", 0).expect("trained");
    assert_eq!(whole.history.epochs.len(), 2, "nothing is better than the first");
    let steps = whole.history.steps.iter().filter(|step| step.epoch == 1).count();
    assert!(steps >= 5, "{steps} steps an epoch");
    // In the middle of the second epoch, and once more a step later.
    for asked in [2 * steps + 2, 1] {
        assert!(matches!(run("parts", asked), Err(StageError::Cancelled)));
    }
    let parts = run("parts", 0).expect("trained");
    assert_eq!(parts.history, whole.history);
    assert_eq!(parts.epoch, whole.epoch);
    let weights = |network: &Network| network.weights(&student.config);
    assert!(weights(&parts.network) == weights(&whole.network));
}
