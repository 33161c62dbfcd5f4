//! Training as it runs off the CPU: Burn's own operations, losses in tensors, nothing read inside a step. On the CPU, and on a
//! GPU where there is one.

mod replicas;

use super::*;
use encoder::{backend::readback, testing::places::places};
use train::{
    gradient::trainable,
    memory::{Cost, Room},
    optimizer::Groupwise,
    trainer::{self},
};

/// Every loss that there is, with soft targets of this sort.
fn lesson<'a>(student: &'a Model, teacher: &'a Model, crf_teacher: CrfTeacher) -> Case<'a> {
    let training = Training { crf_teacher, ..Training::default() };
    Case::new(student, teacher, &several(7), training).relating()
}

fn pair() -> (Model, Model) {
    (model(teachers("outside"), &[]), turned(model(Labels::bio(["PER", "LOC", "ORG"]), &["PER"])))
}

/// A step's line in the history, and the gradient of everything.
fn step(lesson: &Case<'_>, network: &Network, batches: &[Vec<usize>]) -> (Step, Vec<Vec<f32>>) {
    let at = At { epoch: 1, share: 0.0 };
    let (gradients, parts) = lesson.with(|inner| backward(inner, network, batches, at)).expect("a step");
    let all = all(network, &gradients);
    (line(network, &gradients, parts), all)
}

/// The gradient of every parameter that has one, in order.
fn all(network: &Network, gradients: &GradientsParams) -> Vec<Vec<f32>> {
    struct All<'a>(&'a GradientsParams, Vec<Vec<f32>>);
    impl burn::module::ModuleVisitor for All<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.push(self.0.get::<D>(param.id).map(readback::host).unwrap_or_default());
        }
    }
    let mut all = All(gradients, Vec::new());
    network.visit(&mut all);
    all.1
}

/// Largest distance of two steps: of losses, and of gradients over the largest of each parameter.
fn distance(found: &(Step, Vec<Vec<f32>>), right: &(Step, Vec<Vec<f32>>)) -> f64 {
    let mut worst =
        (found.0.loss - right.0.loss).abs().max((found.0.grad_norm / right.0.grad_norm - 1.0).abs());
    assert_eq!(found.0.terms.keys().collect::<Vec<_>>(), right.0.terms.keys().collect::<Vec<_>>());
    for (name, term) in &found.0.terms {
        worst = worst.max((term.raw - right.0.terms[name].raw).abs());
    }
    assert_eq!(found.1.len(), right.1.len());
    let most = right.1.iter().flatten().fold(0.0_f32, |most, g| most.max(g.abs()));
    for (found, right) in found.1.iter().zip(&right.1) {
        assert_eq!(found.len(), right.len(), "a gradient where the other has one");
        let largest = right.iter().fold(most / 100.0, |most, g| most.max(g.abs()));
        let far = found.iter().zip(right).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f32::max);
        worst = worst.max(f64::from(far));
    }
    worst
}

const BATCHES: [&[usize]; 2] = [&[5, 2, 0], &[1, 3, 4, 6]];

/// Rounding moves a gradient that is small only because large ones cancel by what they are rounded by.
#[test]
fn a_step_elsewhere_costs_what_it_costs_on_the_cpu() {
    let (teacher, student) = pair();
    let batches = BATCHES.map(<[_]>::to_vec);
    for place in places() {
        let (their_teacher, their_student) = (place.model(&teacher), place.model(&student));
        for crf_teacher in [CrfTeacher::Bigram, CrfTeacher::Structural] {
            for misc in ["outside", "ignore"] {
                let says = |model: &Model| {
                    let config = encoder::config::Config { labels: teachers(misc), ..model.config.clone() };
                    Model { config, ..model.clone() }
                };
                let (teacher, their_teacher) = (says(&teacher), says(&their_teacher));
                let here = lesson(&student, &teacher, crf_teacher);
                let there = lesson(&their_student, &their_teacher, crf_teacher);
                let right = step(&here, &student.network.clone().train(), &batches);
                let found = place.run(|| step(&there, &their_student.network.clone().train(), &batches));
                let far = distance(&found, &right);
                assert!(far < place.far, "{}, {crf_teacher:?} {misc:?}: {far}", place.name);
                // A layer that adds nothing leaves the hidden states as they are.
                let costs = right.0.terms.iter().filter(|(name, term)| *name == "hidden" || term.raw > 1e-5);
                assert_eq!(costs.count(), 6, "there is something to compare");
            }
        }
    }
}

