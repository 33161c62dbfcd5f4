#![expect(clippy::float_cmp, reason = "nothing and the impossible are exact")]

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Golden numbers in float64, made by independent code (`stages/testdata/distill.json`).
fn golden() -> Value {
    serde_json::from_str(include_str!("../../../testdata/distill.json")).expect("golden vectors")
}

fn vector(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn matrix(value: &Value) -> Vec<f64> {
    value.as_array().expect("rows").iter().flat_map(vector).collect()
}

/// A CRF with f64 weights, under the mask of `labels` or, without, under none.
fn crf(labels: Option<&Labels>, transitions: &[f64], start: &[f64], end: &[f64]) -> Crf {
    let n = start.len();
    let masked = |legal: bool, w: f64| if legal { w } else { f64::NEG_INFINITY };
    Crf {
        labels: n,
        transitions: (0..n * n)
            .map(|i| masked(labels.is_none_or(|l| l.legal(Some(i / n), i % n)), transitions[i]))
            .collect(),
        start: (0..n).map(|i| masked(labels.is_none_or(|l| l.legal(None, i)), start[i])).collect(),
        end: end.to_vec(),
    }
}

/// Every path of `words` labels, in ascending order.
fn paths(labels: usize, words: usize) -> Vec<Vec<usize>> {
    (0..words).fold(vec![vec![]], |paths, _| {
        paths.iter().flat_map(|path| (0..labels).map(move |l| [&path[..], &[l]].concat())).collect()
    })
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

#[test]
fn log_z_equals_the_golden_numbers_with_and_without_the_mask() {
    let golden = golden();
    let student = Labels::bio(["PER", "LOC", "ORG"]);
    let (a, start, end) = (matrix(&golden["A"]), vector(&golden["start"]), vector(&golden["end"]));
    let emissions = matrix(&golden["student_logits"]);
    for (labels, name) in [(Some(&student), "logZ_legal"), (None, "logZ_all")] {
        let log_z = crf(labels, &a, &start, &end).forward(&emissions).1;
        assert!(close(log_z, golden[name].as_f64().expect("a number"), 1e-13), "{name} {log_z}");
    }
}

#[test]
fn the_golden_log_z_is_met_through_f32_weights_too() {
    let golden = golden();
    #[expect(clippy::cast_possible_truncation, reason = "as a checkpoint would")]
    let narrow = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
    let crf = Crf::new(
        &Labels::bio(["PER", "LOC", "ORG"]),
        &narrow(matrix(&golden["A"])),
        &narrow(vector(&golden["start"])),
        &narrow(vector(&golden["end"])),
    );
    let log_z = crf.log_z(&narrow(matrix(&golden["student_logits"])));
    assert!(close(log_z, golden["logZ_legal"].as_f64().expect("a number"), 1e-6), "{log_z}");
}

/// `E_T[score_S]`: the teacher's pair marginals follow from triples of independent IO labels at T = 1, because whether a
/// word begins an entity depends on the type of the word before it.
#[test]
fn expected_score_and_structural_loss_equal_the_golden_numbers() {
    let golden = golden();
    let student = Labels::bio(["PER", "LOC", "ORG"]);
    let names = golden["io"].as_array().expect("labels").iter();
    let types: Vec<Option<usize>> =
        names.map(|name| student.type_index(name.as_str().expect("a name"))).collect();
    let p: Vec<Vec<f64>> = golden["teacher_logits"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            let row = vector(row);
            let sum = log_sum(row.iter().copied());
            row.iter().map(|z| (z - sum).exp()).collect()
        })
        .collect();
    let label = |before: Option<usize>, this: usize| match types[this] {
        None => 0,
        Some(kind) if before.and_then(|b| types[b]) == Some(kind) => 2 * kind + 2,
        Some(kind) => 2 * kind + 1,
    };
    let n = student.len();
    let mut words = vec![0.0; p.len() * n];
    let mut pairs = vec![0.0; (p.len() - 1) * n * n];
    for (this, probability) in p[0].iter().enumerate() {
        words[label(None, this)] += probability;
    }
    for word in 1..p.len() {
        for before in 0..types.len() {
            for this in 0..types.len() {
                words[word * n + label(Some(before), this)] += p[word - 1][before] * p[word][this];
                // The word before's own label needs the one before that: one triple for each, or a pair at the start.
                let earlier: Vec<(Option<usize>, f64)> = match word.checked_sub(2) {
                    Some(two) => p[two].iter().enumerate().map(|(i, p)| (Some(i), *p)).collect(),
                    None => vec![(None, 1.0)],
                };
                for (two, weight) in earlier {
                    let at = label(two, before) * n + label(Some(before), this);
                    pairs[(word - 1) * n * n + at] += weight * p[word - 1][before] * p[word][this];
                }
            }
        }
    }
    let crf = crf(Some(&student), &matrix(&golden["A"]), &vector(&golden["start"]), &vector(&golden["end"]));
    let emissions = matrix(&golden["student_logits"]);
    let expected = crf.expectation(&emissions, &words, &pairs);
    assert!(close(expected, golden["expected_score"].as_f64().expect("a number"), 1e-12), "{expected}");
    let structural = (crf.forward(&emissions).1 - expected) / 4.0;
    assert!(close(structural, golden["loss_structural"].as_f64().expect("a number"), 1e-12), "{structural}");
}

#[test]
fn expected_score_under_certainty_is_the_score_of_the_path() {
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let weights: Vec<f32> = (0..49u8).map(|i| f32::from(i % 11) / 4.0 - 1.0).collect();
    let crf = Crf::new(&labels, &weights, &weights[..7], &weights[7..14]);
    let emissions = &weights[14..35];
    let path = [1, 2, 0];
    let mut words = vec![0.0; 21];
    let mut pairs = vec![0.0; 98];
    for (word, &label) in path.iter().enumerate() {
        words[word * 7 + label] = 1.0;
    }
    for (word, pair) in path.windows(2).enumerate() {
        pairs[word * 49 + pair[0] * 7 + pair[1]] = 1.0;
    }
    assert!(close(crf.expected_score(emissions, &words, &pairs), crf.score(emissions, &path), 1e-14));
    assert_eq!(crf.score(emissions, &[0, 2, 0]), f64::NEG_INFINITY, "O I-PER is illegal");
}

#[test]
fn a_text_without_words_has_no_path_no_probability_and_no_loss() {
    let crf = Crf::new(&Labels::bio(["PER", "LOC", "ORG", "MISC"]), &[1.0; 81], &[1.0; 9], &[1.0; 9]);
    let mut gradient = CrfGradient::zero(9);
    assert_eq!(crf.nll(&[], &[], &mut [], &mut gradient), 0.0);
    assert_eq!(gradient, CrfGradient::zero(9));
    assert_eq!(crf.log_z(&[]), 0.0);
    assert!(
        crf.viterbi(&[]).is_empty() && crf.marginals(&[]).is_empty() && crf.pair_marginals(&[]).is_empty()
    );
}

#[test]
fn ties_go_to_the_lower_label() {
    let crf = Crf::new(&Labels::bio(["PER", "LOC", "ORG"]), &[0.0; 49], &[0.0; 7], &[0.0; 7]);
    assert_eq!(crf.viterbi(&[0.0; 21]), [0, 0, 0]);
    // B-LOC I-LOC ties with B-LOC B-LOC and with B-LOC O.
    let mut emissions = [0.0; 14];
    emissions[3] = 1.0;
    assert_eq!(crf.viterbi(&emissions), [3, 0]);
}

#[test]
fn extreme_emissions_stay_finite() {
    let crf = Crf::new(&Labels::bio(["PER", "LOC", "ORG"]), &[0.5; 49], &[0.0; 7], &[0.0; 7]);
    // A word that no piece covers, and before and after it words that are sure of what may not stand there.
    let mut emissions = vec![-1e4_f32; 21];
    emissions[7] = 0.0;
    emissions[2] = 1e4;
    emissions[14 + 4] = 1e4;
    let marginals = crf.marginals(&emissions);
    for row in marginals.chunks_exact(7) {
        assert!(close(row.iter().sum::<f64>(), 1.0, 1e-9), "{row:?}");
    }
    let mut by_emission = vec![0.0; 21];
    let mut gradient = CrfGradient::zero(7);
    let nll = crf.nll(&emissions, &[0, 0, 0], &mut by_emission, &mut gradient);
    assert!(nll.is_finite() && by_emission.iter().all(|g| g.is_finite()));
    assert!(gradient.transitions.iter().all(|g| g.is_finite()));
}

#[test]
fn repair_turns_an_inside_that_may_not_stand_there_into_a_begin() {
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let mut path = [2, 2, 4, 0, 6, 6, 5, 6];
    repair(&labels, &mut path);
    assert_eq!(path, [1, 2, 3, 0, 5, 6, 5, 6]);
}

fn weights(count: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-3.0..3.0_f64, count)
}

