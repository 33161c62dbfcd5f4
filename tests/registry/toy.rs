//! A stage of which the runner knows nothing, with a kind of its own that a page shows in every way there is.

use std::{fs, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{
    Artifact, Context, Event, Kind, Optional, Output, Shape, Spec, Stage, StageError,
    report::{
        Axis, Bar, Block, Bound, Cell, Column, Fold, Gate, HeatCell, HeatMap, HeatRow, Intervals, Line,
        LineChart, Mark, MarkGroup, Measure, Passage, Point, Reading, Scatter, Section, Span, Table, Topic,
    },
};

/// What a toy is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toy {
    pub name: String,
    /// From 0 to 1, two at least.
    pub values: Vec<f64>,
    /// Text of a corpus.
    pub text: String,
}

impl Artifact for Toy {
    const KIND: Kind = Kind { name: "toy", shape: Shape::File, extension: "json", doc: "a toy, as JSON" };

    fn load(path: &Path) -> Result<Self, StageError> {
        let text = fs::read_to_string(path).map_err(|e| StageError::io("read", path, e))?;
        serde_json::from_str(&text)
            .map_err(|e| StageError::because(format!("{} is no toy", path.display()), e))
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        let text = serde_json::to_string(self).map_err(|e| StageError::because("cannot write", e))?;
        fs::write(path, text).map_err(|e| StageError::io("write", path, e))
    }
}

/// Makes a toy of its own, or halves the values of another.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Halve {}

/// A kind that no stage has: of a file in it the name counts.
pub const EITHER: Kind =
    Kind { name: "either", shape: Shape::FileOrFolder, extension: "", doc: "a file or a folder" };

const TOY: Optional<Toy> = Optional::new("toy", "what to halve");
const HALF: Output<Toy> = Output::new("half", "half of it");

impl Stage for Halve {
    const SPEC: Spec = Spec {
        name: "halve",
        version: 1,
        doc: "halves toys",
        inputs: &[TOY.port()],
        outputs: &[HALF.port()],
        measures: false,
    };

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let toy = cx.read_optional(&TOY)?;
        let Toy { name, values, text } = toy.unwrap_or(Toy {
            name: "top".to_owned(),
            values: vec![0.5, 1.0],
            text: "Zoé joue.".to_owned(),
        });
        cx.sink.send(Event::Gate { name: "small".to_owned(), outcome: "pass".to_owned() });
        cx.write(&HALF, &Toy { name, values: values.iter().map(|value| value / 2.0).collect(), text })
    }
}

const TOPIC: Topic = Topic::new(150, "All about toys");
const TEXTS: Topic = Topic::new(160, "What toys say");

/// Every block that there is.
pub fn sections(Toy { name, values, text }: &Toy) -> Vec<Section> {
    let name = || name.clone();
    let (first, last) = (values[0], values[values.len() - 1]);
    let points = (1..).map(f64::from).zip(values.iter().copied()).collect();
    let score = || Measure::percent(name()).higher_is_better();
    let blocks = vec![
        Block::heading(name()),
        Block::text(name()),
        Block::note(name()),
        Block::List(vec![name()]),
        Block::Table(Table {
            title: name(),
            fold: Fold::Closed,
            columns: vec![
                Column::text("Toy"),
                score().into(),
                Measure::number("weight").unit("kg").lower_is_better().into(),
                Measure::bytes("size").into(),
            ],
            rows: vec![vec![
                name().into(),
                Cell::Value(first, Some([first / 2.0, first])),
                1234.5.into(),
                Cell::Empty,
            ]],
        }),
        Block::Lines(LineChart {
            title: name(),
            x: Axis { ticks: vec![1.0, 2.0], ..Measure::number("step").into() },
            y: score().into(),
            lines: vec![Line { name: name(), look: 1, points }],
            marked: true,
            rules: vec![1.5],
        }),
        Block::Scatter(Scatter {
            title: name(),
            note: name(),
            x: Axis { from_zero: true, ..Measure::number("parts").into() },
            y: score().into(),
            area: Measure::number("noise").unit("dB"),
            points: vec![Point { name: name(), look: 2, x: 7.0, y: last, area: 60.0 }],
        }),
        Block::Intervals(Intervals {
            title: name(),
            x: score().into(),
            groups: vec![MarkGroup {
                name: name(),
                marks: vec![Mark {
                    name: name(),
                    look: 3,
                    value: first,
                    interval: Some([first / 2.0, last]),
                }],
            }],
        }),
        Block::HeatMap(HeatMap {
            title: name(),
            cells: name(),
            bars: name(),
            note: name(),
            rows: vec![HeatRow {
                name: name(),
                cells: values
                    .iter()
                    .map(|&value| HeatCell { value: Some(value), crossed: value < 0.2, hint: name() })
                    .collect(),
                bar: Some(Bar { part: 3.0, of: 4.0, hint: name() }),
            }],
        }),
    ];
    let gate = Gate {
        name: name(),
        outcome: "inconclusive".to_owned(),
        of: name(),
        measured: Some(first),
        interval: Some([first, last]),
        bound: Some(Bound::AtLeast(first)),
    };
    let span = |text: &str, label: Option<String>, differs| Span { text: text.to_owned(), label, differs };
    let reading = Reading {
        name: name(),
        spans: vec![
            span(text, Some(name()), true),
            span(" and ", None, false),
            span("more", Some(name()), false),
        ],
    };
    let passages = Block::Passages(vec![Passage { caption: name(), readings: vec![reading] }]);
    vec![
        Section::sensitive(TEXTS, vec![passages]),
        Section::new(TOPIC, blocks),
        Section::new(Topic::GATES, vec![Block::Gates(vec![gate])]),
    ]
}
