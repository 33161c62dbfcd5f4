//! Rows of shaded cells, the value as the shade and what was removed crossed out, each with a bar at its end.

use maud::{Markup, html};
use stage_contract::report::{Bar, HeatCell, HeatMap, number};

use super::figures::{cut, fitting, float, px};

const CELL: f64 = 22.0;
const SIDE: f64 = 108.0;
const BAR: f64 = 180.0;

/// The shade of what is not known.
const UNKNOWN: f64 = 0.55;

/// As a figure with caption.
pub(super) fn heat_map(map: &HeatMap) -> Markup {
    let most = map.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let values = map.rows.iter().flat_map(|row| &row.cells).filter_map(|cell| cell.value);
    let highest = values.fold(0.0, f64::max);
    let widest = map.rows.iter().filter_map(|row| Some(row.bar.as_ref()?.of)).fold(1.0, f64::max);
    let bars = SIDE + float(most) * CELL + 24.0;
    let room = if map.bars.is_empty() { 0.0 } else { BAR + 92.0 };
    let (width, height) = (bars + room, float(map.rows.len()) * CELL + 44.0);
    html! {
        figure {
            figcaption { (map.title) }
            svg.fixed style=(fitting(width)) viewBox={ "0 0 " (px(width)) " " (px(height)) } role="img" aria-label=(map.title) {
                text.group x=(px(SIDE)) y="14" { (map.cells) }
                text.group x=(px(bars)) y="14" { (map.bars) }
                @for (index, row) in map.rows.iter().enumerate() {
                    @let top = 24.0 + float(index) * CELL;
                    text x=(px(SIDE - 8.0)) y=(px(top + 15.0)) text-anchor="end" { (cut(&row.name, 16)) }
                    @for (place, cell) in row.cells.iter().enumerate() {
                        (shaded(cell, highest, SIDE + float(place) * CELL, top))
                    }
                    @if let Some(bar) = &row.bar { (ending(bar, BAR / widest, bars, top)) }
                }
            }
            @if !map.note.is_empty() { p.note { (map.note) } }
        }
    }
}

fn shaded(cell: &HeatCell, highest: f64, left: f64, top: f64) -> Markup {
    let share = cell.value.filter(|_| highest > 0.0).map(|value| value.max(0.0) / highest);
    let opacity = share.map_or(UNKNOWN, f64::sqrt);
    html! {
        g {
            title { (cell.hint) }
            rect.cell x=(px(left)) y=(px(top)) width="20" height="20" rx="3" {}
            rect.shade x=(px(left)) y=(px(top)) width="20" height="20" rx="3" fill-opacity=(format!("{opacity:.2}")) {}
            @if cell.crossed {
                path.cross d={ "M" (px(left + 4.0)) " " (px(top + 4.0)) "l12 12m0 -12l-12 12" } {}
            }
        }
    }
}

/// `long`: pixels of a unit.
fn ending(bar: &Bar, long: f64, left: f64, top: f64) -> Markup {
    let full = long * bar.of;
    html! {
        g {
            title { (bar.hint) }
            rect.cell x=(px(left)) y=(px(top + 3.0)) width=(px(full)) height="14" {}
            rect.bar x=(px(left)) y=(px(top + 3.0)) width=(px(long * bar.part)) height="14" {}
            text x=(px(left + full + 6.0)) y=(px(top + 15.0)) { (number(bar.part)) "/" (number(bar.of)) }
        }
    }
}
