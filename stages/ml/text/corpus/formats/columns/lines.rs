//! The lines of a file of columns: which are words, which are marks, and what is between the cells.

use std::{borrow::Cow, collections::BTreeMap};

use super::super::super::cells::is_number;
use crate::labels::{as_tag, split_tag};

/// The first lines of a text: a corpus is large, and they tell enough.
pub fn head(text: &str) -> &str {
    const LONGEST: usize = 1 << 16;
    let cut = text.as_bytes().get(LONGEST..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'));
    cut.map_or(text, |end| &text[..LONGEST + end])
}

/// A text whose tags have no blanks: `B-Creative Work` behind a tab is `B-Creative_Work`.
pub fn with_whole_types(text: &str) -> Cow<'_, str> {
    let whole = |cell: &str| -> Option<String> {
        let (prefix, kind) = cell.trim().split_at_checked(2).filter(|(_, kind)| kind.contains(' '))?;
        // Tags of a whole sentence are no type.
        if kind.split_whitespace().any(|part| split_tag(part).is_some()) {
            return None;
        }
        let tag = format!("{prefix}{}", as_tag(kind));
        matches!(split_tag(&tag), Some(Some(_))).then_some(tag)
    };
    let broken = |line: &str| line.split('\t').skip(1).any(|cell| whole(cell).is_some());
    if !text.lines().any(broken) {
        return Cow::Borrowed(text);
    }
    let line = |line: &str| {
        let cells = line.split('\t').enumerate();
        let cells =
            cells.map(|(at, cell)| whole(cell).filter(|_| at > 0).map_or(Cow::Borrowed(cell), Cow::Owned));
        cells.collect::<Vec<_>>().join("\t")
    };
    Cow::Owned(text.lines().map(line).collect::<Vec<_>>().join("\n"))
}

/// What a line is.
#[derive(Debug, PartialEq)]
pub enum Line<'t> {
    /// Ends a sentence.
    Blank,
    /// Begins a document, which may have a name.
    Document(Option<&'t str>),
    /// What the sentence says as a whole: `# text = ..`.
    Text(&'t str),
    /// May be a comment, or a word that begins with `#`; whether it does so without a blank.
    Hash(Vec<&'t str>, bool),
    /// A word with what stands beside it; whether blanks are between.
    Cells(Vec<&'t str>, bool),
}

/// The lines of a file.
pub struct Lines<'t> {
    pub lines: Vec<Line<'t>>,
    /// The names of columns that `# global.columns =` gives.
    pub names: Vec<String>,
}

impl<'t> Lines<'t> {
    pub fn of(text: &'t str) -> Self {
        let separator = separator(text);
        let mut names = Vec::new();
        let lines = text
            .lines()
            .map(|line| {
                if line.trim().is_empty() {
                    return Line::Blank;
                }
                let cells = split(line, separator);
                if let Some(mark) = mark(&cells) {
                    return mark;
                }
                let blanks = separator.is_none() && !line.contains('\t');
                let Some(comment) = line.strip_prefix('#') else { return Line::Cells(cells, blanks) };
                let close = comment.starts_with(|c: char| !c.is_whitespace());
                let comment = comment.trim();
                if let Some(columns) = comment.strip_prefix("global.columns") {
                    names = columns
                        .trim_start_matches([' ', '='])
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect();
                }
                document(comment)
                    .or_else(|| said(comment).filter(|_| !close))
                    .unwrap_or(Line::Hash(cells, close))
            })
            .collect();
        Self { lines, names }
    }

    /// The words' lines from 1 and their cells.
    pub fn cells(&self) -> impl Iterator<Item = (usize, &Vec<&'t str>)> {
        self.lines.iter().zip(1..).filter_map(|(line, number)| match line {
            Line::Cells(cells, _) => Some((number, cells)),
            _ => None,
        })
    }

    /// How many columns most lines have.
    pub fn count(&self) -> Option<usize> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for (_, cells) in self.cells().filter(|(_, cells)| cells.len() > 1) {
            *counts.entry(cells.len()).or_default() += 1;
        }
        counts
            .iter()
            .max_by_key(|(columns, lines)| (**lines, std::cmp::Reverse(**columns)))
            .map(|(count, _)| *count)
    }

    /// Whether a blank line, or a document's beginning, stands between words.
    pub fn are_parted(&self) -> bool {
        let word = |line: &Line| matches!(line, Line::Cells(..));
        let mut rest = self.lines.iter().skip_while(|line| !word(line));
        rest.by_ref().any(|line| matches!(line, Line::Blank | Line::Document(_))) && rest.any(word)
    }
}

/// What `-DOCSTART-` says, also behind a number, and `-DOCEND-`.
fn mark<'t>(cells: &[&str]) -> Option<Line<'t>> {
    let first = cells.iter().position(|cell| !is_number(cell))?;
    if !is_mark(cells[first]) {
        return None;
    }
    let begins =
        cells[first].as_bytes()[..MARKS[0].len().min(cells[first].len())].eq_ignore_ascii_case(MARKS[0]);
    Some(if begins { Line::Document(None) } else { Line::Blank })
}

const MARKS: [&[u8]; 2] = [b"-DOCSTART-", b"-DOCEND-"];

/// Whether a word in the first column is no word.
pub fn is_mark(word: &str) -> bool {
    let begins =
        |mark: &[u8]| word.as_bytes().get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark));
    MARKS.into_iter().any(begins)
}