#[test]
fn a_step_elsewhere_reads_nothing_until_the_ledger_is_read() {
    let (teacher, student) = pair();
    for place in places() {
        let (teacher, student) = (place.model(&teacher), place.model(&student));
        for crf_teacher in [CrfTeacher::Bigram, CrfTeacher::Structural] {
            let lesson = lesson(&student, &teacher, crf_teacher);
            let plan = lesson.training.plan(1, 0.0);
            let mut optimizer = Groupwise::new(plan.groups, student.network.layers.len());
            let (mut ledger, mut state) = (Ledger::default(), State::default());
            place.run(|| {
                let mut network = trainable(student.network.clone(), false);
                for batches in BATCHES.map(|members| vec![members.to_vec()]) {
                    network = shut(|| {
                        let at = At { epoch: 1, share: 0.0 };
                        let step = lesson.with(|inner| backward(inner, &network, &batches, at));
                        let (gradients, parts) = step.expect("a step");
                        let norm = Norm::of(&network, &gradients, &place.device);
                        ledger.enter(&mut state, 1e-3, &norm, parts, batches.iter().flatten().copied());
                        optimizer.step(1e-3, network, gradients, &norm, 1.0)
                    });
                }
                assert_eq!(ledger.waiting(), 2);
                ledger.read(&mut state).expect("numbers");
            });
            assert!(state.into_history().steps.iter().all(|step| step.loss > 0.0 && step.grad_norm > 0.0));
        }
    }
}

/// Runs the loop in a folder of its own; `stop` counts down the calls for terms until it is cancelled (0 = never).
fn run(
    lesson: &Case<'_>,
    folder: &std::path::Path,
    epochs: u32,
    asked: usize,
) -> Result<trainer::Trained, StageError> {
    run_in(lesson, folder, epochs, asked, None, &[])
}

fn run_in(
    lesson: &Case<'_>,
    folder: &std::path::Path,
    epochs: u32,
    asked: usize,
    room: Option<&Room>,
    further: &[stage_contract::Device],
) -> Result<trainer::Trained, StageError> {
    let (stop, nowhere) = (AtomicBool::new(false), std::collections::BTreeMap::new());
    let cx = Context {
        inputs: &nowhere,
        outputs: &nowhere,
        checkpoint: folder,
        seed: 3,
        further,
        cancelled: &stop,
        ..context()
    };
    lesson.with(|inner| {
        let objective = Interrupted::new(inner, &stop, asked);
        let plan = lesson.training.plan(epochs, 0.0);
        let network = lesson.student.network.clone().at(lesson.training.precision);
        trainer::train_in(&cx, &plan, network, &lesson.train.encoded, &objective, room)
    })
}

fn losses(trained: &trainer::Trained) -> Vec<f64> {
    trained.history.steps.iter().map(|step| step.loss).collect()
}

/// A lesson of so many steps that the ledger is read in between.
fn long<'a>(student: &'a Model, teacher: &'a Model, training: Training) -> Case<'a> {
    let training =
        Training { batch_tokens: 8, lr: 2e-3, warmup: 0.0, crf_teacher: CrfTeacher::Structural, ..training };
    Case::new(student, teacher, &several(60), training).relating()
}

#[test]
fn a_training_elsewhere_follows_that_on_the_cpu_and_goes_on_to_the_same_bytes() {
    let (teacher, student) = pair();
    let root = tempfile::tempdir().expect("a folder");
    let right = run(&long(&student, &teacher, Training::default()), &root.path().join("cpu"), 2, 0);
    let right = losses(&right.expect("trained"));
    for place in places() {
        let (their_teacher, their_student) = (place.model(&teacher), place.model(&student));
        let lesson = long(&their_student, &their_teacher, Training::default());
        let folder = |name: &str| root.path().join(place.name).join(name);
        let found = place.run(|| run(&lesson, &folder("whole"), 2, 0)).expect("trained");
        let there = losses(&found);
        assert!(right.len() > 40 && right.len() == there.len(), "{} steps", right.len());
        let far = right.iter().zip(&there).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 50.0 * place.far, "{}: {far}", place.name);
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / 10.0;
        assert!(mean(&there[there.len() - 10..]) < 0.8 * mean(&there[..10]), "it learns");
        if place.name == "CUDA" {
            // Sums of a GPU may come in any order.
            continue;
        }
        let stopped = place.run(|| run(&lesson, &folder("parts"), 2, 33));
        assert!(matches!(stopped, Err(StageError::Cancelled)));
        let parts = place.run(|| run(&lesson, &folder("parts"), 2, 0)).expect("trained");
        assert_eq!(parts.history, found.history);
        assert!(parts.network.weights(&student.config) == found.network.weights(&student.config));
    }
}

#[test]
fn a_loss_that_is_no_number_is_an_error_elsewhere_too() {
    let (teacher, student) = pair();
    let root = tempfile::tempdir().expect("a folder");
    let mut lesson = long(&student, &teacher, Training::default());
    lesson.weights = Weights::of(&[("ce", f64::INFINITY), ("kd", 1.0)]);
    let said = elsewhere(|| run(&lesson, root.path(), 1, 0)).err().expect("no number").to_string();
    assert!(said.contains("at epoch 1, step 1"), "{said}");
}

