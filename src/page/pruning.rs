//! A report of `prune`: which heads and how much of each FFN was kept, what a budget allowed, and the rounds.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use serde::Deserialize;

use super::{
    chart::{Lines, Series},
    figures::{fitting, float, number, points, px},
    wide,
};

#[derive(Deserialize)]
pub(super) struct Pruning {
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
    #[serde(default)]
    #[serde(rename = "from_teacher_layer")]
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
pub(super) fn section(pruning: &Pruning) -> Markup {
    let kept: usize = pruning.layers.iter().map(|layer| layer.heads.kept.len()).sum();
    let heads: usize = pruning.layers.iter().map(|layer| layer.heads.before).sum();
    let ffn = |of: fn(&Change) -> f64| pruning.layers.iter().map(|layer| of(&layer.ffn)).sum::<f64>();
    html! {
        p {
            (kept) " of " (heads) " heads and " (number(ffn(|c| c.after))) " of " (number(ffn(|c| c.before)))
            " FFN neurons are left"
            @if let Some(change) = pruning.parameters {
                "; " (number(change.after)) " of " (number(change.before)) " parameters ("
                (points(change.after / change.before)) " %)"
            }
            "."
            @if let Some(criterion) = &pruning.criterion { " Criterion: " (criterion) "." }
            @if let Some(allocation) = &pruning.allocation { " Allocation: " (allocation) "." }
        }
        (wide("Heads and FFN widths by layer", &picture(&pruning.layers)))
        @if !pruning.budget.is_empty() || pruning.vocabulary.is_some() {
            (wide("Budget and vocabulary", &budget(pruning)))
        }
        @if pruning.rounds.len() > 1 { div.charts { (curve(&pruning.rounds)) } }
        @if !pruning.rounds.is_empty() { (wide("Rounds", &rounds(&pruning.rounds))) }
    }
}

/// A row for each layer: its heads, the score as the shade and what was removed crossed out, and its FFN as a bar.
fn picture(layers: &[Layer]) -> Markup {
    const CELL: f64 = 22.0;
    const SIDE: f64 = 108.0;
    const BAR: f64 = 180.0;
    let most = layers.iter().map(|layer| layer.heads.before).max().unwrap_or(0);
    let highest =
        layers.iter().filter_map(|layer| layer.heads.scores.as_ref()).flatten().copied().fold(0.0, f64::max);
    let widest = layers.iter().map(|layer| layer.ffn.before).fold(1.0, f64::max);
    let bars = SIDE + float(most) * CELL + 24.0;
    let (width, height) = (bars + BAR + 92.0, float(layers.len()) * CELL + 44.0);
    let shade = |layer: &Layer, head: usize| {
        let score = layer.heads.scores.as_ref().and_then(|scores| scores.get(head)).copied();
        (score, score.filter(|_| highest > 0.0).map_or(0.55, |score| (score.max(0.0) / highest).sqrt()))
    };
    html! {
        figure {
            figcaption { "Heads and FFN by layer" }
            svg.fixed style=(fitting(width)) viewBox={ "0 0 " (px(width)) " " (px(height)) } role="img" aria-label="Heads and FFN kept by layer" {
                text.group x=(px(SIDE)) y="14" { "heads" }
                text.group x=(px(bars)) y="14" { "FFN neurons" }
                @for (index, layer) in layers.iter().enumerate() {
                    @let top = 24.0 + float(index) * CELL;
                    @let from = layer.from.map(|from| format!(" (teacher {from})")).unwrap_or_default();
                    text x=(px(SIDE - 8.0)) y=(px(top + 15.0)) text-anchor="end" { (index) (from) }
                    @for head in 0..layer.heads.before {
                        @let (left, (score, shade)) = (SIDE + float(head) * CELL, shade(layer, head));
                        @let kept = layer.heads.kept.contains(&head);
                        g.head {
                            title {
                                "layer " (index) ", head " (head) ": " @if kept { "kept" } @else { "removed" }
                                @if let Some(score) = score { ", score " (number(score)) }
                            }
                            rect.cell x=(px(left)) y=(px(top)) width="20" height="20" rx="3" {}
                            rect.shade x=(px(left)) y=(px(top)) width="20" height="20" rx="3" fill-opacity=(format!("{shade:.2}")) {}
                            @if !kept {
                                path.cross d={
                                    "M" (px(left + 4.0)) " " (px(top + 4.0)) "l12 12m0 -12l-12 12"
                                } {}
                            }
                        }
                    }
                    @let full = BAR * layer.ffn.before / widest;
                    g {
                        title { "layer " (index) ": " (number(layer.ffn.after)) " of " (number(layer.ffn.before)) " neurons kept" }
                        rect.cell x=(px(bars)) y=(px(top + 3.0)) width=(px(full)) height="14" {}
                        rect.bar x=(px(bars)) y=(px(top + 3.0)) width=(px(BAR * layer.ffn.after / widest)) height="14" {}
                        text x=(px(bars + full + 6.0)) y=(px(top + 15.0)) { (number(layer.ffn.after)) "/" (number(layer.ffn.before)) }
                    }
                }
            }
            p.note {
                "A cross: removed. "
                @if highest > 0.0 { "The stronger the shade, the higher the score before the first cut (square root of its share of the highest)." }
                @else { "No scores are known." }
            }
        }
    }
}

fn budget(pruning: &Pruning) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "What" } @for name in ["Before", "After", "At most"] { th.number scope="col" { (name) } } } }
            tbody {
                @for (name, limit) in &pruning.budget {
                    tr {
                        th scope="row" { (name) }
                        @for value in [limit.before, limit.after, limit.most] { td.number { (number(value)) } }
                    }
                }
                @if let Some(Vocabulary { before, after }) = &pruning.vocabulary {
                    @for (name, before, after) in [
                        ("vocabulary", before.size, after.size),
                        ("pieces a word", before.pieces_per_word, after.pieces_per_word),
                        ("share of unknown pieces", before.unknown, after.unknown),
                    ] {
                        tr { th scope="row" { (name) } td.number { (number(before)) } td.number { (number(after)) } td.number { "\u{2013}" } }
                    }
                }
            }
        }
    }
}

