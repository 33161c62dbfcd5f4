//! The CRF, its transitions and paths.

use super::*;

#[test]
fn crf_nll_is_the_mean_over_words_whatever_the_texts() {
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let weights = crf_weights(&[0.0; 49], &[0.0; 7]);
    let emissions = leaf(&[0.0; 21], [3, 7]);
    // Legal paths of one word: O and three B-. Of two: after O 4, after a B- 5.
    let right = (4f64.ln() + 19f64.ln()) / 3.0;
    let loss = crf_nll(emissions, &weights, &[0, 1, 2], &[0, 1, 3], &labels);
    assert!(near(number(&loss), right, 1e-6), "{}", number(&loss));
    // An empty text between two others takes nothing away.
    let emissions = leaf(&[0.0; 21], [3, 7]);
    let loss = crf_nll(emissions, &weights, &[0, 2, 2], &[0, 1, 1, 3], &labels);
    assert!(near(number(&loss), right, 1e-6), "gold that lost its B- is repaired");
}

#[test]
fn transitions_equal_to_the_teachers_up_to_a_shift_of_rows_cost_nothing() {
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let teacher = bigram(&labels, &[&[0, 1, 2, 0, 3, 0].map(Some), &[5, 6, 6, 0, 0].map(Some)]);
    let shifted = |at: usize| {
        let row = |i: usize| narrow(f64::from(u8::try_from(i).expect("few rows")) - 3.0);
        let score = teacher.scores[at];
        if score.is_finite() { narrow(score) + row(at / 7) } else { 7.0 }
    };
    let weights =
        crf_weights(&(0..49).map(shifted).collect::<Vec<_>>(), &(49..56).map(shifted).collect::<Vec<_>>());
    let loss = crf_transitions(&weights, &teacher, &labels);
    assert!(number(&loss) < 1e-10, "{}", number(&loss));
    let end = weights.end.clone();
    assert!(end.grad(&loss.backward()).is_none(), "end takes no part");
}

#[test]
fn bigram_scores_follow_the_definition() {
    // One type: O, B-X, I-X. Legal: 3 + 3 + 3 less O I, and START less I.
    let labels = parse("O B-X I-X");
    let found = bigram(&labels, &[&[0, 1, 2, 0].map(Some), &[Some(1)], &[]]).scores;
    let p = |label: usize| [(2.0 + 0.5) / 6.5, (2.0 + 0.5) / 6.5, (1.0 + 0.5) / 6.5][label];
    let right = [
        [0.5 / 2.0, 1.5 / 2.0, 0.0],
        [0.5 / 2.5, 0.5 / 2.5, 1.5 / 2.5],
        [1.5 / 2.5, 0.5 / 2.5, 0.5 / 2.5],
        [1.5 / 3.0, 1.5 / 3.0, 0.0],
    ];
    for (at, right) in right.as_flattened().iter().enumerate() {
        let right = f64::ln(*right) - f64::ln(p(at % 3));
        assert!(found[at] == right || near(found[at], right, 1e-12), "{at}: {} {right}", found[at]);
    }
}

#[test]
fn a_word_out_of_every_loss_makes_no_neighbours_of_those_beside_it() {
    let labels = parse("O B-X I-X");
    let without = bigram(&labels, &[&[Some(0)], &[None, Some(1)]]);
    let between = bigram(&labels, &[&[Some(0), None, Some(1)]]);
    assert_eq!(between, without, "O B-X is no pair, and B-X is no first word");
}

#[test]
fn the_distance_of_transitions_is_the_mean_over_legal_moves() {
    let labels = parse("O B-X I-X");
    let teacher = Transitions {
        scores: vec![0.0, 1.0, f64::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, f64::NEG_INFINITY],
    };
    let leaf2 = leaf(&[0.0; 9], [3, 3]);
    let weights =
        CrfWeights { transitions: leaf2, start: leaf(&[0.0, 0.0, 9.0], [3]), end: leaf(&[5.0; 3], [3]) };
    let loss = crf_transitions(&weights, &teacher, &labels);
    let row = [0.0_f64, 1.0].map(|s| (s - 1f64.exp().ln_1p() + 2f64.ln()).powi(2));
    assert!(near(number(&loss), (row[0] + row[1]) / 10.0, 1e-6), "{}", number(&loss));
}