/// bf16 keeps 8 bits, so a value is off by up to 2^-9 of itself, and sums of some of them by a few times that.
#[test]
fn bf16_costs_what_f32_costs_but_for_its_rounding() {
    let (teacher, student) = pair();
    let batches = BATCHES.map(<[_]>::to_vec);
    let here = lesson(&student, &teacher, CrfTeacher::Structural);
    let right = step(&here, &student.network.clone().train(), &batches);
    let narrow = |student: &Model| student.network.clone().at(Precision::Bf16).train();
    let mut all = vec![("the CPU", step(&here, &narrow(&student), &batches))];
    for place in places() {
        let (teacher, student) = (place.model(&teacher).at(Precision::Bf16), place.model(&student));
        let there = lesson(&student, &teacher, CrfTeacher::Structural);
        all.push((place.name, place.run(|| step(&there, &narrow(&student), &batches))));
    }
    for (name, found) in all {
        let far = distance(&found, &right);
        assert!(far < 0.03, "{name}: {far}");
        assert!(far > 1e-5, "{name}: it is another arithmetic: {far}");
    }
}

#[test]
fn a_training_in_bf16_lowers_the_loss_as_one_in_f32_and_keeps_f32_weights() {
    let (teacher, student) = pair();
    let root = tempfile::tempdir().expect("a folder");
    let of = |name: &str, precision| {
        let lesson = long(&student, &teacher, Training { precision, ..Training::default() });
        elsewhere(|| run(&lesson, &root.path().join(name), 2, 0)).expect("trained")
    };
    let (exact, narrow) = (of("f32", Precision::F32), of("bf16", Precision::Bf16));
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / 10.0;
    let last = |trained: &trainer::Trained| mean(&losses(trained)[losses(trained).len() - 10..]);
    assert!(last(&narrow) < 0.8 * mean(&losses(&narrow)[..10]), "it learns");
    assert!((last(&narrow) / last(&exact) - 1.0).abs() < 0.05, "{} {}", last(&narrow), last(&exact));
    assert!(losses(&narrow) != losses(&exact));
    // Weights that were themselves rounded would have 16 bits of 0.
    let weights = readback::host(narrow.network.layers[0].linear(QUERY).weight.val());
    assert!(weights.iter().any(|weight| weight.to_bits() & 0xffff != 0));
}

#[test]
fn computing_again_what_was_not_kept_changes_nothing() {
    let (teacher, student) = pair();
    let lesson = lesson(&student, &teacher, CrfTeacher::Structural);
    let batches = BATCHES.map(<[_]>::to_vec);
    for precision in [Precision::F32, Precision::Bf16] {
        let network = || student.network.clone().at(precision);
        let both = || [false, true].map(|again| step(&lesson, &trainable(network(), again), &batches));
        for [right, found] in [both(), elsewhere(both)] {
            let far = distance(&found, &right);
            assert!(far < 1e-6, "{precision:?}: {far}");
        }
    }
    let root = tempfile::tempdir().expect("a folder");
    let of = |name: &str, gradient_checkpointing| {
        let lesson = long(&student, &teacher, Training { gradient_checkpointing, ..Training::default() });
        losses(&elsewhere(|| run(&lesson, &root.path().join(name), 1, 0)).expect("trained"))
    };
    let (kept, again) = (of("kept", false), of("again", true));
    assert!(kept.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-6), "{kept:?} {again:?}");
}

#[test]
fn a_training_that_must_cut_its_batches_takes_the_same_steps() {
    let (teacher, student) = pair();
    let mut lesson = long(&student, &teacher, Training::default());
    lesson.training.batch_tokens = 30;
    let place = tempfile::tempdir().expect("a folder");
    let cost = Cost::training(&student.network, Some(&teacher.network), false);
    // Room for the longest text alone, and no more.
    let rooms = (1..1 << 20).map(|kib| Room::of(cost, kib << 10));
    let enough = |room: &Room| room.check(&lesson.train.encoded).is_ok();
    let room = rooms.into_iter().find(enough).expect("there is enough somewhere");
    let batches = [(0..lesson.train.len()).collect::<Vec<_>>()];
    assert!(room.cut(&batches, &lesson.train.encoded).len() > 2, "it must cut");
    let whole = run(&lesson, &place.path().join("whole"), 1, 0).expect("trained");
    let parts = run_in(&lesson, &place.path().join("parts"), 1, 0, Some(&room), &[]).expect("trained");
    let (whole, parts) = (losses(&whole), losses(&parts));
    assert_eq!(whole.len(), parts.len());
    // The first step is the same; of later ones AdamW makes whole steps of what is 0 but for rounding.
    assert!((whole[0] - parts[0]).abs() < 1e-5, "{whole:?} {parts:?}");
    assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-3), "{whole:?} {parts:?}");
}
