//! All models of one evaluation side by side: a table, size against scores against speed, and latency by length.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    chart::{Axis, Lines, Series, axes, look, mark},
    evaluation::{Cell, Evaluation, Model},
    figures::{float, interval, number, points, px},
    nothing,
    scores::Scores,
    wide,
};
use crate::watch::size;

/// The numbers that stand for a model.
pub(super) fn table(evaluation: &Evaluation) -> Markup {
    let teacher = evaluation.models.first().map_or(1.0, |(_, model)| model.parameters);
    let ratio = |ratio: Option<f64>, ends: Option<[f64; 2]>| {
        html! {
            @if let Some(ratio) = ratio { (number(ratio)) " \u{d7}" }
            @if let Some(ends) = ends.filter(|[low, high]| low < high) { br; small { (interval(ends, number)) } }
        }
    };
    let rows = html! {
        table {
            thead {
                tr {
                    th scope="col" { "Model" }
                    @for name in [
                        "Parameters", "Share", "Fidelity F1", "Quality F1", "p50", "Ratio", "Sentences/s", "Ratio", "Weights", "FLOPs", "Memory",
                    ] { th.number scope="col" { (name) } }
                }
            }
            tbody {
                @for (name, model) in &evaluation.models {
                    tr {
                        th scope="row" { (name) }
                        td.number { (number(model.parameters)) }
                        td.number { (points(model.parameters / teacher)) " %" }
                        td.number { (points(model.fidelity.all.micro.f1)) }
                        td.number { @if let Some(quality) = &model.quality { (points(quality.all.micro.f1)) } @else { "\u{2013}" } }
                        td.number { (number(model.latency.p50_ms)) " ms" }
                        td.number { (ratio(model.latency.ratio, model.latency.ratio_interval)) }
                        td.number { @if let Some(throughput) = &model.throughput { (number(throughput.sentences_per_s)) } }
                        td.number {
                            @if let Some(throughput) = &model.throughput { (ratio(throughput.ratio, throughput.ratio_interval)) }
                        }
                        td.number { @if let Some(bytes) = model.bytes { (bytes_of(bytes)) } }
                        td.number { @if let Some(flops) = model.flops { (number(flops / 1e9)) " G" } }
                        td.number { @if let Some(memory) = &model.memory { (bytes_of(memory.peak)) } }
                    }
                }
            }
        }
    };
    html! {
        p.note {
            "Share and ratios: to the first model. p50: one sentence of 32 tokens. FLOPs: of 64 tokens. Memory: computed, not measured."
        }
        (wide("Models", &rows))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
fn bytes_of(bytes: f64) -> String {
    size(bytes as u64)
}

/// One picture for fidelity and one for quality: they are never mixed.
pub(super) fn scatters(evaluation: &Evaluation) -> Markup {
    html! {
        (scatter(evaluation, "Size, fidelity and speed", "fidelity F1", |model| Some(&model.fidelity)))
        (scatter(evaluation, "Size, quality and speed", "quality F1", |model| model.quality.as_ref()))
    }
}

fn scatter(
    evaluation: &Evaluation,
    title: &str,
    name: &str,
    of: impl Fn(&Model) -> Option<&Scores>,
) -> Markup {
    /// Radius of the slowest, and the height that a label needs.
    const SLOWEST: f64 = 15.0;
    const LABEL: f64 = 29.0;
    let found: Vec<(usize, &str, &Model, f64)> = evaluation
        .models
        .iter()
        .enumerate()
        .filter_map(|(place, (name, model))| {
            Some((place, name.as_str(), model, of(model)?.all.micro.f1 * 100.0))
        })
        .collect();
    let height = (float(found.len()) * LABEL + 40.0).max(290.0);
    let x = Axis::around(found.iter().map(|it| it.2.parameters).chain([0.0]), [52.0, 272.0], false);
    let y = Axis::around(found.iter().map(|it| it.3), [height - 42.0, 24.0], false);
    let (Some(mut x), Some(mut y)) = (x, y) else { return html! {} };
    // Room for half a mark.
    let room = (y.ends[1] - y.ends[0]) * 0.08;
    (x.ends[0], y.ends) = (0.0, [y.ends[0] - room, y.ends[1] + room]);
    let slowest = found.iter().map(|it| it.2.latency.p50_ms).fold(0.0, f64::max);
    // Labels stand at the right, apart, in the order of the marks.
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| found[*b].3.total_cmp(&found[*a].3).then(a.cmp(b)));
    let mut labels = vec![0.0; found.len()];
    let mut free = 16.0;
    for (rank, &index) in order.iter().enumerate() {
        let left = float(order.len() - rank) * LABEL;
        let at = y.at(found[index].3).max(free).min(height - 30.0 - left + LABEL);
        labels[index] = at;
        free = at + LABEL;
    }
    html! {
        figure {
            figcaption { (title) }
            svg viewBox={ "0 0 440 " (px(height)) } role="img" aria-label=(title) {
                (axes(&x, &y, None, ["parameters", name]))
                @for ((place, model, numbers, f1), label) in found.iter().zip(&labels) {
                    @let (across, down) = (x.at(numbers.parameters), y.at(*f1));
                    @let radius = SLOWEST * (numbers.latency.p50_ms / slowest.max(f64::MIN_POSITIVE)).sqrt();
                    g class=(look(*place)) {
                        title {
                            (model) ": " (number(numbers.parameters)) " parameters, " (name) " " (px(*f1)) ", p50 "
                            (number(numbers.latency.p50_ms)) " ms"
                        }
                        line.leader x1=(px(across)) y1=(px(down)) x2="290" y2=(px(*label)) {}
                        path.bubble d=(mark(*place, across, down, radius.max(2.5))) {}
                        text.name x="294" y=(px(label - 1.0)) { (model) }
                        text.small x="294" y=(px(label + 11.0)) { (px(*f1)) ", " (number(numbers.latency.p50_ms)) " ms" }
                    }
                }
            }
            p.note { "The area of a mark is its latency: smaller is faster, higher is better, further left is smaller." }
        }
    }
}

/// A chart for each batch size, and all numbers as a table.
pub(super) fn latency(evaluation: &Evaluation) -> Markup {
    let cells =
        |model: &Model| -> BTreeSet<u32> { model.latency.matrix.iter().map(|cell| cell.batch).collect() };
    let batches: BTreeSet<u32> = evaluation.models.iter().flat_map(|(_, model)| cells(model)).collect();
    let cells = evaluation.models.iter().flat_map(|(_, model)| &model.latency.matrix);
    if cells.map(|cell| cell.tokens).collect::<BTreeSet<_>>().len() < 2 {
        return nothing("latency was measured at one length alone");
    }
    let machine = evaluation.models.first().map(|(_, model)| &model.latency);
    html! {
        @if let Some(latency) = machine {
            p.note {
                "Measured on " (latency.device)
                @if let Some(threads) = latency.threads { ", threads: " (number(threads)) }
                ". Median of the rounds; all models in turn."
            }
        }
        div.charts { @for batch in batches { (by_length(evaluation, batch)) } }
        details { summary { "p50, p90 and p99 of every cell" } (wide("Latency", &matrix(evaluation))) }
    }
}

fn by_length(evaluation: &Evaluation, batch: u32) -> Markup {
    let of = |model: &Model| -> Vec<(f64, f64)> {
        let cells = model.latency.matrix.iter().filter(|cell| cell.batch == batch);
        let mut points: Vec<_> = cells.map(|cell| (f64::from(cell.tokens), cell.p50_ms)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let series: Vec<Series> = evaluation
        .models
        .iter()
        .map(|(name, model)| Series { name: name.clone(), points: of(model) })
        .collect();
    let mut ticks: Vec<f64> =
        series.iter().flat_map(|series| series.points.iter().map(|point| point.0)).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let title =
        if batch == 1 { "One sentence at once".to_owned() } else { format!("{batch} sentences at once") };
    let chart = Lines {
        title: &title,
        x: "tokens of each sentence (log scale)",
        y: "p50, ms (log scale)",
        series,
        log: [true; 2],
        within: [0.0, f64::INFINITY],
        ticks: Some(ticks),
        rules: Vec::new(),
        marks: true,
    };
    chart.draw()
}

fn matrix(evaluation: &Evaluation) -> Markup {
    let rows = || {
        evaluation
            .models
            .iter()
            .flat_map(|(name, model)| model.latency.matrix.iter().map(move |cell| (name, cell)))
    };
    let mut sorted: Vec<(&String, &Cell)> = rows().collect();
    sorted.sort_by_key(|(_, cell)| (cell.batch, cell.tokens));
    html! {
        table {
            thead {
                tr {
                    @for name in ["Batch", "Tokens"] { th.number scope="col" { (name) } }
                    th scope="col" { "Model" }
                    @for name in ["p50 ms", "p90 ms", "p99 ms", "ratio", "Interval"] { th.number scope="col" { (name) } }
                }
            }
            tbody {
                @for (name, cell) in sorted {
                    tr {
                        td.number { (cell.batch) }
                        td.number { (cell.tokens) }
                        th scope="row" { (name) }
                        @for time in [cell.p50_ms, cell.p90_ms, cell.p99_ms] { td.number { (number(time)) } }
                        td.number { @if let Some(ratio) = cell.ratio { (number(ratio)) } }
                        td.number { @if let Some(ends) = cell.ratio_interval { (interval(ends, number)) } }
                    }
                }
            }
        }
    }
}
