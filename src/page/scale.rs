//! From values to pixels.

use stage_contract::report::Axis;

use super::figures::factor;

/// From values to a stretch of pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The values at its ends, as they are written.
    pub ends: [f64; 2],
    /// Where they are drawn.
    pub pixels: [f64; 2],
    /// Whether equal ratios are equally far apart.
    log: bool,
    /// From a value to what is written of it: a share is written of 100.
    factor: f64,
}

impl Scale {
    /// Around values, with a little room; none without any.
    pub fn around(values: impl Iterator<Item = f64>, pixels: [f64; 2], log: bool) -> Option<Self> {
        let fit = |value: &f64| value.is_finite() && (!log || *value > 0.0);
        let ends = values.filter(fit).fold(None, |ends: Option<[f64; 2]>, value| {
            let [low, high] = ends.unwrap_or([value; 2]);
            Some([low.min(value), high.max(value)])
        });
        let [low, high] = ends?;
        let ends = if log {
            [low / 1.15, high * 1.15]
        } else {
            let room = if high > low { (high - low) * 0.06 } else { high.abs().max(1.0) * 0.05 };
            [low - room, high + room]
        };
        Some(Self { ends, pixels, log, factor: 1.0 })
    }

    /// Around values of an axis, within its limits.
    pub fn of(axis: &Axis, values: impl Iterator<Item = f64>, pixels: [f64; 2]) -> Option<Self> {
        let factor = factor(axis.measure.format);
        let zero = axis.from_zero.then_some(0.0);
        let mut scale = Self::around(values.map(|value| value * factor).chain(zero), pixels, axis.log)?;
        let [low, high] = axis.limits.map(|limit| limit * factor);
        let low = if axis.from_zero { low.max(0.0) } else { low };
        scale.ends = [scale.ends[0].max(low), scale.ends[1].min(high)];
        Some(Self { factor, ..scale })
    }

    /// With room at both ends, as a share of its length.
    pub fn roomier(mut self, share: f64) -> Self {
        let room = (self.ends[1] - self.ends[0]) * share;
        self.ends = [self.ends[0] - room, self.ends[1] + room];
        self
    }

    /// Where a value is drawn.
    pub fn at(&self, value: f64) -> f64 {
        self.place(value * self.factor)
    }

    /// Whether a value can be drawn and is not below the lower end.
    pub fn reaches(&self, value: f64) -> bool {
        value.is_finite() && value * self.factor >= self.ends[0]
    }

    fn place(&self, written: f64) -> f64 {
        let scale = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let [low, high] = self.ends.map(scale);
        let [from, to] = self.pixels;
        let share = if high > low { (scale(written) - low) / (high - low) } else { 0.5 };
        from + share.clamp(0.0, 1.0) * (to - from)
    }

    /// Where ticks are drawn, and what is written there: those of the axis, or about five round values.
    pub fn ticks(&self, axis: &Axis) -> Vec<(f64, f64)> {
        let given: Vec<f64> = axis.ticks.iter().map(|tick| tick * self.factor).collect();
        let ticks = if given.is_empty() { self.round() } else { given };
        ticks.into_iter().map(|tick| (self.place(tick), tick)).collect()
    }

    /// Round values within, about five.
    fn round(&self) -> Vec<f64> {
        let [low, high] = self.ends;
        if self.log {
            let exponents = exponent(low)..=exponent(high);
            let many = exponents.clone().count() > 3;
            let steps: &[f64] = if many { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let all = exponents.flat_map(|e| steps.iter().map(move |step| step * 10_f64.powi(e)));
            return all.filter(|tick| (low..=high).contains(tick)).collect();
        }
        let rough = (high - low) / 5.0;
        if rough <= 0.0 || !rough.is_finite() {
            return vec![low];
        }
        let power = 10_f64.powi(exponent(rough));
        let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let first = (low / step).ceil();
        (0..12).map(|n| (first + f64::from(n)) * step).filter(|tick| *tick <= high + step * 1e-9).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a logarithm is small")]
fn exponent(value: f64) -> i32 {
    value.log10().floor() as i32
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn ticks_are_round_and_within() {
        let scale = |low, high, log| Scale { ends: [low, high], pixels: [0.0, 100.0], log, factor: 1.0 };
        assert_eq!(scale(0.0, 1.0, false).round().len(), 6);
        assert_eq!(scale(87.2, 93.9, false).round(), [88.0, 90.0, 92.0]);
        assert_eq!(scale(0.3, 30.0, true).round(), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert!((scale(1.0, 100.0, true).at(10.0) - 50.0).abs() < 1e-9);
        assert_eq!(scale(3.0, 3.0, false).round(), [3.0]);
        let shares = Scale { factor: 100.0, ..scale(0.0, 100.0, false) };
        assert!((shares.at(0.25) - 25.0).abs() < 1e-9, "a share is written of 100");
    }
}
