//! Training curves: a folder with `epochs.csv` and `steps.jsonl`.

use std::{collections::BTreeMap, fs, path::Path};

use maud::{Markup, html};
use serde::Deserialize;

use super::{
    chart::{Lines, Series, thin},
    figures::{number, points},
    nothing, wide,
};

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "step")]
    number: f64,
    epoch: f64,
    loss: f64,
    #[serde(default)]
    terms: BTreeMap<String, Term>,
}

#[derive(Deserialize)]
struct Term {
    weighted: f64,
}

/// `epochs.csv`, by the names of its header.
struct Epochs {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Epochs {
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let mut lines = text.lines();
        let names: Vec<String> = lines.next()?.split(',').map(str::to_owned).collect();
        let row = |line: &str| -> Option<Vec<f64>> {
            line.split(',').map(|cell| cell.parse().ok()).collect::<Option<Vec<_>>>()
        };
        let rows = lines.map(row).collect::<Option<Vec<_>>>()?;
        rows.iter().all(|row| row.len() == names.len()).then_some(Self { names, rows })
    }

    /// A column against the first.
    fn column(&self, name: &str, of: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let Some(place) = self.names.iter().position(|known| known == name) else { return Vec::new() };
        self.rows.iter().map(|row| (row[0], of(row[place]))).collect()
    }
}

/// A step that is not understood ends the reading: what is half there is not drawn as if it were whole.
fn steps(path: &Path) -> Option<Vec<Step>> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().map(|line| serde_json::from_str(line).ok()).collect()
}

/// Loss by term, scores on dev, and the numbers of the epochs.
pub(super) fn section(folder: &Path) -> Markup {
    let (steps, epochs) = (steps(&folder.join("steps.jsonl")), Epochs::read(&folder.join("epochs.csv")));
    if steps.is_none() && epochs.is_none() {
        return nothing("its history has neither an epochs.csv nor a steps.jsonl that can be read");
    }
    html! {
        div.charts {
            @if let Some(steps) = &steps { (losses(steps)) }
            @if let Some(epochs) = &epochs { (dev(epochs)) }
        }
        @if let Some(epochs) = &epochs {
            details { summary { "Numbers by epoch" } (wide("Numbers by epoch", &table(epochs))) }
        }
    }
}

fn losses(steps: &[Step]) -> Markup {
    let mut series = vec![Series {
        name: "all".to_owned(),
        points: thin(&steps.iter().map(|step| (step.number, step.loss)).collect::<Vec<_>>()),
    }];
    let mut terms: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for step in steps {
        for (name, term) in &step.terms {
            terms.entry(name).or_default().push((step.number, term.weighted));
        }
    }
    series.extend(
        terms.into_iter().map(|(name, points)| Series { name: name.to_owned(), points: thin(&points) }),
    );
    let highest = series.iter().flat_map(|series| &series.points).fold(0.0, |most: f64, p| most.max(p.1));
    // A term of nearly nothing must not flatten the others.
    series.retain(|series| series.points.iter().any(|point| point.1 > highest * 1e-4));
    let lowest = highest * 1e-4;
    let begins = steps.windows(2).filter(|pair| pair[0].epoch < pair[1].epoch).map(|pair| pair[1].number);
    let chart = Lines {
        title: "Loss by step: each term times its weight, and their sum",
        x: "step (a line where an epoch begins)",
        y: "loss (log scale)",
        series,
        log: [false, true],
        within: [lowest, f64::INFINITY],
        ticks: None,
        rules: begins.collect(),
        marks: false,
    };
    chart.draw()
}

fn dev(epochs: &Epochs) -> Markup {
    let named = [("F1", "val_f1"), ("precision", "val_precision"), ("recall", "val_recall")];
    let series = named.map(|(name, column)| Series {
        name: name.to_owned(),
        points: epochs.column(column, |share| share * 100.0),
    });
    let epoch: Vec<f64> = epochs.rows.iter().map(|row| row[0]).collect();
    let step = epoch.len().div_ceil(10).max(1);
    let chart = Lines {
        title: "Scores on dev by epoch",
        x: "epoch",
        y: "of 100",
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
        log: [false; 2],
        within: [0.0, 100.0],
        ticks: Some(epoch.into_iter().step_by(step).collect()),
        rules: Vec::new(),
        marks: true,
    };
    chart.draw()
}

fn table(epochs: &Epochs) -> Markup {
    let said = |name: &str, value: f64| {
        let score = ["val_f1", "val_precision", "val_recall"].contains(&name);
        if score { points(value) } else { number(value) }
    };
    html! {
        table {
            thead { tr { @for name in &epochs.names { th.number scope="col" { (name.replace('_', " ")) } } } }
            tbody {
                @for row in &epochs.rows {
                    tr { @for (name, value) in epochs.names.iter().zip(row) { td.number { (said(name, *value)) } } }
                }
            }
        }
    }
}
