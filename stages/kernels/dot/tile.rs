//! The shape of a tile.

/// Columns of a panel of weights.
pub(crate) const COLUMNS: usize = 16;

/// Most rows of a tile.
pub(crate) const ROWS: usize = 8;

/// Most panels of a tile: with 8 rows, 24 of AVX-512's 32 registers hold sums.
pub(crate) const PANELS: usize = 3;

/// Four weights of each column of a panel: the first column's four, the second's, and so on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [[i8; 4]; COLUMNS]);

/// Four bytes of each row of a tile.
pub(crate) type Fours = [[u8; 4]; ROWS];

/// A sum for each column of a panel.
pub(crate) type Sums = [i32; COLUMNS];
