//! The losses as they are computed off the CPU, beside those of the host: values, gradients, and the golden ones.

use super::*;
use encoder::{backend::readback, testing::elsewhere};

/// Values and gradients by emissions and weights.
fn all(
    of: impl FnOnce(Tensor<2>, &CrfWeights) -> Tensor<1>,
    emissions: &[f32],
    weights: &CrfWeights,
) -> Vec<Vec<f64>> {
    let n = weights.start.dims()[0];
    let emissions = leaf(emissions, [emissions.len() / n, n]);
    let loss = of(emissions.clone(), weights);
    let gradients = loss.backward();
    vec![
        vec![number(&loss)],
        gradient(&emissions, &gradients),
        gradient(&weights.transitions, &gradients),
        gradient(&weights.start, &gradients),
        gradient(&weights.end, &gradients),
    ]
}

/// f32 beside f64: within 1e-5 of a loss a word, and of a gradient a word.
fn assert_near(found: &[Vec<f64>], right: &[Vec<f64>]) {
    for (part, (found, right)) in found.iter().zip(right).enumerate() {
        assert_eq!(found.len(), right.len());
        for (found, right) in found.iter().zip(right) {
            assert!(near(*found, *right, 1e-5), "part {part}: {found} and not {right}");
        }
    }
}

/// Nothing of it is read back on the way.
fn shut_elsewhere<T>(work: impl FnOnce() -> T) -> T {
    elsewhere(|| encoder::testing::shut(work))
}

#[test]
fn the_losses_off_the_cpu_equal_the_golden_ones() {
    let golden = golden();
    let right = |name: &str| golden[name].as_f64().expect("a number");
    let (teacher, labels) = (teacher(), Labels::bio(["PER", "LOC", "ORG"]));
    let said =
        || Tensor::<2>::from_data(TensorData::new(rows(&golden["teacher_logits"]), [4, 5]), &Device::flex());
    let q = soft::project(&teacher, &labels, said(), &[0, 4], 2.5);
    let logits = leaf(&rows(&golden["student_logits"]), [4, 7]);
    let kd = |beta| number(&soft::distillation(logits.clone(), q.clone(), &labels, 2.5, beta));
    assert!(near(kd(1.0), right("L_kd"), 1e-6), "{}", kd(1.0));
    assert!(near(kd(0.5), 3.092_651_485_269_950_5, 1e-6), "{}", kd(0.5));
    let weights = CrfWeights {
        transitions: leaf(&rows(&golden["A"]), [7, 7]),
        start: leaf(&rows(&golden["start"]), [7]),
        end: leaf(&rows(&golden["end"]), [7]),
    };
    let emissions = rows(&golden["student_logits"]);
    let found = shut_elsewhere(|| {
        soft::crf_structural(leaf(&emissions, [4, 7]), &weights, &teacher, said(), &[0, 4], &labels)
    });
    assert!(near(number(&found), right("loss_structural"), 1e-5), "{}", number(&found));
}

#[test]
fn a_certain_teacher_and_no_words_at_all_make_numbers_off_the_cpu_too() {
    let (teacher, labels) = (teacher(), Labels::bio(["PER", "LOC", "ORG"]));
    let of = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [1, 5]), &Device::flex());
    // Wholly MISC, which is left out.
    let misc = of(vec![-300.0, -300.0, -300.0, 300.0, -300.0]);
    let q = readback::host(soft::project(&ignoring(&teacher), &labels, misc.clone(), &[0, 1], 1.0));
    assert_eq!(q, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let kd = soft::distillation(
        leaf(&[0.5; 7], [1, 7]),
        soft::project(&teacher, &labels, misc, &[0, 1], 1.0),
        &labels,
        1.0,
        0.5,
    );
    assert!(near(number(&kd), 7_f64.ln(), 1e-6));
    let nothing = || Tensor::<2>::from_data(TensorData::new(Vec::<f32>::new(), [0, 7]), &device());
    let none = Tensor::<2>::from_data(TensorData::new(Vec::<f32>::new(), [0, 5]), &Device::flex());
    let weights = crf_weights(&[0.1; 49], &[0.1; 7]);
    let structural = soft::crf_structural(nothing(), &weights, &teacher, none.clone(), &[0, 0], &labels);
    assert_eq!(number(&structural), 0.0);
    assert_eq!(number(&elsewhere(|| crf_nll(nothing(), &weights, &[], &[0, 0], &labels))), 0.0);
    assert_eq!(
        number(&soft::distillation(nothing(), Tensor::zeros([0, 7], &Device::flex()), &labels, 2.5, 0.5)),
        0.0
    );
}

