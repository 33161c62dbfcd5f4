//! Scores of all models: by type with intervals, and by slice.

use std::collections::{BTreeMap, BTreeSet};

use stage_contract::report::{Axis, Block, Cell, Column, Fold, Intervals, Mark, MarkGroup, Measure, number};

use super::numbers::float;
use crate::evaluate::evaluation::{Bounded, Evaluation, Fidelity, Length, Mention, Quality, Scored};

/// Two tables that are never mixed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Fidelity,
    Quality,
}

/// One model's scores of one table.
struct Scores<'a> {
    name: &'a str,
    /// The model's place: it looks the same on the whole page.
    look: usize,
    all: &'a Scored,
    /// Sources of fidelity, gold sets of quality.
    by_source: &'a BTreeMap<String, Scored>,
    by_length: &'a BTreeMap<Length, Scored>,
    by_mention: &'a BTreeMap<Mention, Scored>,
}

/// Charts and tables of one table of scores.
pub(super) fn of(evaluation: &Evaluation, table: Table) -> Vec<Block> {
    let models: Vec<Scores<'_>> = models(evaluation, table);
    let own = match table {
        Table::Fidelity => "The teacher agrees with itself by definition and is left out. ",
        Table::Quality => "",
    };
    let note = format!(
        "{own}F1 of 100, strict: type and both ends of an entity. Lines: {} % CI (bootstrap, {} draws of the sentences).",
        number(evaluation.bootstrap.confidence * 100.0),
        number(float(evaluation.bootstrap.samples))
    );
    vec![Block::note(note), forest(&models, table), types(&models), slices(evaluation, &models, table)]
}

fn models(evaluation: &Evaluation, table: Table) -> Vec<Scores<'_>> {
    let mut found = Vec::new();
    for (look, (name, model)) in evaluation.models.iter().enumerate() {
        let name = name.as_str();
        match (table, &model.quality) {
            // Of the teacher it says nothing.
            (Table::Fidelity, _) if look > 0 => {
                let Fidelity { all, by_source, by_length, by_mention } = &model.fidelity;
                found.push(Scores { name, look, all, by_source, by_length, by_mention });
            }
            (Table::Quality, Some(Quality { all, sets, by_length, by_mention })) => {
                found.push(Scores { name, look, all, by_source: sets, by_length, by_mention });
            }
            _ => {}
        }
    }
    found
}

/// All types pooled, then each that occurs.
fn kinds<'a>(models: &[Scores<'a>]) -> Vec<Option<&'a String>> {
    let types: BTreeSet<&'a String> = models.iter().flat_map(|model| model.all.per_type.keys()).collect();
    std::iter::once(None).chain(types.into_iter().map(Some)).collect()
}

fn score<'a>(scored: &'a Scored, kind: Option<&String>) -> Option<&'a Bounded> {
    kind.map_or(Some(&scored.micro), |kind| scored.per_type.get(kind))
}

fn called(kind: Option<&String>) -> &str {
    kind.map_or("all types", String::as_str)
}

/// A line of marks for each type, with intervals.
fn forest(models: &[Scores<'_>], table: Table) -> Block {
    let group = |kind: Option<&String>| {
        let marks = models.iter().filter_map(|model| {
            let Bounded { score, f1_interval } = score(model.all, kind)?;
            Some(Mark {
                name: model.name.to_owned(),
                look: model.look,
                value: score.f1?,
                interval: *f1_interval,
            })
        });
        MarkGroup { name: called(kind).to_owned(), marks: marks.collect() }
    };
    let name = if table == Table::Fidelity { "fidelity" } else { "quality" };
    Block::Intervals(Intervals {
        title: format!("F1 by type, {name}"),
        x: Axis { limits: [0.0, 1.005], ..Measure::percent("F1").higher_is_better().into() },
        groups: kinds(models).into_iter().map(group).collect(),
    })
}

fn types(models: &[Scores<'_>]) -> Block {
    let mut rows = Vec::new();
    for kind in kinds(models) {
        for model in models {
            let Some(Bounded { score, f1_interval }) = score(model.all, kind) else { continue };
            rows.push(vec![
                Cell::from(called(kind)),
                model.name.into(),
                score.precision.into(),
                score.recall.into(),
                score.f1.map_or(Cell::Empty, |f1| Cell::Value(f1, *f1_interval)),
                score.support.into(),
            ]);
        }
    }
    Block::Table(stage_contract::report::Table {
        title: "Precision, recall and F1 by type".to_owned(),
        fold: Fold::Closed,
        columns: vec![
            Column::text("Type"),
            Column::text("Model"),
            Measure::percent("Precision").higher_is_better().into(),
            Measure::percent("Recall").higher_is_better().into(),
            Measure::percent("F1").higher_is_better().into(),
            Measure::number("Entities").into(),
        ],
        rows,
    })
}

/// A row for each slice, a column for each model.
fn slices(evaluation: &Evaluation, models: &[Scores<'_>], table: Table) -> Block {
    let source = if table == Table::Fidelity { "source" } else { "set" };
    let mut rows = rows(models, |model| model.by_source, |name| format!("{source} {name}"));
    rows.extend(rows_of_lengths(evaluation, models));
    rows.extend(self::rows(
        models,
        |model| model.by_mention,
        |mention| {
            let name = match mention {
                Mention::Seen => "seen",
                Mention::Unseen => "unseen",
            };
            format!("mention {name}")
        },
    ));
    let columns = [Column::text("Slice"), Measure::number("Sentences").into()];
    let measures = models.iter().map(|model| Measure::percent(model.name).higher_is_better().into());
    Block::Table(stage_contract::report::Table {
        title: format!("F1 by {source}, length and mention"),
        fold: Fold::Open,
        columns: columns.into_iter().chain(measures).collect(),
        rows,
    })
}

fn rows_of_lengths(evaluation: &Evaluation, models: &[Scores<'_>]) -> Vec<Vec<Cell>> {
    let name = |length: &Length| {
        let name = match length {
            Length::Short => "short",
            Length::Medium => "medium",
            Length::Long => "long",
        };
        match evaluation.lengths.get(length) {
            Some((from, Some(to))) => format!("length {name} ({from} to {to} words)"),
            Some((from, None)) => format!("length {name} ({from} words and more)"),
            None => format!("length {name}"),
        }
    };
    rows(models, |model| model.by_length, name)
}

/// The slices of one sort that any model has, in their order.
fn rows<'a, K: Ord + 'a>(
    models: &[Scores<'a>],
    of: impl Fn(&Scores<'a>) -> &'a BTreeMap<K, Scored>,
    name: impl Fn(&K) -> String,
) -> Vec<Vec<Cell>> {
    let keys: BTreeSet<&K> = models.iter().flat_map(|model| of(model).keys()).collect();
    let row = |key: &K| {
        let of_key = |model: &Scores<'a>| of(model).get(key);
        let texts = models.iter().find_map(of_key).map_or(Cell::Empty, |found| found.texts.into());
        let f1 = models.iter().map(|model| {
            let f1 = of_key(model).and_then(|found| Some((found.micro.score.f1?, found.micro.f1_interval)));
            f1.map_or(Cell::Empty, |(f1, interval)| Cell::Value(f1, interval))
        });
        [name(key).into(), texts].into_iter().chain(f1).collect()
    };
    keys.into_iter().map(row).collect()
}
