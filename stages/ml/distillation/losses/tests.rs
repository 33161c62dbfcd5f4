#![expect(clippy::float_cmp, reason = "0 and -inf are exact")]

mod crf;
mod device;
mod weights;

use burn::tensor::Gradients;
use proptest::prelude::*;
use serde_json::Value;

use burn::tensor::{Device, Tensor, TensorData};

use super::{ce::cross_entropy, hidden::hidden, kd::distillation, relation::relation};
use crate::{
    crf::{
        fitted::{Emitted, fitted},
        likelihood::{crf_nll, crf_structural},
        structural::chain,
        transitions::{Transitions, bigram, crf_transitions},
    },
    numbers::{count, narrow},
    projection::{Begin, alone, project},
    soft,
};
use encoder::{decode::softmax, network::CrfWeights};
use text::labels::{Labels, Tag};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../testdata/distill.json")).expect("golden vectors")
}

fn rows(value: &Value) -> Vec<f32> {
    let rows = value.as_array().expect("rows").iter();
    let numbers = rows.flat_map(|row| row.as_array().map_or(std::slice::from_ref(row), Vec::as_slice));
    numbers.map(|v| narrow(v.as_f64().expect("a number"))).collect()
}

fn teacher() -> Labels {
    parse("O I-LOC I-PER I-MISC I-ORG")
}

/// The same labels, of which MISC is to be ignored.
fn ignoring(labels: &Labels) -> Labels {
    labels.renamed(&[("MISC", "ignore")].into_iter().collect()).expect("it has MISC")
}

fn parse(names: &str) -> Labels {
    Labels::parse(&names.split(' ').map(str::to_owned).collect::<Vec<_>>()).expect("labels")
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn leaf<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device()).require_grad()
}

fn number(tensor: &Tensor<1>) -> f64 {
    tensor.to_data().iter::<f64>().next().expect("one value")
}

fn gradient<const D: usize>(tensor: &Tensor<D>, gradients: &Gradients) -> Vec<f64> {
    tensor.grad(gradients).expect("a gradient").to_data().iter::<f64>().collect()
}

fn near(found: f64, right: f64, tolerance: f64) -> bool {
    (found - right).abs() <= tolerance * (1.0 + right.abs())
}

fn crf_weights(transitions: &[f32], start: &[f32]) -> CrfWeights {
    CrfWeights {
        transitions: leaf(transitions, [7, 7]),
        start: leaf(start, [7]),
        end: leaf(&start.iter().rev().copied().collect::<Vec<_>>(), [7]),
    }
}

fn golden_kd(beta: f64) -> f64 {
    let golden = golden();
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let q = project(&teacher(), &labels, &rows(&golden["teacher_logits"]), &[0, 4], 2.5).q;
    let logits = leaf(&rows(&golden["student_logits"]), [4, 7]);
    number(&distillation(logits, &q, &labels, 2.5, beta))
}

#[test]
fn the_projection_equals_the_golden_one() {
    let golden = golden();
    let student = Labels::bio(["PER", "LOC", "ORG"]);
    let found = project(&teacher(), &student, &rows(&golden["teacher_logits"]), &[0, 4], 2.5);
    for (found, right) in found.q.iter().zip(rows(&golden["projected_T"])) {
        assert!((found - right).abs() < 1e-6, "{found} {right}");
    }
    assert_eq!(found.counts, [true; 4]);
}

#[test]
fn distillation_equals_the_golden_loss_at_both_boundary_weights() {
    let golden = golden()["L_kd"].as_f64().expect("a number");
    assert!(near(golden_kd(1.0), golden, 1e-6), "{}", golden_kd(1.0));
    assert!(near(golden_kd(0.5), 3.092_651_485_269_950_5, 1e-6), "{}", golden_kd(0.5));
}

/// A student with its teacher's labels learns the teacher's own distribution, with nothing to infer and no boundary.
#[test]
fn labels_without_beginnings_are_taught_as_the_teacher_says_them() {
    let (teacher, student) = (teacher(), Labels::io(["LOC", "PER", "MISC", "ORG"]));
    let golden = golden();
    let said = rows(&golden["teacher_logits"]);
    let q = project(&teacher, &student, &said, &[0, 4], 2.5).q;
    for (word, row) in said.chunks_exact(teacher.len()).enumerate() {
        let p = encoder::decode::softmax(row, 2.5);
        for (column, name) in student.names().iter().enumerate() {
            let theirs = teacher.column(name).expect("the same names");
            assert!(near(f64::from(q[word * 5 + column]), p[theirs], 1e-6), "{name}");
        }
    }
    let kd = |beta| number(&distillation(leaf(&said, [said.len() / 5, 5]), &q, &student, 2.5, beta));
    assert!(near(kd(0.0), kd(1.0), 1e-6), "no boundary to weigh");
}

