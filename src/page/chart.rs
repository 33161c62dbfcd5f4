//! Lines over two axes, as inline SVG. No series is told by its colour alone: each has a dash and a mark of its own.

use maud::{Markup, html};

use super::figures::{float, number, px};

/// Colours, dashes and marks before they repeat.
const LOOKS: usize = 8;

/// The class of a series' colour and dash.
pub(super) fn look(series: usize) -> String {
    format!("s{}", series % LOOKS)
}

/// A mark of a series around a point, of about the area of a circle of this radius.
pub(super) fn mark(series: usize, x: f64, y: f64, radius: f64) -> String {
    let side = radius * 0.886;
    let corners: Vec<(f64, f64)> = match series % 4 {
        0 => {
            let (r, d) = (px(radius), px(radius * 2.0));
            return format!("M{} {}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z", px(x - radius), px(y));
        }
        1 => vec![(-side, -side), (side, -side), (side, side), (-side, side)],
        2 => vec![(0.0, -radius * 1.55), (radius * 1.35, radius * 0.78), (-radius * 1.35, radius * 0.78)],
        _ => vec![(0.0, -side * 1.414), (side * 1.414, 0.0), (0.0, side * 1.414), (-side * 1.414, 0.0)],
    };
    let path: Vec<_> = corners.iter().map(|(dx, dy)| format!("{} {}", px(x + dx), px(y + dy))).collect();
    format!("M{}z", path.join("L"))
}

/// From values to a stretch of pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// The values at its ends.
    pub ends: [f64; 2],
    /// Where they are drawn.
    pub pixels: [f64; 2],
    /// Whether equal ratios are equally far apart.
    pub log: bool,
}

impl Axis {
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
        Some(Self { ends, pixels, log })
    }

    /// Keeps within these values.
    pub fn within(mut self, low: f64, high: f64) -> Self {
        self.ends = [self.ends[0].max(low), self.ends[1].min(high)];
        self
    }

    pub fn at(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let [low, high] = self.ends.map(scale);
        let [from, to] = self.pixels;
        let share = if high > low { (scale(value) - low) / (high - low) } else { 0.5 };
        from + share.clamp(0.0, 1.0) * (to - from)
    }

    /// Round values within, about five.
    pub fn ticks(&self) -> Vec<f64> {
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

/// What is drawn as one line.
pub(super) struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// A chart of lines.
pub(super) struct Lines<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    pub series: Vec<Series>,
    pub log: [bool; 2],
    /// Values of y that make sense.
    pub within: [f64; 2],
    /// The ticks of x, where they are given.
    pub ticks: Option<Vec<f64>>,
    /// Lines across, where something begins.
    pub rules: Vec<f64>,
    /// Whether each point has a mark.
    pub marks: bool,
}

/// Width, height, and the room for what is written at the sides.
const SIZE: [f64; 2] = [440.0, 250.0];
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;

impl Lines<'_> {
    /// As a figure with caption and legend; nothing without points.
    pub fn draw(&self) -> Markup {
        let all = || self.series.iter().flat_map(|series| series.points.iter());
        let x = Axis::around(all().map(|p| p.0), [LEFT, SIZE[0] - RIGHT], self.log[0]);
        let y = Axis::around(all().map(|p| p.1), [SIZE[1] - BOTTOM, TOP], self.log[1]);
        let (Some(x), Some(y)) = (x, y) else { return html! {} };
        let y = y.within(self.within[0], self.within[1]);
        html! {
            figure {
                figcaption { (self.title) }
                svg viewBox={ "0 0 " (px(SIZE[0])) " " (px(SIZE[1])) } role="img" aria-label=(self.title) {
                    (axes(&x, &y, self.ticks.as_deref(), [self.x, self.y]))
                    @for at in &self.rules {
                        line.rule x1=(px(x.at(*at))) x2=(px(x.at(*at))) y1=(px(y.pixels[0])) y2=(px(y.pixels[1])) {}
                    }
                    @for (index, series) in self.series.iter().enumerate() {
                        g class=(look(index)) {
                            title { (series.name) }
                            path.line d=(path(&series.points, &x, &y)) {}
                            @if self.marks {
                                @for (a, b) in &series.points {
                                    path.mark d=(mark(index, x.at(*a), y.at(*b), 3.5)) {
                                        title { (series.name) ": " (number(*b)) " at " (number(*a)) }
                                    }
                                }
                            }
                        }
                    }
                }
                (legend(self.series.iter().map(|series| series.name.as_str()), self.marks))
            }
        }
    }
}

