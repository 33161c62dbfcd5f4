//! What a page shows of a training's history: loss by term, scores on dev, and the numbers of the epochs. No part of the
//! code that results depend on: `registry` alone names it.

use std::collections::BTreeMap;

use stage_contract::report::{Axis, Block, Cell, Fold, Line, LineChart, Measure, Section, Table, Topic};

use crate::history::{Epoch, History, Step};

const TOPIC: Topic = Topic::new(400, "Training");

/// Below this share of the highest loss nothing is drawn: a term of nearly nothing must not flatten the others.
const LEAST: f64 = 1e-4;

/// All that one history says.
#[must_use]
pub fn curves(history: &History) -> Vec<Section> {
    let mut blocks = Vec::new();
    if !history.steps.is_empty() {
        blocks.push(losses(&history.steps));
    }
    if history.epochs.is_empty() {
        blocks.push(Block::note("no epoch was completed"));
    } else {
        blocks.extend([dev(&history.epochs), table(&history.epochs)]);
    }
    vec![Section::new(TOPIC, blocks)]
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 steps")]
fn number(step: &Step) -> f64 {
    step.step as f64
}

fn losses(steps: &[Step]) -> Block {
    let all = steps.iter().map(|step| (number(step), step.loss)).collect();
    let mut terms: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for step in steps {
        for (name, term) in &step.terms {
            terms.entry(name).or_default().push((number(step), term.weighted));
        }
    }
    let named = std::iter::once(("all", all)).chain(terms).enumerate();
    let mut lines: Vec<Line> =
        named.map(|(look, (name, points))| Line { name: name.to_owned(), look, points }).collect();
    let highest = lines.iter().flat_map(|line| &line.points).fold(0.0, |most: f64, point| most.max(point.1));
    lines.retain(|line| line.points.iter().any(|point| point.1 > highest * LEAST));
    let begins = steps.windows(2).filter(|pair| pair[0].epoch < pair[1].epoch).map(|pair| number(&pair[1]));
    let limits = [highest * LEAST, f64::INFINITY];
    Block::Lines(LineChart {
        title: "Loss by step: each term times its weight, and their sum".to_owned(),
        x: Measure::number("step (a line where an epoch begins)").into(),
        y: Axis { log: true, limits, ..Measure::number("loss").lower_is_better().into() },
        lines,
        marked: false,
        rules: begins.collect(),
    })
}

fn dev(epochs: &[Epoch]) -> Block {
    let line = |look, name: &str, pick: fn(&Epoch) -> Option<f64>| {
        let points = epochs.iter().filter_map(|epoch| Some((f64::from(epoch.epoch), pick(epoch)?)));
        Line { name: name.to_owned(), look, points: points.collect() }
    };
    let lines = vec![
        line(0, "F1", |epoch| epoch.val_f1),
        line(1, "precision", |epoch| epoch.val_precision),
        line(2, "recall", |epoch| epoch.val_recall),
    ];
    let every = epochs.len().div_ceil(10).max(1);
    let ticks = epochs.iter().map(|epoch| f64::from(epoch.epoch)).step_by(every).collect();
    Block::Lines(LineChart {
        title: "Scores on dev by epoch".to_owned(),
        x: Axis { ticks, ..Measure::number("epoch").into() },
        y: Axis { limits: [0.0, 1.0], ..Measure::percent("score").higher_is_better().into() },
        lines,
        marked: true,
        rules: Vec::new(),
    })
}

fn table(epochs: &[Epoch]) -> Block {
    let row = |epoch: &Epoch| {
        let values = [
            Some(f64::from(epoch.epoch)),
            Some(epoch.train_loss),
            epoch.val_loss,
            epoch.val_f1,
            epoch.val_precision,
            epoch.val_recall,
            Some(epoch.lr),
            Some(epoch.pruning_ratio),
        ];
        values.map(Cell::from).to_vec()
    };
    let columns = [
        Measure::number("epoch"),
        Measure::number("train loss").lower_is_better(),
        Measure::number("val loss").lower_is_better(),
        Measure::percent("val F1").higher_is_better(),
        Measure::percent("val precision").higher_is_better(),
        Measure::percent("val recall").higher_is_better(),
        Measure::number("lr"),
        Measure::number("pruning ratio"),
    ];
    Block::Table(Table {
        title: "Numbers by epoch".to_owned(),
        fold: Fold::Closed,
        columns: columns.map(Into::into).into(),
        rows: epochs.iter().map(row).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Term;

    #[test]
    fn a_term_of_nearly_nothing_is_not_drawn_and_an_epoch_begins_with_a_rule() {
        let step = |step: u64, epoch: u32| Step {
            step,
            epoch,
            lr: 1e-4,
            grad_norm: 1.0,
            loss: 1.0,
            terms: [("crf", 1e-6), ("kd", 0.5)]
                .map(|(name, weighted)| (name.to_owned(), Term { raw: weighted, weighted }))
                .into(),
        };
        let sections =
            curves(&History { steps: vec![step(1, 1), step(2, 1), step(3, 2)], epochs: Vec::new() });
        let [Block::Lines(chart), Block::Note(_)] = sections[0].blocks.as_slice() else {
            panic!("a chart and a note")
        };
        let names: Vec<&str> = chart.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!((names, chart.rules.as_slice()), (vec!["all", "kd"], [3.0].as_slice()));
    }
}
