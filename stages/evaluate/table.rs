//! The evaluation for people: two tables that are never mixed, and a third for size and speed.

use super::report::{Evaluation, ModelReport};
use crate::ml::scores::{Score, Scores};

/// Width of the first column; longer names of sets are cut.
const NAME: usize = 28;

/// The whole text, at most 100 columns wide, without a final newline.
pub(super) fn text(evaluation: &Evaluation<'_>) -> String {
    let mut lines = size(evaluation);
    lines.push(String::new());
    lines.extend(fidelity(evaluation));
    lines.push(String::new());
    lines.extend(quality(evaluation));
    lines.join("\n")
}

fn size(evaluation: &Evaluation<'_>) -> Vec<String> {
    let header = ["parameters", "of teacher", "bytes", "on disk", "p50 ms", "of teacher"];
    let mut lines = vec!["size and speed".to_owned(), row("", header.map(str::to_owned).as_slice())];
    let all = evaluation.models.first().map_or(1, |teacher| teacher.size.parameters);
    for model in &evaluation.models {
        let cells = [
            grouped(model.size.parameters as u64),
            format!("{:.1} %", 100.0 * float(model.size.parameters) / float(all)),
            bytes(model.size.bytes as u64),
            bytes(model.size.bytes_on_disk),
            format!("{:.2}", model.latency.p50_ms),
            format!("{:.1} %", 100.0 * model.latency.ratio),
        ];
        lines.push(row(model.name, &cells));
    }
    let s = &evaluation.setting;
    lines.push(format!(
        "{} tokens, batch {}, {}, {}, {}; median of {}, models in turn",
        s.tokens,
        s.batch,
        s.precision,
        s.device,
        number(s.threads, "thread"),
        number(s.rounds, "round"),
    ));
    lines
}

fn fidelity(evaluation: &Evaluation<'_>) -> Vec<String> {
    let mut lines = vec![
        format!(
            "fidelity: agreement with the teacher on {} (what it says, not what is true)",
            number(evaluation.test.len(), "text")
        ),
        scores_header(),
    ];
    for model in &evaluation.models {
        let teacher = model.name == "teacher";
        lines.push(scores_row(model.name, &model.fidelity.all, (!teacher).then_some(1.0)));
    }
    if let Some(last) = evaluation.models.last() {
        for (kind, score) in &last.fidelity.all.per_type {
            lines.push(score_row(&format!("  {kind}"), score, None, Some(1.0)));
        }
    }
    lines
}

fn quality(evaluation: &Evaluation<'_>) -> Vec<String> {
    let scored: Vec<(&ModelReport, &super::report::Quality)> =
        evaluation.models.iter().filter_map(|model| Some((model, model.quality.as_ref()?))).collect();
    let (Some((_, teacher)), Some((_, last))) = (scored.first(), scored.last()) else {
        return vec!["quality: not evaluated (no gold is wired)".to_owned()];
    };
    let texts = evaluation.gold.sets.iter().map(|set| set.records.len()).sum();
    let sets = evaluation.gold.sets.len();
    let mut lines = vec![
        format!("quality: against gold, {} in {}", number(texts, "text"), number(sets, "set")),
        scores_header(),
    ];
    let full = teacher.all.micro.f1;
    for (model, quality) in &scored {
        lines.push(scores_row(model.name, &quality.all, (model.name != "teacher").then_some(full)));
    }
    for (kind, score) in &last.all.per_type {
        let teacher = teacher.all.per_type.get(kind).map_or(0.0, |score| score.f1);
        lines.push(score_row(&format!("  {kind}"), score, None, Some(teacher)));
    }
    if sets > 1 {
        for (name, scores) in &last.sets {
            let teacher = teacher.sets.get(name).map_or(0.0, |scores| scores.micro.f1);
            lines.push(scores_row(&format!("  in {name}"), scores, Some(teacher)));
        }
    }
    lines
}

fn scores_header() -> String {
    row("", &["precision", "recall", "F1", "macro F1", "F1 lost", "entities"].map(str::to_owned))
}

fn scores_row(name: &str, scores: &Scores, full: Option<f64>) -> String {
    score_row(name, &scores.micro, Some(scores.macro_.f1), full)
}

/// Percentages; what is lost against `full`, in points (negative: gained).
fn score_row(name: &str, score: &Score, mean: Option<f64>, full: Option<f64>) -> String {
    let points = |value: f64| format!("{:.2}", 100.0 * value);
    let cells = [
        points(score.precision),
        points(score.recall),
        points(score.f1),
        mean.map(points).unwrap_or_default(),
        full.map(|full| points(full - score.f1)).unwrap_or_default(),
        grouped(score.support as u64),
    ];
    row(name, &cells)
}

/// The name to the left, numbers to the right.
fn row(name: &str, cells: &[String]) -> String {
    let mut line: String = name.chars().take(NAME).collect();
    line.extend(std::iter::repeat_n(' ', NAME - line.chars().count()));
    line.extend(cells.iter().map(|cell| format!("{cell:>12}")));
    line.trim_end().to_owned()
}

/// 32,912,345
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn number(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(count as u64))
}

/// Decimal megabytes, as disks are sold.
fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let megabytes = count as f64 / 1e6;
    format!("{megabytes:.1} MB")
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 parameters")]
fn float(count: usize) -> f64 {
    count as f64
}
