//! Capitals and small letters, as forms and hurried hands write them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::mentions::{Place, places};
use text::corpus::Record;

/// In capitals, in small letters, or with its names in capitals; none when that changes nothing.
pub(super) fn cased(record: &Record, rng: &mut ChaCha8Rng) -> Option<String> {
    let text = match rng.random_range(0..3) {
        0 => record.text.to_uppercase(),
        1 => record.text.to_lowercase(),
        _ => {
            let mut upper = vec![false; record.text.chars().count()];
            for Place { start, end, .. } in places(record) {
                upper[start..end].fill(true);
            }
            let letters = record.text.chars().zip(upper);
            letters
                .flat_map(|(c, upper)| if upper { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] })
                .collect()
        }
    };
    (text != record.text).then_some(text)
}
