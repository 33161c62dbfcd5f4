//! What a page about results shows: plain data, which a stage makes and the runner draws.
//!
//! [`crate::Registry::show`] says how an artifact is shown. It is asked when a page is written and reads the finished
//! output, so a changed presentation makes no result stale, and old results gain the new pictures.

mod block;
mod chart;
mod gate;
mod heat_map;
mod measure;
mod number;
mod passage;
mod table;

pub use block::Block;
pub use chart::{Axis, Intervals, Line, LineChart, Mark, MarkGroup, Point, Scatter};
pub use gate::{Bound, Gate};
pub use heat_map::{Bar, HeatCell, HeatMap, HeatRow};
pub use measure::{Better, Format, Measure};
pub use number::{counted, grouped, number};
pub use passage::{Passage, Reading, Span};
pub use table::{Cell, Column, Fold, Table};

/// What one output contributes to one part of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The part.
    pub topic: Topic,
    /// It holds text of the corpus: only a page that may (`--show-text`) shows it.
    pub sensitive: bool,
    /// From top to bottom.
    pub blocks: Vec<Block>,
}

impl Section {
    /// One that anybody may read.
    #[must_use]
    pub fn new(topic: Topic, blocks: Vec<Block>) -> Self {
        Self { topic, sensitive: false, blocks }
    }

    /// One that holds text of the corpus.
    #[must_use]
    pub fn sensitive(topic: Topic, blocks: Vec<Block>) -> Self {
        Self { topic, sensitive: true, blocks }
    }
}

/// A part of a page, to which any stage may contribute. Parts stand in the order of their numbers, those of one number
/// in that of their headings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// Where it stands.
    pub order: u16,
    /// What it is called.
    pub heading: &'static str,
}

impl Topic {
    /// Bounds on results, and whether they are met. The runner lists there what stages say by
    /// [`crate::Event::Gate`] alone.
    pub const GATES: Self = Self::new(0, "Gates");
    /// The graph and the state of each stage: the runner's own.
    pub const PIPELINE: Self = Self::new(100, "Pipeline");

    /// A part of this name; what comes after the pipeline has a number above 100.
    #[must_use]
    pub const fn new(order: u16, heading: &'static str) -> Self {
        Self { order, heading }
    }
}
