//! Counts as numbers that are drawn.

/// A count.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 parameters, tokens and operations")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}
