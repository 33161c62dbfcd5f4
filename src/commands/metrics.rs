//! `ner-pipe metrics`: what the stages came to, and how that differs from another revision.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use stage_contract::terminal::stdout;

use super::{
    exit::Exit,
    options::{PipelineFile, working_folder},
    output::emit,
    targets::is_called,
};
use crate::{lock::Lock, pipeline, revision::lock_at, runner::Stop, store::Store};

/// Show every metric of every stage, and how it differs from another revision
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only of these stages
    #[arg(value_name = "STAGE")]
    stages: Vec<String>,
    /// Compare with the lock file of this git revision: a branch, tag or commit
    #[arg(long, value_name = "REV")]
    against: Option<String>,
    /// With `--against`: also what did not change
    #[arg(long, requires = "against")]
    all: bool,
    #[command(flatten)]
    pipeline: PipelineFile,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: Shape,
}

/// How to show a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// A table for a pull request.
    Markdown,
}

/// One metric, now and before.
#[derive(Debug, Serialize)]
struct Row {
    stage: String,
    metric: String,
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<f64>,
    /// It differs from run to run (latency): from the cache, never in the lock.
    measured: bool,
}

/// Reads locks alone, so that it works in a clone without data and cache.
///
/// # Errors
/// When there is no lock, or none in that revision.
pub fn run(args: &Args) -> Result<Exit, Stop> {
    let root = working_folder()?;
    let path = root.join(pipeline::lock_file(&args.pipeline.file));
    let lock = Lock::read(&path).map_err(|e| Stop::wrong(e.to_string(), e.help()))?;
    if !path.exists() && !root.join(&args.pipeline.file).exists() {
        return Err(Stop::wrong(
            format!("there is neither {} nor its lock here", args.pipeline.file.display()),
            "name another folder with `-C DIR`, or another file with `--file`",
        ));
    }
    let before = match &args.against {
        Some(revision) => Some(lock_at(&path, revision).map_err(|e| Stop::wrong(e.to_string(), e.help()))?.0),
        None => None,
    };
    let store = Store::at(&root)?;
    let stray = args.stages.iter().find(|name| {
        !lock.stages().chain(before.iter().flat_map(Lock::stages)).any(|(id, _)| is_called(id, name))
    });
    if let Some(id) = stray {
        return Err(Stop::wrong(
            format!("no stage `{id}` in {}", pipeline::lock_file(&args.pipeline.file).display()),
            "see `ner-pipe metrics` for those with a result",
        ));
    }
    let mut rows = rows(&lock, before.as_ref(), &store);
    rows.retain(|row| args.stages.is_empty() || args.stages.iter().any(|name| is_called(&row.stage, name)));
    if before.is_some() && !args.all {
        rows.retain(|row| row.value != row.before);
    }
    let lines = match args.format {
        Shape::Json => vec![json!({ "against": args.against, "metrics": rows }).to_string()],
        Shape::Text | Shape::Markdown if rows.is_empty() => {
            vec![if before.is_some() { "no metric differs" } else { "no stage has a metric" }.to_owned()]
        }
        Shape::Text => text(&rows, args.against.as_deref()),
        Shape::Markdown => markdown(&rows, args.against.as_deref()),
    };
    emit(&mut stdout(), lines)?;
    Ok(Exit::Ok)
}

/// The values of one lock by stage, sort and name.
fn values(lock: &Lock, store: &Store) -> BTreeMap<(String, bool, String), f64> {
    let mut found = BTreeMap::new();
    for (id, locked) in lock.stages() {
        let own = locked.metrics.iter().map(|(name, value)| ((id.to_owned(), false, name.clone()), *value));
        found.extend(own);
        let measured = store.peek(&locked.key).map(|entry| entry.record.measured).unwrap_or_default();
        found.extend(measured.into_iter().map(|(name, value)| ((id.to_owned(), true, name), value)));
    }
    found
}

fn rows(now: &Lock, before: Option<&Lock>, store: &Store) -> Vec<Row> {
    let now = values(now, store);
    let before = before.map(|lock| values(lock, store)).unwrap_or_default();
    let mut names: Vec<_> = now.keys().chain(before.keys()).collect();
    names.sort();
    names.dedup();
    let row = |name: &(String, bool, String)| {
        let (value, before) = (now.get(name).copied(), before.get(name).copied());
        let difference = value.zip(before).map(|(value, before)| value - before);
        let (stage, measured, metric) = name.clone();
        Row { stage, metric, value, before, difference, measured }
    };
    names.into_iter().map(row).collect()
}

/// The cells of the table, with its head.
fn cells(rows: &[Row], against: Option<&str>) -> Vec<Vec<String>> {
    let mut head = vec!["stage".to_owned(), "metric".to_owned()];
    head.extend(against.map(str::to_owned));
    head.push(if against.is_some() { "now" } else { "value" }.to_owned());
    head.extend(against.map(|_| "difference".to_owned()));
    let mut table = vec![head];
    for row in rows {
        let measured = if row.measured { " (measured)" } else { "" };
        let mut cells = vec![row.stage.clone(), format!("{}{measured}", row.metric)];
        let said = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        if against.is_some() {
            cells.push(said(row.before));
        }
        cells.push(said(row.value));
        if against.is_some() {
            cells.push(match (row.before, row.value) {
                (None, _) => "new".to_owned(),
                (_, None) => "gone".to_owned(),
                _ => row.difference.map_or_else(String::new, |by| {
                    if by > 0.0 { format!("+{}", figure(by)) } else { figure(by) }
                }),
            });
        }
        table.push(cells);
    }
    table
}

fn text(rows: &[Row], against: Option<&str>) -> Vec<String> {
    let table = cells(rows, against);
    let widths: Vec<usize> = (0..table[0].len())
        .map(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column < 2 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

fn markdown(rows: &[Row], against: Option<&str>) -> Vec<String> {
    let table = cells(rows, against);
    let line = |row: &[String]| {
        format!("| {} |", row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
    };
    let rule: Vec<_> =
        (0..table[0].len()).map(|column| if column < 2 { "---" } else { "---:" }.to_owned()).collect();
    let mut lines = vec![line(&table[0]), line(&rule)];
    lines.extend(table[1..].iter().map(|row| line(row)));
    lines
}

/// Six figures are more than any metric is worth, and hide the dust of subtraction.
fn figure(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-4..1e9).contains(&magnitude) {
        #[expect(clippy::cast_possible_truncation, reason = "at most 9")]
        let before_point = if magnitude >= 1.0 { magnitude.log10().floor() as i32 + 1 } else { 0 };
        let places = usize::try_from(6 - before_point).unwrap_or(0);
        let text = format!("{value:.places$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn figures_read_well() {
        let read = [0.5, 0.1 + 0.2 - 0.3, 1_351_685.0, 0.853_125_4, 26.4, -0.02, 0.0, 12.0].map(figure);
        assert_eq!(read, ["0.5", "5.551e-17", "1351685", "0.853125", "26.4", "-0.02", "0", "12"]);
    }
}
