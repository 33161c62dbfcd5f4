/// A quantity: the head of a column, or what an axis shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What it is called.
    pub name: String,
    /// What it is counted in; empty for a bare number.
    pub unit: String,
    /// How its values are written.
    pub format: Format,
    /// Which values are better, where some are.
    pub better: Option<Better>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// About four significant digits, thousands apart.
    Number,
    /// A share from 0 to 1, as a number of 100 with one decimal place.
    Percent,
    /// A number of bytes.
    Bytes,
}

/// Which values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The higher ones.
    Higher,
    /// The lower ones.
    Lower,
}

impl Measure {
    /// A bare number.
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), unit: String::new(), format: Format::Number, better: None }
    }

    /// A share.
    pub fn percent(name: impl Into<String>) -> Self {
        Self { format: Format::Percent, ..Self::number(name) }
    }

    /// An amount of memory or disk.
    pub fn bytes(name: impl Into<String>) -> Self {
        Self { format: Format::Bytes, ..Self::number(name) }
    }

    /// Counted in this.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        unit.clone_into(&mut self.unit);
        self
    }

    /// The higher the better.
    #[must_use]
    pub fn higher_is_better(mut self) -> Self {
        self.better = Some(Better::Higher);
        self
    }

    /// The lower the better.
    #[must_use]
    pub fn lower_is_better(mut self) -> Self {
        self.better = Some(Better::Lower);
        self
    }
}