/// Whether a first line is one of columns and of nothing else: a mark or a comment that only they have, or a word with a
/// tab and its tag behind it.
pub fn begins(line: &str) -> bool {
    let lines = Lines::of(line);
    let tagged = |cells: &[&str]| {
        line.contains('\t') && cells.len() > 1 && cells.last().is_some_and(|tag| split_tag(tag).is_some())
    };
    !lines.names.is_empty()
        || lines.lines.iter().any(|line| match line {
            Line::Document(_) | Line::Text(_) => true,
            Line::Cells(cells, _) | Line::Hash(cells, _) => tagged(cells),
            Line::Blank => false,
        })
}

/// What `# text = ..` of `CoNLL-U` says.
fn said(comment: &str) -> Option<Line<'_>> {
    let text = comment.strip_prefix("text")?.trim_start().strip_prefix('=')?.trim();
    (!text.is_empty()).then_some(Line::Text(text))
}

/// What a comment says of documents: `newdoc id = a`, `document_id = a`, `hipe2022:document_id = a`, `begin document (a); part 0`.
fn document(comment: &str) -> Option<Line<'_>> {
    let space = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let comment = comment.split_once(':').filter(|(name, _)| space(name)).map_or(comment, |(_, rest)| rest);
    let rest = ["newdoc id", "document_id", "doc_id", "begin document", "newdoc"]
        .iter()
        .find_map(|mark| comment.strip_prefix(mark))
        .filter(|rest| rest.is_empty() || rest.starts_with([' ', '=', '(']))?;
    let name = rest.trim_start_matches([' ', '=']).trim();
    Some(Line::Document((!name.is_empty()).then_some(name)))
}

/// The cells of a line: between tabs where it has one, else between ASCII blanks, or between `separator`.
fn split(line: &str, separator: Option<char>) -> Vec<&str> {
    let cells = |separator| line.trim_end().split(separator).map(str::trim).collect();
    if line.contains('\t') {
        cells('\t')
    } else if let Some(separator) = separator {
        cells(separator)
    } else {
        // A no-break space is part of a word. What begins with a blank has a word of white space.
        let words = line.split_ascii_whitespace().map(str::trim);
        let blank = line.starts_with(' ') && line.split_ascii_whitespace().count() == 1;
        std::iter::repeat_n("", usize::from(blank)).chain(words).collect()
    }
}

/// What separates columns where neither tabs nor blanks do.
pub fn separator(text: &str) -> Option<char> {
    let lines = || text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).take(1000);
    let share = |separator: &[char]| lines().filter(|line| line.trim().contains(separator)).count();
    let all = lines().count();
    if all == 0 || share(&['\t', ' ']) * 2 > all {
        return None;
    }
    [',', ';', '|'].into_iter().find(|separator| share(&[*separator]) * 10 >= all * 9)
}