/// Texts long enough that f32 would lose what a sum of all scores hides.
#[test]
fn a_long_text_of_large_scores_costs_off_the_cpu_what_it_costs_on_it() {
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let emissions: Vec<f32> = (0..700_u16)
        .flat_map(|word| (0..7_u16).map(move |label| 30.0 + f32::from((word * 31 + label * 17) % 23) / 3.0))
        .collect();
    let gold: Vec<usize> = (0..700).map(|word| [0, 1, 2, 0, 5][word % 5]).collect();
    let weights = crf_weights(&[0.3; 49], &[0.2; 7]);
    let texts = [0, 640, 641, 641, 700];
    let of = |emissions, weights: &CrfWeights| crf_nll(emissions, weights, &gold, &texts, &labels);
    let elsewhere = |emissions, weights: &CrfWeights| shut_elsewhere(|| of(emissions, weights));
    assert_near(&all(elsewhere, &emissions, &weights), &all(of, &emissions, &weights));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn soft_targets_off_the_cpu_are_those_of_the_host(
        logits in floats(30), temperature in 0.5..4.0_f64, cut in 0u32..=6, bio in any::<bool>(),
    ) {
        let teacher = if bio { parse("O B-PER I-PER B-MISC I-MISC") } else { teacher() };
        let (labels, texts) = (Labels::bio(["PER", "LOC", "ORG"]), [0, cut, 6]);
        for teacher in [ignoring(&teacher), teacher] {
            let right = project(&teacher, &labels, &logits, &texts, temperature).q;
            let said = Tensor::<2>::from_data(TensorData::new(logits.clone(), [6, 5]), &Device::flex());
            let found = soft::project(&teacher, &labels, said, &texts, temperature);
            let close = readback::host(found.clone()).iter().zip(&right).all(|(a, b)| (a - b).abs() < 2e-6);
            prop_assert!(close, "{found} {right:?}");
            let student = leaf(&logits.iter().cycle().take(42).map(|x| x * 0.7).collect::<Vec<_>>(), [6, 7]);
            for boundary in [0.0, 0.5, 1.0] {
                let of = |loss: Tensor<1>| [vec![number(&loss)], gradient(&student, &loss.backward())];
                let right = of(distillation(student.clone(), &right, &labels, temperature, boundary));
                let found = of(soft::distillation(student.clone(), found.clone(), &labels, temperature, boundary));
                assert_near(&found, &right);
            }
        }
    }

    #[test]
    fn the_crf_off_the_cpu_is_that_of_the_host(
        emissions in floats(77), transitions in floats(49), start in floats(7),
        gold in prop::collection::vec(0usize..7, 11), cuts in prop::collection::vec(0u32..=11, 3),
    ) {
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        let mut texts = cuts;
        texts.extend([0, 11]);
        texts.sort_unstable();
        let weights = crf_weights(&transitions, &start);
        let of = |emissions, weights: &CrfWeights| crf_nll(emissions, weights, &gold, &texts, &labels);
        let elsewhere = |emissions, weights: &CrfWeights| shut_elsewhere(|| of(emissions, weights));
        assert_near(&all(elsewhere, &emissions, &weights), &all(of, &emissions, &weights));
    }

    #[test]
    fn the_structural_loss_off_the_cpu_is_that_of_the_host(
        emissions in floats(77), transitions in floats(49), start in floats(7), said in floats(55),
        cuts in prop::collection::vec(0u32..=11, 3), bio in any::<bool>(),
    ) {
        let teacher = if bio { parse("O B-PER I-PER B-MISC I-MISC") } else { teacher() };
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        let mut texts = cuts;
        texts.extend([0, 11]);
        texts.sort_unstable();
        let weights = crf_weights(&transitions, &start);
        for teacher in [ignoring(&teacher), teacher] {
            let alone = alone(&teacher, &labels, &said, 1.0, Begin::Kept);
            let right = |emissions, weights: &CrfWeights| crf_structural(emissions, weights, &alone, &texts, &labels);
            let said = || Tensor::<2>::from_data(TensorData::new(said.clone(), [11, 5]), &Device::flex());
            let found = |emissions, weights: &CrfWeights| {
                shut_elsewhere(|| soft::crf_structural(emissions, weights, &teacher, said(), &texts, &labels))
            };
            assert_near(&all(found, &emissions, &weights), &all(right, &emissions, &weights));
        }
    }
    #[test]
    fn what_the_teacher_says_of_further_sub_words_is_the_same_off_the_cpu(
        said in floats(55), temperature in 0.5_f64..4.0, bio in any::<bool>(),
    ) {
        let teacher = if bio { parse("O B-PER I-PER B-MISC I-MISC") } else { teacher() };
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        for teacher in [ignoring(&teacher), teacher] {
            let right = alone(&teacher, &labels, &said, temperature, Begin::Never);
            let rows = Tensor::<2>::from_data(TensorData::new(said.clone(), [11, 5]), &Device::flex());
            let found = readback::host(soft::alone(&teacher, &labels, rows, temperature, Begin::Never));
            prop_assert!(found.iter().zip(&right).all(|(found, right)| (f64::from(*found) - right).abs() < 1e-5));
            for (label, tag) in labels.tags().iter().enumerate() {
                let begins = right.iter().skip(label).step_by(labels.len());
                prop_assert!(!matches!(tag, Tag::Begin(_)) || begins.copied().all(|p| p == 0.0));
            }
        }
    }
}
