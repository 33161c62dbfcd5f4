//! Marks over two axes, a third value as their area, each with a label at the right.

use maud::{Markup, html};
use stage_contract::report::Scatter;

use super::{
    chart::{axes, look, mark},
    figures::{float, px, say, with_unit},
    scale::Scale,
};

/// Radius of the largest mark, and the height that a label needs.
const LARGEST: f64 = 15.0;
const LABEL: f64 = 29.0;

/// As a figure with caption; nothing without points.
pub(super) fn scatter(chart: &Scatter) -> Markup {
    let points = &chart.points;
    let height = (float(points.len()) * LABEL + 40.0).max(290.0);
    let x = Scale::of(&chart.x, points.iter().map(|it| it.x), [52.0, 272.0]);
    let y = Scale::of(&chart.y, points.iter().map(|it| it.y), [height - 42.0, 24.0]);
    let (Some(x), Some(y)) = (x, y) else { return html! {} };
    // Room for half a mark.
    let y = y.roomier(0.08);
    let largest = points.iter().map(|it| it.area).fold(f64::MIN_POSITIVE, f64::max);
    // Labels stand apart, in the order of the marks.
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| points[*b].y.total_cmp(&points[*a].y).then(a.cmp(b)));
    let mut labels = vec![0.0; points.len()];
    let mut free = 16.0;
    for (rank, &index) in order.iter().enumerate() {
        let left = float(order.len() - rank) * LABEL;
        let at = y.at(points[index].y).max(free).min(height - 30.0 - left + LABEL);
        labels[index] = at;
        free = at + LABEL;
    }
    html! {
        figure {
            figcaption { (chart.title) }
            svg viewBox={ "0 0 440 " (px(height)) } role="img" aria-label=(chart.title) {
                (axes([&chart.x, &chart.y], [&x, &y]))
                @for (point, label) in points.iter().zip(&labels) {
                    @let (across, down) = (x.at(point.x), y.at(point.y));
                    @let radius = LARGEST * (point.area.max(0.0) / largest).sqrt();
                    @let (up, area) = (say(&chart.y.measure, point.y), with_unit(&chart.area, point.area));
                    g class=(look(point.look)) {
                        title {
                            (point.name) ": " (with_unit(&chart.x.measure, point.x)) " " (chart.x.measure.name) ", "
                            (chart.y.measure.name) " " (up) ", " (chart.area.name) " " (area)
                        }
                        line.leader x1=(px(across)) y1=(px(down)) x2="290" y2=(px(*label)) {}
                        path.bubble d=(mark(point.look, across, down, radius.max(2.5))) {}
                        text.name x="294" y=(px(label - 1.0)) { (point.name) }
                        text.small x="294" y=(px(label + 11.0)) { (up) ", " (area) }
                    }
                }
            }
            @if !chart.note.is_empty() { p.note { (chart.note) } }
        }
    }
}
