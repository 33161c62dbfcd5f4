/// A number as a page writes it: four digits that say something; thousands apart.
#[must_use]
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let places = match magnitude {
        1000.0.. => 0,
        100.0.. => 1,
        10.0.. => 2,
        1.0.. => 3,
        _ => 4,
    };
    let text = format!("{value:.places$}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let point = if part.is_empty() { "" } else { "." };
    format!("{}{point}{part}", thousands(whole))
}

/// A whole number as people read it: `32,882,693`.
#[must_use]
pub fn grouped(number: usize) -> String {
    thousands(&number.to_string())
}

/// So many of something: `1 tensor`, `2,000 tensors`.
#[must_use]
pub fn counted(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

fn thousands(whole: &str) -> String {
    let digits = whole.trim_start_matches('-');
    let mut text = whole[..whole.len() - digits.len()].replace('-', "\u{2212}");
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped, number};

    #[test]
    fn numbers_read_well() {
        let read = [27_849_862.0, 0.847_13, -1234.6, 12.0, 0.0, 3e-9, 7.25].map(number);
        assert_eq!([0, 999, 1000, 32_882_693].map(grouped), ["0", "999", "1,000", "32,882,693"]);
        assert_eq!([0, 1, 2000].map(|n| counted(n, "text")), ["0 texts", "1 text", "2,000 texts"]);
        assert_eq!(read, ["27,849,862", "0.8471", "\u{2212}1,235", "12", "0", "3.00e-9", "7.25"]);
    }
}
