//! The evaluation for people: tables that are never mixed, 80 columns wide.

use std::collections::{BTreeMap, BTreeSet};

use stage_contract::report::{counted, grouped};

use super::foreign::told;
use crate::evaluate::evaluation::{
    Direction, Evaluation, Fidelity, Foreign, ModelReport, Quality, Scored, Verdict,
};
use encoder::config::Decode;
use measure::{
    bootstrap::{Estimate, Interval},
    scores::Score,
};

/// Of a terminal. What the numbers leave is for names; longer ones are cut.
const WIDTH: usize = 80;

/// Widths of the numbers' columns, a space before each included. Room for 110,036,743 parameters.
const SIZES: [usize; 7] = [12, 9, 10, 8, 9, 9, 8];
const SCORES: [usize; 6] = [10, 8, 8, 10, 9, 16];
const DECODINGS: [usize; 4] = [9, 10, 10, 11];
const CALIBRATIONS: [usize; 4] = [10, 10, 10, 10];
const GATES: [usize; 4] = [12, 12, 20, 14];
/// Of the names in a table of slices; models stand side by side in the rest.
const SLICE: usize = 25;

type Model<'a> = (&'a str, &'a ModelReport);

/// The whole text, without a final newline.
pub(super) fn text(evaluation: &Evaluation) -> String {
    let models: Vec<Model<'_>> =
        evaluation.models.iter().map(|(name, model)| (name.as_str(), model)).collect();
    let students: Vec<Model<'_>> = models.iter().copied().filter(|(name, _)| *name != "teacher").collect();
    let of_fidelity = |pick: fn(&Fidelity) -> Rows<'_>| {
        students.iter().map(|&(name, model)| (name, pick(&model.fidelity))).collect::<Vec<_>>()
    };
    let of_quality = |pick: fn(&Quality) -> Rows<'_>| {
        models
            .iter()
            .filter_map(|&(name, model)| Some((name, pick(model.quality.as_ref()?))))
            .collect::<Vec<_>>()
    };
    let mut tables = vec![
        size(evaluation, &models),
        fidelity(evaluation, &models),
        decodings(&models),
        calibration(&models),
        slices("fidelity, F1 by source", &of_fidelity(|f| named(&f.by_source))),
        slices("fidelity, F1 by length and by mention", &of_fidelity(|f| parts(&f.by_length, &f.by_mention))),
        outside(&evaluation.foreign),
        quality(evaluation, &models),
        slices("quality, F1 by set", &of_quality(|q| named(&q.sets))),
        slices("quality, F1 by length and by mention", &of_quality(|q| parts(&q.by_length, &q.by_mention))),
        gates(&evaluation.gates),
    ];
    tables.retain(|lines| !lines.is_empty());
    tables.into_iter().map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n")
}