/// A line through points; it breaks where a value cannot be drawn.
fn path(points: &[(f64, f64)], x: &Axis, y: &Axis) -> String {
    let drawn = |(_, value): &(f64, f64)| value.is_finite() && *value >= y.ends[0];
    let stretches = points.split(|point| !drawn(point)).filter(|some| !some.is_empty());
    let stops = |some: &[(f64, f64)]| {
        let stops = some.iter().map(|(a, b)| format!("{} {}", px(x.at(*a)), px(y.at(*b))));
        stops.collect::<Vec<_>>().join("L")
    };
    stretches.map(|some| ["M".to_owned(), stops(some)].concat()).collect()
}

/// Both axes with ticks and names.
pub(super) fn axes(x: &Axis, y: &Axis, ticks: Option<&[f64]>, names: [&str; 2]) -> Markup {
    let [left, right] = x.pixels;
    let [bottom, top] = y.pixels;
    let own = x.ticks();
    html! {
        g.axis {
            @for tick in y.ticks() {
                line.grid x1=(px(left)) x2=(px(right)) y1=(px(y.at(tick))) y2=(px(y.at(tick))) {}
                text x=(px(left - 6.0)) y=(px(y.at(tick) + 4.0)) text-anchor="end" { (short(tick)) }
            }
            @for tick in ticks.unwrap_or(&own) {
                line.tick x1=(px(x.at(*tick))) x2=(px(x.at(*tick))) y1=(px(bottom)) y2=(px(bottom + 4.0)) {}
                text x=(px(x.at(*tick))) y=(px(bottom + 17.0)) text-anchor="middle" { (short(*tick)) }
            }
            line.tick x1=(px(left)) x2=(px(right)) y1=(px(bottom)) y2=(px(bottom)) {}
            text x=(px(f64::midpoint(left, right))) y=(px(bottom + 34.0)) text-anchor="middle" { (names[0]) }
            text transform={ "translate(13 " (px(f64::midpoint(bottom, top))) ") rotate(-90)" } text-anchor="middle" { (names[1]) }
        }
    }
}

/// A tick's number: millions as `30 M`.
fn short(tick: f64) -> String {
    match tick.abs() {
        1e9.. => format!("{} G", number(tick / 1e9)),
        1e6.. => format!("{} M", number(tick / 1e6)),
        1e4.. => format!("{} k", number(tick / 1e3)),
        _ => number(tick),
    }
}

/// Which look is which series.
pub(super) fn legend<'a>(names: impl Iterator<Item = &'a str>, marks: bool) -> Markup {
    html! {
        ul.legend {
            @for (index, name) in names.enumerate() {
                li {
                    svg class={ "key " (look(index)) } viewBox="0 0 28 12" aria-hidden="true" {
                        path.line d="M1 6L27 6" {}
                        @if marks { path.mark d=(mark(index, 14.0, 6.0, 4.0)) {} }
                    }
                    (name)
                }
            }
        }
    }
}

/// Means of neighbours, so that no line has many more points than a screen can show.
pub(super) fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const MOST: usize = 100;
    let bin = points.len().div_ceil(MOST).max(1);
    let mean = |some: &[(f64, f64)]| {
        let sum = some.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / float(some.len()), sum.1 / float(some.len()))
    };
    points.chunks(bin).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::{Axis, thin};

    #[test]
    fn ticks_are_round_and_within() {
        let axis = |low, high, log| Axis { ends: [low, high], pixels: [0.0, 100.0], log };
        assert_eq!(axis(0.0, 1.0, false).ticks().len(), 6);
        assert_eq!(axis(87.2, 93.9, false).ticks(), [88.0, 90.0, 92.0]);
        assert_eq!(axis(0.3, 30.0, true).ticks(), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert!((axis(1.0, 100.0, true).at(10.0) - 50.0).abs() < 1e-9);
        assert_eq!(axis(3.0, 3.0, false).ticks(), [3.0]);
    }

    #[test]
    fn a_long_line_is_thinned_to_means() {
        let long: Vec<_> = (0..1000).map(|n| (f64::from(n), 1.0)).collect();
        let thinned = thin(&long);
        assert!(thinned.len() <= 100 && thinned.iter().all(|point| (point.1 - 1.0).abs() < 1e-12));
        assert_eq!(thin(&long[..3]), &long[..3]);
    }
}
