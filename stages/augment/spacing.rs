//! Words and marks alone between spaces, as gold columns and many exports have them.

use text::words::words;

/// Every word and mark of a text with one space between, dates and times in their parts; none when it is so already.
pub(super) fn spaced(text: &str) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    let words = words(text).into_iter().map(|[start, end]| characters[start..end].iter().collect());
    // `words` keeps 12/03/2024 and 14:30 whole; other programs do not.
    let apart = words.collect::<Vec<String>>().join(" ").replace('/', " / ").replace(':', " : ");
    let spaced = apart.split_whitespace().collect::<Vec<_>>().join(" ");
    (spaced != text).then_some(spaced)
}
