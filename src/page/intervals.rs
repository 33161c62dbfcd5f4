//! Values with intervals in groups: a forest plot.

use maud::{Markup, html};
use stage_contract::report::{Intervals, Mark, number};

use super::{
    chart::{look, mark},
    figures::{cut, float, interval, named, px, say},
    scale::Scale,
};

const ROW: f64 = 17.0;
const HEAD: f64 = 24.0;
const WIDTH: f64 = 460.0;

/// As a figure with caption; nothing without marks.
pub(super) fn intervals(chart: &Intervals) -> Markup {
    let marks = chart.groups.iter().flat_map(|group| &group.marks);
    let reach = |mark: &Mark| [[mark.value; 2], mark.interval.unwrap_or([mark.value; 2])];
    let Some(x) = Scale::of(&chart.x, marks.clone().flat_map(reach).flatten(), [142.0, WIDTH - 46.0]) else {
        return html! {};
    };
    let height = float(chart.groups.len()) * HEAD + float(marks.count()) * ROW + 26.0;
    let foot = height - 24.0;
    let measure = &chart.x.measure;
    let mut y = 0.0;
    let mut drawn = Vec::new();
    for group in &chart.groups {
        y += HEAD;
        drawn.push(html! { text.group x="4" y=(px(y - 6.0)) { (group.name) } });
        for Mark { name, look: series, value, interval: ends } in &group.marks {
            y += ROW;
            let middle = y - ROW / 2.0;
            let text = say(measure, *value);
            let said = ends.map(|ends| format!(" ({})", interval(measure, ends))).unwrap_or_default();
            drawn.push(html! {
                g class=(look(*series)) {
                    title { (name) ", " (group.name) ": " (text) (said) }
                    text x="132" y=(px(middle + 4.0)) text-anchor="end" { (cut(name, 18)) }
                    @if let Some([low, high]) = ends {
                        line.reach x1=(px(x.at(*low))) x2=(px(x.at(*high))) y1=(px(middle)) y2=(px(middle)) {}
                    }
                    path.mark d=(mark(*series, x.at(*value), middle, 4.0)) {}
                    text x=(px(WIDTH - 4.0)) y=(px(middle + 4.0)) text-anchor="end" { (text) }
                }
            });
        }
    }
    html! {
        figure.forest {
            figcaption { (chart.title) }
            svg viewBox={ "0 0 " (px(WIDTH)) " " (px(height)) } role="img" aria-label={ (chart.title) ": " (named(&chart.x)) } {
                g.axis {
                    @for (at, tick) in x.ticks(&chart.x) {
                        line.grid x1=(px(at)) x2=(px(at)) y1="0" y2=(px(foot)) {}
                        text x=(px(at)) y=(px(foot + 16.0)) text-anchor="middle" { (number(tick)) }
                    }
                }
                @for part in drawn { (part) }
            }
        }
    }
}
