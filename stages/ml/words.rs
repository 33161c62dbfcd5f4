//! From raw text to words: French elisions split, hyphenated names kept.

/// `[start, end)` of each word in Unicode scalar values. Elisions are split (`l'`, `d'`, `qu'`, with U+2019 too;
/// *aujourd'hui* is kept), hyphenated names are kept, punctuation stands alone.
#[must_use]
pub fn words(text: &str) -> Vec<[usize; 2]> {
    let _ = text;
    todo!()
}
