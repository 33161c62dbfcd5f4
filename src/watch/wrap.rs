//! Long lines on a terminal, broken between words: the terminal itself breaks them anywhere.

use console::Term;
use textwrap::{Options, WordSeparator, WordSplitter, core::Word, fill};

/// How long a line may be where this process writes: as wide as the terminal; nothing where it is none.
#[must_use]
pub fn columns(term: &Term) -> Option<usize> {
    term.size_checked().map(|(_, columns)| usize::from(columns)).filter(|_| term.is_term())
}

/// The line with breaks between words, what follows a break further in. What stands in backticks is for copying and
/// stays in one piece.
#[must_use]
pub fn wrap(line: &str, columns: Option<usize>) -> String {
    /// On less than this no break is a good one.
    const NARROWEST: usize = 40;
    let Some(columns) = columns.filter(|columns| *columns >= NARROWEST) else { return line.to_owned() };
    let lead = line.len() - line.trim_start_matches(' ').len();
    let indent = " ".repeat(lead.min(columns / 2) + 2);
    let options = Options::new(columns)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation)
        .word_separator(WordSeparator::Custom(words));
    fill(line, options)
}

fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut rest = line;
    Box::new(std::iter::from_fn(move || {
        let (word, after) = rest.split_at(end(rest));
        rest = after;
        (!word.is_empty()).then(|| Word::from(word))
    }))
}

/// Where the first word ends, with the spaces after it.
fn end(line: &str) -> usize {
    let (mut quoted, mut spaces) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            ' ' if !quoted => spaces = true,
            _ if spaces => return at,
            '`' => quoted = !quoted && line[at + 1..].contains('`'),
            _ => {}
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn a_line_breaks_between_words_and_never_in_a_command() {
        let line = "  help: leave it, or type `ner-pipe run distill --force distill` for a new one";
        assert_eq!(wrap(line, None), line);
        assert_eq!(wrap(line, Some(20)), line);
        assert_eq!(
            wrap(line, Some(48)),
            "  help: leave it, or type\n    `ner-pipe run distill --force distill` for a\n    new one"
        );
        assert_eq!(wrap("a  b", Some(80)), "a  b");
        let long = "x".repeat(50);
        assert_eq!(wrap(&format!("it`s {long} é"), Some(40)), format!("it`s\n  {long}\n  é"));
    }
}
