use super::Measure;

/// Rows and columns; the first cell of a row is its heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What it is called.
    pub title: String,
    /// Whether it can be folded away.
    pub fold: Fold,
    /// The heads.
    pub columns: Vec<Column>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
}

/// Whether something can be folded away under its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// It cannot, and the title is not shown.
    Never,
    /// It can, and is open.
    Open,
    /// It can, and is closed.
    Closed,
}

/// The head of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// Of words.
    Text(String),
    /// Of values.
    Measure(Measure),
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing is known.
    Empty,
    /// Words.
    Text(String),
    /// A value, with the interval that it is in.
    Value(f64, Option<[f64; 2]>),
}

impl Column {
    /// [`Column::Text`].
    pub fn text(name: impl Into<String>) -> Self {
        Self::Text(name.into())
    }
}

impl From<Measure> for Column {
    fn from(measure: Measure) -> Self {
        Self::Measure(measure)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Value(value, None)
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Empty, Self::from)
    }
}

impl From<usize> for Cell {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 of what is counted")]
    fn from(count: usize) -> Self {
        Self::Value(count as f64, None)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
