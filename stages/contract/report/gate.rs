/// A gate's verdict, with what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// The gate's name.
    pub name: String,
    /// `pass`, `fail` or `inconclusive`, as in [`crate::Event::Gate`].
    pub outcome: String,
    /// What was measured, in words.
    pub of: String,
    /// Its value; none: there was nothing to measure.
    pub measured: Option<f64>,
    /// The interval that it is in; none: it is exact.
    pub interval: Option<[f64; 2]>,
    /// What is allowed, where it is known.
    pub bound: Option<Bound>,
}

/// On which side of a value one may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Not above it.
    AtMost(f64),
    /// Not below it.
    AtLeast(f64),
}