#[test]
fn kl_splits_into_the_golden_type_and_boundary_parts() {
    let golden = golden();
    let student = Labels::bio(["PER", "LOC", "ORG"]);
    let part = |name: &str, word: usize| golden[name][word].as_f64().expect("a number");
    let (logits, q) = (rows(&golden["student_logits"]), rows(&golden["projected_T"]));
    for word in 0..4 {
        let row = word * 7..word * 7 + 7;
        let kd = |beta| {
            let logits = leaf(&logits[row.clone()], [1, 7]);
            number(&distillation(logits, &q[row.clone()], &student, 2.5, beta)) / 6.25
        };
        assert!(near(kd(1.0), part("kl_full", word), 1e-6));
        assert!(near(kd(0.0), part("kl_io", word), 1e-6));
        assert!(near(kd(1.0) - kd(0.0), part("kl_boundary", word), 1e-6));
        assert!(near(kd(3.0), part("kl_io", word) + 3.0 * part("kl_boundary", word), 1e-6));
    }
}

#[test]
fn distillation_is_0_where_student_and_teacher_agree() {
    let q: Vec<f32> = vec![0.5, 0.125, 0.25, 0.0625, 0.0, 0.0625, 0.0];
    let logits: Vec<f32> = q.iter().map(|q| if *q > 0.0 { 2.0 * q.ln() } else { -200.0 }).collect();
    let found =
        number(&distillation(leaf(&logits, [1, 7]), &q, &Labels::bio(["PER", "LOC", "ORG"]), 2.0, 0.5));
    assert!(found.abs() < 1e-5, "{found}");
}

/// The teacher sure of what the student thinks impossible: large, finite, and with a gradient.
#[test]
fn distillation_survives_extreme_logits() {
    let mut logits = [0.0_f32; 7];
    logits[1] = -1e4;
    logits[2] = -1e4;
    let logits = leaf(&logits, [1, 7]);
    let loss = distillation(
        logits.clone(),
        &[0.0, 0.9, 0.1, 0.0, 0.0, 0.0, 0.0],
        &Labels::bio(["PER", "LOC", "ORG"]),
        1.0,
        0.5,
    );
    assert!(number(&loss) > 9e3 && number(&loss).is_finite());
    assert!(gradient(&logits, &loss.backward()).iter().all(|g| g.is_finite()));
}

#[test]
fn the_boundary_starts_anew_with_every_text() {
    let student = Labels::bio(["PER", "LOC", "ORG"]);
    let sure_of_per = [0.0_f32, 0.0, 50.0, 0.0, 0.0];
    let logits = sure_of_per.repeat(4);
    let q = project(&teacher(), &student, &logits, &[0, 2, 2, 4], 1.0).q;
    let begins: Vec<bool> = q.chunks_exact(7).map(|row| row[1] > 0.99).collect();
    assert_eq!(begins, [true, false, true, false]);
}

#[test]
fn ignored_misc_masks_the_words_it_won_and_is_left_out_of_all_others() {
    let student = Labels::bio(["PER", "LOC", "ORG"]);
    let p = |p: [f32; 5]| p.map(f32::ln);
    let logits =
        [p([0.1, 0.1, 0.1, 0.6, 0.1]), p([0.2, 0.2, 0.2, 0.2, 0.2]), [0.0, 0.0, 0.0, 5000.0, 0.0]].concat();
    let found = project(&ignoring(&teacher()), &student, &logits, &[0, 3], 1.0);
    assert_eq!(found.counts, [false, true, false]);
    let row = &found.q[7..14];
    assert!((row[0] - 0.25).abs() < 1e-6, "O keeps its share of the rest: {row:?}");
    assert!((row[1] + row[2] - 0.25).abs() < 1e-6, "and so does PER");
    assert!((row[2] / (row[1] + row[2]) - 0.1).abs() < 1e-6, "c is the raw probability of the word before");
    assert_eq!(found.q[14..], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "still a distribution");
}

