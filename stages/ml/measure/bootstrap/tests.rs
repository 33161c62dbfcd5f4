use super::*;

const PLAN: Bootstrap = Bootstrap { samples: 4000, confidence: 0.9, seed: 3 };

fn counts(correct: usize, found: usize, gold: usize) -> Counts {
    Counts { correct, found, gold }
}

/// One type, a row for each sentence.
fn tally(rows: &[(usize, usize, usize)]) -> Tally {
    Tally { types: 1, counts: rows.iter().map(|&(c, f, g)| counts(c, f, g)).collect() }
}

fn all(tally: &Tally) -> Vec<usize> {
    (0..tally.counts.len() / tally.types).collect()
}

/// Every one of the n^n equally likely draws of n sentences.
fn every_draw(n: usize) -> Vec<Vec<usize>> {
    let draw = |mut code: usize| {
        let digit = |_| {
            let digit = code % n;
            code /= n;
            digit
        };
        (0..n).map(digit).collect()
    };
    (0..n.pow(u32::try_from(n).expect("small"))).map(draw).collect()
}

fn f1(tally: &Tally, draw: &[usize]) -> f64 {
    let sum: Counts = draw.iter().map(|&row| tally.counts[row]).sum();
    let float = |count: usize| f64::from(u32::try_from(count).expect("small"));
    2.0 * float(sum.correct) / float(sum.found + sum.gold)
}

#[test]
fn intervals_are_those_of_all_possible_draws() {
    let teacher = tally(&[(2, 2, 2), (1, 2, 1), (0, 1, 2), (3, 3, 4), (1, 1, 1)]);
    let student = tally(&[(2, 2, 2), (1, 1, 1), (0, 2, 2), (2, 3, 4), (0, 1, 1)]);
    let resampled = Resampled::new(PLAN, "x", &[teacher.clone(), student.clone()], &all(&teacher), None);
    let draws = every_draw(5);
    let exact = |of: &dyn Fn(&[usize]) -> f64| {
        let mut values: Vec<f64> = draws.iter().map(|draw| of(draw)).collect();
        values.sort_by(f64::total_cmp);
        // Where the 5 % and the 95 % lie, and how far one per cent of the draws more or less would move them.
        let at = |thousandths: usize| values[values.len() * thousandths / 1000];
        [[at(35), at(65)], [at(935), at(965)]]
    };
    let check = |found: Estimate, of: &dyn Fn(&[usize]) -> f64| {
        assert!((found.value - of(&[0, 1, 2, 3, 4])).abs() < 1e-12);
        let ends = found.interval.expect("there are entities");
        for (end, [low, high]) in ends.into_iter().zip(exact(of)) {
            assert!((low - 1e-12..=high + 1e-12).contains(&end), "{end} is not between {low} and {high}");
        }
    };
    check(resampled.estimate(0, Measure::F1).expect("a value"), &|draw| f1(&teacher, draw));
    check(resampled.estimate(1, Measure::F1).expect("a value"), &|draw| f1(&student, draw));
    check(resampled.drop(1, 0, Measure::F1).expect("a value"), &|draw| {
        f1(&teacher, draw) - f1(&student, draw)
    });
}

#[test]
fn a_difference_is_paired_and_so_narrower_than_its_parts() {
    // The student misses one entity of each third sentence, whatever the teacher does.
    let rows = |less: usize| -> Vec<(usize, usize, usize)> {
        (0..60).map(|row| (row % 5 + 2 - less * usize::from(row % 3 == 0), 7, 7)).collect()
    };
    let (teacher, student) = (tally(&rows(0)), tally(&rows(1)));
    let resampled = Resampled::new(PLAN, "x", &[teacher.clone(), student], &all(&teacher), None);
    let width = |estimate: Option<Estimate>| {
        let [low, high] = estimate.expect("a value").interval.expect("an interval");
        high - low
    };
    assert!(width(resampled.drop(1, 0, Measure::F1)) < 0.7 * width(resampled.estimate(0, Measure::F1)));
    let none = resampled.drop(0, 0, Measure::F1).expect("a value");
    assert_eq!(none, Estimate { value: 0.0, interval: Some([0.0, 0.0]) });
}

#[test]
fn sentences_that_are_all_alike_leave_no_doubt() {
    let one = tally(&[(1, 2, 2); 9]);
    let resampled = Resampled::new(PLAN, "x", std::slice::from_ref(&one), &all(&one), None);
    let sure = Estimate { value: 0.5, interval: Some([0.5, 0.5]) };
    assert_eq!(resampled.estimate(0, Measure::F1), Some(sure));
    assert_eq!(resampled.estimate(0, Measure::Type(0, Part::Precision)), Some(sure));
    assert_eq!(resampled.estimate(0, Measure::Macro(Part::Recall)), Some(sure));
}

