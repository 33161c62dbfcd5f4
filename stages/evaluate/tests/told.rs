//! What is told on a terminal, and of sentences that differ.

use super::*;

#[test]
fn the_tables_are_aligned_narrow_and_honest() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG"]));
    let without = bench.run(true).expect("a report");
    assert_eq!(without.at("models/final/quality"), &Value::Null);
    assert!(
        without.shown().ends_with("\n\nquality: not evaluated (no gold is wired)"),
        "{}",
        without.shown()
    );

    bench.gold(vec![
        gold("a-set-whose-name-is-longer-than-its-column", &[("Anna", "B-PER")]),
        gold("b", &[("la CAF", "O B-ORG")]),
    ]);
    let shown = bench.run(true).expect("a report").shown();
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{shown}");
    let table = |title: &str| -> Vec<Vec<&str>> {
        let from = lines.iter().position(|line| line.starts_with(title)).expect("a title");
        let rows = lines[from + 1..].iter().take_while(|line| !line.is_empty());
        rows.map(|line| line.split_whitespace().collect()).collect()
    };
    let fidelity = table("fidelity: agreement with the teacher on 3 texts");
    let header = ["precision", "recall", "F1", "macro", "F1", "F1", "lost", "95", "%", "CI"];
    assert_eq!(fidelity[0], header);
    assert_eq!(fidelity[1], ["teacher", "100.00", "100.00", "100.00", "100.00"]);
    assert_eq!(fidelity[2][..6], ["final", "100.00", "80.00", "88.89", "66.67", "11.11"]);
    assert!(fidelity[2][6].starts_with('['), "{shown}");
    assert_eq!(fidelity[4], ["ORG", "(1)", "-", "0.00", "0.00"], "nothing found, no precision");
    let quality = table("quality: against gold, 2 texts in 2 sets");
    assert_eq!(quality[2][..6], ["final", "100.00", "50.00", "66.67", "50.00", "33.33"]);
    assert_eq!(
        table("fidelity, F1 by source"),
        [vec!["final"], vec!["notes", "(4)", "85.71"], vec!["web", "(1)", "100.00"]]
    );
    let sets = table("quality, F1 by set");
    assert_eq!(sets[0], ["teacher", "final"]);
    assert_eq!(sets[2], ["b", "(1)", "100.00", "0.00"]);
    let sizes = table("size and speed");
    assert_eq!(sizes[1][..4], ["teacher", sizes[1][1], "100.0", "%"]);
    assert!(lines.iter().any(|line| {
        line.starts_with("p50: 32 tokens, batch 1, f32, cpu, 1 thread; median of 3 rounds in turn")
    }));
}

#[test]
fn texts_that_differ_are_named_without_their_words() {
    let bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG"]));
    let outcome = bench.run(true).expect("a report");
    assert_eq!(
        outcome.at("differences"),
        &serde_json::json!([{
            "id": "notes:2",
            "teacher": [{ "start": 0, "end": 2, "type": "PER" }, { "start": 4, "end": 5, "type": "ORG" }],
            "final": [{ "start": 0, "end": 2, "type": "PER" }],
        }])
    );
    assert!(!outcome.report.to_string().contains("Anna"), "a report has no text of the corpus");
}

#[test]
fn sentences_that_differ_are_kept_with_the_tags_of_all_models() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG"]));
    bench.gold(vec![gold("a", &[("Anna", "B-PER")]), gold("b", &[("la CAF", "O B-ORG")])]);
    let found = bench.run(true).expect("a report").differences;
    let texts: Vec<_> = found.iter().map(|one| (one.set.as_str(), one.text.as_str())).collect();
    assert_eq!(texts, [("test", "Anna Anna et la CAF"), ("b", "la CAF")]);
    assert_eq!(found[0].tags["teacher"], ["B-PER", "I-PER", "O", "O", "B-ORG"]);
    assert_eq!(found[0].tags["final"], ["B-PER", "I-PER", "O", "O", "O"]);
    assert_eq!((found[0].tags.get("gold"), found[1].tags["gold"].join(" ")), (None, "O B-ORG".to_owned()));
}

#[test]
fn seven_models_fit_the_terminal() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG"]));
    for name in ["distilled", "pruned", "ce_only", "random_pruned", "a-name-that-is-far-too-long"] {
        bench.model(name, &model(Labels::bio(["PER", "LOC", "ORG"]), &["LOC"]));
    }
    bench.gold(vec![gold("a", &[("Anna", "B-PER")]), gold("b", &[("la CAF", "O B-ORG")])]);
    let shown = bench.run(true).expect("a report").shown();
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(shown.contains(" teacher  distilled  pruned   final  ce_only\n"), "{shown}");
    assert!(
        shown.contains(" random_pruned  a-name-that-is-far-too-long\n"),
        "what does not fit beside the others: {shown}"
    );
}
