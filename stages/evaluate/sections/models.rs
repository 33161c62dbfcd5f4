//! All models of one evaluation side by side: a table, size against scores against speed, and latency by length.

use std::collections::BTreeSet;

use stage_contract::report::{
    Axis, Block, Cell, Column, Fold, Line, LineChart, Measure, Point, Scatter, Table,
};

use super::numbers::float;
use crate::evaluate::evaluation::{self, Decodings, Evaluation, ModelReport};
use encoder::config::Decode;

/// The numbers that stand for a model.
pub(super) fn side_by_side(evaluation: &Evaluation) -> Vec<Block> {
    let columns = [
        Measure::number("Parameters").lower_is_better(),
        Measure::percent("Share").unit("%").lower_is_better(),
        Measure::percent("Fidelity F1").higher_is_better(),
        Measure::percent("Quality F1").higher_is_better(),
        Measure::number("p50").unit("ms").lower_is_better(),
        Measure::number("Ratio").unit("\u{d7}").lower_is_better(),
        Measure::number("Sentences/s").higher_is_better(),
        Measure::number("Ratio").unit("\u{d7}").higher_is_better(),
        Measure::bytes("Weights").lower_is_better(),
        Measure::number("FLOPs").unit("G").lower_is_better(),
        Measure::bytes("Memory").lower_is_better(),
    ];
    let first = evaluation.models.first().map_or(1, |(_, model)| model.parameters);
    let row = |(name, model): &(String, ModelReport)| {
        let (latency, throughput) = (&model.latency.main, &model.throughput);
        vec![
            Cell::from(name.as_str()),
            model.parameters.into(),
            (float(model.parameters) / float(first)).into(),
            model.fidelity.all.micro.score.f1.into(),
            model.quality.as_ref().and_then(|quality| quality.all.micro.score.f1).into(),
            latency.p50_ms.into(),
            Cell::Value(latency.ratio, latency.ratio_interval),
            throughput.sentences_per_s.into(),
            Cell::Value(throughput.ratio, throughput.ratio_interval),
            model.bytes.into(),
            (float(model.flops) / 1e9).into(),
            model.memory.peak.into(),
        ]
    };
    vec![
        Block::note(
            "Share and ratios: to the first model. p50: one sentence of 32 tokens. FLOPs: of 64 tokens. Memory: computed, not measured.",
        ),
        Block::Table(Table {
            title: "Models".to_owned(),
            fold: Fold::Never,
            columns: [Column::text("Model")].into_iter().chain(columns.map(Column::from)).collect(),
            rows: evaluation.models.iter().map(row).collect(),
        }),
    ]
}

/// What each way to decode gives, of the models that have more than one; nothing where none has.
pub(super) fn decodings(evaluation: &Evaluation) -> Option<Block> {
    let columns = [
        Measure::percent("Fidelity F1, argmax").higher_is_better(),
        Measure::percent("Fidelity F1, CRF").higher_is_better(),
        Measure::percent("Quality F1, argmax").higher_is_better(),
        Measure::percent("Quality F1, CRF").higher_is_better(),
        Measure::percent("Same by sub-words").unit("%").higher_is_better(),
    ];
    let row = |(name, model): &(String, ModelReport)| {
        let Decodings { by, fidelity, quality, subwords } = &model.decoding;
        let scores = [Some(fidelity), quality.as_ref()];
        let scores = scores.into_iter().flat_map(|scores| {
            [Decode::Argmax, Decode::Crf].map(|way| Cell::from(scores.and_then(|scores| *scores.get(&way)?)))
        });
        let named = [name.as_str(), by.name()].map(Cell::from);
        named.into_iter().chain(scores).chain([Cell::from(*subwords)]).collect()
    };
    let text = ["Model", "Decoded by"].map(Column::text);
    let rows: Vec<_> =
        evaluation.models.iter().filter(|(_, model)| model.decoding.is_choice()).map(row).collect();
    let title = "By argmax and by CRF; same by sub-words: texts in which the labels of all sub-words make the same entities, \
                 as transformers' pipeline finds them";
    (!rows.is_empty()).then(|| {
        Block::Table(Table {
            title: title.to_owned(),
            fold: Fold::Never,
            columns: text.into_iter().chain(columns.map(Column::from)).collect(),
            rows,
        })
    })
}

/// How far scores are from how often they are right; nothing where no entity was found.
pub(super) fn calibration(evaluation: &Evaluation) -> Option<Block> {
    let columns = [
        Measure::percent("Fidelity, ECE").lower_is_better(),
        Measure::percent("Before temperatures").lower_is_better(),
        Measure::percent("Quality, ECE").lower_is_better(),
        Measure::percent("Before temperatures").lower_is_better(),
    ];
    let found = |model: &ModelReport| [model.calibration.fidelity.clone(), model.calibration.quality.clone()];
    let row = |(name, model): &(String, ModelReport)| {
        let cells = found(model).into_iter().flat_map(|found| {
            let of = |value: Option<f64>| Cell::from(value);
            [of(found.as_ref().map(|found| found.ece)), of(found.and_then(|found| found.before))]
        });
        [Cell::from(name.as_str())].into_iter().chain(cells).collect()
    };
    let some = |(_, model): &&(String, ModelReport)| found(model).iter().any(Option::is_some);
    let rows: Vec<_> = evaluation.models.iter().filter(some).map(row).collect();
    let title = "Calibration: mean gap between an entity's score and how often such entities are right (expected \
                 calibration error)";
    (!rows.is_empty()).then(|| {
        Block::Table(Table {
            title: title.to_owned(),
            fold: Fold::Never,
            columns: [Column::text("Model")].into_iter().chain(columns.map(Column::from)).collect(),
            rows,
        })
    })
}