#[test]
fn kept_misc_has_columns_of_its_own() {
    let student = Labels::bio(["PER", "LOC", "ORG", "MISC"]);
    let logits = [0.0_f32, 0.0, 0.0, 50.0, 0.0].repeat(2);
    let found = project(&teacher(), &student, &logits, &[0, 2], 1.0);
    assert!(found.q[7] > 0.999 && found.q[9 + 8] > 0.999, "{found:?}");
}

#[test]
fn a_teacher_with_boundaries_is_taken_at_its_word() {
    let teacher = parse("O B-PER I-PER B-MISC I-MISC");
    let logits = [0.1_f32, 0.2, 0.3, 0.15, 0.25].map(f32::ln);
    let q = project(&teacher, &Labels::bio(["PER", "LOC", "ORG"]), &logits, &[0, 1], 1.0).q;
    for (found, right) in q.iter().zip([0.5, 0.2, 0.3, 0.0, 0.0, 0.0, 0.0]) {
        assert!((found - right).abs() < 1e-6, "{q:?}");
    }
}

#[test]
fn cross_entropy_weighs_words_and_divides_by_their_number() {
    let logits = leaf(&[0.0, 0.0, 0.0, 1.0, 2.0, 3.0], [2, 3]);
    let loss = cross_entropy(logits.clone(), &[1, 2], &[0.5, 1.0]);
    let right = 0.25 * 3f64.ln() + 0.5 * (1.0 + (-1f64).exp() + (-2f64).exp()).ln();
    assert!(near(number(&loss), right, 1e-6));
    let found = gradient(&logits, &loss.backward());
    assert!(near(found[1], 0.25 * (1.0 / 3.0 - 1.0), 1e-6) && near(found[0], 0.25 / 3.0, 1e-6), "{found:?}");
}

#[test]
fn hidden_is_the_mean_of_one_minus_cosine_and_trains_only_the_student() {
    let student = leaf(&[1.0, 0.0, 3.0, 4.0], [2, 2]);
    let teacher = leaf(&[0.0, 2.0, 6.0, 8.0], [2, 2]);
    let other = leaf(&[1.0, 1.0], [1, 2]);
    let loss =
        hidden(vec![(student.clone(), teacher.clone()), (other.clone(), other.clone().mul_scalar(-1.0))]);
    assert!(near(number(&loss), 1.25, 1e-6), "{}", number(&loss));
    let gradients = loss.backward();
    assert!(teacher.grad(&gradients).is_none());
    // d/dh_s of the first word: -(h_t/|h_t|) / |h_s| / 2 words / 2 pairs, at right angles to h_s.
    let found = gradient(&student, &gradients);
    assert!(near(found[0], 0.0, 1e-6) && near(found[1], -0.25, 1e-6), "{found:?}");
    let zero = leaf(&[0.0, 0.0], [1, 2]);
    let loss = hidden(vec![(zero.clone(), other)]);
    assert!(near(number(&loss), 1.0, 1e-6));
    assert!(gradient(&zero, &loss.backward()).iter().all(|g| g.is_finite()));
}

#[test]
fn without_a_word_every_loss_is_0() {
    let nothing = || Tensor::<2>::from_data(TensorData::new(Vec::<f32>::new(), [0, 7]), &device());
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    assert_eq!(number(&cross_entropy(nothing(), &[], &[])), 0.0);
    assert_eq!(number(&distillation(nothing(), &[], &labels, 2.5, 0.5)), 0.0);
    assert_eq!(number(&hidden(vec![(nothing(), nothing())])), 0.0);
    assert_eq!(
        number(&relation([nothing(), nothing(), nothing()], [nothing(), nothing(), nothing()], &[0], 7)),
        0.0
    );
    assert_eq!(
        number(&crf_structural(nothing(), &crf_weights(&[0.1; 49], &[0.1; 7]), &[], &[0], &labels)),
        0.0
    );
    assert_eq!(number(&crf_nll(nothing(), &crf_weights(&[0.1; 49], &[0.1; 7]), &[], &[0], &labels)), 0.0);
}

fn floats(count: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-3.0..3.0_f32, count)
}