fn size(evaluation: &Evaluation, models: &[Model<'_>]) -> Vec<String> {
    let header = ["parameters", "relative", "bytes", "FLOPs", "p50 ms", "relative", "texts/s"];
    let mut lines = vec![
        "size and speed, relative to the teacher".to_owned(),
        row("", &header.map(str::to_owned), &SIZES),
    ];
    let Some((_, teacher)) = models.first() else { return lines };
    for (name, model) in models {
        let cells = [
            grouped(model.parameters),
            format!("{:.1} %", 100.0 * float(model.parameters) / float(teacher.parameters)),
            bytes(model.bytes as u64),
            format!("{:.0} %", 100.0 * float(model.flops) / float(teacher.flops)),
            format!("{:.2}", model.latency.main.p50_ms),
            format!("{:.1} %", 100.0 * model.latency.main.ratio),
            format!("{:.2} x", model.throughput.ratio),
        ];
        lines.push(row(name, &cells, &SIZES));
    }
    let (latency, texts) = (&teacher.latency, &teacher.throughput);
    lines.push(format!(
        "p50: {} tokens, batch {}, {}, {}, {}; median of {} in turn",
        latency.main.tokens,
        latency.main.batch,
        latency.precision,
        latency.device,
        counted(latency.threads, "thread"),
        counted(latency.main.rounds, "round"),
    ));
    lines.push(format!(
        "texts/s: {} of the test part as they come; median of {} in turn",
        counted(texts.texts, "text"),
        counted(texts.rounds, "round"),
    ));
    let (measured, skipped) = (latency.matrix.len(), evaluation.speed.skipped.len());
    let left = if skipped == 0 { String::new() } else { format!(", {skipped} left out") };
    lines.push(format!("the report has {} of the latency matrix{left}", counted(measured, "cell")));
    lines
}

fn fidelity(evaluation: &Evaluation, models: &[Model<'_>]) -> Vec<String> {
    let mut lines = vec![
        format!(
            "fidelity: agreement with the teacher on {} (not with the truth)",
            counted(evaluation.test.texts, "text")
        ),
        scores_header(evaluation),
    ];
    let rows = models.iter().map(|&(name, model)| (name, &model.fidelity.all));
    lines.extend(scores(&rows.collect::<Vec<_>>()));
    lines
}

/// What each way to read labels gives, where a model has more than one.
fn decodings(models: &[Model<'_>]) -> Vec<String> {
    let header = ["by", "argmax", "CRF", "sub-words"].map(str::to_owned);
    let mut lines = vec![
        "decoding: fidelity F1 each way, and texts in which sub-words find the same".to_owned(),
        row("", &header, &DECODINGS),
    ];
    for (name, model) in models.iter().filter(|(_, model)| model.decoding.is_choice()) {
        let decoding = &model.decoding;
        let f1 = |way: Decode| defined(decoding.fidelity.get(&way).copied().flatten());
        let cells =
            [decoding.by.name().to_owned(), f1(Decode::Argmax), f1(Decode::Crf), defined(decoding.subwords)];
        lines.push(row(name, &cells, &DECODINGS));
    }
    if lines.len() > 2 { lines } else { Vec::new() }
}

/// How far scores are from how often they are right, with and without temperatures.
fn calibration(models: &[Model<'_>]) -> Vec<String> {
    let header = ["fidelity", "before", "quality", "before"].map(str::to_owned);
    let mut lines = vec![
        "calibration: how far scores are from the share of such entities that is right".to_owned(),
        "(ECE), with the model's temperatures and before them".to_owned(),
        row("", &header, &CALIBRATIONS),
    ];
    for (name, model) in models {
        let found = [&model.calibration.fidelity, &model.calibration.quality];
        let cells = found.map(|found| {
            let of = |value: Option<f64>| value.map_or("-".to_owned(), points);
            [of(found.as_ref().map(|found| found.ece)), of(found.as_ref().and_then(|found| found.before))]
        });
        if found.iter().any(|found| found.is_some()) {
            lines.push(row(name, &cells.concat(), &CALIBRATIONS));
        }
    }
    if lines.len() > 3 { lines } else { Vec::new() }
}

/// Types that the final model lacks, and why gates on gold may be inconclusive.
fn outside(foreign: &Foreign) -> Vec<String> {
    let mut lines = Vec::new();
    let gold = foreign.gold.iter().map(|(set, counts)| (format!("in gold set {set}"), counts));
    for (place, counts) in [("of the teacher".to_owned(), &foreign.teacher)].into_iter().chain(gold) {
        if !counts.is_empty() {
            lines.push(format!("  {place}: {}", told(counts)));
        }
    }
    if !lines.is_empty() {
        lines.insert(0, "entities that became O, because the final model lacks their type".to_owned());
    }
    lines
}

fn quality(evaluation: &Evaluation, models: &[Model<'_>]) -> Vec<String> {
    let scored: Vec<_> =
        models.iter().filter_map(|&(name, model)| Some((name, &model.quality.as_ref()?.all))).collect();
    if scored.is_empty() {
        return vec!["quality: not evaluated (no gold is wired)".to_owned()];
    }
    let gold = &evaluation.gold;
    let mut lines = vec![
        format!(
            "quality: against gold, {} in {}",
            counted(gold.texts, "text"),
            counted(gold.sets.len(), "set")
        ),
        scores_header(evaluation),
    ];
    lines.extend(scores(&scored));
    lines
}

fn scores_header(evaluation: &Evaluation) -> String {
    let interval = format!("{} % CI", 100.0 * evaluation.bootstrap.confidence);
    row("", &["precision", "recall", "F1", "macro F1", "F1 lost", &interval].map(str::to_owned), &SCORES)
}

/// A row for each model, and below the types of the final one.
fn scores(models: &[(&str, &Scored)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, scored) in models {
        let lost = scored.f1_drop.filter(|_| *name != "teacher");
        lines.push(score_row(name, &scored.micro.score, scored.macro_.f1.map(points), lost));
    }
    for (kind, bounded) in
        models.iter().find(|(name, _)| *name == "final").iter().flat_map(|(_, s)| &s.per_type)
    {
        let name = format!("  {kind} ({})", grouped(bounded.score.support));
        lines.push(score_row(&name, &bounded.score, None, None));
    }
    lines
}

/// Percentages; what is lost against the teacher, in points (negative: gained).
fn score_row(name: &str, score: &Score, mean: Option<String>, lost: Option<Estimate>) -> String {
    let cells = [
        defined(score.precision),
        defined(score.recall),
        defined(score.f1),
        mean.unwrap_or_default(),
        lost.map(|lost| points(lost.value)).unwrap_or_default(),
        lost.and_then(|lost| lost.interval).map(|ends| interval(ends, points)).unwrap_or_default(),
    ];
    row(name, &cells, &SCORES)
}

/// Name and scores of each slice.
type Rows<'a> = Vec<(String, &'a Scored)>;

fn named(slices: &BTreeMap<String, Scored>) -> Rows<'_> {
    slices.iter().map(|(name, scored)| (name.clone(), scored)).collect()
}

fn parts<'a, L: serde::Serialize, M: serde::Serialize>(
    lengths: &'a BTreeMap<L, Scored>,
    mentions: &'a BTreeMap<M, Scored>,
) -> Rows<'a> {
    let lengths = lengths.iter().map(|(name, scored)| (word(name), scored));
    lengths.chain(mentions.iter().map(|(name, scored)| (word(name), scored))).collect()
}

/// An enum as the report calls it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Micro F1 of each slice (a row) and model (a column). A slice alone says nothing that the whole did not.
fn slices(title: &str, models: &[(&str, Rows<'_>)]) -> Vec<String> {
    let names: BTreeSet<&String> =
        models.iter().flat_map(|(_, rows)| rows.iter().map(|(name, _)| name)).collect();
    if names.len() < 2 {
        return Vec::new();
    }
    let mut lines = vec![title.to_owned()];
    for some in abreast(models) {
        let widths: Vec<usize> = some.iter().map(|(name, _)| column(name)).collect();
        let header: Vec<String> = some.iter().map(|(name, _)| (*name).to_owned()).collect();
        lines.push(row("", &header, &widths));
        // Of all models alike, in their order.
        for (at, (name, first)) in some[0].1.iter().enumerate() {
            let cells = some.iter().map(|(_, rows)| {
                rows.get(at).map_or_else(String::new, |(_, scored)| defined(scored.micro.score.f1))
            });
            let name = format!("  {name} ({})", grouped(first.micro.score.support));
            lines.push(row(&name, &cells.collect::<Vec<_>>(), &widths));
        }
    }
    lines
}

/// As wide as a model's name, or as a score.
fn column(name: &str) -> usize {
    name.chars().count().clamp(6, WIDTH - SLICE) + 2
}

/// Models in groups whose columns fit beside the names of the slices.
fn abreast<'m, 'r>(mut models: &'m [(&'r str, Rows<'r>)]) -> Vec<&'m [(&'r str, Rows<'r>)]> {
    let mut groups = Vec::new();
    while !models.is_empty() {
        let mut taken = 0;
        let fits = |(name, _): &&(&str, Rows<'_>)| {
            taken += column(name);
            taken <= WIDTH - SLICE
        };
        let (group, rest) = models.split_at(models.iter().take_while(fits).count().max(1));
        groups.push(group);
        models = rest;
    }
    groups
}

fn gates(verdicts: &BTreeMap<String, Verdict>) -> Vec<String> {
    if verdicts.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        "gates".to_owned(),
        row("", &["measured", "bound", "interval", "outcome"].map(str::to_owned), &GATES),
    ];
    for (name, verdict) in verdicts {
        let sign = match verdict.direction {
            Direction::Max => "<=",
            Direction::Min => ">=",
        };
        let cells = [
            verdict.measured.map_or_else(|| "-".to_owned(), plain),
            format!("{sign} {}", plain(verdict.bound)),
            verdict.interval.map(|ends| interval(ends, plain)).unwrap_or_default(),
            verdict.outcome.name().to_owned(),
        ];
        let name = format!("  {name}");
        // A name that has no room beside the numbers has a line of its own.
        let whole = name.chars().count() < WIDTH - GATES.iter().sum::<usize>();
        if !whole {
            lines.push(cut(&name, WIDTH));
        }
        lines.push(row(if whole { &name } else { "" }, &cells, &GATES));
        lines.extend(verdict.reason.iter().map(|reason| format!("    {reason}")));
    }
    lines
}

/// What is undefined is none of 0 and 100.
fn defined(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), points)
}

fn points(value: f64) -> String {
    let text = format!("{:.2}", 100.0 * value);
    if text == "-0.00" { "0.00".to_owned() } else { text }
}

/// Four digits of what is small, no fraction of what is large.
fn plain(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.4}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        return if text == "-0" { "0".to_owned() } else { text.to_owned() };
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the sign is shown apart")]
    let whole = grouped(value.abs().round() as usize);
    format!("{}{whole}", if value < 0.0 { "-" } else { "" })
}

fn interval([low, high]: Interval, shown: fn(f64) -> String) -> String {
    format!("[{}, {}]", shown(low), shown(high))
}

fn cut(name: &str, room: usize) -> String {
    name.chars().take(room).collect()
}

/// The name to the left, numbers to the right.
fn row(name: &str, cells: &[String], columns: &[usize]) -> String {
    let room = WIDTH - columns.iter().sum::<usize>();
    let mut line = format!("{:<room$}", cut(name, room));
    line.extend(cells.iter().zip(columns).map(|(cell, width)| format!("{cell:>width$}")));
    line.trim_end().to_owned()
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
