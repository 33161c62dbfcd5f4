//! A training on several devices is one on one device but for rounding. The CPU stands for all of them, by its kernels and as
//! another backend; two GPUs where there are so many.

use std::path::Path;

use super::*;
use encoder::{backend::device, testing::places::pairs};
use train::{memory, replicas::Replicas};

/// [`step`] on so many devices more, where a thread that takes the CPU for another backend may read nothing.
fn spread(
    lesson: &Case<'_>,
    network: &Network,
    batches: &[Vec<usize>],
    further: Vec<Device>,
) -> (Step, Vec<Vec<f32>>) {
    lesson.with(|inner| {
        let stop = AtomicBool::new(false);
        let objective = Interrupted::new(inner, &stop, 0);
        let replicas = Replicas::of(network, objective.reads(), further, false).expect("threads");
        let texts = &lesson.train.encoded;
        let at = At { epoch: 1, share: 0.0 };
        let work = || replicas.backward(&objective, network, texts, batches, at);
        let found = if objective.elsewhere { shut(work) } else { work() };
        let (gradients, parts) = found.expect("a step");
        assert!((parts.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 1e-12);
        let several = batches.iter().map(Vec::len).sum::<usize>() > 1;
        assert_eq!(several, objective.copies.load(Ordering::Relaxed) > 0, "the others have work");
        let all = all(network, &gradients);
        (line(network, &gradients, parts), all)
    })
}

#[test]
fn gradients_of_several_devices_are_those_of_one() {
    let (teacher, student) = pair();
    let whole = (0..7).collect::<Vec<_>>();
    let steps = [
        vec![whole.clone()],                             // fewer batches than devices
        vec![vec![5, 2], vec![0], vec![1, 3, 4, 6]],     // an odd number of them
        vec![vec![0, 3], vec![2, 5, 1], vec![6], whole], // texts of one to three words; one twice
        vec![vec![4]],                                   // a text alone, which nobody cuts
    ];
    for (place, beside) in pairs() {
        let (teacher, student) = (place.model(&teacher), place.model(&student));
        let lesson = lesson(&student, &teacher, CrfTeacher::Structural);
        for further in [vec![beside], vec![beside; 2]] {
            if place.name == "CUDA" && further.len() > 1 {
                continue;
            }
            for batches in &steps {
                place.run(|| {
                    let network = trainable(student.network.clone(), false);
                    let right = step(&lesson, &network, batches);
                    let devices = further.iter().map(|further| device::burn(*further)).collect();
                    let found = spread(&lesson, &network, batches, devices);
                    let far = distance(&found, &right);
                    assert!(far < place.far, "{} and {further:?}, {batches:?}: {far}", place.name);
                    assert_eq!(right.0.terms.len(), 6, "there is something to compare");
                });
            }
        }
    }
}

#[test]
fn memory_that_runs_out_on_a_further_device_is_an_error_with_advice() {
    struct Short<'a>(&'a Network);
    impl Objective for Short<'_> {
        fn terms(
            &self,
            network: &Network,
            read: Option<&Network>,
            _: &[usize],
            _: At,
        ) -> Result<Vec<Term>, StageError> {
            assert!(read.is_none(), "out of device memory allocating 7 bytes");
            Ok(vec![Term { name: "ce", weight: 1.0, loss: network.head.weight.val().sum() }])
        }
        fn words(&self, members: &[usize]) -> usize {
            members.len()
        }
        fn reads(&self) -> Option<&Network> {
            Some(self.0)
        }
        fn id(&self, _: usize) -> &'static str {
            "a"
        }
        fn fault(&self, _: &Network, _: &[usize]) -> Option<Fault> {
            None
        }
        fn dev(&self, _: &Network) -> Result<Dev, StageError> {
            unreachable!("no epoch ends")
        }
    }
    let (teacher, student) = pair();
    let lesson = long(&student, &teacher, Training::default());
    let network = trainable(student.network.clone(), false);
    let replicas = Replicas::of(&network, Some(&teacher.network), vec![Device::flex()], false);
    let (replicas, at) = (replicas.expect("threads"), At { epoch: 1, share: 0.0 });
    let devices = stage_contract::Devices::numbered(stage_contract::Backend::Cuda, &[2, 0]).expect("two");
    let step = || {
        let texts = &lesson.train.encoded;
        replicas.backward(&Short(&teacher.network), &network, texts, &[vec![0, 1]], at).map(drop)
    };
    let error = memory::within(&devices, step).expect_err("too little there");
    assert_eq!(error.to_string(), "cuda:2,0 ran out of memory");
}

#[test]
fn a_training_on_two_devices_follows_one_on_one_and_goes_on_to_the_same_bytes() {
    let (teacher, student) = pair();
    let root = tempfile::tempdir().expect("a folder");
    let narrow = Training {
        precision: Precision::Bf16,
        gradient_checkpointing: true,
        accumulate: 3,
        ..Training::default()
    };
    for (at, (training, loose)) in [(Training::default(), 50.0), (narrow, 2500.0)].into_iter().enumerate() {
        for (place, beside) in pairs() {
            let (teacher, student) = (place.model(&teacher).at(training.precision), place.model(&student));
            let lesson = long(&student, &teacher, training.clone());
            let folder = |name: &str| root.path().join(place.name).join(format!("{name} {at}"));
            let run = |folder: &Path, asked, further: &[_]| {
                place.run(|| run_in(&lesson, folder, 2, asked, None, further))
            };
            let one = run(&folder("one"), 0, &[]).expect("trained");
            let two = run(&folder("two"), 0, &[beside]).expect("trained");
            let (right, found) = (losses(&one), losses(&two));
            assert!(right.len() > 10 && right.len() == found.len(), "{} steps", right.len());
            let far = right.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < loose * place.far, "{}, {at}: {far}", place.name);
            let mean = |losses: &[f64]| losses.iter().sum::<f64>() / 5.0;
            assert!(mean(&found[found.len() - 5..]) < 0.8 * mean(&found[..5]), "it learns");
            if place.name == "CUDA" {
                // Sums of a GPU may come in any order.
                continue;
            }
            let same = |other: &trainer::Trained| {
                assert_eq!(other.history, two.history);
                assert!(other.network.weights(&student.config) == two.network.weights(&student.config));
            };
            same(&run(&folder("again"), 0, &[beside]).expect("trained"));
            let stopped = run(&folder("parts"), 33, &[beside]);
            assert!(matches!(stopped, Err(StageError::Cancelled)));
            same(&run(&folder("parts"), 0, &[beside]).expect("trained"));
        }
    }
}
