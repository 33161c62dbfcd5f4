//! Plain text.

use std::ops::Range;

use stage_contract::StageError;

use super::super::{
    format::{File, Format, Want},
    item::{Content, Found, Place},
    options::{Options, Unit},
};

/// Text without any marks of a format; so it looks last.
pub struct Plain;

impl Format for Plain {
    fn name(&self) -> &'static str {
        "text"
    }

    fn sniff(&self, _file: &File, want: Want, _options: &Options) -> bool {
        want != Want::Gold
    }

    fn read(&self, file: &File, _want: Want, options: &Options) -> Result<Found, StageError> {
        let mut found = Found::default();
        for (number, range) in texts(&file.text, options.unit) {
            found.push(Place::Line(number), None, Content::Text(file.text[range].to_owned()));
        }
        Ok(found)
    }
}

/// The texts of a file: the line that each begins at, from 1, and its bytes. Blank lines are texts too where lines are, so
/// that numbers stay true.
pub fn texts(text: &str, unit: Unit) -> Vec<(usize, Range<usize>)> {
    let start = text.len() - text.trim_start().len();
    match unit {
        Unit::Line => lines(text).collect(),
        Unit::File if text.trim().is_empty() => Vec::new(),
        Unit::File => vec![(1 + text[..start].matches('\n').count(), start..text.trim_end().len())],
        Unit::Document => paragraphs(text),
    }
}

/// Lines without their ends.
fn lines(text: &str) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut at = 0;
    text.split_inclusive('\n').zip(1..).map(move |(line, number)| {
        let start = at;
        at += line.len();
        (number, start..start + line.strip_suffix('\n').unwrap_or(line).len())
    })
}

fn paragraphs(text: &str) -> Vec<(usize, Range<usize>)> {
    let mut found: Vec<(usize, Range<usize>)> = Vec::new();
    let mut open = false;
    for (number, line) in lines(text) {
        let printed = text[line.clone()].trim_end().len();
        match found.last_mut() {
            _ if printed == 0 => open = false,
            Some((_, paragraph)) if open => paragraph.end = line.start + printed,
            _ => {
                found.push((number, line.start..line.start + printed));
                open = true;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_line_a_paragraph_or_a_file() {
        let texts = |text: &'static str, unit| {
            texts(text, unit).into_iter().map(|(number, range)| (number, &text[range])).collect::<Vec<_>>()
        };
        let text = "\nun\ndeux\n \n\ntrois\n";
        assert_eq!(texts(text, Unit::Line).len(), 6);
        assert_eq!(texts(text, Unit::Document), [(2, "un\ndeux"), (6, "trois")]);
        assert_eq!(texts(text, Unit::File), [(2, "un\ndeux\n \n\ntrois")]);
        assert_eq!(texts("un\n\ndeux", Unit::Document), [(1, "un"), (3, "deux")]);
        for unit in [Unit::Document, Unit::File] {
            assert_eq!(texts(" \n\n", unit), []);
        }
    }
}