#[test]
fn the_structural_loss_equals_the_golden_one() {
    let golden = golden();
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let weights = CrfWeights {
        transitions: leaf(&rows(&golden["A"]), [7, 7]),
        start: leaf(&rows(&golden["start"]), [7]),
        end: leaf(&rows(&golden["end"]), [7]),
    };
    let emissions = rows(&golden["student_logits"]);
    let alone = alone(&teacher(), &labels, &rows(&golden["teacher_logits"]), 1.0, Begin::Kept);
    let right = |name: &str| golden[name].as_f64().expect("a number");
    let loss = crf_structural(leaf(&emissions, [4, 7]), &weights, &alone, &[0, 4], &labels);
    assert!(near(number(&loss), right("loss_structural"), 1e-6), "{}", number(&loss));
    let (words, pairs) = chain(&labels, &alone);
    let host = |tensor: &Tensor<1>| tensor.to_data().iter::<f32>().collect::<Vec<_>>();
    let crf =
        encoder::crf::Crf::new(&labels, &rows(&golden["A"]), &host(&weights.start), &host(&weights.end));
    assert!(near(crf.expected_score(&emissions, &words, &pairs), right("expected_score"), 1e-6));
    assert!(near(crf.log_z(&emissions), right("logZ_legal"), 1e-6));
}

/// The chain in two factors against the sum over triples of labels of three words in a row.
#[test]
fn a_chain_has_the_marginals_of_all_paths_of_words_labelled_alone() {
    let (io, bio) = (teacher(), parse("O B-PER I-PER B-MISC I-MISC"));
    let labels = Labels::bio(["PER", "LOC", "ORG"]);
    let logits: Vec<f32> = (0_u8..15).map(|i| f32::from(i * 7 % 11) / 4.0 - 1.0).collect();
    for teacher in [&io, &ignoring(&io), &bio] {
        let alone = alone(teacher, &labels, &logits, 1.0, Begin::Kept);
        let kind = |label: usize| match labels.tags()[label] {
            Tag::Outside => None,
            Tag::Begin(kind) | Tag::Inside(kind) => Some(kind),
        };
        let (mut words, mut pairs) = (vec![0.0; 21], vec![0.0; 98]);
        for path in 0..343_usize {
            let raw = [path / 49, path / 7 % 7, path % 7];
            let p: f64 = raw.iter().enumerate().map(|(word, label)| alone[word * 7 + label]).product();
            let meant: Vec<usize> = (0..3)
                .map(|word| match labels.tags()[raw[word]] {
                    Tag::Inside(of) if word == 0 || kind(raw[word - 1]) != Some(of) => raw[word] - 1,
                    _ => raw[word],
                })
                .collect();
            meant.iter().enumerate().for_each(|(word, label)| words[word * 7 + label] += p);
            meant.windows(2).enumerate().for_each(|(at, pair)| pairs[at * 49 + pair[0] * 7 + pair[1]] += p);
        }
        let found = chain(&labels, &alone);
        let close =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(*a, *b, 1e-12));
        assert!(close(&found.0, &words) && close(&found.1, &pairs), "{found:?}");
    }
    let (words, pairs) = chain(&labels, &[]);
    assert!(words.is_empty() && pairs.is_empty());
}

#[test]
fn fitted_transitions_say_what_emissions_leave_unsaid() {
    let labels = parse("O B-X I-X");
    let text = |path: &[usize]| Emitted { emissions: vec![0.0; 3 * path.len()], path: path.to_vec() };
    // Where emissions say nothing, what is left to learn is how often a move is made.
    let first = fitted(&labels, &[vec![text(&[0]); 7000], vec![text(&[1]); 3000]].concat()).scores;
    assert!((first[9] - first[10] - (7000.0_f64 / 3000.0).ln()).abs() < 0.01, "{first:?}");
    let found = fitted(&labels, &[vec![text(&[1, 2]); 2000], vec![text(&[1, 0]); 500]].concat()).scores;
    assert!((found[5] - found[3] - 4_f64.ln()).abs() < 0.01, "{found:?}");
    assert!(found[4] < found[3] - 2.0 && found[4].is_finite(), "never seen, and not forbidden: {found:?}");
    assert_eq!((found[2], found[11]), (f64::NEG_INFINITY, f64::NEG_INFINITY), "illegal");
    // Emissions that say it all themselves leave nothing to fit but their own doubt.
    let sure = |path: &[usize]| {
        let emissions =
            path.iter().flat_map(|own| (0..3).map(move |label| if label == *own { 0.0 } else { -30.0 }));
        Emitted { emissions: emissions.collect(), path: path.to_vec() }
    };
    let found = fitted(&labels, &[sure(&[0, 1, 2]), sure(&[1, 0])]).scores;
    assert!(found.iter().all(|score| score.abs() < 1e-6 || *score == f64::NEG_INFINITY), "{found:?}");
    assert_eq!(fitted(&labels, &[]).scores.iter().filter(|score| **score == 0.0).count(), 10);
}