#[test]
fn draws_follow_from_seed_and_name_and_take_only_the_sentences_named() {
    let rows: Vec<_> = (0..30).map(|row| (row % 3, 3, 3)).collect();
    let one = tally(&rows);
    let at = |seed, name: &str, texts: &[usize]| {
        let plan = Bootstrap { samples: 200, seed, ..PLAN };
        Resampled::new(plan, name, std::slice::from_ref(&one), texts, None).estimate(0, Measure::F1)
    };
    let whole = all(&one);
    assert_eq!(at(1, "x", &whole), at(1, "x", &whole));
    let differs = (2..20).any(|seed| at(seed, "x", &whole) != at(1, "x", &whole));
    assert!(differs, "the seed counts");
    let twos: Vec<usize> = (0..30).filter(|row| row % 3 == 2).collect();
    let right = Estimate { value: 2.0 / 3.0, interval: Some([2.0 / 3.0, 2.0 / 3.0]) };
    assert_eq!(at(1, "x", &twos), Some(right));
    assert_eq!(at(1, "x", &[]), None);
}

#[test]
fn what_is_nowhere_has_no_score_and_who_is_right_by_definition_has_1_where_there_is_something() {
    // Only the second of two sentences has an entity; draws that leave it out say nothing.
    let one = tally(&[(0, 0, 0), (1, 1, 1)]);
    let teacher = tally(&[(0, 0, 0), (0, 1, 1)]);
    let resampled = Resampled::new(PLAN, "x", &[one.clone(), teacher], &[0, 1], Some(1));
    let sure = Some(Estimate { value: 1.0, interval: Some([1.0, 1.0]) });
    assert_eq!(resampled.estimate(0, Measure::F1), sure);
    assert_eq!(resampled.estimate(1, Measure::F1), sure, "by definition");
    let nothing = tally(&[(0, 0, 0); 2]);
    let resampled = Resampled::new(PLAN, "x", &[nothing, tally(&[(0, 1, 0); 2])], &[0, 1], Some(0));
    assert_eq!(resampled.estimate(0, Measure::F1), None, "right about nothing");
    assert_eq!(resampled.estimate(1, Measure::Micro(Part::Recall)), None, "nothing to find");
    assert_eq!(resampled.drop(1, 0, Measure::F1), None);
    let nowhere = Resampled::new(PLAN, "x", &[one], &[0], None);
    assert_eq!(nowhere.estimate(0, Measure::F1), None);
}

#[test]
fn evidence_is_the_entities_of_the_part_in_the_sentences_that_have_some() {
    // Two types: ten entities of the first in one of four sentences, of which two were found; one of the second.
    let counts = |first: (usize, usize, usize), second: (usize, usize, usize)| {
        [counts(first.0, first.1, first.2), counts(second.0, second.1, second.2)]
    };
    let rows = [
        counts((2, 2, 10), (0, 0, 0)),
        counts((0, 0, 0), (1, 1, 1)),
        counts((0, 3, 0), (0, 0, 0)),
        counts((0, 0, 0), (0, 0, 0)),
    ];
    let tally = Tally { types: 2, counts: rows.concat() };
    let resampled = Resampled::new(PLAN, "x", &[tally], &[0, 1, 2, 3], None);
    for (measure, texts, entities) in [
        (Measure::F1, 2, 11),
        (Measure::Micro(Part::Recall), 2, 11),
        (Measure::Micro(Part::Precision), 3, 6),
        (Measure::Type(0, Part::Recall), 1, 10),
        (Measure::Type(0, Part::Precision), 2, 5),
        (Measure::Macro(Part::F1), 1, 1),
    ] {
        assert_eq!(resampled.evidence(0, measure), Evidence { texts, entities }, "{measure:?}");
    }
    assert_eq!(resampled.texts, 4);
}

#[test]
fn an_interval_holds_its_share_of_the_values_rounded_outwards() {
    let values: Vec<f64> = (0..=100).map(f64::from).collect();
    let of = |confidence| Bootstrap { confidence, ..PLAN }.interval(values.clone());
    assert_eq!(of(0.9), Some([5.0, 95.0]));
    assert_eq!(of(0.95), Some([2.0, 98.0]));
    assert_eq!(PLAN.interval(Vec::new()), None);
}