/// F1 on dev after each cut, and after what recovery brought.
fn curve(rounds: &[Round]) -> Markup {
    let of = |pick: fn(&Scores) -> Option<f64>| -> Vec<(f64, f64)> {
        let scores = rounds
            .iter()
            .filter_map(|round| Some((f64::from(round.number), pick(round.dev_f1.as_ref()?)? * 100.0)));
        scores.collect()
    };
    let chart = Lines {
        title: "F1 on dev by round",
        x: "round",
        y: "of 100",
        series: vec![
            Series { name: "after the cut".to_owned(), points: of(|scores| scores.cut) },
            Series { name: "after recovery".to_owned(), points: of(|scores| scores.recovered) },
        ],
        log: [false; 2],
        within: [0.0, 100.0],
        ticks: Some(rounds.iter().map(|round| f64::from(round.number)).collect()),
        rules: Vec::new(),
        marks: true,
    };
    chart.draw()
}

fn rounds(rounds: &[Round]) -> Markup {
    let said = |share: Option<f64>| share.map(points).unwrap_or_default();
    html! {
        table {
            thead {
                tr { @for name in ["Round", "Parameters", "dev F1 after the cut", "after recovery"] { th.number scope="col" { (name) } } }
            }
            tbody {
                @for round in rounds {
                    tr {
                        th.number scope="row" { (round.number) }
                        td.number { @if let Some(parameters) = round.parameters { (number(parameters)) } }
                        td.number { (said(round.dev_f1.as_ref().and_then(|f1| f1.cut))) }
                        td.number { (said(round.dev_f1.as_ref().and_then(|f1| f1.recovered))) }
                    }
                }
            }
        }
    }
}
