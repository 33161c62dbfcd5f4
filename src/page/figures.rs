//! Numbers for people, the same everywhere on the page.

use stage_contract::report::{Axis, Better, Format, Measure, number};

use crate::watch::size;

/// From a value to what is written of it: a share is written of 100.
pub(super) fn factor(format: Format) -> f64 {
    if format == Format::Percent { 100.0 } else { 1.0 }
}

/// A value without its unit.
pub(super) fn say(measure: &Measure, value: f64) -> String {
    match measure.format {
        Format::Number => number(value),
        Format::Percent => format!("{:.1}", value * 100.0),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
        Format::Bytes => size(value.max(0.0) as u64),
    }
}

/// A value with its unit.
pub(super) fn with_unit(measure: &Measure, value: f64) -> String {
    let unit = if measure.unit.is_empty() { String::new() } else { format!(" {}", measure.unit) };
    say(measure, value) + &unit
}

/// Both ends.
pub(super) fn interval(measure: &Measure, [low, high]: [f64; 2]) -> String {
    format!("{} to {}", say(measure, low), say(measure, high))
}

/// An arrow towards better values.
pub(super) fn better(way: Option<Better>) -> &'static str {
    match way {
        Some(Better::Higher) => " \u{2191}",
        Some(Better::Lower) => " \u{2193}",
        None => "",
    }
}

/// What an axis says of itself.
pub(super) fn named(axis: &Axis) -> String {
    let Measure { name, unit, format, better: way } = &axis.measure;
    let of = if *format == Format::Percent { "of 100" } else { "" };
    let parts = [name.as_str(), unit, of].into_iter().filter(|part| !part.is_empty());
    let log = if axis.log { " (log scale)" } else { "" };
    format!("{}{log}{}", parts.collect::<Vec<_>>().join(", "), better(*way))
}

/// A name that fits where it stands; the whole is in a title.
pub(super) fn cut(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    format!("{}\u{2026}", name.chars().take(most - 1).collect::<String>())
}

/// A coordinate.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The width of a picture that shrinks a little to fit the window, and no further: then it scrolls.
pub(super) fn fitting(width: f64) -> String {
    format!("width:clamp({}px,100%,{}px)", px(width * 0.8), px(width))
}

#[expect(clippy::cast_precision_loss, reason = "counts of what is drawn")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use stage_contract::report::Measure;

    use super::{cut, px, with_unit};

    #[test]
    fn values_are_written_as_their_measure_says() {
        assert_eq!(with_unit(&Measure::percent("share").unit("%"), 0.654_321), "65.4 %");
        assert_eq!(with_unit(&Measure::number("p50").unit("ms"), 7.25), "7.25 ms");
        assert_eq!(cut("a-rather-long-name", 8), "a-rathe\u{2026}");
        assert_eq!([12.04, 12.5, -0.01].map(px), ["12", "12.5", "0"]);
    }
}
