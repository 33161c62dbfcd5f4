//! A report of `evaluate`: what of it the page shows, and its gates. Fields that only newer reports have may be absent.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

use super::{
    chart::Axis,
    figures::{interval, number, px},
    models,
    results::{Report, StageResult},
    scores::{self, Scores},
};

#[derive(Deserialize)]
pub(super) struct Evaluation {
    /// In the report's order: the teacher first.
    #[serde(deserialize_with = "in_order")]
    pub models: Vec<(String, Model)>,
    #[serde(default)]
    pub bootstrap: Option<Bootstrap>,
    #[serde(default)]
    pub lengths: BTreeMap<String, (f64, Option<f64>)>,
    #[serde(default)]
    gates: BTreeMap<String, Verdict>,
    #[serde(default)]
    foreign: Foreign,
}

#[derive(Deserialize)]
pub(super) struct Bootstrap {
    pub samples: f64,
    pub confidence: f64,
}

#[derive(Deserialize)]
pub(super) struct Model {
    pub parameters: f64,
    #[serde(default)]
    pub bytes: Option<f64>,
    #[serde(default)]
    pub flops: Option<f64>,
    #[serde(default)]
    pub memory: Option<Memory>,
    pub latency: Latency,
    #[serde(default)]
    pub throughput: Option<Throughput>,
    pub fidelity: Scores,
    #[serde(default)]
    pub quality: Option<Scores>,
}

#[derive(Deserialize)]
pub(super) struct Memory {
    pub peak: f64,
}

#[derive(Deserialize)]
pub(super) struct Latency {
    pub p50_ms: f64,
    #[serde(default)]
    pub ratio: Option<f64>,
    #[serde(default)]
    pub ratio_interval: Option<[f64; 2]>,
    #[serde(default)]
    pub device: String,
    #[serde(default)]
    pub threads: Option<f64>,
    #[serde(default)]
    pub matrix: Vec<Cell>,
}

#[derive(Deserialize)]
pub(super) struct Cell {
    pub tokens: u32,
    pub batch: u32,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    #[serde(default)]
    pub ratio: Option<f64>,
    #[serde(default)]
    pub ratio_interval: Option<[f64; 2]>,
}

#[derive(Deserialize)]
pub(super) struct Throughput {
    pub sentences_per_s: f64,
    #[serde(default)]
    pub ratio: Option<f64>,
    #[serde(default)]
    pub ratio_interval: Option<[f64; 2]>,
}

#[derive(Deserialize)]
struct Verdict {
    outcome: String,
    #[serde(default)]
    measured: Option<f64>,
    #[serde(default)]
    bound: Option<f64>,
    #[serde(default)]
    interval: Option<[f64; 2]>,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    metric: String,
    #[serde(default)]
    against: Option<String>,
    #[serde(default)]
    slice: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// Entities by type.
type Counts = BTreeMap<String, usize>;

/// Entities whose type the final model lacks.
#[derive(Default, Deserialize)]
struct Foreign {
    teacher: Counts,
    gold: BTreeMap<String, Counts>,
}

/// A JSON object as a list, which keeps its order; of an evaluation it has a model at least.
fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Model)>, D::Error> {
    let map = Map::<String, Value>::deserialize(deserializer)?;
    if map.is_empty() {
        return Err(D::Error::custom("no model"));
    }
    map.into_iter()
        .map(|(name, value)| Ok((name, Model::deserialize(value).map_err(D::Error::custom)?)))
        .collect()
}

/// All that one report says.
pub(super) fn section(evaluation: &Evaluation) -> Markup {
    html! {
        h4 { "Models side by side" }
        (models::table(evaluation))
        div.charts { (models::scatters(evaluation)) }
        h4 { "Fidelity: agreement with the teacher" }
        (scores::section(evaluation, "fidelity", |model| Some(&model.fidelity)))
        h4 { "Quality: against gold" }
        @if evaluation.models.iter().any(|(_, model)| model.quality.is_some()) {
            (scores::section(evaluation, "quality", |model| model.quality.as_ref()))
        } @else {
            (super::nothing("no gold was wired, so quality is not known"))
        }
        h4 { "Latency by length" }
        (models::latency(evaluation))
        (foreign(&evaluation.foreign))
    }
}