/// The definition in f64, text by text.
fn relation_of(student: &[f32], teacher: &[f32], texts: &[usize], heads: usize) -> f64 {
    let words = texts[texts.len() - 1];
    let rows = |values: &[f32], head: usize, text: &[usize]| -> Vec<Vec<f64>> {
        let width = values.len() / words;
        let own = width / heads;
        let part = |word: usize| {
            let from = word * width + head * own;
            values[from..from + own].iter().map(|v| f64::from(*v)).collect::<Vec<_>>()
        };
        let vectors: Vec<Vec<f64>> = (text[0]..text[1]).map(part).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / count(own).sqrt();
        let relations = |a: &Vec<f64>| {
            let scores: Vec<f64> = vectors.iter().map(|b| dot(a, b).exp()).collect();
            let sum: f64 = scores.iter().sum();
            scores.into_iter().map(|score| score / sum).collect()
        };
        vectors.iter().map(relations).collect()
    };
    let mut sum = 0.0;
    for text in texts.windows(2) {
        for head in 0..heads {
            for (s, t) in rows(student, head, text).iter().zip(rows(teacher, head, text)) {
                sum += t.iter().zip(s).map(|(t, s)| t * (t / s).ln()).sum::<f64>();
            }
        }
    }
    sum / count(heads * words)
}

