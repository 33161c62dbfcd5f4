//! The evaluation for people: two tables that are never mixed, and a third for size and speed.

use super::report::{Evaluation, ModelReport};
use crate::ml::scores::{Score, Scores};

/// Of a terminal. What the numbers leave is for names; longer names of sets are cut.
const WIDTH: usize = 80;

/// Widths of the numbers' columns, a space before each included.
type Columns = [usize; 6];

/// Room for 110,036,743 parameters.
const SIZES: Columns = [12, 10, 10, 10, 9, 10];
const SCORES: Columns = [10, 8, 8, 10, 9, 10];

/// The whole text, without a final newline.
pub(super) fn text(evaluation: &Evaluation<'_>) -> String {
    let mut lines = size(evaluation);
    lines.push(String::new());
    lines.extend(fidelity(evaluation));
    lines.push(String::new());
    lines.extend(quality(evaluation));
    lines.join("\n")
}

fn size(evaluation: &Evaluation<'_>) -> Vec<String> {
    let header = ["parameters", "relative", "bytes", "on disk", "p50 ms", "relative"];
    let title = "size and speed, relative to the teacher".to_owned();
    let mut lines = vec![title, row("", &header.map(str::to_owned), &SIZES)];
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
        lines.push(row(model.name, &cells, &SIZES));
    }
    let s = &evaluation.setting;
    lines.push(format!(
        "{} tokens, batch {}, {}, {}, {}; median of {} in turn",
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
            "fidelity: agreement with the teacher on {} (not with the truth)",
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
    row("", &["precision", "recall", "F1", "macro F1", "F1 lost", "entities"].map(str::to_owned), &SCORES)
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
    row(name, &cells, &SCORES)
}

/// The name to the left, numbers to the right.
fn row(name: &str, cells: &[String; 6], columns: &Columns) -> String {
    let room = WIDTH - columns.iter().sum::<usize>();
    let name: String = name.chars().take(room).collect();
    let mut line = format!("{name:<room$}");
    line.extend(cells.iter().zip(columns).map(|(cell, width)| format!("{cell:>width$}")));
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
