/// Rows of shaded cells, each row with a bar at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// What it is called.
    pub title: String,
    /// What the cells are.
    pub cells: String,
    /// What the bars are; empty: there are none.
    pub bars: String,
    /// How to read it.
    pub note: String,
    /// From top to bottom.
    pub rows: Vec<HeatRow>,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatRow {
    /// Its name.
    pub name: String,
    /// From left to right.
    pub cells: Vec<HeatCell>,
    /// What stands at its end.
    pub bar: Option<Bar>,
}

/// One cell. The shade is the square root of its value's share of the highest.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatCell {
    /// None: not known, a shade for all such.
    pub value: Option<f64>,
    /// Crossed out.
    pub crossed: bool,
    /// All about it, for who points at it.
    pub hint: String,
}

/// A part of a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The part.
    pub part: f64,
    /// The whole.
    pub of: f64,
    /// All about it, for who points at it.
    pub hint: String,
}
