use super::{Gate, HeatMap, Intervals, LineChart, Passage, Scatter, Table};

/// A piece of a section. Neighbouring charts stand side by side.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A heading within the section.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// Small print: how to read what follows, or why something is missing.
    Note(String),
    /// Items, one a line.
    List(Vec<String>),
    /// Rows and columns.
    Table(Table),
    /// Lines over two axes.
    Lines(LineChart),
    /// Marks over two axes, a third value as their area.
    Scatter(Scatter),
    /// Values with intervals, in groups.
    Intervals(Intervals),
    /// Rows of shaded cells.
    HeatMap(HeatMap),
    /// Texts with marked spans.
    Passages(Vec<Passage>),
    /// Verdicts on gates. Those of all stages in one topic are one table.
    Gates(Vec<Gate>),
}

impl Block {
    /// [`Block::Heading`].
    pub fn heading(text: impl Into<String>) -> Self {
        Self::Heading(text.into())
    }

    /// [`Block::Text`].
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// [`Block::Note`].
    pub fn note(text: impl Into<String>) -> Self {
        Self::Note(text.into())
    }
}
