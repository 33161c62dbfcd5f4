//! What a page shows of a pruning: which heads and how much of each FFN was kept, what a budget allowed, and the rounds.
//! No part of the code that results depend on: `registry` alone names it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use serde::Deserialize;
use stage_contract::report::{
    Axis, Bar, Block, Cell, Column, Fold, HeatCell, HeatMap, HeatRow, Line, LineChart, Measure, Section,
    Table, Topic, number,
};

use super::report::Pruning;

const TOPIC: Topic = Topic::new(300, "What pruning kept");

/// What is shown of a report. Fields that only newer ones have may be absent.
#[derive(Deserialize)]
struct Report {
    layers: Vec<Layer>,
    #[serde(default)]
    criterion: Option<String>,
    #[serde(default)]
    allocation: Option<String>,
    #[serde(default)]
    parameters: Option<Change>,
    #[serde(default)]
    budget: BTreeMap<String, Limit>,
    #[serde(default)]
    vocabulary: Option<Vocabulary>,
    #[serde(default)]
    rounds: Vec<Round>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(default, rename = "from_teacher_layer")]
    from: Option<usize>,
    heads: Heads,
    ffn: Change,
}

#[derive(Deserialize)]
struct Heads {
    before: usize,
    kept: BTreeSet<usize>,
    #[serde(default)]
    scores: Option<Vec<f64>>,
}

#[derive(Clone, Copy, Deserialize)]
struct Change {
    before: f64,
    after: f64,
}

#[derive(Deserialize)]
struct Limit {
    #[serde(rename = "limit")]
    most: f64,
    before: f64,
    after: f64,
}

#[derive(Deserialize)]
struct Vocabulary {
    before: Usage,
    after: Usage,
}

#[derive(Deserialize)]
struct Usage {
    size: f64,
    pieces_per_word: f64,
    unknown: f64,
}

#[derive(Deserialize)]
struct Round {
    #[serde(rename = "round")]
    number: u32,
    #[serde(default)]
    parameters: Option<f64>,
    #[serde(default)]
    dev_f1: Option<Scores>,
}

#[derive(Deserialize)]
struct Scores {
    cut: Option<f64>,
    recovered: Option<f64>,
}

/// All that one report says.
pub(crate) fn pruning(Pruning(value): &Pruning) -> Vec<Section> {
    let Ok(report) = Report::deserialize(value) else {
        return vec![Section::new(TOPIC, vec![Block::note("the report is of another version of `prune`")])];
    };
    let mut blocks = vec![Block::text(summary(&report)), picture(&report.layers)];
    if !report.budget.is_empty() || report.vocabulary.is_some() {
        blocks.push(budget(&report));
    }
    if report.rounds.len() > 1 {
        blocks.push(curve(&report.rounds));
    }
    if !report.rounds.is_empty() {
        blocks.push(rounds(&report.rounds));
    }
    vec![Section::new(TOPIC, blocks)]
}

fn summary(report: &Report) -> String {
    let kept: usize = report.layers.iter().map(|layer| layer.heads.kept.len()).sum();
    let heads: usize = report.layers.iter().map(|layer| layer.heads.before).sum();
    let ffn = |of: fn(&Change) -> f64| report.layers.iter().map(|layer| of(&layer.ffn)).sum::<f64>();
    let mut said = format!(
        "{kept} of {heads} heads and {} of {} FFN neurons are left",
        number(ffn(|change| change.after)),
        number(ffn(|change| change.before))
    );
    if let Some(Change { before, after }) = report.parameters {
        let share = after / before * 100.0;
        // A string takes all that is written.
        let _ = write!(said, "; {} of {} parameters ({share:.1} %)", number(after), number(before));
    }
    said.push('.');
    for (name, value) in [("Criterion", &report.criterion), ("Allocation", &report.allocation)] {
        said.extend(value.iter().map(|value| format!(" {name}: {value}.")));
    }
    said
}

/// A row for each layer: its heads, the score as the shade and what was removed crossed out, and its FFN as a bar.
fn picture(layers: &[Layer]) -> Block {
    let scored =
        layers.iter().filter_map(|layer| layer.heads.scores.as_ref()).flatten().any(|score| *score > 0.0);
    let shades = if scored {
        "The stronger the shade, the higher the score before the first cut (square root of its share of the highest)."
    } else {
        "No scores are known."
    };
    let row = |(index, layer): (usize, &Layer)| {
        let Change { before, after } = layer.ffn;
        let from = layer.from.map(|from| format!(" (teacher {from})")).unwrap_or_default();
        HeatRow {
            name: format!("{index}{from}"),
            cells: (0..layer.heads.before).map(|head| cell(index, layer, head)).collect(),
            bar: Some(Bar {
                part: after,
                of: before,
                hint: format!("layer {index}: {} of {} neurons kept", number(after), number(before)),
            }),
        }
    };
    Block::HeatMap(HeatMap {
        title: "Heads and FFN by layer".to_owned(),
        cells: "heads".to_owned(),
        bars: "FFN neurons".to_owned(),
        note: format!("A cross: removed. {shades}"),
        rows: layers.iter().enumerate().map(row).collect(),
    })
}

