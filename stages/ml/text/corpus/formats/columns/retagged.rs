//! The same columns with other tags.

use std::collections::BTreeMap;

use super::{
    layout::Layout,
    lines::{Line, Lines, separator, with_whole_types},
};
use crate::corpus::{format::Want, options::Options};

/// A file of columns in which the words of some lines, from 1, have other tags: in the column of their tags, else in a new
/// one behind the last, which then is in every line of a word. All else stands as it was.
pub fn retagged(text: &str, options: &Options, tags: &BTreeMap<usize, String>) -> String {
    let text = with_whole_types(text);
    let (lines, separator) = (Lines::of(&text), separator(&text));
    let Some(layout) = Layout::of(&lines, Want::Entries, options) else { return text.into_owned() };
    let mut written = String::with_capacity(text.len());
    for ((line, read), number) in text.lines().zip(&lines.lines).zip(1..) {
        let cells = match read {
            Line::Cells(cells, _) | Line::Hash(cells, _) => cells.as_slice(),
            _ => &[],
        };
        // `3-4 du` is the line of a word that is none.
        let other = (layout.grows() && layout.skips(cells)).then_some("_");
        match tags.get(&number).map(String::as_str).or(other) {
            Some(tag) => {
                let (column, cell) = layout.put(cells, tag);
                written.push_str(&with_cell(line, separator, column, &cell));
            }
            None => written.push_str(line),
        }
        written.push('\n');
    }
    written
}

/// A line with another cell in a column, from 0, or behind its last.
fn with_cell(line: &str, separator: Option<char>, column: usize, cell: &str) -> String {
    let line = line.trim_end();
    let separator = if line.contains('\t') { Some('\t') } else { separator };
    if let Some(separator) = separator {
        let mut cells: Vec<&str> = line.split(separator).collect();
        match cells.get_mut(column) {
            Some(old) => *old = cell,
            None => cells.push(cell),
        }
        return cells.join(&separator.to_string());
    }
    let blank = |c: char| c.is_ascii_whitespace();
    let (mut at, mut found) = (0, None);
    for number in 0..=column {
        let rest = &line[at..];
        let start = at + rest.len() - rest.trim_start_matches(blank).len();
        let end = line[start..].find(blank).map_or(line.len(), |length| start + length);
        found = (start < end && number == column).then_some(start..end);
        at = end;
    }
    match found {
        Some(place) => [&line[..place.start], cell, &line[place.end..]].concat(),
        None => [line, " ", cell].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, tags: &[(usize, &str)]) -> String {
        let tags = tags.iter().map(|(line, tag)| (*line, (*tag).to_owned())).collect();
        retagged(text, &Options::default(), &tags)
    }

    #[test]
    fn tags_are_replaced_where_they_stand_and_all_else_is_kept() {
        let text = "-DOCSTART- -X- O O\n\nAnna NNP  B-NP O\nvit VB B-VP O\n\n# un mot\nAix NNP B-NP B-PER\n";
        let other = changed(text, &[(3, "B-PER"), (4, "O"), (7, "B-LOC")]);
        assert_eq!(
            other,
            "-DOCSTART- -X- O O\n\nAnna NNP  B-NP B-PER\nvit VB B-VP O\n\n# un mot\nAix NNP B-NP B-LOC\n"
        );
        let text = "word\ttag\tpos\nAnna\tO\tNAM\nvit\tO\tVER\n\nrien\tB-ORG\tPRO\n";
        let other = changed(text, &[(2, "B-PER"), (3, "O"), (5, "O")]);
        assert_eq!(other, "word\ttag\tpos\nAnna\tB-PER\tNAM\nvit\tO\tVER\n\nrien\tO\tPRO\n");
        assert_eq!(
            changed("Anna,O\nvit,O\n\nrien,B-PER\n", &[(1, "B-PER"), (2, "O"), (4, "O")]),
            "Anna,B-PER\nvit,O\n\nrien,O\n"
        );
    }

    #[test]
    fn a_treebank_gets_its_tags_beside_what_else_it_says_or_behind_its_last_column() {
        let text = "# text = Vue du Mans\n1\tVue\tvue\tN\t_\t_\t0\troot\t_\t_\n\
                    2-3\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n2\tde\tde\tP\t_\t_\t1\tx\t_\t_\n\
                    3\tle\tle\tD\t_\t_\t1\tx\t_\t_\n4\tMans\tMans\tN\t_\t_\t1\tx\t_\tSpaceAfter=No\n";
        let other = changed(text, &[(2, "O"), (4, "O"), (5, "B-LOC"), (6, "I-LOC")]);
        let lines: Vec<&str> = other.lines().collect();
        assert!(lines[1].ends_with("root\t_\tNER=O") && lines[2] == "2-3\tdu\t_\t_\t_\t_\t_\t_\t_\t_");
        assert!(lines[5].ends_with("\tNER=I-LOC|SpaceAfter=No"), "{other}");
        let again = changed(&other, &[(2, "O"), (4, "B-LOC"), (5, "O"), (6, "O")]);
        assert!(again.ends_with("\tNER=O|SpaceAfter=No\n") && again.contains("\tNER=B-LOC\n"), "{again}");
        let short = "1\tVue\tvue\tN\t_\t0\troot\t_\n2-3\tdu\t_\t_\t_\t_\t_\t_\n2\tde\tde\tP\t_\t1\tx\t_\n";
        let other = changed(short, &[(1, "O"), (3, "B-LOC")]);
        assert!(other.ends_with("\tx\t_\tB-LOC\n") && other.contains("_\t_\n2\t"), "{other}");
    }
}
