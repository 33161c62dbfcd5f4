//! What a scanner misreads: shapes taken for other shapes, accents lost, spaces lost and found.

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::by_chance;

/// Shapes that are taken for each other.
const SHAPES: [(&str, &[&str]); 30] = [
    ("é", &["e", "è", "6"]),
    ("è", &["é", "e"]),
    ("ê", &["e", "é"]),
    ("à", &["a", "â"]),
    ("ç", &["c"]),
    ("î", &["i"]),
    ("ô", &["o", "6"]),
    ("û", &["u"]),
    ("rn", &["m"]),
    ("m", &["rn", "in"]),
    ("n", &["u", "ri"]),
    ("u", &["n", "ii"]),
    ("h", &["b", "li"]),
    ("b", &["h", "6"]),
    ("c", &["e", "o"]),
    ("e", &["c", "o"]),
    ("o", &["0", "c"]),
    ("l", &["1", "I", "i"]),
    ("i", &["l", "1"]),
    ("t", &["l", "f"]),
    ("f", &["t", "s"]),
    ("s", &["5", "f"]),
    ("a", &["o", "n"]),
    ("I", &["l", "1"]),
    ("O", &["0", "Q"]),
    ("S", &["5", "8"]),
    ("B", &["8", "R"]),
    ("E", &["F", "B"]),
    ("D", &["O", "0"]),
    ("G", &["C", "6"]),
];

/// Of a thousand places, how many are misread in a text: a good scan, a fair one, a bad one.
const RATES: [u32; 3] = [10, 25, 50];

/// The text with mistakes; none when there was none.
pub(super) fn misread(text: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    let rate = RATES[rng.random_range(0..RATES.len())];
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let hit = by_chance(rate, rng);
        let shape = SHAPES.iter().find(|(shape, _)| rest.starts_with(shape));
        let (read, length) = match shape {
            Some((shape, others)) if hit => ((*others.choose(rng).unwrap_or(shape)).to_owned(), shape.len()),
            _ if hit && c == ' ' => (String::new(), 1),
            // A stain, or a fold: a space in the middle of a word.
            _ if c.is_alphabetic() && by_chance(rate / 5, rng) => (format!("{c} "), c.len_utf8()),
            _ => (c.to_string(), c.len_utf8()),
        };
        found.push_str(&read);
        rest = &rest[length..];
    }
    let found = found.trim().to_owned();
    (found != text).then_some(found)
}