proptest! {
    /// log Z, marginals, pair marginals and Viterbi against all 7^4 paths.
    #[test]
    fn everything_equals_brute_force(
        a in weights(49), start in weights(7), end in weights(7), words in 1usize..=4, all in weights(28),
    ) {
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        let emissions: Vec<f32> = all[..words * 7].iter().map(|v| {
            #[expect(clippy::cast_possible_truncation, reason = "emissions are f32")]
            let v = *v as f32;
            v
        }).collect();
        let crf = crf(Some(&labels), &a, &start, &end);
        let paths: Vec<_> = paths(7, words).into_iter().map(|p| (crf.score(&emissions, &p), p)).collect();
        let log_z = log_sum(paths.iter().map(|(score, _)| *score));
        prop_assert!(close(crf.log_z(&emissions), log_z, 1e-12));

        let mut marginals = vec![0.0; words * 7];
        let mut pairs = vec![0.0; (words - 1) * 49];
        for (score, path) in &paths {
            let p = (score - log_z).exp();
            path.iter().enumerate().for_each(|(word, label)| marginals[word * 7 + label] += p);
            path.windows(2).enumerate().for_each(|(word, pair)| pairs[word * 49 + pair[0] * 7 + pair[1]] += p);
        }
        for (found, right) in crf.marginals(&emissions).iter().zip(&marginals) {
            prop_assert!(close(*found, *right, 1e-11));
        }
        let found = crf.pair_marginals(&emissions);
        prop_assert_eq!(found.len(), pairs.len());
        for (found, right) in found.iter().zip(&pairs) {
            prop_assert!(close(*found, *right, 1e-11));
        }
        let best = paths.iter().fold(&paths[0], |best, next| if next.0 > best.0 { next } else { best });
        prop_assert_eq!(&crf.viterbi(&emissions), &best.1);
        prop_assert!(best.1.iter().enumerate().all(|(i, l)| labels.legal(i.checked_sub(1).map(|b| best.1[b]), *l)));

        // The expectation under its own marginals is log Z less the entropy: checked against the paths.
        let expected: f64 = paths.iter().filter(|(s, _)| s.is_finite()).map(|(s, _)| (s - log_z).exp() * s).sum();
        prop_assert!(close(crf.expected_score(&emissions, &marginals, &pairs), expected, 1e-10));
    }

    #[test]
    fn gradients_equal_finite_differences(
        a in weights(49), start in weights(7), end in weights(7), emissions in weights(28),
        mut gold in prop::collection::vec(0usize..7, 4),
    ) {
        const STEP: f64 = 1e-5;
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        repair(&labels, &mut gold);
        let nll = |a: &[f64], start: &[f64], end: &[f64], emissions: &[f64]| {
            crf(Some(&labels), a, start, end)
                .nll_wide(emissions, &gold, &mut [0.0; 28], &mut CrfGradient::zero(7))
        };
        let mut by_emission = vec![0.0; 28];
        let mut by_weight = CrfGradient::zero(7);
        let value = crf(Some(&labels), &a, &start, &end).nll_wide(&emissions, &gold, &mut by_emission, &mut by_weight);
        prop_assert!(value >= -1e-12, "a probability is at most 1");

        let slope = |point: &[f64], at: usize, f: &dyn Fn(&[f64]) -> f64| {
            let moved = |by: f64| {
                let mut point = point.to_vec();
                point[at] += by;
                f(&point)
            };
            (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
        };
        for (at, found) in by_emission.iter().enumerate() {
            let right = slope(&emissions, at, &|e| nll(&a, &start, &end, e));
            prop_assert!(close(*found, right, 1e-8), "emission {at}: {found} {right}");
        }
        for at in 0..49 {
            let right = slope(&a, at, &|a| nll(a, &start, &end, &emissions));
            prop_assert!(close(by_weight.transitions[at], right, 1e-8), "transition {at}");
        }
        for at in 0..7 {
            prop_assert!(close(by_weight.start[at], slope(&start, at, &|s| nll(&a, s, &end, &emissions)), 1e-8));
            prop_assert!(close(by_weight.end[at], slope(&end, at, &|e| nll(&a, &start, e, &emissions)), 1e-8));
        }
    }
}