/// One picture for fidelity and one for quality: they are never mixed.
pub(super) fn scatters(evaluation: &Evaluation) -> Vec<Block> {
    let fidelity = |model: &ModelReport| model.fidelity.all.micro.score.f1;
    let quality = |model: &ModelReport| model.quality.as_ref()?.all.micro.score.f1;
    vec![
        scatter(evaluation, "Size, fidelity and speed", "fidelity F1", fidelity),
        scatter(evaluation, "Size, quality and speed", "quality F1", quality),
    ]
}

fn scatter(
    evaluation: &Evaluation,
    title: &str,
    score: &str,
    of: impl Fn(&ModelReport) -> Option<f64>,
) -> Block {
    let point = |(look, (name, model)): (usize, &(String, ModelReport))| {
        let (name, x) = (name.clone(), float(model.parameters));
        Some(Point { name, look, x, y: of(model)?, area: model.latency.main.p50_ms })
    };
    Block::Scatter(Scatter {
        title: title.to_owned(),
        note:
            "The area of a mark is its latency: smaller is faster, higher is better, further left is smaller."
                .to_owned(),
        x: Axis { from_zero: true, ..Measure::number("parameters").lower_is_better().into() },
        y: Measure::percent(score).higher_is_better().into(),
        area: Measure::number("p50").unit("ms").lower_is_better(),
        points: evaluation.models.iter().enumerate().filter_map(point).collect(),
    })
}

/// A chart for each batch size, and all numbers as a table.
pub(super) fn latency(evaluation: &Evaluation) -> Vec<Block> {
    let cells = || evaluation.models.iter().flat_map(|(_, model)| &model.latency.matrix);
    let lengths: BTreeSet<usize> = cells().map(|cell| cell.tokens).collect();
    let Some((_, first)) = evaluation.models.first().filter(|_| lengths.len() > 1) else {
        return vec![Block::note("latency was measured at one length alone")];
    };
    let machine = format!(
        "Measured on {}, threads: {}. Median of the rounds; all models in turn.",
        first.latency.device, first.latency.threads
    );
    let batches: BTreeSet<usize> = cells().map(|cell| cell.batch).collect();
    let charts = batches.into_iter().map(|batch| by_length(evaluation, batch));
    [Block::note(machine)].into_iter().chain(charts).chain([matrix(evaluation)]).collect()
}

fn by_length(evaluation: &Evaluation, batch: usize) -> Block {
    let line = |(look, (name, model)): (usize, &(String, ModelReport))| {
        let cells = model.latency.matrix.iter().filter(|cell| cell.batch == batch);
        let mut points: Vec<_> = cells.map(|cell| (float(cell.tokens), cell.p50_ms)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { name: name.clone(), look, points }
    };
    let lines: Vec<Line> = evaluation.models.iter().enumerate().map(line).collect();
    let mut ticks: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let once = if batch == 1 { "One sentence".to_owned() } else { format!("{batch} sentences") };
    Block::Lines(LineChart {
        title: format!("{once} at once"),
        x: Axis { log: true, ticks, ..Measure::number("tokens of each sentence").into() },
        y: Axis { log: true, ..Measure::number("p50").unit("ms").lower_is_better().into() },
        lines,
        marked: true,
        rules: Vec::new(),
    })
}

fn matrix(evaluation: &Evaluation) -> Block {
    let cells = evaluation
        .models
        .iter()
        .flat_map(|(name, model)| model.latency.matrix.iter().map(move |cell| (name, cell)));
    let mut cells: Vec<(&String, &evaluation::Cell)> = cells.collect();
    cells.sort_by_key(|(_, cell)| (cell.batch, cell.tokens));
    let row = |(name, cell): (&String, &evaluation::Cell)| {
        vec![
            Cell::from(cell.batch),
            cell.tokens.into(),
            name.as_str().into(),
            cell.p50_ms.into(),
            cell.p90_ms.into(),
            cell.p99_ms.into(),
            Cell::Value(cell.ratio, cell.ratio_interval),
        ]
    };
    Block::Table(Table {
        title: "p50, p90 and p99 of every cell".to_owned(),
        fold: Fold::Closed,
        columns: vec![
            Measure::number("Batch").into(),
            Measure::number("Tokens").into(),
            Column::text("Model"),
            Measure::number("p50 ms").lower_is_better().into(),
            Measure::number("p90 ms").lower_is_better().into(),
            Measure::number("p99 ms").lower_is_better().into(),
            Measure::number("ratio").lower_is_better().into(),
        ],
        rows: cells.into_iter().map(row).collect(),
    })
}
