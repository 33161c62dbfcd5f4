use super::Measure;

/// One axis of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows.
    pub measure: Measure,
    /// Equal ratios are equally far apart.
    pub log: bool,
    /// It begins at 0, whatever the least value is.
    pub from_zero: bool,
    /// Values that make sense; the axis does not leave them.
    pub limits: [f64; 2],
    /// Where its ticks are; none: round values.
    pub ticks: Vec<f64>,
}

impl From<Measure> for Axis {
    fn from(measure: Measure) -> Self {
        let limits = [f64::NEG_INFINITY, f64::INFINITY];
        Self { measure, log: false, from_zero: false, limits, ticks: Vec::new() }
    }
}

/// Lines over two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// What it is called.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// Each with its name in the legend.
    pub lines: Vec<Line>,
    /// Each point has a mark. Without marks a long line is drawn as means of neighbours.
    pub marked: bool,
    /// Values of x at which something begins.
    pub rules: Vec<f64>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// Its colour, dash and mark: equal numbers look alike in all charts.
    pub look: usize,
    /// By x, rising.
    pub points: Vec<(f64, f64)>,
}

/// Marks over two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// What it is called.
    pub title: String,
    /// How to read it; empty: nothing to say.
    pub note: String,
    /// Across.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// What a mark's area shows.
    pub area: Measure,
    /// Each with a label.
    pub points: Vec<Point>,
}

/// One mark of a [`Scatter`].
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it stands for.
    pub name: String,
    /// See [`Line::look`].
    pub look: usize,
    /// Across.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// From 0.
    pub area: f64,
}

/// Values with intervals on one axis: a forest plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervals {
    /// What it is called.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// From top to bottom.
    pub groups: Vec<MarkGroup>,
}

/// What belongs together under a heading.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkGroup {
    /// The heading.
    pub name: String,
    /// From top to bottom.
    pub marks: Vec<Mark>,
}

/// One value of [`Intervals`].
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What it is of.
    pub name: String,
    /// See [`Line::look`].
    pub look: usize,
    /// The value.
    pub value: f64,
    /// The interval that it is in, where one is known.
    pub interval: Option<[f64; 2]>,
}
