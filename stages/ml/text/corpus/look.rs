//! Whether strings are the tags of words: what tells a column of tags from words, parts of speech and chunks.

use std::collections::BTreeMap;

use crate::labels::{Notation, Prefix};

/// What some strings look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    /// No tags.
    Other,
    /// O alone, which other columns may be too.
    Outside,
    /// Types without a prefix, and O.
    Plain,
    /// Phrases (`B-NP`, `NP`) of the chunking task.
    Chunks,
    /// O, and types with a prefix.
    Tags,
}

/// Phrases of the CoNLL-2000 shared task, of the French Treebank, and of PASSAGE.
const CHUNKS: [&str; 21] = [
    "NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP", "AP", "AdP", "VN",
    "CONJ", "GN", "NV", "GP", "GA", "GR", "PV",
];

/// What the tags of words may be, one string a word.
pub(super) fn look<'t>(tags: impl IntoIterator<Item = &'t str>) -> Look {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in tags {
        *counts.entry(tag).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    let notation = Notation::of(counts.keys().copied());
    let (mut outside, mut inside, mut phrases, mut types) = (0, 0, 0, BTreeMap::new());
    for (tag, count) in &counts {
        match notation.read(tag) {
            Some(None) => outside += count,
            Some(Some((prefix, kind))) => {
                inside += count;
                phrases += if CHUNKS.contains(&kind) { *count } else { 0 };
                types.entry(kind).or_insert(prefix);
            }
            None => {}
        }
    }
    // `_` and `-` fill columns of which nothing is known.
    let known = notation.outside() == "O" || inside > 0;
    let types = || {
        counts.contains_key("O")
            && 2 * types.len() <= all + 2
            && types.values().all(|prefix| *prefix == Prefix::Inside)
    };
    if all == 0 || !known || 2 * (outside + inside) < all {
        Look::Other
    } else if inside == 0 {
        Look::Outside
    } else if notation.is_plain() && !types() {
        Look::Other
    } else if 10 * phrases >= 9 * inside {
        Look::Chunks
    } else if notation.is_plain() {
        Look::Plain
    } else {
        Look::Tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_words_and_from_other_columns() {
        for (tags, expected) in [
            ("B-A I-A O", Look::Tags),
            ("b-a i-a o", Look::Tags),
            ("O O O", Look::Outside),
            ("A A O B O O", Look::Plain),
            ("B-NP I-NP O B-VP", Look::Chunks),
            ("NP NP O VP NP", Look::Chunks),
            ("A _ O B _", Look::Plain),
            ("B-A _ O _", Look::Tags),
            ("Jean vit à Aix", Look::Other),
            ("NOM VER PRP NAM", Look::Other),
            ("_ _ _", Look::Other),
            ("- - -", Look::Other),
            ("", Look::Other),
            ("B-A o O B-A", Look::Tags),
        ] {
            assert_eq!(look(tags.split_whitespace()), expected, "{tags}");
        }
    }
}