/// Entities that became O; nothing where there are none.
fn foreign(foreign: &Foreign) -> Markup {
    let teacher = ("the teacher".to_owned(), &foreign.teacher);
    let gold = foreign.gold.iter().map(|(set, counts)| (format!("gold set {set}"), counts));
    let told: Vec<_> = [teacher].into_iter().chain(gold).filter(|(_, counts)| !counts.is_empty()).collect();
    html! {
        @if !told.is_empty() {
            h4 { "Entities of types that the final model lacks, which became O" }
            ul {
                @for (place, counts) in told {
                    li { (place) ": " (counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")) }
                }
            }
        }
    }
}

/// A row for each verdict of a stage. Without its report only the outcome is known.
pub(super) fn gate_rows(result: &StageResult<'_>) -> Vec<Markup> {
    let told = result.reports.iter().filter_map(|report| match report {
        Report::Evaluation(evaluation) => Some(&evaluation.gates),
        Report::Pruning(_) => None,
    });
    let told: Vec<Markup> =
        told.flatten().map(|(name, verdict)| row(name, verdict, &result.node.id)).collect();
    if !told.is_empty() {
        return told;
    }
    let bare = |(name, outcome): (&String, &String)| {
        let outcome = outcome.clone();
        let verdict = Verdict {
            outcome,
            measured: None,
            bound: None,
            interval: None,
            direction: String::new(),
            metric: String::new(),
            against: None,
            slice: None,
            reason: None,
        };
        row(name, &verdict, &result.node.id)
    };
    result.record.iter().flat_map(|record| &record.gates).map(bare).collect()
}

fn row(name: &str, verdict: &Verdict, stage: &str) -> Markup {
    let sign = match verdict.outcome.as_str() {
        "pass" => "\u{2713}",
        "fail" => "\u{2717}",
        _ => "?",
    };
    let class = if sign == "?" { "inconclusive" } else { &verdict.outcome };
    let side = if verdict.direction == "min" { "\u{2265} " } else { "\u{2264} " };
    let said = |value: Option<f64>| value.map_or_else(|| "\u{2013}".to_owned(), number);
    html! {
        tr {
            th scope="row" { (name) }
            td { span class={ "verdict " (class) } { (sign) " " (verdict.outcome) } }
            td {
                (verdict.metric)
                @if let Some(other) = &verdict.against { " against " (other) }
                @if let Some(slice) = &verdict.slice { ", " (slice) }
                @if let Some(reason) = &verdict.reason { ": " (reason) }
            }
            td.number { (said(verdict.measured)) }
            td.number { @if let Some(ends) = verdict.interval { (interval(ends, number)) } @else { "exact" } }
            td.number { @if verdict.bound.is_some() { (side) } (said(verdict.bound)) }
            td { (sketch(verdict)) }
            td { (stage) }
        }
    }
}

/// What was measured beside its bound; the side that is allowed is shaded.
fn sketch(verdict: &Verdict) -> Markup {
    const WIDTH: f64 = 110.0;
    let (Some(measured), Some(bound)) = (verdict.measured, verdict.bound) else { return html! {} };
    let [low, high] = verdict.interval.unwrap_or([measured; 2]);
    let values = [low, high, measured, bound];
    let Some(mut axis) = Axis::around(values.into_iter(), [4.0, WIDTH - 4.0], false) else { return html! {} };
    let room = (axis.ends[1] - axis.ends[0]) * 0.1;
    axis.ends = [axis.ends[0] - room, axis.ends[1] + room];
    let limit = axis.at(bound);
    let allowed = if verdict.direction == "min" { [limit, WIDTH] } else { [0.0, limit] };
    html! {
        svg.sketch viewBox="0 0 110 18" aria-hidden="true" {
            rect.allowed x=(px(allowed[0])) width=(px(allowed[1] - allowed[0])) y="1" height="16" {}
            line.bound x1=(px(limit)) x2=(px(limit)) y1="1" y2="17" {}
            line.reach x1=(px(axis.at(low))) x2=(px(axis.at(high))) y1="9" y2="9" {}
            circle.point cx=(px(axis.at(measured))) cy="9" r="3.5" {}
        }
    }
}