fn cell(layer: usize, Layer { heads, .. }: &Layer, head: usize) -> HeatCell {
    let value = heads.scores.as_ref().and_then(|scores| scores.get(head)).copied();
    let crossed = !heads.kept.contains(&head);
    let fate = if crossed { "removed" } else { "kept" };
    let score = value.map(|value| format!(", score {}", number(value))).unwrap_or_default();
    HeatCell { value, crossed, hint: format!("layer {layer}, head {head}: {fate}{score}") }
}

fn budget(report: &Report) -> Block {
    let row = |name: &str, before: f64, after: f64, most: Option<f64>| {
        vec![Cell::from(name), before.into(), after.into(), most.into()]
    };
    let limits = report.budget.iter();
    let mut rows: Vec<Vec<Cell>> =
        limits.map(|(name, limit)| row(name, limit.before, limit.after, Some(limit.most))).collect();
    if let Some(Vocabulary { before, after }) = &report.vocabulary {
        rows.push(row("vocabulary", before.size, after.size, None));
        rows.push(row("pieces a word", before.pieces_per_word, after.pieces_per_word, None));
        rows.push(row("share of unknown pieces", before.unknown, after.unknown, None));
    }
    let values = ["Before", "After", "At most"].map(|name| Measure::number(name).into());
    Block::Table(Table {
        title: "Budget and vocabulary".to_owned(),
        fold: Fold::Never,
        columns: [Column::text("What")].into_iter().chain(values).collect(),
        rows,
    })
}

/// F1 on dev after each cut, and after what recovery brought.
fn curve(rounds: &[Round]) -> Block {
    let line = |look, name: &str, pick: fn(&Scores) -> Option<f64>| {
        let scores =
            rounds.iter().filter_map(|round| Some((f64::from(round.number), pick(round.dev_f1.as_ref()?)?)));
        Line { name: name.to_owned(), look, points: scores.collect() }
    };
    let lines = vec![
        line(0, "after the cut", |scores| scores.cut),
        line(1, "after recovery", |scores| scores.recovered),
    ];
    let ticks = rounds.iter().map(|round| f64::from(round.number)).collect();
    Block::Lines(LineChart {
        title: "F1 on dev by round".to_owned(),
        x: Axis { ticks, ..Measure::number("round").into() },
        y: Axis { limits: [0.0, 1.0], ..Measure::percent("F1").higher_is_better().into() },
        lines,
        marked: true,
        rules: Vec::new(),
    })
}

fn rounds(rounds: &[Round]) -> Block {
    let row = |round: &Round| {
        let f1 = round.dev_f1.as_ref();
        vec![
            Cell::from(f64::from(round.number)),
            round.parameters.into(),
            f1.and_then(|f1| f1.cut).into(),
            f1.and_then(|f1| f1.recovered).into(),
        ]
    };
    Block::Table(Table {
        title: "Rounds".to_owned(),
        fold: Fold::Never,
        columns: vec![
            Measure::number("Round").into(),
            Measure::number("Parameters").lower_is_better().into(),
            Measure::percent("dev F1 after the cut").higher_is_better().into(),
            Measure::percent("after recovery").higher_is_better().into(),
        ],
        rows: rounds.iter().map(row).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_removed_is_crossed_out() {
        let layer = json!({
            "from_teacher_layer": 2,
            "heads": { "before": 2, "kept": [1], "scores": [0.01, 0.5] },
            "ffn": { "before": 64, "after": 48 },
        });
        let sections = pruning(&Pruning(json!({ "layers": [layer] })));
        let [Block::Text(said), Block::HeatMap(map)] = sections[0].blocks.as_slice() else {
            panic!("a summary and a picture")
        };
        assert_eq!(said, "1 of 2 heads and 48 of 64 FFN neurons are left.");
        assert_eq!(map.rows[0].name, "0 (teacher 2)");
        let crossed: Vec<bool> = map.rows[0].cells.iter().map(|cell| cell.crossed).collect();
        assert_eq!(crossed, [true, false]);
        assert_eq!(map.rows[0].cells[0].hint, "layer 0, head 0: removed, score 0.01");
    }

    #[test]
    fn a_report_of_another_version_is_said_to_be_one() {
        let sections = pruning(&Pruning(json!({ "layers": 3 })));
        assert!(matches!(sections[0].blocks.as_slice(), [Block::Note(_)]));
    }
}
