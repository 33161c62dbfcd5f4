//! How medical and social-care notes shorten.

use std::sync::LazyLock;

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::by_chance;

/// What is shortened (in small letters, words with single spaces between), and to what.
static SHORT: LazyLock<Vec<(&str, Vec<&str>)>> = LazyLock::new(|| {
    let lines =
        include_str!("shorthand.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(" = "))
        .map(|(long, short)| (long, short.split(" | ").collect()))
        .collect()
});

/// Of a thousand places that could be shortened, how many are.
const RATE: u32 = 800;

/// The text with abbreviations; none when it has nothing to shorten.
pub(super) fn abbreviated(text: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    let mut inside = false;
    let mut changed = false;
    while let Some(c) = rest.chars().next() {
        let fits = |long: &str| {
            let head = head(rest, long.chars().count())?;
            let ends = !rest[head.len()..].starts_with(|c: char| c.is_alphanumeric());
            (ends && head.to_lowercase() == long).then_some(head.len())
        };
        // The longest first: `compte rendu` before `compte`.
        let hit = (!inside)
            .then(|| {
                SHORT
                    .iter()
                    .filter_map(|(long, short)| Some((fits(long)?, short)))
                    .max_by_key(|(length, _)| *length)
            })
            .flatten();
        match hit {
            Some((length, short)) if by_chance(RATE, rng) => {
                found.push_str(short.choose(rng).copied().unwrap_or_default());
                rest = &rest[length..];
                changed = true;
                inside = true;
            }
            _ => {
                inside = c.is_alphanumeric();
                found.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    // A note drops the point at its end.
    if changed && rng.random_bool(0.3) {
        found.truncate(found.trim_end_matches('.').len());
    }
    changed.then_some(found)
}

/// The first `count` characters.
fn head(text: &str, count: usize) -> Option<&str> {
    let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.nth(count - 1).map(|end| &text[..end])
}