/// Central difference of a loss on the autodiff device itself, in f32.
fn slope(point: &[f32], at: usize, f: impl Fn(&[f32]) -> f64) -> f64 {
    const STEP: f32 = 0.02;
    let moved = |by: f32| {
        let mut point = point.to_vec();
        point[at] += by;
        f(&point)
    };
    (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn type_marginals_are_the_teachers(logits in floats(30), temperature in 0.5..4.0_f64, cut in 0u32..=6) {
        let (teacher, student) = (teacher(), Labels::bio(["PER", "LOC", "ORG"]));
        let texts = [0, cut, 6];
        for ignored in [false, true] {
            let labels = if ignored { ignoring(&teacher) } else { teacher.clone() };
            let found = project(&labels, &student, &logits, &texts, temperature);
            for (word, row) in found.q.chunks_exact(7).enumerate() {
                let p = softmax(&logits[word * 5..][..5], temperature);
                // O, LOC, PER, MISC, ORG
                let kept = if ignored { 1.0 - p[3] } else { 1.0 };
                let outside = if ignored { p[0] } else { p[0] + p[3] };
                for (found, right) in [
                    (row[0], outside), (row[1] + row[2], p[2]), (row[3] + row[4], p[1]), (row[5] + row[6], p[4]),
                ] {
                    prop_assert!((f64::from(found) - right / kept).abs() < 1e-6);
                }
                prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                let won_by_misc = p.iter().all(|other| *other <= p[3]);
                prop_assert_eq!(found.counts[word], !ignored || !won_by_misc);
            }
        }
        let kept = project(&teacher, &Labels::bio(["PER", "LOC", "ORG", "MISC"]), &logits, &texts, temperature);
        for (word, row) in kept.q.chunks_exact(9).enumerate() {
            let p = softmax(&logits[word * 5..][..5], temperature);
            prop_assert!((f64::from(row[7] + row[8]) - p[3]).abs() < 1e-6 && (f64::from(row[0]) - p[0]).abs() < 1e-6);
        }
    }

    #[test]
    fn crf_nll_has_the_gradient_of_its_value(
        emissions in floats(35), transitions in floats(49), start in floats(7),
        gold in prop::collection::vec(0usize..7, 5),
    ) {
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        let loss = |emissions: &[f32], transitions: &[f32], start: &[f32]| {
            let weights = crf_weights(transitions, start);
            let emissions = leaf(emissions, [5, 7]);
            // Scaled afterwards, as the sum of weighted losses is.
            let loss = crf_nll(emissions.clone(), &weights, &gold, &[0, 2, 5], &labels) * 0.5;
            (loss, emissions, weights)
        };
        let value = |e: &[f32], t: &[f32], s: &[f32]| number(&loss(e, t, s).0);
        let (here, leaf, weights) = loss(&emissions, &transitions, &start);
        let gradients = here.backward();
        let found = gradient(&leaf, &gradients);
        for (at, found) in found.iter().enumerate() {
            prop_assert!(near(*found, slope(&emissions, at, |e| value(e, &transitions, &start)), 1e-3));
        }
        let found = gradient(&weights.transitions, &gradients);
        for (at, found) in found.iter().enumerate() {
            prop_assert!(near(*found, slope(&transitions, at, |t| value(&emissions, t, &start)), 1e-3));
        }
        let (by_start, by_end) = (gradient(&weights.start, &gradients), gradient(&weights.end, &gradients));
        for at in 0..7 {
            // `end` is `start` reversed: moving one moves the other.
            let right = slope(&start, at, |s| value(&emissions, &transitions, s));
            prop_assert!(near(by_start[at] + by_end[6 - at], right, 1e-3));
        }
    }

    #[test]
    fn the_structural_loss_has_the_gradient_of_its_value(
        emissions in floats(35), transitions in floats(49), start in floats(7), logits in floats(25),
    ) {
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        let alone = alone(&teacher(), &labels, &logits, 1.0, Begin::Kept);
        let loss = |emissions: &[f32], transitions: &[f32], start: &[f32]| {
            let weights = crf_weights(transitions, start);
            let emissions = leaf(emissions, [5, 7]);
            (crf_structural(emissions.clone(), &weights, &alone, &[0, 2, 5], &labels), emissions, weights)
        };
        let value = |e: &[f32], t: &[f32], s: &[f32]| number(&loss(e, t, s).0);
        let (here, leaf, weights) = loss(&emissions, &transitions, &start);
        let gradients = here.backward();
        for (at, found) in gradient(&leaf, &gradients).iter().enumerate() {
            prop_assert!(near(*found, slope(&emissions, at, |e| value(e, &transitions, &start)), 1e-3));
        }
        for (at, found) in gradient(&weights.transitions, &gradients).iter().enumerate() {
            prop_assert!(near(*found, slope(&transitions, at, |t| value(&emissions, t, &start)), 1e-3));
        }
        let (by_start, by_end) = (gradient(&weights.start, &gradients), gradient(&weights.end, &gradients));
        for at in 0..7 {
            let right = slope(&start, at, |s| value(&emissions, &transitions, s));
            prop_assert!(near(by_start[at] + by_end[6 - at], right, 1e-3));
        }
    }

    #[test]
    fn the_relation_loss_is_its_definition_and_has_the_gradient_of_its_value(
        student in floats(20), teacher in floats(40), cut in 0usize..=5,
    ) {
        let texts = [0, u32::try_from(cut).expect("few words"), 5];
        let loss = |student: &[f32]| {
            let student = leaf(student, [5, 4]);
            let teacher = leaf(&teacher, [5, 8]);
            let loss = relation([(); 3].map(|()| student.clone()), [(); 3].map(|()| teacher.clone()), &texts, 2);
            (loss, student, teacher)
        };
        let (here, leaf, taught) = loss(&student);
        prop_assert!(near(number(&here), relation_of(&student, &teacher, &[0, cut, 5], 2), 1e-4));
        let gradients = here.backward();
        prop_assert!(taught.grad(&gradients).is_none());
        for (at, found) in gradient(&leaf, &gradients).iter().enumerate() {
            prop_assert!(near(*found, slope(&student, at, |s| number(&loss(s).0)), 5e-3));
        }
    }

    #[test]
    fn distillation_and_transitions_have_the_gradient_of_their_value(
        logits in floats(14), teacher_logits in floats(10), transitions in floats(49), start in floats(7),
        beta in 0.0..2.0_f64,
    ) {
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        let q = project(&teacher(), &labels, &teacher_logits, &[0, 2], 2.5).q;
        let kd = |z: &[f32]| {
            let z = leaf(z, [2, 7]);
            (distillation(z.clone(), &q, &labels, 2.5, beta), z)
        };
        let (loss, z) = kd(&logits);
        prop_assert!(number(&loss) > -1e-5);
        let found = gradient(&z, &loss.backward());
        for (at, found) in found.iter().enumerate() {
            prop_assert!(near(*found, slope(&logits, at, |z| number(&kd(z).0)), 1e-3));
        }

        let teacher = bigram(&labels, &[&[0, 1, 2, 0, 3, 0].map(Some), &[5, 6, 6, 0, 0].map(Some)]);
        let distance = |t: &[f32], s: &[f32]| {
            let weights = crf_weights(t, s);
            (crf_transitions(&weights, &teacher, &labels), weights)
        };
        let (loss, weights) = distance(&transitions, &start);
        let gradients = loss.backward();
        let found = gradient(&weights.transitions, &gradients);
        for (at, found) in found.iter().enumerate() {
            prop_assert!(near(*found, slope(&transitions, at, |t| number(&distance(t, &start).0)), 1e-3));
        }
        let found = gradient(&weights.start, &gradients);
        for (at, found) in found.iter().enumerate() {
            prop_assert!(near(*found, slope(&start, at, |s| number(&distance(&transitions, s).0)), 1e-3));
        }
    }
}
