//! Gates of all stages as one table: what was measured, and the bound beside it.

use maud::{Markup, html};
use stage_contract::report::{Bound, Gate, number};

use super::{figures::px, scale::Scale, wide::wide};

/// A row for each gate, with its stage.
pub(super) fn gates(gates: &[(&str, &Gate)]) -> Markup {
    let table = html! {
        table {
            thead {
                tr {
                    @for name in ["Gate", "Says", "Of"] { th scope="col" { (name) } }
                    @for name in ["Measured", "Interval", "Bound"] { th.number scope="col" { (name) } }
                    @for name in ["Beside its bound", "Stage"] { th scope="col" { (name) } }
                }
            }
            tbody { @for (stage, gate) in gates { (row(stage, gate)) } }
        }
    };
    html! {
        p.note {
            "A gate passes when the whole interval of what was measured meets its bound, fails when none of it does, and is inconclusive otherwise."
        }
        (wide("Gates", &table))
    }
}

/// What is known of a gate by its outcome alone.
pub(super) fn bare(name: &str, outcome: &str) -> Gate {
    let (name, outcome) = (name.to_owned(), outcome.to_owned());
    Gate { name, outcome, of: String::new(), measured: None, interval: None, bound: None }
}

fn row(stage: &str, gate: &Gate) -> Markup {
    let (sign, class) = match gate.outcome.as_str() {
        "pass" => ("\u{2713}", "pass"),
        "fail" => ("\u{2717}", "fail"),
        _ => ("?", "inconclusive"),
    };
    let unknown = || "\u{2013}".to_owned();
    let interval = match gate.interval {
        Some([low, high]) => format!("{} to {}", number(low), number(high)),
        None if gate.measured.is_some() => "exact".to_owned(),
        None => unknown(),
    };
    let bound = match gate.bound {
        Some(Bound::AtMost(most)) => format!("\u{2264} {}", number(most)),
        Some(Bound::AtLeast(least)) => format!("\u{2265} {}", number(least)),
        None => unknown(),
    };
    html! {
        tr {
            th scope="row" { (gate.name) }
            td { span class={ "verdict " (class) } { (sign) " " (gate.outcome) } }
            td { (gate.of) }
            td.number { (gate.measured.map_or_else(unknown, number)) }
            td.number { (interval) }
            td.number { (bound) }
            td { (sketch(gate)) }
            td { (stage) }
        }
    }
}

/// What was measured beside its bound; the side that is allowed is shaded.
fn sketch(gate: &Gate) -> Markup {
    const WIDTH: f64 = 110.0;
    let (Some(measured), Some(bound)) = (gate.measured, gate.bound) else { return html! {} };
    let (Bound::AtMost(limit) | Bound::AtLeast(limit)) = bound;
    let [low, high] = gate.interval.unwrap_or([measured; 2]);
    let values = [low, high, measured, limit];
    let Some(scale) = Scale::around(values.into_iter(), [4.0, WIDTH - 4.0], false) else { return html! {} };
    let scale = scale.roomier(0.1);
    let limit = scale.at(limit);
    let allowed = if matches!(bound, Bound::AtLeast(_)) { [limit, WIDTH] } else { [0.0, limit] };
    html! {
        svg.sketch viewBox="0 0 110 18" aria-hidden="true" {
            rect.allowed x=(px(allowed[0])) width=(px(allowed[1] - allowed[0])) y="1" height="16" {}
            line.bound x1=(px(limit)) x2=(px(limit)) y1="1" y2="17" {}
            line.reach x1=(px(scale.at(low))) x2=(px(scale.at(high))) y1="9" y2="9" {}
            circle.point cx=(px(scale.at(measured))) cy="9" r="3.5" {}
        }
    }
}
