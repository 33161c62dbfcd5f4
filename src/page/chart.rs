//! Lines over two axes, as inline SVG. No series is told by its colour alone: each has a dash and a mark of its own.

use maud::{Markup, html};
use stage_contract::report::{Axis, LineChart, number};

use super::{
    figures::{float, named, px, say},
    scale::Scale,
};

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

/// Width, height, and the room for what is written at the sides.
const SIZE: [f64; 2] = [440.0, 250.0];
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;

/// As a figure with caption and legend; nothing without points.
pub(super) fn lines(chart: &LineChart) -> Markup {
    let thinned = |points: &[(f64, f64)]| if chart.marked { points.to_vec() } else { thin(points) };
    let all: Vec<Vec<(f64, f64)>> = chart.lines.iter().map(|line| thinned(&line.points)).collect();
    let x = Scale::of(&chart.x, all.iter().flatten().map(|p| p.0), [LEFT, SIZE[0] - RIGHT]);
    let y = Scale::of(&chart.y, all.iter().flatten().map(|p| p.1), [SIZE[1] - BOTTOM, TOP]);
    let (Some(x), Some(y)) = (x, y) else { return html! {} };
    let title = chart.title.as_str();
    html! {
        figure {
            figcaption { (title) }
            svg viewBox={ "0 0 " (px(SIZE[0])) " " (px(SIZE[1])) } role="img" aria-label=(title) {
                (axes([&chart.x, &chart.y], [&x, &y]))
                @for at in &chart.rules {
                    line.rule x1=(px(x.at(*at))) x2=(px(x.at(*at))) y1=(px(y.pixels[0])) y2=(px(y.pixels[1])) {}
                }
                @for (line, points) in chart.lines.iter().zip(&all) {
                    g class=(look(line.look)) {
                        title { (line.name) }
                        path.line d=(path(points, &x, &y)) {}
                        @if chart.marked {
                            @for (a, b) in points {
                                path.mark d=(mark(line.look, x.at(*a), y.at(*b), 3.5)) {
                                    title { (line.name) ": " (say(&chart.y.measure, *b)) " at " (say(&chart.x.measure, *a)) }
                                }
                            }
                        }
                    }
                }
            }
            (legend(chart))
        }
    }
}

/// A line through points; it breaks where a value cannot be drawn.
fn path(points: &[(f64, f64)], x: &Scale, y: &Scale) -> String {
    let stretches = points.split(|(_, value)| !y.reaches(*value)).filter(|some| !some.is_empty());
    let stops = |some: &[(f64, f64)]| {
        let stops = some.iter().map(|(a, b)| format!("{} {}", px(x.at(*a)), px(y.at(*b))));
        stops.collect::<Vec<_>>().join("L")
    };
    stretches.map(|some| ["M".to_owned(), stops(some)].concat()).collect()
}

/// Both axes with ticks and names.
pub(super) fn axes([across, up]: [&Axis; 2], [x, y]: [&Scale; 2]) -> Markup {
    let [left, right] = x.pixels;
    let [bottom, top] = y.pixels;
    html! {
        g.axis {
            @for (at, tick) in y.ticks(up) {
                line.grid x1=(px(left)) x2=(px(right)) y1=(px(at)) y2=(px(at)) {}
                text x=(px(left - 6.0)) y=(px(at + 4.0)) text-anchor="end" { (short(tick)) }
            }
            @for (at, tick) in x.ticks(across) {
                line.tick x1=(px(at)) x2=(px(at)) y1=(px(bottom)) y2=(px(bottom + 4.0)) {}
                text x=(px(at)) y=(px(bottom + 17.0)) text-anchor="middle" { (short(tick)) }
            }
            line.tick x1=(px(left)) x2=(px(right)) y1=(px(bottom)) y2=(px(bottom)) {}
            text x=(px(f64::midpoint(left, right))) y=(px(bottom + 34.0)) text-anchor="middle" { (named(across)) }
            text transform={ "translate(13 " (px(f64::midpoint(bottom, top))) ") rotate(-90)" } text-anchor="middle" { (named(up)) }
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

/// Which look is which line.
fn legend(chart: &LineChart) -> Markup {
    html! {
        ul.legend {
            @for line in &chart.lines {
                li {
                    svg class={ "key " (look(line.look)) } viewBox="0 0 28 12" aria-hidden="true" {
                        path.line d="M1 6L27 6" {}
                        @if chart.marked { path.mark d=(mark(line.look, 14.0, 6.0, 4.0)) {} }
                    }
                    (line.name)
                }
            }
        }
    }
}

/// Means of neighbours, so that no line has many more points than a screen can show.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
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
    use super::thin;

    #[test]
    fn a_long_line_is_thinned_to_means() {
        let long: Vec<_> = (0..1000).map(|n| (f64::from(n), 1.0)).collect();
        let thinned = thin(&long);
        assert!(thinned.len() <= 100 && thinned.iter().all(|point| (point.1 - 1.0).abs() < 1e-12));
        assert_eq!(thin(&long[..3]), &long[..3]);
    }
}
